import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { messageOf } from '@lmqtt/common/message';
import type {
  DeadLetter,
  RetryEntry,
  RetryQueue,
  TakenEntry,
} from '@lmqtt/ds/retry-queue/retry-queue';

export interface RetryQueueUnderTest {
  readonly queue: RetryQueue;
  /** Longest time by which an entry may be late, ms. */
  readonly lateMsMax: number;
  /** Shortest delay that the adapter can make, ms. */
  readonly delayMs: number;
  /** The process ends without a word, and another one opens the same queue. */
  crash(): Promise<RetryQueueUnderTest>;
  close(): Promise<void>;
}

const properties = Buffer.from([0x26, 0, 1, 0x6b, 0, 1, 0x76]);

export function entryOf(text: string): RetryEntry {
  return {
    message: messageOf({
      topic: 'plant/ü/1',
      qos: 1,
      retain: false,
      payload: Buffer.from(text),
      properties,
      publisher: 'sensor',
    }),
    clientId: 'reader',
    filter: 'plant/#',
    reason: 'refused',
    reasonCode: 0x97,
    attempts: 3,
    firstMs: 1_700_000_000_000,
    lastMs: 1_700_000_005_000,
  };
}

function textOf({ entry }: { readonly entry: RetryEntry }): string {
  return entry.message.payload.toString();
}

async function takeUntil(under: RetryQueueUnderTest, count: number): Promise<TakenEntry[]> {
  const untilMs = performance.now() + under.lateMsMax + 30_000;
  const taken: TakenEntry[] = [];
  while (taken.length < count && performance.now() < untilMs) {
    taken.push(...(await under.queue.take(10)));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return taken;
}

async function all(queue: RetryQueue, atOnce = 2): Promise<DeadLetter[]> {
  const letters: DeadLetter[] = [];
  for (;;) {
    const page = await queue.list(letters.at(-1)?.id, atOnce);
    letters.push(...page);
    if (page.length < atOnce) return letters;
  }
}

/** Checks each sentence of the port's comment. */
export function retryQueueContract(
  name: string,
  open: (t: TestContext) => Promise<RetryQueueUnderTest>,
  options: { readonly skip?: string | boolean } = {},
): void {
  const check = (what: string, run: (under: RetryQueueUnderTest) => Promise<unknown>): void => {
    void test(`retry queue, ${name}: ${what}`, options, async (t) => {
      const under = await open(t);
      let last = under;
      t.after(() => last.close());
      const tracked: RetryQueueUnderTest = {
        ...under,
        crash: async () => (last = await under.crash()),
      };
      await run(tracked);
    });
  };

  check('an entry is taken when its delay has passed, with all that it was put with', async (u) => {
    const beganMs = performance.now();
    await u.queue.put([entryOf('later')], u.delayMs);
    assert.deepEqual(await u.queue.take(10), []);
    const [taken] = await takeUntil(u, 1);
    assert.ok(taken !== undefined);
    assert.ok(performance.now() - beganMs >= u.delayMs * 0.9, 'too early');
    const { message, ...rest } = taken.entry;
    const { message: put, ...expected } = entryOf('later');
    assert.deepEqual(rest, expected);
    assert.equal(message.topic, put.topic);
    assert.equal(message.qos, 1);
    assert.equal(message.publisher, 'sensor');
    assert.deepEqual(message.payload.toString(), 'later');
    assert.deepEqual(message.properties && Buffer.from(message.properties), properties);
  });

  check('what was taken is not taken again by the same process', async (u) => {
    await u.queue.put([entryOf('one'), entryOf('two')], 0);
    const taken = await takeUntil(u, 2);
    assert.deepEqual(taken.map(textOf).sort(), ['one', 'two']);
    assert.deepEqual(await u.queue.take(10), []);
  });

  check('what was not acknowledged is taken again after a crash, the rest is not', async (u) => {
    await u.queue.put([entryOf('first')], 0);
    const [first] = await takeUntil(u, 1);
    await u.queue.put([entryOf('second')], 0);
    await takeUntil(u, 1);
    await u.queue.acknowledge([first!.id]);
    const again = await u.crash();
    assert.deepEqual((await takeUntil(again, 1)).map(textOf), ['second']);
    assert.deepEqual(await again.queue.take(10), []);
  });

  check('dead letters are listed oldest first, each once, also after a crash', async (u) => {
    const texts = ['a', 'b', 'c', 'd', 'e'];
    for (const text of texts) await u.queue.deadLetter([entryOf(text)]);
    assert.deepEqual((await all(u.queue)).map(textOf), texts);
    const again = await u.crash();
    const letters = await all(again.queue, 100);
    assert.deepEqual(letters.map(textOf), texts);
    const [one] = letters;
    const found = await again.queue.find(one!.id);
    assert.deepEqual(found && textOf(found), 'a');
    assert.equal(found?.entry.reason, 'refused');
    assert.equal(found?.entry.clientId, 'reader');
    assert.ok(Math.abs((found?.deadMs ?? 0) - Date.now()) < 600_000);
  });

  check('dead letters are not taken', async (u) => {
    await u.queue.deadLetter([entryOf('dead')]);
    assert.deepEqual(await u.queue.take(10), []);
  });

  check('replayed dead letters are taken, and listed no more', async (u) => {
    await u.queue.deadLetter([entryOf('stays'), entryOf('goes')]);
    const letter = (await all(u.queue)).find((each) => textOf(each) === 'goes');
    assert.equal(await u.queue.replay([letter!.id, 'none'], 0), 1);
    assert.deepEqual((await all(u.queue)).map(textOf), ['stays']);
    const again = await u.crash();
    assert.deepEqual((await all(again.queue)).map(textOf), ['stays']);
    assert.deepEqual((await takeUntil(again, 1)).map(textOf), ['goes']);
    assert.equal(await again.queue.replay([letter!.id], 0), 0);
  });

  check('purged dead letters are gone, one or all', async (u) => {
    await u.queue.deadLetter([entryOf('a'), entryOf('b'), entryOf('c')]);
    const letter = (await all(u.queue)).find((each) => textOf(each) === 'b');
    assert.equal(await u.queue.purge([letter!.id]), 1);
    assert.equal(await u.queue.find(letter!.id), undefined);
    assert.equal(await u.queue.purge([letter!.id]), 0);
    const again = await u.crash();
    assert.deepEqual((await all(again.queue)).map(textOf), ['a', 'c']);
    assert.equal(await again.queue.purge('all'), 2);
    const last = await again.crash();
    assert.deepEqual(await all(last.queue), []);
    await last.queue.deadLetter([entryOf('new')]);
    assert.deepEqual((await all(last.queue)).map(textOf), ['new']);
    await last.close();
  });

  check('past the limit the oldest dead letters go', async (u) => {
    for (let number = 1; number <= 8; number += 1)
      await u.queue.deadLetter([entryOf(String(number))]);
    assert.deepEqual((await all(u.queue)).map(textOf), ['4', '5', '6', '7', '8']);
  });
}

/** The limit of dead letters of every queue under test. */
export const lettersMax = 5;
