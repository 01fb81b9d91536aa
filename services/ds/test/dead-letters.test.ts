import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queueId } from '@lmqtt/common/ids';
import { silentLogs } from '@lmqtt/common/log';
import { messageOf } from '@lmqtt/common/message';
import { Metrics } from '@lmqtt/common/metrics';
import { retryDelay } from '@lmqtt/common/retry-delay';
import { DeadLetterEvents } from '../src/dead-letter-events.ts';
import type { QueueStore } from '../src/queue-store/queue-store.ts';
import { delayLevelOf } from '../src/retry-queue/rocketmq/delay-levels.ts';
import type { RetryEntry, RetryQueue } from '../src/retry-queue/retry-queue.ts';
import { DeadLetters, type Undelivered } from '../src/use-cases/dead-letters.ts';

const queue = queueId(7);

function placeAt(offset: number): Undelivered {
  return {
    ...{ reason: 'refused', reasonCode: 0x80, filter: 'a', queue, partition: 0, offset },
    ...{ attempts: 1, firstMs: 0, lastMs: 0 },
  };
}

const nothing = (): void => undefined;
const none = (): Promise<never> => Promise.reject(new Error('not asked for'));

interface Scene {
  readonly letters: DeadLetters;
  readonly kept: RetryEntry[];
  readonly clock: { ms: number };
  readonly figure: (name: string) => Promise<number>;
}

/** Messages 0 to 99 are there; `deadLetter` may fail. */
function scene(rateMax: number, deadLetter?: () => Promise<void>): Scene {
  const kept: RetryEntry[] = [];
  const clock = { ms: 1000 };
  const metrics = new Metrics();
  const retryQueue: RetryQueue = {
    ...{ put: none, take: none, acknowledge: none, list: none, find: none, replay: none },
    purge: none,
    deadLetter: async (entries) => {
      await deadLetter?.();
      kept.push(...entries);
    },
  };
  const queueStore: QueueStore = {
    ...{ append: nothing, outcome: none, ends: none, drop: none },
    ...{ onArrivals: nothing, onLost: nothing, trim: nothing },
    read: ({ from }) => {
      if (from >= 100) return Promise.resolve({ messages: [], next: from, end: 100 });
      const payload = Buffer.from(String(from));
      const message = messageOf({ topic: 'a', qos: 1, retain: false, payload });
      message.entries = [{ queue, partition: 0, offset: from, previous: from - 1 }];
      return Promise.resolve({ messages: [message], next: from + 1, end: 100 });
    },
  };
  const letters = new DeadLetters({
    ...{ queueStore, retryQueue, rateMax, keeps: true, keepsOfEnded: true },
    events: new DeadLetterEvents(silentLogs(), metrics),
    clock: { nowMs: () => clock.ms, monotonicMs: () => clock.ms },
  });
  const figure = async (name: string): Promise<number> => {
    const text = await metrics.registry.metrics();
    const line = text.split('\n').find((each) => each.startsWith(name));
    return Number(line?.split(' ').at(-1));
  };
  return { letters, kept, clock, figure };
}

const notKept = (why: string): string => `lmqtt_dead_letters_not_kept_total{why="${why}"}`;

test('messages past the rate are counted and waited for by nobody, and the rate comes back', async () => {
  const { letters, kept, clock, figure } = scene(10);
  const many = Array.from({ length: 25 }, (_, offset) => placeAt(offset));
  await letters.undelivered('c', many);
  assert.equal(kept.length, 10);
  assert.equal(await figure(notKept('rate')), 15);
  clock.ms += 500;
  await letters.undelivered('c', many);
  assert.equal(kept.length, 15);
  assert.equal(await figure('lmqtt_dead_letters_total{reason="refused"}'), 15);
});

test('a store that fails, and a message that is gone, hold nobody up and are counted', async () => {
  const failing = scene(10, () => Promise.reject(new Error('no disk')));
  await failing.letters.undelivered('c', [placeAt(1), placeAt(2)]);
  assert.equal(await failing.figure(notKept('not stored')), 2);
  const { letters, kept, figure } = scene(10);
  await letters.undelivered('c', [placeAt(100), placeAt(3)]);
  assert.deepEqual(
    kept.map(({ message }) => message.payload.toString()),
    ['3'],
  );
  assert.equal(await figure(notKept('gone')), 1);
});

test('whoever reports waits until its message is stored', async () => {
  let store: () => void = () => undefined;
  const stored = new Promise<void>((resolve) => {
    store = resolve;
  });
  const { letters, kept } = scene(10, () => stored);
  let told = false;
  const reporting = letters.undelivered('c', [placeAt(1)]).then(() => {
    told = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([told, kept.length], [false, 0]);
  store();
  await reporting;
  assert.equal(kept.length, 1);
});

test('delays grow to a bound, and are rounded up to the levels of RocketMQ', () => {
  const delays = [1, 2, 3, 7, 50].map((tries) => retryDelay(tries, 3));
  assert.deepEqual(delays, [3, 6, 12, 180, 180]);
  const levels = [0, 1, 1000, 1001, 5000, 61_000, 7_200_000, 86_400_000].map(delayLevelOf);
  assert.deepEqual(levels, [undefined, 1, 1, 2, 2, 6, 18, 18]);
});
