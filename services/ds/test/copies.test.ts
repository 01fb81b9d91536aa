// Second copies of messages: whichever comes later in the ordinary queue is passed over.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@lmqtt/common/clock';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import { Copies } from '../src/queue-store/rocketmq/copies.ts';
import { RocketmqStoreEvents } from '../src/queue-store/rocketmq/events.ts';
import { keysBetween } from '../src/queue-store/rocketmq/key-pass.ts';
import { StoredReader } from '../src/rocketmq/message/stored-reader.ts';
import type { StoredMessage } from '../src/rocketmq/message/stored-message.ts';
import type { PullAnswer, PullRequest } from '../src/rocketmq/remoting/requests/pull-message.ts';
import { storedBytes, textOfProperties } from './rocketmq-stored.ts';

const pullMessages = 32;
const source = { partition: 0, queuesOf: () => [], placementOf: () => -1 };

/** An ordinary queue by the keys of its messages, `!` behind that of one that was sent again. */
class KeyedQueue {
  readonly broker = { name: 'broker-a', answersSinceMs: 1, connection: this };
  readonly keys: string[] = [];
  pulled = 0;

  bytesAt(offset: number): Buffer {
    const key = this.keys[offset]!;
    const again = key.endsWith('!') ? { lmqttAgain: '0' } : {};
    const properties = Object.entries({ UNIQ_KEY: key.replace('!', ''), ...again });
    const text = textOfProperties([...properties, ['originMqttTopic', 'a']]);
    const body = Buffer.from(`${offset}`);
    return storedBytes({ topic: 't', properties: text, body, queueOffset: offset });
  }

  pull({ offset }: PullRequest, done: (answer: PullAnswer) => void): void {
    this.pulled += 1;
    const max = this.keys.length;
    const next = Math.min(max, offset + pullMessages);
    const bodies = Array.from({ length: next - offset }, (_, n) => this.bytesAt(offset + n));
    const answer = { kind: 'found' as const, body: Buffer.concat(bodies), next, min: 0, max };
    setImmediate(() => done(answer));
  }

  messages(from: number, until: number): StoredMessage[] {
    const bytes = Array.from({ length: until - from }, (_, n) => this.bytesAt(from + n));
    return new StoredReader().read(Buffer.concat(bytes), source);
  }
}

function copiesOf(): Copies {
  const events = new RocketmqStoreEvents(silentLogs(), new Metrics(), systemClock);
  const reader = new StoredReader();
  const outcomes = {
    keysBetween: (queue: never, from: number, end: number) => keysBetween(queue, from, end, reader),
  };
  return new Copies({ events }, outcomes);
}

void test('of two copies the earlier one counts, whichever says that it is the second', async () => {
  const queue = new KeyedQueue();
  queue.keys.push('a', 'b!', 'a!', 'b', 'c!');
  const copies = copiesOf();
  const broker = queue.broker as never;
  const kept = await copies.without(queue.messages(0, 3), broker);
  assert.deepEqual(
    kept.map(({ queueOffset }) => queueOffset),
    [0, 1],
  );
  const later = queue.messages(3, 5);
  assert.ok(copies.isSuspect(later));
  assert.deepEqual(
    (await copies.without(later, broker)).map(({ queueOffset }) => queueOffset),
    [4],
  );
});

void test('many that were sent again, one after the other, cost one reading of the queue', async () => {
  const queue = new KeyedQueue();
  for (let n = 0; n < 320; n += 1) queue.keys.push(`${n}!`);
  const copies = copiesOf();
  const kept: StoredMessage[] = [];
  for (let from = 0; from < 320; from += pullMessages)
    kept.push(
      ...(await copies.without(queue.messages(from, from + pullMessages), queue.broker as never)),
    );
  assert.equal(kept.length, 320);
  assert.equal(queue.pulled, 10);
});

void test('a broker that was away is read anew', async () => {
  const queue = new KeyedQueue();
  queue.keys.push('a', 'b!');
  const copies = copiesOf();
  await copies.without(queue.messages(1, 2), queue.broker as never);
  queue.keys.splice(0, 2, 'c', 'c!');
  queue.broker.answersSinceMs = 2;
  assert.deepEqual(await copies.without(queue.messages(1, 2), queue.broker as never), []);
});
