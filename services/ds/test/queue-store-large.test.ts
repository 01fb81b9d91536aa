import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { queueId, type QueueId } from '@lmqtt/common/ids';
import { Message } from '@lmqtt/common/message';
import { DiskJournal } from '../src/journal/disk-journal.ts';
import { EmbeddedQueueStore } from '../src/queue-store/embedded/embedded-queue-store.ts';
import type { Append, Loss } from '../src/queue-store/queue-store.ts';
import type { RetentionLimits } from '../src/queue-store/embedded/retention.ts';
import { scratchDirectory } from './journal-ledger.ts';

interface Opened {
  readonly journal: DiskJournal;
  readonly store: EmbeddedQueueStore;
  readonly close: () => Promise<void>;
}

async function open(
  directory: string,
  segmentBytes: number,
  limits: RetentionLimits = {},
): Promise<Opened> {
  const journal = new DiskJournal({ directory, segmentBytes, checkpointBytes: 256 << 20 });
  const store = new EmbeddedQueueStore(
    journal,
    { storing: () => undefined, stored: () => undefined, has: () => false },
    { everyMs: 20, ...limits },
  );
  await journal.open();
  return {
    journal,
    store,
    close: async () => {
      await store.close();
      await journal.close();
    },
  };
}

const packet: Buffer = Buffer.alloc(4 + 5 + 256);
packet.write('\u0000\u0005a/b/c', 'latin1');

function make(queues: readonly QueueId[], payloadBytes = 256): Append {
  const end = Math.min(9 + payloadBytes, packet.length);
  return {
    message: new Message('a/b/c', 1, false, packet, 0, 9, end, undefined, 0, 'publisher'),
    queues,
    lane: '',
    inbound: undefined,
    reasonCode: -1,
    orderKey: undefined,
  };
}

function append(store: EmbeddedQueueStore, batch: Append[]): Promise<void> {
  return new Promise((resolve) => {
    store.append(batch, () => {
      resolve();
    });
  });
}

/** Rounds that the loop has done since, one a millisecond at most. */
function roundsOfLoop(t: TestContext): () => number {
  let rounds = 0;
  const timer = setInterval(() => {
    rounds += 1;
  }, 1);
  t.after(() => {
    clearInterval(timer);
  });
  return () => rounds;
}

/** Time of processors that this process has had, whatever else runs. */
function busyMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

void test('an index of 10 million entries is ready in less than 10 s of a processor', async (t) => {
  const directory = scratchDirectory(t);
  const first = await open(directory, 64 << 20);
  // Each message is in 1,000 queues: that is a large index over a small log.
  const queues = Array.from({ length: 1000 }, (_, i) => queueId(i + 1));
  for (let i = 0; i < 100; i++) {
    await append(
      first.store,
      Array.from({ length: 100 }, () => make(queues, 10)),
    );
  }
  await first.store.close();
  await first.journal.checkpoint();
  await first.journal.abandon();
  const began = busyMs();
  const second = await open(directory, 64 << 20);
  const ms = Math.round(busyMs() - began);
  t.diagnostic(`ready in ${ms} ms after a crash`);
  assert.ok(ms < 10_000, `${ms} ms`);
  for (const queue of [1, 500, 1000]) {
    const [end] = await second.store.ends(queueId(queue));
    assert.deepEqual(end, { partition: 0, first: 0, end: 10_000 });
  }
  const answer = await second.store.read({
    queue: queueId(777),
    partition: 0,
    from: 9_990,
    messagesMax: 100,
    bytesMax: 1e9,
  });
  assert.equal(answer.messages.length, 10);
  await second.close();
});

void test('a backlog is read at speed, from the disk, and the loop goes on', async (t) => {
  const directory = scratchDirectory(t);
  const count = 200_000;
  const first = await open(directory, 16 << 20);
  for (let i = 0; i < count; i += 1000) {
    await append(
      first.store,
      Array.from({ length: 1000 }, () => make([queueId(1)])),
    );
  }
  await first.close();
  const { store, close } = await open(directory, 16 << 20);
  const rounds = roundsOfLoop(t);
  const began = busyMs();
  let reads = 0;
  let from = 0;
  for (let end = 1; from < end;) {
    const answer = await store.read({
      queue: queueId(1),
      partition: 0,
      from,
      messagesMax: 1000,
      bytesMax: 4 << 20,
    });
    let offset = from;
    for (const message of answer.messages) {
      assert.equal(message.entries[0]?.offset, offset++);
      assert.equal(message.topic, 'a/b/c');
      assert.equal(message.payloadBytes, 256);
    }
    from = answer.next;
    end = answer.end;
    reads += 1;
  }
  const rate = Math.round(count / (busyMs() - began));
  t.diagnostic(`${rate},000 messages a second of a processor, ${rounds()} rounds, ${reads} reads`);
  assert.equal(from, count);
  assert.ok(rate > 20, `${rate},000 a second`);
  assert.ok(rounds() > reads / 4, `${rounds()} rounds of the loop during ${reads} reads`);
  await close();
});

void test('100,000 queues with few messages each', async (t) => {
  const directory = scratchDirectory(t);
  const count = 100_000;
  const first = await open(directory, 4 << 20);
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < count; i += 1000) {
      await append(
        first.store,
        Array.from({ length: 1000 }, (_, k) => make([queueId(i + k + 1)], 20)),
      );
    }
  }
  await first.close();
  const second = await open(directory, 4 << 20);
  for (const queue of [1, 50_000, count]) {
    const { messages } = await second.store.read({
      queue: queueId(queue),
      partition: 0,
      from: 0,
      messagesMax: 10,
      bytesMax: 1e6,
    });
    assert.deepEqual(
      messages.map(({ entries }) => entries[0]?.offset),
      [0, 1],
    );
  }
  for (let queue = 1; queue <= count; queue++) second.store.trim(queueId(queue), 0, 2);
  await second.journal.checkpoint();
  await second.store.retain();
  assert.ok(second.journal.segments.length <= 1, `${second.journal.segments.length} are left`);
  await second.close();
});

void test('segments go when they are trimmed, the ends stay over restarts', async (t) => {
  const directory = scratchDirectory(t);
  const first = await open(directory, 64 << 10);
  for (let i = 0; i < 30; i++) {
    await append(
      first.store,
      Array.from({ length: 20 }, () => make([queueId(1), queueId(2)])),
    );
  }
  const before = first.journal.segments.length;
  assert.ok(before >= 2);
  first.store.trim(queueId(1), 0, 600);
  await first.journal.checkpoint();
  await first.store.retain();
  assert.equal(first.journal.segments.length, before, 'the other queue needs them');
  first.store.trim(queueId(2), 0, 590);
  await first.store.retain();
  assert.ok(first.journal.segments.length <= 1);
  await first.close();
  for (let round = 0; round < 3; round++) {
    const next = await open(directory, 64 << 10);
    assert.deepEqual(await next.store.ends(queueId(1)), [{ partition: 0, first: 600, end: 600 }]);
    const [end] = await next.store.ends(queueId(2));
    assert.deepEqual(end, { partition: 0, first: 590, end: 600 });
    await next.journal.checkpoint();
    await next.store.retain();
    await (round === 1 ? next.close() : next.journal.abandon());
  }
});

void test('past the limit on size the oldest go, and it is told', async (t) => {
  const directory = scratchDirectory(t);
  const { store, journal, close } = await open(directory, 64 << 10, { retentionBytes: 200_000 });
  const losses: Loss[] = [];
  store.onLost((loss) => {
    losses.push(loss);
  });
  for (let i = 0; i < 100; i++) {
    await append(
      store,
      Array.from({ length: 20 }, () => make([queueId(1)])),
    );
  }
  await store.retain();
  const bytes = journal.segments.reduce((sum, { end }) => sum + end, 0);
  assert.ok(bytes <= 200_000, `${bytes}`);
  const lost = losses.reduce((sum, { messages }) => sum + messages, 0);
  const [end] = await store.ends(queueId(1));
  assert.equal(end?.end, 2000);
  assert.equal(end.first, lost);
  assert.equal(losses.at(-1)?.first, lost);
  await close();
});

void test('past the limit on age the oldest go', async (t) => {
  const directory = scratchDirectory(t);
  const { store, close } = await open(directory, 64 << 10, { retentionAgeS: 0.3 });
  let lost = 0;
  store.onLost(({ messages }) => {
    lost += messages;
  });
  for (let i = 0; i < 20; i++) {
    await append(
      store,
      Array.from({ length: 20 }, () => make([queueId(1)])),
    );
  }
  assert.equal(lost, 0);
  await new Promise((done) => setTimeout(done, 400));
  await store.retain();
  assert.ok(lost > 0);
  const [end] = await store.ends(queueId(1));
  assert.equal(end?.first, lost);
  await close();
});
