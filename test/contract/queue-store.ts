import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { positionSince } from '@lmqtt/common/cursor';
import { clientId, epoch, queueId, type QueueId } from '@lmqtt/common/ids';
import { Message, messageOf } from '@lmqtt/common/message';
import type { Append, InboundId, Loss, QueueStore } from '@lmqtt/ds/queue-store/queue-store';
import type { ReadAnswer } from '@lmqtt/proto/link';

/** A store with what the suite needs around it. */
export interface StoreUnderTest {
  readonly store: QueueStore;
  /** Stops as a crash would and starts again on the same storage. Where that has a meaning. */
  readonly restart?: () => Promise<StoreUnderTest>;
  /** The next append fails; `later`: and is stored after all, where the store may do that. */
  readonly failNext?: (how: 'never' | 'later') => void;
  /** Appends until something goes that nobody trimmed; must use the queue given. */
  readonly overflow?: (queue: QueueId) => Promise<void>;
  close(): Promise<void>;
}

export type MakeStore = (t: TestContext) => Promise<StoreUnderTest>;

const waitMs = 10_000;

/** Checks each sentence of the comment of the port. */
export function queueStoreContract(name: string, makeStore: MakeStore): void {
  const check = (promise: string, work: (bench: Bench, t: TestContext) => Promise<void>): void => {
    void test(`${name}: ${promise}`, async (t) => {
      const bench = new Bench(await makeStore(t));
      try {
        await work(bench, t);
      } finally {
        await bench.close();
      }
    });
  };

  check('done comes in later turns, with each append once', async (bench) => {
    const batch = [1, 2, 3].map((n) => bench.make(`a/${n}`, [1]));
    const told: Append[] = [];
    let within = true;
    await new Promise<void>((resolve) => {
      bench.store.append(batch, (answered) => {
        assert.equal(within, false);
        for (const append of answered) {
          assert.equal(append.reasonCode, 0);
          told.push(append);
        }
        if (told.length >= batch.length) resolve();
      });
      within = false;
    });
    await pause(30);
    assert.deepEqual(
      batch.map((append) => told.filter((each) => each === append).length),
      [1, 1, 1],
    );
  });

  check('what was acknowledged is in every queue named', async (bench) => {
    await bench.append([bench.make('a/b', [1, 2, 3]), bench.make('a/c', [2])]);
    for (const [queue, topics] of [
      [1, ['a/b']],
      [2, ['a/b', 'a/c']],
      [3, ['a/b']],
    ] as const) {
      assert.deepEqual((await bench.waitFor(queue, topics.length)).map(topicOf).sort(), topics);
    }
  });

  check('appends of one lane are answered, and their messages stored, in order', async (bench) => {
    const answered: string[] = [];
    const all: Promise<void>[] = [];
    for (let i = 0; i < 60; i++) {
      const lane = `lane/${i % 3}`;
      const batch = [0, 1].map((n) => bench.make(lane, [1], { payload: `${i * 2 + n}` }));
      all.push(
        new Promise((resolve) => {
          let open = batch.length;
          bench.store.append(batch, (some) => {
            for (const append of some) answered.push(`${lane} ${payloadOf(append.message)}`);
            open -= some.length;
            if (open === 0) resolve();
          });
        }),
      );
      if (i % 7 === 0) await pause(1);
    }
    await Promise.all(all);
    const stored = await bench.waitFor(1, 120);
    for (let l = 0; l < 3; l++) {
      const lane = `lane/${l}`;
      const turns = answered.filter((text) => text.startsWith(lane));
      const expected = Array.from({ length: 20 }, (_, i) => i * 3 + l).flatMap((i) => [
        `${lane} ${i * 2}`,
        `${lane} ${i * 2 + 1}`,
      ]);
      assert.deepEqual(turns, expected);
      const payloads = stored.filter(({ topic }) => topic === lane).map(payloadOf);
      assert.equal(payloads.length, 40);
      // One lane may be in both partitions: within each, offsets grow with the order.
      for (const partition of [0, 1]) {
        const places = stored.filter(
          (m) => m.topic === lane && place(m, 1).partition === partition,
        );
        const byOffset = places.toSorted((a, b) => place(a, 1).offset - place(b, 1).offset);
        const numbers = byOffset.map((m) => Number(payloadOf(m)));
        assert.deepEqual(
          numbers,
          numbers.toSorted((a, b) => a - b),
        );
      }
    }
  });

  check('an append for nobody is answered in its turn and not stored', async (bench) => {
    const order: string[] = [];
    const all = ['stored', 'nobody', 'stored too', 'nobody either'].map(
      (text, i) =>
        new Promise<void>((resolve) => {
          const append = bench.make('same/lane', i % 2 === 0 ? [1] : [], { payload: text });
          bench.store.append([append], ([answered]) => {
            assert.equal(answered?.reasonCode, 0);
            order.push(text);
            resolve();
          });
        }),
    );
    await Promise.all(all);
    assert.deepEqual(order, ['stored', 'nobody', 'stored too', 'nobody either']);
    const payloads = (await bench.waitFor(1, 2)).map(payloadOf).sort();
    assert.deepEqual(payloads, ['stored', 'stored too']);
    await pause(30);
    assert.ok(bench.told.every((message) => !payloadOf(message).startsWith('nobody')));
  });

  check('order keys grow with each answer for one topic', async (bench) => {
    let before = { placement: -1, offset: -1 };
    for (let i = 0; i < 20; i++) {
      const append = bench.make('one/topic', i % 4 === 0 ? [] : [1]);
      await bench.append([append]);
      const key = append.orderKey;
      assert.ok(key !== undefined);
      const greater =
        key.placement > before.placement ||
        (key.placement === before.placement && key.offset > before.offset);
      assert.ok(greater, `${JSON.stringify(before)} ${JSON.stringify(key)}`);
      before = key;
    }
  });

  check('every stored message arrives with places that hold what they say', async (bench) => {
    for (let i = 0; i < 30; i++) {
      await bench.append([
        bench.make(`t/${i % 5}`, i % 2 === 0 ? [1, 2] : [2], { payload: `${i}` }),
      ]);
    }
    await bench.waitTold(30);
    const names = new Map<string, string>();
    for (const message of bench.told) {
      for (const { queue, partition, offset, previous } of message.entries) {
        assert.ok(previous < offset);
        const key = `${queue} ${partition} ${offset}`;
        const text = `${message.topic} ${payloadOf(message)}`;
        assert.equal(names.get(key) ?? text, text, 'an offset names one message');
        names.set(key, text);
      }
    }
    for (const queue of [1, 2]) {
      const stored = await bench.all(queue, true);
      for (const message of bench.told) {
        const entry = message.entries.find((e) => e.queue === queue);
        if (entry === undefined) continue;
        const between = stored.filter((m) => {
          const { partition, offset } = place(m, queue);
          return partition === entry.partition && offset > entry.previous && offset < entry.offset;
        });
        assert.equal(between.length, 0, 'no message is between previous and offset');
        const same = stored.find(
          (m) =>
            place(m, queue).partition === entry.partition &&
            place(m, queue).offset === entry.offset,
        );
        assert.ok(same !== undefined && payloadOf(same) === payloadOf(message), 'can be read');
      }
    }
  });

  check('read pages through everything, in order, whatever the page', async (bench) => {
    const batch = Array.from({ length: 100 }, (_, i) =>
      bench.make(`t/${i % 7}`, [1], { payload: `${i} ${'x'.repeat(i * 3)}` }),
    );
    await bench.append(batch);
    await bench.waitFor(1, 100);
    for (const [messagesMax, bytesMax] of [
      [1, 1e9],
      [7, 1e9],
      [1000, 1e9],
      [1000, 500],
      [1000, 1],
    ] as const) {
      const found: string[] = [];
      for (const { partition, first } of await bench.store.ends(queueId(1))) {
        let from = first;
        for (;;) {
          const answer = await bench.read(1, partition, from, messagesMax, bytesMax);
          if (answer.messages.length === 0) break;
          assert.ok(answer.messages.length <= messagesMax);
          let last = from - 1;
          for (const message of answer.messages) {
            const { offset } = place(message, 1);
            assert.ok(offset > last && offset < answer.next);
            last = offset;
            found.push(payloadOf(message));
          }
          if (bytesMax === 1) assert.equal(answer.messages.length, 1);
          from = answer.next;
        }
      }
      const expected = batch.map(({ message }) => payloadOf(message)).sort();
      assert.deepEqual(found.filter((p) => p !== 'foreign').sort(), expected);
    }
  });

  check('who reads on gets what was told since, too', async (bench) => {
    let made = 0;
    const some = (count: number): Append[] =>
      Array.from({ length: count }, () => bench.make('read/on', [1], { payload: `${made++}` }));
    await bench.append(some(100));
    await bench.waitTold(100);
    const page = { queue: queueId(1), messagesMax: 64, bytesMax: 1e6 };
    const answers = new Map<number, ReadAnswer>();
    const found = new Set<string>();
    const read = async (partition: number, from: number): Promise<void> => {
      const answer = await bench.store.read({ ...page, partition, from });
      answers.set(partition, answer);
      for (const message of answer.messages) found.add(payloadOf(message));
    };
    for (const { partition, first } of await bench.store.ends(queueId(1)))
      await read(partition, first);
    await bench.append(some(20));
    await bench.waitTold(120);
    // As a session does: the end that an answer names is believed.
    for (const partition of answers.keys()) {
      do await read(partition, answers.get(partition)!.next);
      while (answers.get(partition)!.next < answers.get(partition)!.end);
    }
    found.delete('foreign');
    assert.equal(found.size, 120);
  });

  check('a message larger than the page is read', async (bench) => {
    const payload = 'y'.repeat(3_000_000);
    await bench.append([
      bench.make('small', [1]),
      bench.make('big', [1], { payload }),
      bench.make('small', [1]),
    ]);
    const stored = await bench.waitFor(1, 3);
    assert.ok(stored.some((message) => payloadOf(message) === payload));
  });

  check('a message comes back as it was', async (bench) => {
    const parts = {
      topic: 'ä/€/😀',
      qos: 2,
      retain: true,
      payload: Buffer.from([0, 255, 1, 2, 3]),
      properties: Buffer.from([1, 1, 38, 0, 1, 97, 0, 1, 98]),
      expiresAtMs: Date.now() + 100_000,
      publisher: 'ç'.repeat(300),
    } as const;
    const packet = Buffer.from('\u0000\u0003a/b\u0012\u0034payload', 'latin1');
    const inPacket = new Message('a/b', 1, false, packet, 0, 7, 14, undefined, 0, 'p');
    const atQos0 = new Message('a/b', 0, false, packet, 0, 5, 14, undefined, 0, 'p');
    const empty = messageOf({ topic: 'e', qos: 1, retain: false, payload: Buffer.alloc(0) });
    await bench.append(
      [messageOf(parts), inPacket, atQos0, empty].map((message) => bench.wrap(message, [1])),
    );
    const stored = await bench.waitFor(1, 4);
    const found = stored.find(({ topic }) => topic === parts.topic);
    assert.ok(found !== undefined);
    const { topic, qos, retain, properties, expiresAtMs, publisher } = found;
    assert.deepEqual(
      {
        topic,
        qos,
        retain,
        payload: Buffer.from(found.payload),
        properties,
        expiresAtMs,
        publisher,
      },
      { ...parts, properties: properties === undefined ? undefined : parts.properties },
    );
    assert.deepEqual(Buffer.from(properties ?? []), parts.properties);
    const texts = stored.filter((m) => m.topic === 'a/b').map((m) => `${m.qos} ${payloadOf(m)}`);
    assert.deepEqual(texts.sort(), ['0 \u00124payload', '1 payload']);
    assert.equal(stored.find((m) => m.topic === 'e')?.payloadBytes, 0);
    // Bytes of the topic, if they are at hand, are in front of the payload.
    for (const message of [...stored, ...bench.told]) {
      if (message.topicStart < 0) continue;
      const bytes = message.buffer.readUInt16BE(message.topicStart);
      const start = message.topicStart + 2;
      assert.equal(message.buffer.toString('utf8', start, start + bytes), message.topic);
      assert.ok(message.payloadStart >= start + bytes);
    }
  });

  check('ends are there for a queue that never held a message', async (bench) => {
    const ends = await bench.store.ends(queueId(99));
    assert.ok(ends.length >= 1);
    for (const { first, end } of ends) assert.ok(first <= end);
    await bench.append([bench.make('t', [99])]);
    const [message] = await bench.waitFor(99, 1);
    assert.ok(message !== undefined);
    const { partition, offset } = place(message, 99);
    assert.ok(offset >= (ends.find((end) => end.partition === partition)?.end ?? Infinity));
  });

  check(
    'what is appended after ends is at or past the end, and the end never goes back',
    async (bench) => {
      const highest = new Map<number, number>();
      for (let i = 0; i < 25; i++) {
        const pending = bench.append([bench.make(`t/${i % 4}`, [1], { payload: `before ${i}` })]);
        const ends = await bench.store.ends(queueId(1), i % 2 === 0 ? 'all' : 'without first');
        for (const { partition, first, end } of ends) {
          assert.ok(end >= (highest.get(partition) ?? 0), 'the end went back');
          assert.ok(first <= end);
          highest.set(partition, end);
        }
        await bench.append([bench.make(`t/${i % 4}`, [1], { payload: `after ${i}` })]);
        await pending;
        const stored = await bench.waitFor(1, (i + 1) * 2);
        const after = stored.find((message) => payloadOf(message) === `after ${i}`);
        assert.ok(after !== undefined);
        const { partition, offset } = place(after, 1);
        // A partition without an end appeared later.
        assert.ok(offset >= (ends.find((end) => end.partition === partition)?.end ?? 0));
      }
    },
  );

  check('from a time: what was stored then or later, in every partition', async (bench) => {
    const { store } = bench;
    if (store.partitions === undefined) return;
    await bench.append(Array.from({ length: 20 }, (_, i) => bench.make(`before/${i}`, [1])));
    await bench.waitFor(1, 20);
    await pause(20);
    const from = positionSince(Date.now());
    await pause(20);
    await bench.append(Array.from({ length: 20 }, (_, i) => bench.make(`after/${i}`, [1])));
    await bench.waitFor(1, 40);
    const found: string[] = [];
    const known = store.partitions();
    for (const { partition, end } of await store.ends(queueId(1))) {
      assert.ok(known.includes(partition));
      const request = { queue: queueId(1), partition, messagesMax: 100, bytesMax: 1e6 };
      const { messages, next } = await store.read({ ...request, from });
      assert.ok(next >= 0, 'what is next is an offset');
      found.push(...messages.map(topicOf).filter((topic) => !topic.startsWith('foreign')));
      const later = await store.read({ ...request, from: positionSince(Date.now() + 60_000) });
      assert.deepEqual(later.messages, []);
      assert.ok(later.next >= end, 'what is next is past all that is there');
    }
    assert.deepEqual(
      found.toSorted(),
      Array.from({ length: 20 }, (_, i) => `after/${i}`).toSorted(),
    );
  });

  check('trim: what is not below stays, and offsets go on', async (bench) => {
    await bench.append(Array.from({ length: 20 }, (_, i) => bench.make(`t/${i}`, [1])));
    const stored = await bench.waitFor(1, 20);
    const kept: string[] = [];
    const cut = new Map<number, number>();
    for (const { partition } of await bench.store.ends(queueId(1))) {
      const here = stored.filter((m) => place(m, 1).partition === partition);
      const half = here[Math.floor(here.length / 2)];
      const offset = half === undefined ? 0 : place(half, 1).offset;
      cut.set(partition, offset);
      bench.store.trim(queueId(1), partition, offset);
      bench.store.trim(queueId(1), partition, Math.max(0, offset - 3));
      kept.push(...here.filter((m) => place(m, 1).offset >= offset).map(topicOf));
    }
    const left = (await bench.all(1)).map(topicOf);
    for (const topic of kept) assert.ok(left.includes(topic));
    for (const { partition, first, end } of await bench.store.ends(queueId(1))) {
      bench.store.trim(queueId(1), partition, end);
      assert.ok(first <= end);
    }
    await bench.append([bench.make('new', [1])]);
    const all = await bench.waitUntil(1, (messages) => messages.some((m) => m.topic === 'new'));
    const message = all.find((m) => m.topic === 'new');
    assert.ok(message !== undefined);
    const { partition, offset } = place(message, 1);
    assert.ok(offset > (cut.get(partition) ?? 0));
  });

  check('drop: the messages are gone, others are not', async (bench) => {
    await bench.append([bench.make('both', [1, 2]), bench.make('one', [1])]);
    await bench.waitFor(1, 2);
    await bench.store.drop(queueId(1));
    await bench.store.drop(queueId(1));
    await bench.store.drop(queueId(12345));
    assert.deepEqual(await bench.all(1), []);
    assert.deepEqual((await bench.waitFor(2, 1)).map(topicOf), ['both']);
  });

  check('outcome: stored with the message, not stored before', async (bench) => {
    const id = { clientId: clientId('c'), epoch: epoch(7), packetId: 9 };
    const outcome = () => bench.store.outcome(id.clientId, id.epoch, id.packetId);
    assert.equal(await outcome(), 'not stored');
    const pending = bench.append([bench.make('t', [1], { inbound: id })]);
    assert.notEqual(await outcome(), 'not stored');
    await pending;
    assert.equal(await outcome(), 'stored');
    assert.equal(await bench.store.outcome(id.clientId, id.epoch, 10), 'not stored');
    const nobody = { ...id, packetId: 11 };
    await bench.append([bench.make('t', [], { inbound: nobody })]);
    assert.equal(await bench.store.outcome(id.clientId, id.epoch, 11), 'stored');
  });

  for (const how of ['never', 'later'] as const) {
    check(`a failed append is told and settles (stored ${how})`, async (bench, t) => {
      const { failNext } = bench.under;
      if (failNext === undefined) {
        t.skip('this store cannot be made to fail here');
        return;
      }
      const id = { clientId: clientId('c'), epoch: epoch(7), packetId: 9 };
      await bench.append([bench.make('lane', [1], { payload: 'first' })]);
      failNext(how);
      const failing = bench.make('lane', [1], { payload: 'failed', inbound: id });
      await bench.append([failing]);
      assert.ok(failing.reasonCode >= 0x80);
      const settled = await until(async () => {
        const outcome = await bench.store.outcome(id.clientId, id.epoch, id.packetId);
        return outcome === 'unknown' ? undefined : outcome;
      });
      await until(async () => {
        const again = bench.make('lane', [1], { payload: 'last' });
        await bench.append([again]);
        return again.reasonCode === 0 ? true : undefined;
      });
      const stored = await bench.waitUntil(1, (all) => all.some((m) => payloadOf(m) === 'last'));
      const count = stored.filter((m) => payloadOf(m) === 'failed').length;
      assert.equal(count, settled === 'stored' ? 1 : 0);
      assert.equal(await bench.store.outcome(id.clientId, id.epoch, id.packetId), settled);
    });
  }

  check('after a restart all is there, nothing is told again, offsets go on', async (bench, t) => {
    if (bench.under.restart === undefined) {
      t.skip('this store does not outlive its process');
      return;
    }
    const id = { clientId: clientId('c'), epoch: epoch(7), packetId: 9 };
    await bench.append(Array.from({ length: 50 }, (_, i) => bench.make(`t/${i}`, [1, 2])));
    await bench.append([bench.make('inbound', [], { inbound: id })]);
    const before = (await bench.waitFor(1, 50)).map((m) => `${m.topic} ${place(m, 1).offset}`);
    const ends = await bench.store.ends(queueId(1));
    await bench.store.drop(queueId(2));
    const next = new Bench(await bench.under.restart());
    try {
      const after = (await next.waitFor(1, 50)).map((m) => `${m.topic} ${place(m, 1).offset}`);
      assert.deepEqual(after, before);
      assert.deepEqual(await next.all(2), []);
      assert.equal(await next.store.outcome(id.clientId, id.epoch, 9), 'stored');
      for (const { partition, end } of await next.store.ends(queueId(1))) {
        assert.ok(end >= (ends.find((e) => e.partition === partition)?.end ?? Infinity));
      }
      assert.deepEqual(next.told, []);
      await next.append([next.make('more', [1])]);
      const [more] = (await next.waitFor(1, 51)).filter(({ topic }) => topic === 'more');
      assert.ok(more !== undefined);
      const { partition, offset } = place(more, 1);
      assert.ok(offset >= (ends.find((e) => e.partition === partition)?.end ?? Infinity));
    } finally {
      await next.close();
    }
  });

  check('what goes by a limit is told', async (bench, t) => {
    const { overflow } = bench.under;
    if (overflow === undefined) {
      t.skip('this store has no limit here');
      return;
    }
    await bench.append([bench.make('first', [1])]);
    await overflow(queueId(1));
    const lost = await until(() => Promise.resolve(bench.lost.length > 0 ? bench.lost : undefined));
    const total = lost.reduce((sum, { messages }) => sum + messages, 0);
    const [end] = await bench.store.ends(queueId(1));
    assert.ok(end !== undefined);
    assert.equal(lost.at(-1)?.queue, 1);
    assert.ok((lost.at(-1)?.first ?? 0) <= end.first);
    const left = await bench.all(1);
    assert.equal(left.length + total, end.end);
    assert.ok(left.every((message) => message.topic !== 'first'));
  });
}

/** The store with its arrivals and losses, and what makes the tests short. */
class Bench {
  readonly under: StoreUnderTest;
  readonly store: QueueStore;
  readonly told: Message[] = [];
  readonly lost: Loss[] = [];

  constructor(under: StoreUnderTest) {
    this.under = under;
    this.store = under.store;
    this.store.onArrivals((messages) => {
      this.told.push(...messages);
    });
    this.store.onLost((loss) => {
      this.lost.push(loss);
    });
  }

  close(): Promise<void> {
    return this.under.close();
  }

  wrap(message: Message, queues: readonly number[], inbound?: InboundId): Append {
    return {
      message,
      queues: queues.map(queueId),
      lane: `${message.publisher}\n${message.topic}`,
      inbound,
      reasonCode: -1,
      orderKey: undefined,
    };
  }

  make(
    topic: string,
    queues: readonly number[],
    rest: { payload?: string; inbound?: InboundId } = {},
  ): Append {
    const payload = Buffer.from(rest.payload ?? topic);
    const message = messageOf({ topic, qos: 1, retain: false, payload, publisher: 'publisher' });
    return this.wrap(message, queues, rest.inbound);
  }

  append(batch: Append[]): Promise<void> {
    return new Promise((resolve) => {
      let open = batch.length;
      this.store.append(batch, (answered) => {
        open -= answered.length;
        if (open === 0) resolve();
      });
    });
  }

  read(
    queue: number,
    partition: number,
    from: number,
    messagesMax: number,
    bytesMax: number,
  ): Promise<ReadAnswer> {
    return this.store.read({ queue: queueId(queue), partition, from, messagesMax, bytesMax });
  }

  /** All that can be read now, but for messages that are nobody's. */
  async all(queue: number, foreign = false): Promise<Message[]> {
    const found: Message[] = [];
    for (const { partition, first } of await this.store.ends(queueId(queue))) {
      let from = first;
      for (;;) {
        const { messages, next } = await this.read(queue, partition, from, 1000, 1e9);
        if (messages.length === 0) break;
        found.push(...messages.filter(({ topic }) => foreign || !topic.startsWith('foreign')));
        from = next;
      }
    }
    return found;
  }

  waitFor(queue: number, count: number): Promise<Message[]> {
    return this.waitUntil(queue, (messages) => {
      assert.ok(messages.length <= count, `${messages.length} messages instead of ${count}`);
      return messages.length === count;
    });
  }

  waitUntil(queue: number, enough: (messages: Message[]) => boolean): Promise<Message[]> {
    return until(async () => {
      const messages = await this.all(queue);
      return enough(messages) ? messages : undefined;
    });
  }

  /** Until so many different messages have arrived. */
  async waitTold(count: number): Promise<void> {
    await until(() => {
      const names = new Set<string>();
      for (const message of this.told) {
        if (!message.topic.startsWith('foreign')) names.add(payloadOf(message));
      }
      return Promise.resolve(names.size >= count ? true : undefined);
    });
  }
}

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + waitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    assert.ok(performance.now() < end, 'it did not come');
    await pause(5);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function place(message: Message, queue: number): Message['entries'][number] {
  const entry = message.entries.find((e) => e.queue === queue);
  assert.ok(entry !== undefined, `${message.topic} has no place in ${queue}`);
  return entry;
}

function topicOf(message: Message): string {
  return message.topic;
}

function payloadOf(message: Message): string {
  return message.payload.toString();
}
