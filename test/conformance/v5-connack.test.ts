import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connect } from '../harness/packets.ts';
import { unique } from '../harness/wire.ts';
import { Suite, seconds, together } from './v5.ts';

const suite = new Suite({ KEEP_ALIVE_S_MAX: '100', RESPONSE_INFORMATION: 'replies/' });
const plain = new Suite();

describe('MQTT 5 CONNACK', together, () => {
  test('[MQTT-3.1.4-5] [MQTT-3.2.0-1] [MQTT-3.2.2-1] [MQTT-3.2.2-2] [MQTT-3.2.2-8] first, with flags 0 and reason 0', async () => {
    const client = await suite.client();
    assert.equal(client.received[0], 0x20);
    assert.deepEqual([...client.received.subarray(2, 4)], [0, 0]);
  });

  test('[MQTT-3.2.2-1] [MQTT-3.2.2-3] session present is bit 0 alone', async () => {
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    const first = await suite.client({ clientId, properties });
    await first.disconnect();
    const second = await suite.client({ clientId, clean: false, properties });
    assert.equal(second.received[2], 1);
  });

  test('[MQTT-3.2.2-9] [MQTT-3.2.2-10] QoS 2, retain, wildcards, identifiers and shared subscriptions are offered', async () => {
    const client = await suite.raw();
    const { properties } = await client.connect({ clientId: unique() });
    const offered = [
      properties.maximumQos,
      properties.retainAvailable ?? 1,
      properties.wildcardSubscriptionAvailable ?? 1,
      properties.subscriptionIdentifierAvailable ?? 1,
      properties.sharedSubscriptionAvailable ?? 1,
    ];
    assert.deepEqual(offered, [undefined, 1, 1, 1, 1]);
    assert.notEqual(properties.receiveMaximum, 0);
    assert.notEqual(properties.maximumPacketSize, 0);
  });

  test('[MQTT-3.2.0-2] one CONNACK, whatever follows', async () => {
    const client = await suite.client();
    await client.subscribe(unique());
    await client.expectNothing();
  });

  test('[MQTT-3.1.2-28] response information only when it was asked for', async () => {
    for (const [asked, told] of [
      [1, true],
      [0, false],
      [undefined, false],
    ] as const) {
      const client = await suite.raw();
      const properties = asked === undefined ? {} : { requestResponseInformation: asked };
      const connack = await client.connect({ clientId: unique(), properties });
      const information = connack.properties.responseInformation;
      assert.equal(information?.startsWith('replies/') ?? false, told, String(information));
    }
  });

  test('[MQTT-3.3.2-15] [MQTT-3.3.2-16] request and response over the topic that was told', async () => {
    const [requester, responder] = [await suite.raw(), await suite.client()];
    const connack = await requester.connect({
      clientId: unique(),
      properties: { requestResponseInformation: 1 },
    });
    const responseTopic = `${connack.properties.responseInformation ?? ''}${unique()}`;
    const requests = unique();
    await requester.subscribe(responseTopic, 1);
    await responder.subscribe(requests, 1);
    const correlationData = Buffer.from('0042ff', 'hex');
    await requester.publish(requests, 'ask', {
      qos: 1,
      properties: { responseTopic, correlationData },
    });
    const { properties } = await responder.receive({ topic: requests });
    await responder.publish(properties.responseTopic ?? '', 'answer', {
      qos: 1,
      properties: { correlationData: properties.correlationData ?? Buffer.alloc(0) },
    });
    await requester.receive({
      topic: responseTopic,
      payload: 'answer',
      properties: { correlationData },
    });
  });

  test('[MQTT-3.2.2-22] Server Keep Alive is told when a maximum is set and the client asks for more', async () => {
    for (const [asked, told] of [
      [0, 100],
      [101, 100],
      [65_535, 100],
      [100, undefined],
      [10, undefined],
    ] as const) {
      const client = await suite.raw();
      const { properties } = await client.connect({ clientId: unique(), keepAliveS: asked });
      assert.equal(properties.serverKeepAlive, told, `asked for ${asked}`);
    }
    const free = await plain.raw();
    const { properties } = await free.connect({ clientId: unique(), keepAliveS: 0 });
    assert.equal(properties.serverKeepAlive, undefined);
  });

  test('[MQTT-3.2.2-19] [MQTT-3.2.2-20] [MQTT-3.1.2-24] [MQTT-3.2.2-6] a refusal fits the maximum packet size of the client', async () => {
    for (const maximumPacketSize of [5, 8, 12, 20, 40]) {
      const client = await suite.raw();
      client.send(
        connect({
          version: 5,
          clientId: unique(),
          properties: { maximumPacketSize, authenticationMethod: 'no-such-method' },
        }),
      );
      const { reason } = await client.expect('connack', { sessionPresent: false });
      assert.ok([0x8c, 0x87].includes(reason));
      await client.expectClose();
      assert.ok(client.received.length <= maximumPacketSize, `${client.received.length} bytes`);
    }
  });
});

describe('MQTT 5 keep alive', together, () => {
  /** When the server closed a silent client, in ms after its last packet. */
  async function silence(keepAliveS: number): Promise<number> {
    const client = await plain.client({ keepAliveS });
    const start = performance.now();
    const end = await client.next(20_000).catch(() => undefined);
    if (end) assert.deepEqual([end.type, 'reason' in end && end.reason], ['disconnect', 0x8d]);
    await client.expectClose();
    return performance.now() - start;
  }

  test('[MQTT-3.1.2-22] [MQTT-3.2.2-22] silence for 1.5 times the keep alive closes, not before', async () => {
    const closedMs = await silence(1);
    assert.ok(closedMs >= 1400 && closedMs < 20_000, `closed after ${closedMs} ms`);
  });

  test('[MQTT-3.1.2-22] any packet keeps the connection, and its will is published at last', async () => {
    const topic = unique('will');
    const watcher = await plain.client();
    await watcher.subscribe(topic);
    const client = await plain.client({ keepAliveS: 1, will: { topic, payload: 'silent' } });
    const sends = [
      () => client.sendPublish({ topic: 'x' }),
      () => client.send(Buffer.from([0xc0, 0])),
      () => client.sendAck('pubcomp', 1),
    ];
    for (const send of sends) {
      await seconds(0.8);
      assert.equal(client.closed, false);
      send();
    }
    await watcher.expect('publish', { topic, payload: 'silent' });
  });

  test('[MQTT-3.1.2-22] keep alive 0 switches it off', async () => {
    const client = await plain.client({ keepAliveS: 0 });
    await seconds(2.5);
    await client.ping();
  });

  test('[MQTT-3.12.4-1] PINGREQ is answered by PINGRESP, each of many', async () => {
    const client = await plain.client();
    for (let index = 0; index < 5; index += 1) client.send(Buffer.from([0xc0, 0, 0xc0, 0]));
    for (let index = 0; index < 10; index += 1) await client.expect('pingresp');
    await client.expectNothing();
  });
});

describe('MQTT 5 keep alive of the server', () => {
  const strict = new Suite({ KEEP_ALIVE_S_MAX: '1' });
  test('[MQTT-3.1.2-22] the Server Keep Alive holds instead of what the client asked for', async () => {
    const client = await strict.raw();
    const { properties } = await client.connect({ clientId: unique(), keepAliveS: 600 });
    assert.equal(properties.serverKeepAlive, 1);
    const start = performance.now();
    await client.next().catch(() => undefined);
    await client.expectClose();
    const closedMs = performance.now() - start;
    assert.ok(closedMs >= 1400 && closedMs < 20_000, `closed after ${closedMs} ms`);
  });
});
