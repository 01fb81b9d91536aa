import { describe, test } from 'node:test';
import { unique } from '../harness/wire.ts';
import { protocolError, Suite, refused, together } from './v5.ts';

const suite = new Suite();

describe('MQTT 5 topics and filters', together, () => {
  for (const topic of ['a/+', '+', '#', 'a/#', 'a+b', 'a#', 'a/#/b']) {
    test(`[MQTT-3.3.2-2] [MQTT-4.7.0-1] the wildcard in the topic name ${topic} is refused`, async () => {
      for (const [qos, answer] of [
        [0, 'puback'],
        [1, 'puback'],
        [2, 'pubrec'],
      ] as const) {
        const client = await suite.client();
        client.sendPublish({ topic, payload: 'x', qos });
        if (qos === 0) await client.expectDisconnect([0x81, 0x82, 0x90]);
        else await refused(client, answer, [0x90], [0x81, 0x82, 0x90]);
      }
    });
  }

  const badFilters: [string, string][] = [
    ['[MQTT-4.7.1-1]', 'a/#/b'],
    ['[MQTT-4.7.1-1]', 'a#'],
    ['[MQTT-4.7.1-1]', '#/a'],
    ['[MQTT-4.7.1-1]', 'a/b#'],
    ['[MQTT-4.7.1-1]', '##'],
    ['[MQTT-4.7.1-2]', 'a+'],
    ['[MQTT-4.7.1-2]', '+a/b'],
    ['[MQTT-4.7.1-2]', 'a/+b/c'],
    ['[MQTT-4.7.1-2]', '++'],
    ['[MQTT-4.7.3-1]', ''],
    ['[MQTT-4.8.2-1]', '$share//a'],
    ['[MQTT-4.8.2-1]', '$share/'],
    ['[MQTT-4.8.2-2]', '$share/g'],
    ['[MQTT-4.8.2-2]', '$share/g/'],
    ['[MQTT-4.8.2-2]', '$share/g+/a'],
    ['[MQTT-4.8.2-2]', '$share/#/a'],
    ['[MQTT-4.8.2-2]', '$share/+/a'],
    ['[MQTT-4.7.1-1]', '$share/g/a/#/b'],
  ];
  for (const [id, filter] of badFilters) {
    test(`${id} the filter '${filter}' is refused`, async () => {
      const client = await suite.client();
      client.sendSubscribe({ filters: [filter] });
      await refused(client, 'suback', [0x8f], [0x81, 0x82, 0x8f]);
    });
  }

  test('[MQTT-4.7.3-1] an empty filter is a protocol error', async () => {
    for (const filters of [[''], [unique(), '']]) {
      const subscriber = await suite.client();
      subscriber.sendSubscribe({ filters });
      await subscriber.expectDisconnect(protocolError);
      const unsubscriber = await suite.client();
      unsubscriber.sendUnsubscribe({ filters });
      await unsubscriber.expectDisconnect(protocolError);
    }
  });

  test('[MQTT-3.8.4-5] [MQTT-3.8.4-7] a bad filter among good ones fails alone, or closes', async () => {
    const client = await suite.client();
    const good = unique();
    client.sendSubscribe({ packetId: 5, filters: [good, 'a/#/b', `${good}/2`] });
    const answer = await client.next();
    if (answer.type === 'disconnect') return client.expectClose();
    const expected = { type: 'suback', packetId: 5, reasons: [0, 0x8f, 0], properties: {} };
    const { type, packetId, reasons } = answer as typeof expected;
    if (JSON.stringify({ type, packetId, reasons, properties: {} }) !== JSON.stringify(expected)) {
      throw new Error(`not the answer: ${JSON.stringify(answer)}`);
    }
    await client.publish(good, 'x');
    await client.expect('publish', { topic: good });
    return undefined;
  });

  /** Filter, topics that match, topics that do not; all below a prefix of the test. */
  const matching: [string, string, string[], string[]][] = [
    ['[MQTT-4.7.1-1]', 'a/#', ['a', 'a/b', 'a/b/c', 'a/', 'a//'], ['b', 'ab', '/a']],
    ['[MQTT-4.7.1-1]', '#', ['a', 'a/b', '', '/', '//a', 'a/b/c/d/e/f'], []],
    ['[MQTT-4.7.1-2]', 'a/+', ['a/b', 'a/'], ['a', 'a/b/c', 'a//']],
    ['[MQTT-4.7.1-2]', '+/b', ['a/b', '/b'], ['b', 'a/b/', 'a/a/b']],
    ['[MQTT-4.7.1-2]', '+', ['a', ''], ['a/b', '/', '/a']],
    ['[MQTT-4.7.1-2]', '+/+', ['a/b', '/', '/a', 'a/'], ['a', 'a/b/c', '//']],
    ['[MQTT-4.7.1-2]', 'a/+/c', ['a/b/c', 'a//c'], ['a/c', 'a/b/b/c']],
    ['[MQTT-4.7.1-1]', '+/#', ['a', 'a/b', 'a/b/c', '/a'], []],
    ['[MQTT-4.7.3-4]', 'A/b', ['A/b'], ['a/b', 'A/B', 'A/b/', '/A/b', 'A//b', 'A/b ']],
    ['[MQTT-4.7.3-4]', 'é', ['é'], ['e\u0301', 'É']],
    ['[MQTT-4.7.3-4]', 'a//b', ['a//b'], ['a/b', 'a///b']],
    ['[MQTT-4.7.3-4]', 'a/../b', ['a/../b'], ['b', 'a/b']],
    ['[MQTT-4.7.3-4]', 'a b%20*?', ['a b%20*?'], ['a b *?', 'a%20b%20*?']],
    ['[MQTT-4.7.3-4]', '/', ['/'], ['', '//']],
  ];
  for (const [id, filter, hits, misses] of matching) {
    test(`${id} [MQTT-3.3.2-3] the filter '${filter}' matches what it should and nothing else`, async () => {
      const prefix = unique();
      const client = await suite.client();
      await client.subscribe(`${prefix}/${filter}`, 1);
      const publisher = await suite.client();
      for (const miss of misses) await publisher.publish(`${prefix}/${miss}`, 'miss', { qos: 1 });
      for (const hit of hits) {
        await publisher.publish(`${prefix}/${hit}`, 'hit', { qos: 1 });
        await client.receive({ topic: `${prefix}/${hit}`, payload: 'hit' });
      }
      await suite.nothingElse(client);
    });
  }

  test('[MQTT-4.7.2-1] filters that begin with a wildcard do not match $ topics', async () => {
    const topic = `$${unique()}`;
    const [wild, exact] = [await suite.client(), await suite.client()];
    const leading = ['#', '+/#', '+/b', '+/+'];
    await wild.subscribe(leading.map((filter) => ({ filter, retainHandling: 2 })));
    await exact.subscribe([`${topic}/#`, `${topic}/+`], 1);
    await exact.publish(`${topic}/b`, 'dollar', { qos: 1, retain: true });
    await exact.receive({ topic: `${topic}/b` });
    const plain = `${unique()}/b`;
    await exact.publish(plain, 'plain', { qos: 1 });
    const seen: string[] = [];
    while (seen.at(-1) !== plain) seen.push((await wild.expect('publish')).topic);
    const dollar = seen.filter((name) => name.startsWith('$'));
    if (dollar.length > 0) throw new Error(`a leading wildcard matched ${String(dollar)}`);
    const late = await suite.client();
    await late.subscribe('+/b');
    await late.publish(plain, 'late');
    for (;;) {
      const message = await late.expect('publish');
      if (message.topic === topic) throw new Error('a retained $ message came');
      if (message.topic === plain) break;
    }
    await exact.publish(`${topic}/b`, '', { qos: 1, retain: true });
  });
});
