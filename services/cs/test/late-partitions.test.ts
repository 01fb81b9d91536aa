import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isTime, pastAllOffsets, positionSince } from '@lmqtt/common/cursor';
import { clientId, epoch, queueId, sessionHandle } from '@lmqtt/common/ids';
import { type Message, messageOf } from '@lmqtt/common/message';
import type { ReadAnswer, ReadRequest, SessionWrite } from '@lmqtt/proto/link';
import type { OutboundState, Position } from '@lmqtt/proto/session-state';
import { Feeds } from '../src/queue/feeds.ts';
import type { SessionNode } from '../src/session/outbound-session.ts';
import { Session } from '../src/session/session.ts';

const limits = {
  ringMessagesMax: 64,
  ringBytesMax: 1 << 20,
  readMessagesMax: 10,
  readBytesMax: 1e6,
};
const queue = queueId(1);
const none = (): void => {};

function stored(
  text: string,
  partition: number,
  offset: number,
  storedMs = 0,
  topic = 't',
): Message {
  const message = messageOf({ topic, qos: 1, retain: false, payload: Buffer.from(text) });
  message.entries = [{ queue, partition, offset, previous: offset - 1 }];
  message.storedMs = storedMs;
  return message;
}

const at = (partition: number, position: number): Position => ({
  ...{ partition, start: position, position, done: [] },
});

/** A node with what the store has of one queue, by partition. `from`: answers to times. */
class Bench {
  readonly stored = new Map<number, Message[]>();
  /** The offset that a time stands for, by partition; not there: it cannot be reached. */
  readonly found = new Map<number, number>();
  /** Partitions that cannot be read. */
  readonly away = new Set<number>();
  /** How many reads of a partition fail next. */
  readonly failing = new Map<number, number>();
  /** Partitions of which nothing will ever be read. */
  readonly forgotten = new Set<number>();
  readonly writes: SessionWrite[] = [];
  readonly feeds: Feeds;
  readonly sessions: Session[] = [];
  reads = 0;

  constructor(nowMs = (): number => 0) {
    this.feeds = new Feeds(limits, (request) => this.#read(request), nowMs);
  }

  #read({ partition, from: asked }: ReadRequest): Promise<ReadAnswer> {
    this.reads += 1;
    if (this.forgotten.has(partition))
      return Promise.resolve({ messages: [], next: pastAllOffsets, end: pastAllOffsets });
    const failing = this.failing.get(partition) ?? 0;
    this.failing.set(partition, failing - 1);
    if (failing > 0) return Promise.reject(new Error('it is late'));
    if (this.away.has(partition)) return Promise.reject(new Error('it is away'));
    const found = this.found.get(partition);
    if (isTime(asked) && found === undefined) return Promise.reject(new Error('it is away'));
    const from = isTime(asked) ? found! : asked;
    const all = this.stored.get(partition) ?? [];
    const messages = all.filter(({ entries }) => entries[0]!.offset >= from);
    const end = (all.at(-1)?.entries[0]?.offset ?? -1) + 1;
    return Promise.resolve({ messages, next: Math.max(from, end), end });
  }

  open(positions: Position[], filter = 't'): { session: Session; sent: string[] } {
    const sent: string[] = [];
    const node: SessionNode = {
      journal: {
        write: (write) => this.writes.push(write),
        writeDurably: (write, then) => {
          this.writes.push(write);
          then();
        },
      },
      events: {
        ...{ expired: none, tooLarge: none, droppedSlow: none },
        ...{ windowFull: none, refusedByClient: none, lost: none },
      },
      time: { wallMs: 1_000_000 },
      feed: (id, partition) => this.feeds.of(id, partition),
      releaseFeed: none,
      partitionsOf: (id) => this.feeds.partitionsOf(id),
      readRetained: () => Promise.resolve({ messages: [], next: undefined, ends: [] }),
      readQueue: (request) => this.#read(request),
      schedule: none,
      positionMoved: none,
      sendReceipt: () => {},
      credit: none,
    };
    const outlet = {
      writable: true,
      sendPublish: ({ payload }: Message) => sent.push(payload.toString()) > 0,
      sendPubrel: none,
    };
    const options = { handle: sessionHandle(1), clientId: clientId('c'), epoch: epoch(1) };
    const session = new Session({ ...options, persistent: true, windowSize: 100 }, node, outlet);
    session.subscribe({
      filter,
      options: {
        ...{ qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 },
        subscriptionIdentifier: undefined,
      },
      ...{ group: undefined, queue, positions, retainedAfter: undefined },
    });
    this.sessions.push(session);
    return { session, sent };
  }

  push(...messages: Message[]): void {
    for (const message of messages) {
      for (const entry of message.entries) this.feeds.push(message, entry);
    }
    this.feeds.arrived();
  }

  async run(): Promise<void> {
    for (let round = 0; round < 6; round += 1) {
      for (const session of this.sessions) session.pump();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

test('a push for a partition that appeared goes to all who read the queue, from 0 on', async () => {
  const bench = new Bench();
  const one = bench.open([at(0, 5)]);
  const other = bench.open([at(0, 7)]);
  bench.stored.set(3, [stored('first', 3, 0), stored('second', 3, 1)]);
  // The first push was lost.
  bench.push(stored('second', 3, 1));
  await bench.run();
  assert.deepEqual(one.sent, ['first', 'second']);
  assert.deepEqual(other.sent, ['first', 'second']);
  bench.push(stored('third', 3, 2));
  await bench.run();
  assert.deepEqual(one.sent, ['first', 'second', 'third']);
  const cursors = one.session.subscriptions.get('t')?.cursors;
  assert.deepEqual(
    cursors?.map(({ feed }) => feed.partition),
    [0, 3],
  );
});

test('where the push was dropped, the end that is told makes the partition appear', async () => {
  const bench = new Bench();
  const one = bench.open([at(0, 5)]);
  bench.stored.set(1, [stored('first', 1, 0)]);
  bench.feeds.behind(queue, 1, 1);
  bench.feeds.arrived();
  await bench.run();
  assert.deepEqual(one.sent, ['first']);
});

test('subscriptions of one queue read the same partitions, whoever came first', async () => {
  const bench = new Bench();
  const early = bench.open([at(0, 5)]);
  bench.stored.set(1, [stored('old', 1, 0), stored('new', 1, 1)]);
  const knowing = bench.open([at(0, 5), at(1, 1)]);
  const unknowing = bench.open([at(0, 5)]);
  await bench.run();
  assert.deepEqual(early.sent, ['old', 'new']);
  assert.deepEqual(knowing.sent, ['new']);
  assert.deepEqual(unknowing.sent, ['old', 'new']);
});

test('nobody reads the queue here: its pushes are passed over', () => {
  const bench = new Bench();
  bench.push(stored('first', 0, 0));
  assert.deepEqual(bench.feeds.partitionsOf(queue), []);
});

test('a partition whose broker was forgotten holds up nobody who subscribes afterwards', async () => {
  const bench = new Bench();
  const before = bench.open([at(0, 0), at(1, 0)]);
  bench.stored.set(1, [stored('old', 1, 0, 10)]);
  bench.push(stored('old', 1, 0, 10));
  await bench.run();
  assert.deepEqual(before.sent, ['old']);
  bench.feeds.release();
  bench.forgotten.add(1);
  // The feed is here still, with its end, since somebody read it before.
  const after = bench.open([at(0, 0)]);
  await bench.run();
  const { reads } = bench;
  bench.stored.set(0, [stored('new', 0, 0, 20)]);
  bench.push(stored('new', 0, 0, 20));
  await bench.run();
  assert.deepEqual([before.sent, after.sent], [['old', 'new'], ['new']]);
  assert.equal(bench.reads, reads, 'it is asked for no more');
});

test('what is not in the store though it was pushed is asked for ever more rarely', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const bench = new Bench();
  bench.feeds.of(queue, 1).behind(5);
  const { sent } = bench.open([at(0, 0), at(1, 0)]);
  bench.stored.set(0, [stored('new', 0, 0, 20)]);
  for (let second = 0; second < 60; second += 1) {
    t.mock.timers.tick(1000);
    await bench.run();
  }
  assert.deepEqual(sent, ['new']);
  assert.ok(bench.reads < 80, `${bench.reads} reads in a minute`);
});

test('a start by time waits until the partition is back, and is written before all else', async () => {
  const bench = new Bench();
  const since = positionSince(1_000_000);
  const one = bench.open([at(0, 0), at(1, since)]);
  await bench.run();
  assert.equal(one.session.cursorOf(queue, 1)?.state().start, since);
  const { reads } = bench;
  await bench.run();
  assert.equal(bench.reads, reads, 'a read that failed waits');
  bench.found.set(1, 2);
  bench.stored.set(
    1,
    [0, 1, 2, 3].map((offset) => stored(String(offset), 1, offset)),
  );
  bench.push(stored('3', 1, 3));
  const endMs = performance.now() + 10_000;
  while (one.sent.length < 2 && performance.now() < endMs) {
    await bench.run();
    await delay(10);
  }
  assert.deepEqual(one.sent, ['2', '3']);
  const { start, position } = one.session.cursorOf(queue, 1)!.state();
  assert.deepEqual({ start, position }, { start: 2, position: 2 });
  const [first] = bench.writes;
  const session = sessionHandle(1);
  assert.deepEqual(first, { kind: 'position', session, queue, partition: 1, position: 2 });
});

test('a start by time with nothing stored since is where the queue ends', async () => {
  const bench = new Bench();
  bench.found.set(1, 4);
  const one = bench.open([at(1, positionSince(1_000_000))]);
  await bench.run();
  assert.deepEqual(one.session.cursorOf(queue, 1)?.state().start, 4);
  bench.push(stored('4', 1, 4));
  await bench.run();
  assert.deepEqual(one.sent, ['4']);
});

test('what waits in several partitions goes out in the order in which it was stored', async () => {
  const bench = new Bench();
  // The topic moved from one to the other, and back.
  const first = Array.from({ length: 30 }, (_, n) => stored(`${n}`, 0, n, 100 + n));
  const second = Array.from({ length: 30 }, (_, n) => stored(`${30 + n}`, 1, n, 130 + n));
  const third = Array.from({ length: 30 }, (_, n) => stored(`${60 + n}`, 0, 30 + n, 160 + n));
  bench.stored.set(0, [...first, ...third]).set(1, second);
  const wanted = Array.from({ length: 90 }, (_, n) => `${n}`);
  for (const positions of [
    [at(0, 0), at(1, 0)],
    [at(1, 0), at(0, 0)],
  ]) {
    const { session, sent } = bench.open(positions);
    await bench.run();
    assert.deepEqual(sent, wanted);
    session.end();
  }
});

test('a partition that cannot be read, or has nothing, holds up none; a clock that was set back, neither', async () => {
  const bench = new Bench();
  bench.stored.set(1, [stored('one', 1, 0, 50), stored('two', 1, 1, 40)]);
  const { sent } = bench.open([at(0, positionSince(30)), at(1, 0), at(2, 0)]);
  await bench.run();
  assert.deepEqual(sent, ['one', 'two']);
  bench.push(stored('three', 2, 0, 10), stored('four', 1, 2, 60));
  await bench.run();
  assert.deepEqual(sent, ['one', 'two', 'three', 'four']);
  bench.stored.set(0, [stored('five', 0, 0, 20)]);
  bench.found.set(0, 0);
  bench.push(stored('five', 0, 0, 20));
  await delay(400);
  await bench.run();
  assert.deepEqual(sent.at(-1), 'five');
});

test('a topic that has just moved: what it left elsewhere goes out first, though its push is late', async () => {
  const bench = new Bench();
  const placed = (text: string, partition: number, offset: number, storedMs: number): Message => {
    const message = stored(text, partition, offset, storedMs);
    message.orderKey = { placement: partition, offset };
    return message;
  };
  const { sent } = bench.open([at(0, 0), at(1, 0)]);
  await bench.run();
  bench.stored.set(0, [placed('1', 0, 0, 10)]);
  bench.push(placed('1', 0, 0, 10));
  await bench.run();
  // The push of the second is late.
  bench.stored.set(0, [placed('1', 0, 0, 10), placed('2', 0, 1, 20)]);
  bench.stored.set(1, [placed('3', 1, 0, 30), placed('4', 1, 1, 40)]);
  bench.push(placed('3', 1, 0, 30), placed('4', 1, 1, 40));
  await bench.run();
  assert.deepEqual(sent, ['1', '2', '3', '4']);
  bench.push(placed('2', 0, 1, 20));
  await bench.run();
  const before = bench.reads;
  for (let n = 2; n < 20; n += 1) {
    const next = placed(`${n + 3}`, 1, n, 50 + n);
    bench.stored.get(1)?.push(next);
    bench.push(next);
    await bench.run();
  }
  assert.deepEqual(
    sent,
    Array.from({ length: 22 }, (_, n) => `${n + 1}`),
  );
  assert.ok(bench.reads - before <= 18, 'one read for each push at most');
});

test('a topic that moves later than others of its placement is compared all the same', async () => {
  let nowMs = 0;
  const bench = new Bench(() => nowMs);
  const placed = (topic: string, n: number, partition: number, storedMs: number): Message => {
    const all = bench.stored.get(partition) ?? [];
    bench.stored.set(partition, all);
    const message = stored(`${topic} ${n}`, partition, all.length, storedMs, topic);
    message.orderKey = { placement: partition, offset: all.length };
    all.push(message);
    return message;
  };
  const { sent } = bench.open([at(0, 0), at(1, 0)], '#');
  await bench.run();
  bench.push(placed('early', 1, 1, 10));
  await bench.run();
  nowMs = 8000;
  // The push of the first is late.
  placed('late', 1, 0, 7900);
  bench.push(placed('late', 2, 1, 8000));
  await bench.run();
  assert.deepEqual(sent, ['early 1', 'late 1', 'late 2']);
  const { reads } = bench;
  for (let n = 3; n < 20; n += 1) {
    bench.push(placed('late', n, 1, 8000 + n));
    await bench.run();
  }
  assert.equal(bench.reads, reads, 'what follows in the same partition needs no read');
});

test('a read that fails once does not let others overtake', async () => {
  const bench = new Bench();
  const { sent } = bench.open([at(0, 0), at(1, 0)]);
  await bench.run();
  bench.stored.set(0, [stored('first', 0, 0, 10)]);
  bench.stored.set(1, [stored('second', 1, 0, 20)]);
  bench.failing.set(0, 2);
  bench.feeds.behind(queue, 0, 1);
  bench.push(stored('second', 1, 0, 20));
  const endMs = performance.now() + 10_000;
  while (sent.length < 2 && performance.now() < endMs) {
    await bench.run();
    await delay(10);
  }
  assert.deepEqual(sent, ['first', 'second']);
});

for (const [what, position] of [
  ['was away', 0],
  ['was away at the SUBSCRIBE', positionSince(5)],
] as const) {
  test(`a partition that ${what} and is just back is asked when a topic has left it`, async () => {
    const bench = new Bench();
    bench.away.add(1);
    const { sent } = bench.open([at(0, 0), at(1, position)]);
    const endMs = performance.now() + 10_000;
    // It counts as away for long, and the next read waits.
    while (bench.reads < 8 && performance.now() < endMs) {
      await bench.run();
      await delay(10);
    }
    const placed = (text: string, partition: number, placement: number): Message => {
      const message = stored(text, partition, 0, 10 + placement);
      message.orderKey = { placement, offset: 0 };
      return message;
    };
    bench.push(stored('other', 0, 0, 5));
    bench.stored.set(0, [stored('other', 0, 0, 5)]);
    await bench.run();
    assert.deepEqual(sent, ['other'], 'nobody waits for it');
    bench.away.clear();
    bench.found.set(1, 0);
    bench.stored.set(1, [placed('first', 1, 1)]);
    const second = stored('second', 0, 1, 12);
    second.orderKey = { placement: 2, offset: 1 };
    bench.stored.get(0)!.push(second);
    bench.push(second);
    await bench.run();
    assert.deepEqual(sent, ['other', 'first', 'second']);
    bench.away.add(1);
    const third = stored('third', 0, 2, 13);
    third.orderKey = { placement: 3, offset: 2 };
    bench.stored.get(0)!.push(third);
    bench.push(third);
    while (sent.length < 4 && performance.now() < endMs) {
      await bench.run();
      await delay(10);
    }
    assert.equal(sent.at(-1), 'third', 'it is away again, and nobody waits');
  });
}

test('of one topic the placement decides, though the clocks of brokers differ', async () => {
  const bench = new Bench();
  const placed = (text: string, partition: number, storedMs: number): Message => {
    const message = stored(text, partition, 0, storedMs);
    message.orderKey = { placement: partition, offset: 0 };
    return message;
  };
  bench.stored.set(0, [placed('first', 0, 50)]).set(1, [placed('second', 1, 20)]);
  const { sent } = bench.open([at(1, 0), at(0, 0)]);
  await bench.run();
  assert.deepEqual(sent, ['first', 'second']);
});

test('a partition that is away for long is asked for ever more rarely, and at once when it pushes', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const bench = new Bench();
  bench.away.add(1);
  const { sent } = bench.open([at(0, 0), at(1, 0)]);
  const pass = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second += 1) {
      t.mock.timers.tick(1000);
      await bench.run();
    }
  };
  await bench.run();
  await pass(60);
  const before = bench.reads;
  await pass(600);
  const reads = bench.reads - before;
  assert.ok(reads >= 50 && reads <= 70, `${reads} reads in 10 minutes`);
  bench.away.clear();
  bench.stored.set(1, [stored('one', 1, 0)]);
  bench.push(stored('one', 1, 0));
  await pass(1);
  assert.deepEqual(sent, ['one']);
});

test('what was in flight of a partition that is away holds up none of the others, and comes first there', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const bench = new Bench();
  bench.away.add(1);
  bench.stored.set(0, [stored('a0', 0, 0), stored('a1', 0, 1)]);
  bench.stored.set(1, [stored('b0', 1, 0), stored('b1', 1, 1)]);
  const { session, sent } = bench.open([at(0, 0), at(1, 0)]);
  const inFlight = (packetId: number, partition: number): OutboundState => ({
    ...{ packetId, qos: 1, state: 'sent', sequence: packetId, filter: 't' },
    place: { kind: 'queue', queue, partition, offset: 0 },
  });
  session.redeliver([inFlight(1, 1), inFlight(2, 0)]);
  const pass = async (ticks: number): Promise<void> => {
    for (let tick = 0; tick < ticks; tick += 1) {
      t.mock.timers.tick(50);
      await bench.run();
    }
  };
  await pass(20);
  assert.deepEqual(sent, [], 'the order counts while it may be back soon');
  await pass(200);
  assert.deepEqual(sent, ['a0', 'a1']);
  bench.away.clear();
  bench.push(stored('b2', 1, 2));
  bench.stored.get(1)?.push(stored('b2', 1, 2));
  await pass(300);
  assert.deepEqual(sent, ['a0', 'a1', 'b0', 'b1', 'b2']);
});
