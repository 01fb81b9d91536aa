import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import fc from 'fast-check';
import { Exchange } from '../src/wire/exchange.ts';
import { WireError } from '../src/wire/wire-error.ts';

const windowFrames = 4;
const limits = { windowFrames, frameBytesMax: 200 };
const field = 20;

mock.timers.enable({ apis: ['setTimeout'] });

/** One end, and the frames on their way from it. Items are numbers with bytes behind them. */
class End {
  readonly exchange: Exchange;
  gatherMs = 0;
  readonly arrived: number[] = [];
  readonly renews: number[] = [];
  readonly way: Buffer[] = [];
  #written = 0;

  constructor() {
    this.exchange = new Exchange(
      { ...limits, gatherMs: () => this.gatherMs },
      {
        pulse: ({ renew }) => {
          if (renew !== undefined) this.renews.push(renew.number);
        },
        item: (reader, number, end) => {
          assert.equal(number, field);
          assert.equal(reader.varint(), 0x08);
          this.arrived.push(reader.varint());
          assert.ok(reader.at <= end);
        },
      },
    );
  }

  write(bytes: number): void {
    const writer = this.exchange.open(field);
    writer.reserve(16);
    writer.buffer[writer.at++] = 0x08;
    writer.varint(this.#written);
    writer.bytes(0x12, Buffer.alloc(bytes));
    this.exchange.close();
    this.#written += 1;
  }

  get itemsWritten(): number {
    return this.#written;
  }
}

/** Two ends and a stream between them that may be gone. */
class Pair {
  readonly ends: readonly [End, End] = [new End(), new End()];
  isOpen = false;
  breaks = 0;

  /** Both ends tell how far they have come, as Welcome and the metadata do. */
  open(): void {
    if (this.isOpen) return;
    this.isOpen = true;
    const [a, b] = this.ends;
    for (const end of this.ends) end.exchange.bind((frame) => end.way.push(Buffer.from(frame)));
    a.exchange.resume(b.exchange.received);
    b.exchange.resume(a.exchange.received);
  }

  cut(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.breaks += 1;
    for (const end of this.ends) {
      end.exchange.unbind();
      end.way.length = 0;
    }
  }

  deliver(from: 0 | 1): void {
    const frame = this.ends[from].way.shift();
    const to = this.ends[from === 0 ? 1 : 0];
    if (frame !== undefined && !to.exchange.receive(frame)) this.cut();
  }

  /** Ends of turns and late acknowledgements, until nothing moves. */
  async settle(): Promise<void> {
    for (let round = 0; round < 10_000; round++) {
      await endOfTurn();
      this.deliver(0);
      this.deliver(1);
      if (this.ends.some((end) => end.way.length > 0)) continue;
      mock.timers.tick(10);
      await endOfTurn();
      if (this.ends.every((end) => end.way.length === 0)) return;
    }
    assert.fail('frames go to and fro for ever');
  }

  assertKept(): void {
    const [a, b] = this.ends;
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      assert.ok(from.exchange.unacknowledgedFrames <= windowFrames);
      assert.deepEqual(to.arrived, [...to.arrived.keys()]);
      assert.ok(to.arrived.length <= from.itemsWritten);
    }
  }

  assertComplete(): void {
    const [a, b] = this.ends;
    for (const end of this.ends) {
      assert.equal(end.exchange.unacknowledgedFrames, 0);
      assert.equal(end.exchange.waitingBytes, 0);
    }
    assert.equal(b.arrived.length, a.itemsWritten);
    assert.equal(a.arrived.length, b.itemsWritten);
    this.assertKept();
  }
}

async function endOfTurn(): Promise<void> {
  await new Promise<void>((resolve) => process.nextTick(resolve));
}

const from = fc.constantFrom<0 | 1>(0, 1);

/** Steps of a run, and how often each comes. */
const steps = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      from,
      items: fc.integer({ min: 1, max: 8 }),
      bytes: fc.nat({ max: 300 }),
    }),
  },
  { weight: 16, arbitrary: fc.record({ kind: fc.constant('deliver' as const), from }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pulse' as const), from }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), from }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('repeat' as const), from }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('open' as const) }) },
);
type Step = typeof steps extends fc.Arbitrary<infer T> ? T : never;

async function take(pair: Pair, step: Step): Promise<void> {
  switch (step.kind) {
    case 'write':
      for (let count = 0; count < step.items; count++) pair.ends[step.from].write(step.bytes);
      break;
    case 'deliver':
      pair.deliver(step.from);
      break;
    case 'turn':
      await endOfTurn();
      break;
    case 'wait':
      mock.timers.tick(10);
      break;
    case 'pulse':
      pair.ends[step.from].exchange.pulse({
        renewed: { number: 1, timeMs: 1, unconfirmed: false, pushesWait: false, drain: undefined },
      });
      break;
    case 'lose':
      pair.ends[step.from].way.shift();
      break;
    case 'repeat': {
      const { way } = pair.ends[step.from];
      if (way[0] !== undefined) way.splice(1 + (way.length >> 1), 0, way[0]);
      break;
    }
    case 'cut':
      pair.cut();
      break;
    case 'open':
      pair.open();
      break;
  }
}

test('everything arrives once and in order, whatever the streams do', async () => {
  const property = fc.asyncProperty(
    fc.array(steps, { minLength: 1, maxLength: 300, size: 'max' }),
    async (all) => {
      const pair = new Pair();
      pair.open();
      for (const step of all) {
        await take(pair, step);
        pair.assertKept();
      }
      // A frame that was lost last of all is missed by the next pulse.
      for (let round = 0; round < 100; round++) {
        pair.open();
        await pair.settle();
        const { breaks } = pair;
        for (const end of pair.ends) end.exchange.pulse({});
        await pair.settle();
        if (pair.isOpen && pair.breaks === breaks) break;
      }
      pair.assertComplete();
    },
  );
  await fc.assert(property, { numRuns: 150 });
});

test('a resume sends again all that did not arrive, in one stream', async () => {
  const pair = new Pair();
  pair.open();
  const [a, b] = pair.ends;
  for (let count = 0; count < 40; count++) a.write(100);
  await endOfTurn();
  assert.equal(a.way.length, windowFrames);
  pair.deliver(0);
  pair.cut();
  pair.open();
  assert.equal(a.way.length, windowFrames - 1 + 1);
  await pair.settle();
  assert.equal(pair.breaks, 1);
  assert.equal(b.arrived.length, 40);
  pair.assertComplete();
});

test('a full window holds back what is written, and its bytes are told', async () => {
  const pair = new Pair();
  const [a] = pair.ends;
  a.write(1000);
  assert.ok(a.exchange.waitingBytes >= 1000);
  pair.open();
  assert.equal(a.exchange.waitingBytes, 0);
  for (let count = 0; count < 100; count++) a.write(50);
  await endOfTurn();
  assert.equal(a.exchange.unacknowledgedFrames, windowFrames);
  assert.ok(a.exchange.waitingBytes > 100 * 50 - windowFrames * 300);
  await pair.settle();
  pair.assertComplete();
});

test('before the stream is taken up again only pulses leave', async () => {
  const { ends } = new Pair();
  const [a, b] = ends;
  a.write(10);
  a.exchange.pulse({ renew: { number: 1, counters: {}, connections: 0, draining: false } });
  assert.equal(a.way.length, 0);
  a.exchange.bind((frame) => a.way.push(frame));
  a.exchange.pulse({ renew: { number: 2, counters: {}, connections: 0, draining: false } });
  await endOfTurn();
  assert.equal(a.way.length, 1);
  assert.equal(b.exchange.receive(a.way[0]!), true);
  assert.deepEqual(b.renews, [2]);
  assert.deepEqual(b.arrived, []);
  a.exchange.resume(0);
  assert.equal(b.exchange.receive(a.way[1]!), true);
  assert.deepEqual(b.arrived, [0]);
});

test('a stream whose welcome was lost is broken, and nothing of it is taken', async () => {
  const [a, b] = new Pair().ends;
  a.exchange.bind((frame) => a.way.push(frame));
  a.exchange.resume(0);
  b.exchange.bind(() => {});
  a.write(1);
  await endOfTurn();
  a.exchange.pulse({});
  for (const frame of a.way) assert.equal(b.exchange.receive(frame), false);
  assert.equal(b.exchange.received, 0);
  assert.deepEqual(b.arrived, []);
  b.exchange.resume(0);
  for (const frame of a.way) assert.equal(b.exchange.receive(frame), true);
  assert.deepEqual(b.arrived, [0]);
});

test('a missing frame is found by the next one and by a pulse, and is not passed over', async () => {
  for (const isPulse of [false, true]) {
    const pair = new Pair();
    pair.open();
    const [a, b] = pair.ends;
    a.write(1);
    await endOfTurn();
    a.way.shift();
    if (isPulse) a.exchange.pulse({});
    else a.write(1);
    await endOfTurn();
    assert.equal(b.exchange.receive(a.way.shift()!), false);
    assert.equal(b.exchange.received, 0);
    assert.deepEqual(b.arrived, []);
  }
});

test('acknowledgements leave by themselves where nothing is written', async () => {
  const pair = new Pair();
  pair.open();
  const [a, b] = pair.ends;
  a.write(1);
  await endOfTurn();
  pair.deliver(0);
  await endOfTurn();
  assert.equal(b.way.length, 0);
  mock.timers.tick(10);
  assert.equal(b.way.length, 1);
  pair.deliver(1);
  assert.equal(a.exchange.unacknowledgedFrames, 0);
  // Half a window is acknowledged without waiting, and no acknowledgement asks for another.
  for (let count = 0; count < windowFrames / 2; count++) {
    a.write(300);
    await endOfTurn();
    pair.deliver(0);
  }
  await endOfTurn();
  assert.equal(b.way.length, 1);
  await pair.settle();
  assert.equal(b.way.length, 0);
});

test('an acknowledgement of what was never sent is an error', () => {
  const [a, b] = new Pair().ends;
  a.exchange.bind((frame) => a.way.push(frame));
  a.write(1);
  a.exchange.resume(0);
  const [frame] = a.way;
  assert.ok(frame !== undefined);
  frame.writeUInt32LE(7, 10);
  assert.throws(() => b.exchange.receive(frame), WireError);
  assert.throws(() => a.exchange.resume(2), WireError);
});

test('an acknowledgement may come while frames leave', async () => {
  const pair = new Pair();
  const [a, b] = pair.ends;
  for (let count = 0; count < 10; count++) a.write(300);
  a.exchange.bind((frame) => {
    assert.equal(b.exchange.receive(frame), true);
    b.exchange.pulse({});
  });
  b.exchange.bind((frame) => assert.equal(a.exchange.receive(frame), true));
  b.exchange.resume(0);
  a.exchange.resume(0);
  assert.equal(b.arrived.length, 10);
  await pair.settle();
  pair.assertComplete();
});

test('after a reset both ends begin anew', async () => {
  const pair = new Pair();
  pair.open();
  const [a, b] = pair.ends;
  a.write(1);
  b.write(1);
  await pair.settle();
  a.write(1);
  a.write(500);
  pair.cut();
  for (const end of pair.ends) end.exchange.reset();
  assert.equal(a.exchange.waitingBytes, 0);
  pair.open();
  await endOfTurn();
  assert.equal(a.way.length, 0);
  a.write(1);
  await pair.settle();
  assert.deepEqual(b.arrived, [0, 3]);
  assert.equal(b.exchange.received, 1);
});

test('what may gather leaves in one frame, at its time or when nothing comes after it', async () => {
  const pair = new Pair();
  pair.open();
  const [a, b] = pair.ends;
  a.way.length = 0;
  a.gatherMs = 3;
  a.write(1);
  await Promise.resolve();
  a.write(1);
  mock.timers.tick(2);
  assert.equal(a.way.length, 0);
  mock.timers.tick(1);
  assert.equal(a.way.length, 1);
  a.write(1);
  a.exchange.hurry();
  assert.equal(a.way.length, 2);
  mock.timers.tick(3);
  assert.equal(a.way.length, 2);
  pair.deliver(0);
  pair.deliver(0);
  assert.deepEqual(b.arrived, [0, 1, 2]);
});
