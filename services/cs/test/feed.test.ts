import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queueId } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { ReadAnswer, ReadRequest } from '@lmqtt/proto/link';
import fc from 'fast-check';
import { QueueFeed } from '../src/queue/feed.ts';
import { SessionCursor } from '../src/session/cursor.ts';
import type { CursorOwner, Subscription } from '../src/session/cursor.ts';
import { readFrom, stored } from './queue-fixture.ts';

const limits = { ringMessagesMax: 8, ringBytesMax: 1 << 20, readMessagesMax: 3, readBytesMax: 1e6 };

/** Pushes of one queue as a bad day brings them: any order, some twice, some never. */
const pushes = fc.record({
  holes: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 40 }),
  order: fc.array(fc.nat({ max: 39 }), { maxLength: 80 }),
  takeAfter: fc.array(fc.nat({ max: 4 }), { maxLength: 80 }),
});

async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

function storeOf(holes: readonly number[]): Message[] {
  let previous = -1;
  return holes.map((step, index) => {
    const offset = previous + step;
    const message = stored(String(index), 1, [[1, offset, previous]]);
    previous = offset;
    return message;
  });
}

test('a reader gets every stored message once and in order, whatever is pushed', async () => {
  await fc.assert(
    fc.asyncProperty(pushes, async ({ holes, order, takeAfter }) => {
      const messages = storeOf(holes);
      const read = (request: ReadRequest): Promise<ReadAnswer> =>
        Promise.resolve(readFrom(messages, request));
      const feed = new QueueFeed(queueId(1), 0, limits, read, performance.now.bind(performance));
      const taken: string[] = [];
      const owner: CursorOwner = {
        pagesOpen: 0,
        ready: () => {},
        moved: () => {},
        deliverQos0: () => {},
        startFound: () => {},
        appeared: () => {},
      };
      const options = {
        qos: 1,
        noLocal: false,
        retainAsPublished: false,
        retainHandling: 0,
        subscriptionIdentifier: undefined,
      } as const;
      const subscription: Subscription = {
        filter: 't',
        options,
        queue: queueId(1),
        group: undefined,
        cursors: [],
        identifiers: undefined,
        rights: undefined,
        mount: '',
      };
      const start = { partition: 0, start: 0, position: 0, done: [] };
      const cursor = new SessionCursor(subscription, feed, start, owner);
      const take = (count: number): void => {
        for (let index = 0; index < count; index++) {
          const message = cursor.peek();
          const entry = message === undefined ? undefined : cursor.entryOf(message);
          if (message === undefined || entry === undefined) return;
          taken.push(message.payload.toString());
          cursor.pass(entry.offset, undefined);
        }
      };
      for (const [index, which] of order.entries()) {
        const message = messages[which];
        const entry = message?.entries[0];
        if (message !== undefined && entry !== undefined) feed.push(message, entry);
        take(takeAfter[index] ?? 0);
        if (index % 3 === 0) await settle();
        if (index % 7 === 0) feed.release();
        if (index % 11 === 0) feed.ageOut();
      }
      // A lost push is found by the slow round.
      for (let round = 0; round < messages.length + 2; round++) {
        cursor.recheck();
        take(100);
        await settle();
      }
      assert.deepEqual(
        taken,
        messages.map((_, index) => String(index)),
      );
    }),
    { numRuns: 300 },
  );
});

test('readers that wait at one offset share a read', async () => {
  let reads = 0;
  const messages = storeOf([1, 1, 1]);
  const read = (request: ReadRequest): Promise<ReadAnswer> => {
    reads += 1;
    return Promise.resolve(readFrom(messages, request));
  };
  const feed = new QueueFeed(queueId(1), 0, limits, read, () => 0);
  const answers: number[] = [];
  const reader = {
    next: 0,
    arrived: () => {},
    passing: () => {},
    recheck: () => {},
    appeared: () => {},
    loaded: () => answers.push(1),
  };
  for (let index = 0; index < 5; index++) feed.load(0, reader);
  await settle();
  assert.equal(reads, 1);
  assert.equal(answers.length, 5);
});
