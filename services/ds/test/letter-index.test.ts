// Dead letters at a broker that shows a message some time after it has stored it.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { systemClock } from '@lmqtt/common/clock';
import { messageOf } from '@lmqtt/common/message';
import type { DeadLetter, RetryEntry } from '../src/retry-queue/retry-queue.ts';
import { RocketmqRetryQueue } from '../src/retry-queue/rocketmq/rocketmq-retry-queue.ts';
import { RocketmqClient } from '../src/rocketmq/remoting/client.ts';
import { EventLines, optionsWith } from './remoting-peer.ts';
import { ScriptedBroker } from './scripted-broker.ts';

async function opened(t: TestContext, indexLagMs: number): Promise<RocketmqRetryQueue> {
  const broker = new ScriptedBroker();
  await broker.start();
  broker.indexLagMs = () => indexLagMs;
  const nameServers = [broker.nameServer];
  const client = new RocketmqClient({ ...optionsWith(new EventLines()), nameServers });
  t.after(async () => {
    client.close();
    await broker.close();
  });
  const topics = { retryTopic: 'retry', deadLetterTopic: 'dead' };
  return new RocketmqRetryQueue({ client, clock: systemClock, lettersMax: 100, ...topics });
}

function entryOf(text: string): RetryEntry {
  const payload = Buffer.from(text);
  return {
    message: messageOf({ topic: 'plant/1', qos: 1, retain: false, payload }),
    ...{ clientId: 'reader', filter: 'plant/#', reason: 'refused', reasonCode: 0x97 },
    ...{ attempts: 1, firstMs: 1, lastMs: 2 },
  };
}

const textsOf = (letters: readonly DeadLetter[]): string[] =>
  letters.map(({ entry }) => entry.message.payload.toString());

void test('a dead letter is listed once it is stored, though its broker shows it later', async (t) => {
  const queue = await opened(t, 30);
  for (const text of ['a', 'b']) {
    await queue.deadLetter([entryOf(text)]);
    assert.equal(textsOf(await queue.list(undefined, 10)).at(-1), text);
  }
});

void test('what was purged or replayed is gone at once, for those who ask meanwhile too', async (t) => {
  const queue = await opened(t, 30);
  await queue.deadLetter(['a', 'b', 'c'].map(entryOf));
  const [a, b] = await queue.list(undefined, 10);
  const purged = queue.purge([a!.id]);
  await queue.list(undefined, 10);
  assert.equal(await purged, 1);
  assert.equal(await queue.find(a!.id), undefined);
  assert.equal(await queue.replay([b!.id], 0), 1);
  assert.deepEqual(textsOf(await queue.list(undefined, 10)), ['c']);
  assert.equal(await queue.purge('all'), 1);
  assert.deepEqual(await queue.list(undefined, 10), []);
});
