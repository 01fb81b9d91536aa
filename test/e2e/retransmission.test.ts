// QoS 1 messages that stay unacknowledged on an open connection are sent again, by setting, to clients
// before MQTT 5.0 alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Suite } from '../harness/suite.ts';
import { unique } from '../harness/wire.ts';

const suite = new Suite({
  settings: { RETRY_UNACKNOWLEDGED: 'true', RETRY_INTERVAL_MS: '200', MAX_RETRY_TIME: '3' },
});

interface Letter {
  readonly topic: string;
  readonly reason: string;
  readonly attempts: number;
}

async function lettersOf(topic: string): Promise<Letter[]> {
  const url = `http://127.0.0.1:${suite.broker.opsPort}/api/v1/dead-letters?limit=1000`;
  const { deadLetters } = (await (await fetch(url)).json()) as { deadLetters: Letter[] };
  return deadLetters.filter((letter) => letter.topic === topic);
}

test('a message comes again with DUP and its identifier until it is acknowledged', async () => {
  const topic = unique();
  const reader = await suite.client({ version: 4 });
  await reader.subscribe(topic, 1);
  const publisher = await suite.client();
  await publisher.publish(topic, 'x', { qos: 1 });
  const { packetId } = await reader.expect('publish', { topic, dup: false });
  await reader.expect('publish', { topic, payload: 'x', qos: 1, dup: true, packetId });
  reader.sendAck('puback', packetId);
  await publisher.publish(topic, 'y', { qos: 1 });
  const next = await reader.find('publish', { topic, payload: 'y', dup: false });
  reader.sendAck('puback', next.packetId);
  assert.deepEqual(await lettersOf(topic), []);
});

test('a message that is never acknowledged is given up, and the next one goes out', async () => {
  const topic = unique();
  const reader = await suite.client({ version: 4 });
  await reader.subscribe(topic, 1);
  const publisher = await suite.client();
  await publisher.publish(topic, 'never', { qos: 1 });
  for (let tries = 0; tries < 3; tries += 1)
    await reader.expect('publish', { topic, payload: 'never', dup: tries > 0 });
  for (let tries = 0; (await lettersOf(topic)).length === 0; tries += 1) {
    assert.ok(tries < 300, 'no dead letter');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const [letter] = await lettersOf(topic);
  assert.equal(letter?.reason, 'unacknowledged');
  assert.equal(letter?.attempts, 3);
  await publisher.publish(topic, 'next', { qos: 1 });
  await reader.receive({ topic, payload: 'next', dup: false });
});

test('a client of MQTT 5.0 gets no second copy on its connection [MQTT-4.4.0-1]', async () => {
  const topic = unique();
  const [old, reader] = [await suite.client({ version: 4 }), await suite.client({ version: 5 })];
  for (const each of [old, reader]) await each.subscribe(topic, 1);
  const publisher = await suite.client();
  await publisher.publish(topic, 'once', { qos: 1 });
  await reader.expect('publish', { topic, dup: false });
  // Until the other one has had all of its copies.
  for (let tries = 0; tries < 3; tries += 1) await old.expect('publish', { topic });
  await reader.expectNothing();
});
