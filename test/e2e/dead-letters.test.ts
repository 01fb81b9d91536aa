// Messages that cannot be delivered become dead letters: seen, replayed and purged from outside.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { Suite } from '../harness/suite.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const suite = new Suite({
  settings: { DEAD_LETTER_EXPIRED: 'true', SYS_INTERVAL_S: '0', RETRY_INTERVAL_MS: '300' },
});

interface Letter {
  readonly id: string;
  readonly reason: string;
  readonly reasonCode: number;
  readonly clientId: string;
  readonly filter: string;
  readonly topic: string;
  readonly qos: number;
  readonly attempts: number;
  readonly firstAttemptAtMs: number;
  readonly lastAttemptAtMs: number;
  readonly deadAtMs: number;
  readonly payload?: string;
  readonly properties?: string;
}

const stayMs = { sessionExpiryInterval: 600 };

async function ask(method: string, path = ''): Promise<{ status: number; body: unknown }> {
  const url = `http://127.0.0.1:${suite.broker.opsPort}/api/v1/dead-letters${path}`;
  const answer = await fetch(url, { method });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
}

async function lettersOf(topic: string): Promise<Letter[]> {
  const { status, body } = await ask('GET', '?limit=1000');
  assert.equal(status, 200);
  const { deadLetters } = body as { deadLetters: Letter[] };
  return deadLetters.filter((letter) => letter.topic === topic);
}

/** There are so many dead letters of the topic, within the deadline of the tests. */
async function untilLetters(topic: string, count: number): Promise<Letter[]> {
  const endMs = performance.now() + 30_000;
  for (;;) {
    const letters = await lettersOf(topic);
    if (letters.length >= count || performance.now() > endMs) {
      assert.equal(letters.length, count, `dead letters of ${topic}`);
      return letters;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function untilNothingInFlight(clientId: string): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    const url = `http://127.0.0.1:${suite.broker.opsPort}/api/v1/clients/${clientId}`;
    const { inflight } = (await (await fetch(url)).json()) as { inflight: number };
    if (inflight === 0) return;
    assert.ok(tries < 300, `${clientId} has ${inflight} in flight`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function refusing(clientId: string, filter: string, qos: 1 | 2): Promise<RawClient> {
  const client = await suite.client({ version: 5, clientId, clean: false, properties: stayMs });
  await client.subscribe(filter, qos);
  return client;
}

for (const qos of [1, 2] as const)
  test(`a QoS ${qos} message that its client refuses is a dead letter, with all of it`, async () => {
    const topic = unique();
    const clientId = unique('reader');
    const reader = await refusing(clientId, `${topic}/#`, qos);
    const publisher = await suite.client({ version: 5 });
    const properties = { userProperties: [['k', 'ü']] } as const;
    await publisher.publish(`${topic}/1`, 'bad', { qos, properties });
    const { packetId } = await reader.find('publish', { topic: `${topic}/1`, payload: 'bad', qos });
    reader.sendAck(qos === 1 ? 'puback' : 'pubrec', packetId, { reason: 0x97 });
    const [letter] = await untilLetters(`${topic}/1`, 1);
    assert.ok(letter !== undefined);
    assert.equal(letter.reason, 'refused');
    assert.equal(letter.reasonCode, 0x97);
    assert.equal(letter.clientId, clientId);
    assert.equal(letter.filter, `${topic}/#`);
    assert.equal(letter.qos, qos);
    assert.equal(letter.attempts, 1);
    assert.ok(letter.firstAttemptAtMs <= letter.deadAtMs + 1000);
    const whole = (await ask('GET', `/${letter.id}`)).body as Letter;
    assert.equal(Buffer.from(whole.payload ?? '', 'base64').toString(), 'bad');
    assert.ok(Buffer.from(whole.properties ?? '', 'base64').includes(Buffer.from('ü')));
    // The next message goes out all the same, and the refused one does not come again.
    await publisher.publish(`${topic}/1`, 'good', { qos });
    const next = await reader.find('publish', { payload: 'good' });
    reader.sendAck(qos === 1 ? 'puback' : 'pubrec', next.packetId, { reason: 0x80 });
    await untilLetters(`${topic}/1`, 2);
    await untilNothingInFlight(clientId);
    await reader.disconnect({ properties: stayMs });
    const again = await suite.client({
      ...{ version: 5, clientId, clean: false, properties: stayMs, sessionPresent: true },
    });
    await again.expectNothing();
  });

test('a dead letter of a session that ends with its connection is kept as well', async () => {
  const topic = unique();
  const reader = await suite.client({ version: 5 });
  await reader.subscribe(topic, 1);
  const publisher = await suite.client();
  await publisher.publish(topic, 'x', { qos: 1 });
  const { packetId } = await reader.find('publish', { topic });
  reader.sendAck('puback', packetId, { reason: 0x83 });
  const [letter] = await untilLetters(topic, 1);
  assert.equal(letter?.reasonCode, 0x83);
});

test('a replayed dead letter reaches who has subscribed, and is listed no more', async () => {
  const topic = unique();
  const reader = await refusing(unique('reader'), topic, 1);
  const publisher = await suite.client({ version: 5 });
  await publisher.publish(topic, 'again', { qos: 1 });
  const { packetId } = await reader.find('publish', { topic });
  reader.sendAck('puback', packetId, { reason: 0x80 });
  const [letter] = await untilLetters(topic, 1);
  assert.equal((await ask('POST', `/${letter!.id}/replay`)).status, 204);
  const replayed = await reader.find('publish', { topic, payload: 'again', qos: 1 });
  reader.sendAck('puback', replayed.packetId);
  await untilLetters(topic, 0);
  assert.equal((await ask('POST', `/${letter!.id}/replay`)).status, 404);
});

test('a purged dead letter is gone, and others stay', async () => {
  const topic = unique();
  const reader = await refusing(unique('reader'), topic, 1);
  const publisher = await suite.client();
  for (const payload of ['a', 'b']) {
    await publisher.publish(topic, payload, { qos: 1 });
    const { packetId } = await reader.find('publish', { topic, payload });
    reader.sendAck('puback', packetId, { reason: 0x80 });
  }
  const [first] = await untilLetters(topic, 2);
  assert.equal((await ask('DELETE', `/${first!.id}`)).status, 204);
  assert.equal((await ask('DELETE', `/${first!.id}`)).status, 404);
  assert.equal((await ask('GET', `/${first!.id}`)).status, 404);
  await untilLetters(topic, 1);
});

test('a message that expires before a connected session can take it is a dead letter', async () => {
  const topic = unique();
  const clientId = unique('reader');
  const properties = { ...stayMs, receiveMaximum: 1 };
  const reader = await suite.client({ version: 5, clientId, clean: false, properties });
  await reader.subscribe(topic, 1);
  const publisher = await suite.client({ version: 5 });
  await publisher.publish(topic, 'holds', { qos: 1 });
  const { packetId } = await reader.find('publish', { topic, payload: 'holds' });
  const short = { messageExpiryInterval: 1 };
  await publisher.publish(topic, 'too late', { qos: 1, properties: short });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  reader.sendAck('puback', packetId);
  const [letter] = await untilLetters(topic, 1);
  assert.equal(letter?.reason, 'expired');
  assert.equal(letter?.clientId, clientId);
});

test('what a session has in flight when it ends is a dead letter, what is acknowledged is not', async () => {
  const topic = unique();
  const clientId = unique('reader');
  const reader = await suite.client({ version: 5, clientId, clean: false, properties: stayMs });
  await reader.subscribe(topic, 1);
  const publisher = await suite.client();
  for (const payload of ['done', 'open']) await publisher.publish(topic, payload, { qos: 1 });
  const { packetId } = await reader.find('publish', { topic, payload: 'done' });
  reader.sendAck('puback', packetId);
  await reader.find('publish', { topic, payload: 'open' });
  await reader.ping();
  reader.destroy();
  await suite.client({ version: 5, clientId, clean: true });
  const [letter] = await untilLetters(topic, 1);
  assert.ok(letter !== undefined);
  assert.equal(letter.reason, 'session ended');
  const whole = (await ask('GET', `/${letter.id}`)).body as Letter;
  assert.equal(Buffer.from(whole.payload ?? '', 'base64').toString(), 'open');
});

test('a message that a member of a shared group refuses goes to nobody else, and is a dead letter', async () => {
  const topic = unique();
  const filter = `$share/${unique('g')}/${topic}`;
  const members = [await suite.client({ version: 5 }), await suite.client({ version: 5 })];
  for (const member of members) await member.subscribe(filter, 1);
  const publisher = await suite.client();
  const refused = await Promise.all([
    takeOne(members[0]!, members[1]!),
    publisher.publish(topic, 'bad', { qos: 1 }),
  ]);
  const { member, packetId } = refused[0];
  member.sendAck('puback', packetId, { reason: 0x80 });
  const [letter] = await untilLetters(topic, 1);
  assert.equal(letter?.reason, 'refused');
  assert.equal(letter?.filter, filter);
  for (const each of members) await each.expectNothing();
});

/** Whichever of the two gets a message. */
async function takeOne(
  ...members: readonly RawClient[]
): Promise<{ member: RawClient; packetId: number }> {
  return Promise.any(
    members.map(async (member) => ({ member, packetId: (await member.find('publish')).packetId })),
  );
}

test('dead letters are counted by their reasons, and outlive the broker', async () => {
  const topic = unique();
  const reader = await refusing(unique('reader'), topic, 1);
  const publisher = await suite.client();
  const metric = 'lmqtt_dead_letters_total{reason="refused"}';
  const before = (await suite.broker.metrics()).get(metric) ?? 0;
  await publisher.publish(topic, 'kept', { qos: 1 });
  const { packetId } = await reader.find('publish', { topic });
  reader.sendAck('puback', packetId, { reason: 0x80 });
  await untilLetters(topic, 1);
  for (let tries = 0; (await suite.broker.metrics()).get(metric) !== before + 1; tries += 1) {
    assert.ok(tries < 300, metric);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await suite.broker.kill();
  await suite.broker.restart();
  await untilLetters(topic, 1);
});

test('the command lists, shows, replays and purges', async () => {
  const topic = unique();
  const reader = await refusing(unique('reader'), topic, 1);
  const publisher = await suite.client();
  for (const payload of ['a', 'b']) {
    await publisher.publish(topic, payload, { qos: 1 });
    const { packetId } = await reader.find('publish', { topic, payload });
    reader.sendAck('puback', packetId, { reason: 0x80 });
  }
  const [first, second] = await untilLetters(topic, 2);
  assert.ok(first !== undefined && second !== undefined);
  const listed = await command('list');
  assert.equal(listed.code, 0);
  assert.match(listed.output, new RegExp(`${first.id} .*refused .*${topic}`));
  assert.match((await command('show', first.id)).output, /"payload": "YQ=="/);
  assert.equal((await command('replay', first.id)).code, 0);
  await reader.find('publish', { topic, payload: 'a' });
  assert.equal((await command('purge', second.id)).code, 0);
  await untilLetters(topic, 0);
  const none = await command('purge', second.id);
  assert.equal(none.code, 1);
  assert.match(none.output, /there is no such dead letter/);
});

async function command(...words: string[]): Promise<{ code: number | null; output: string }> {
  const script = join(import.meta.dirname, '../../../scripts/lmqtt.mjs');
  const port = ['--ops-port', String(suite.broker.opsPort)];
  const child = spawn(process.execPath, [script, 'dead-letters', ...words, ...port]);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes: Buffer) => (output += bytes.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

test('dead letters are purged at once', async () => {
  const topic = unique();
  const reader = await refusing(unique('reader'), topic, 1);
  const publisher = await suite.client();
  await publisher.publish(topic, 'x', { qos: 1 });
  const { packetId } = await reader.find('publish', { topic });
  reader.sendAck('puback', packetId, { reason: 0x80 });
  await untilLetters(topic, 1);
  const { status, body } = await ask('DELETE');
  assert.equal(status, 200);
  assert.ok((body as { purged: number }).purged > 0);
  assert.deepEqual((await ask('GET')).body, { deadLetters: [], next: null });
});
