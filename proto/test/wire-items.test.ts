import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { methodOf } from '../src/load.ts';
import { readDownstream } from '../src/wire/downstream-reader.ts';
import { writePushes } from '../src/wire/downstream-writer.ts';
import { Exchange } from '../src/wire/exchange.ts';
import type { FrameTaker } from '../src/wire/exchange.ts';
import type { Pulse } from '../src/wire/pulse.ts';
import { partBytesMin } from '../src/wire/send-window.ts';
import { readUpstream, writePresents, writePublishes } from '../src/wire/upstream.ts';
import { comparable, message, presentedSession, text, u32, u53 } from './link-arbitraries.ts';
import { asRead, downstreamKinds, Listener, publishes, upstreamKinds } from './wire-items.ts';

const limits = { windowFrames: 1000, frameBytesMax: 1 << 20 };
const idle: FrameTaker = { pulse: () => {}, item: () => {} };

/** The loader's Frame: the oracle for what is written and read by hand. */
const { requestSerialize: serialize, requestDeserialize: deserialize } = methodOf(
  'Dispatch',
  'Exchange',
).definition;

// One for all runs, so that frames begin anywhere in a slab and slabs end within frames.
const writing = new Exchange(limits, idle);

function framesOf(write: (exchange: Exchange) => void, exchange: Exchange = writing): Buffer[] {
  const frames: Buffer[] = [];
  exchange.reset();
  exchange.bind((frame) => frames.push(frame));
  write(exchange);
  exchange.resume(0);
  exchange.unbind();
  return frames;
}

type Read = typeof readUpstream | typeof readDownstream;

function heard(frames: readonly Buffer[], read: Read): unknown[] {
  const listener = new Listener();
  const taker: FrameTaker = {
    pulse: () => {},
    item: (reader, field, end) => read(listener, reader, field, end),
  };
  const exchange = new Exchange(limits, taker);
  for (const frame of frames) assert.equal(exchange.receive(frame), true);
  return listener.said;
}

/** The loader's objects, with what has no meaning made alike. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (Buffer.isBuffer(value)) return value.toString('hex');
  if (typeof value !== 'object' || value === null) return value;
  const fields: Record<string, unknown> = { ...value };
  const { body } = fields;
  if ('flags' in fields && Buffer.isBuffer(body)) {
    const gapAt = 2 + body.readUInt16BE(0);
    fields['body'] = Buffer.from(body).fill(0, gapAt, gapAt + 2);
  }
  return Object.fromEntries(Object.entries(fields).map(([key, part]) => [key, plain(part)]));
}

for (const [read, kinds] of [
  [readUpstream, upstreamKinds],
  [readDownstream, downstreamKinds],
] as const) {
  for (const { name, sample } of kinds) {
    test(`${name}: what is written by hand is read by hand and by the loader`, () => {
      const property = fc.property(sample, ({ write, items, said }) => {
        const frames = framesOf(write);
        assert.deepEqual(heard(frames, read), said);
        if (items.length === 0) {
          assert.deepEqual(frames, []);
          return;
        }
        const [frame, ...more] = frames;
        assert.ok(frame !== undefined && more.length === 0);
        const byLoader = serialize({ sequence: 1, items: [...items] });
        assert.deepEqual(plain(deserialize(frame)), plain(deserialize(byLoader)));
      });
      fc.assert(property, { numRuns: 150 });
    });

    test(`${name}: what the loader writes is read by hand`, () => {
      const property = fc.property(sample, ({ items, said }) => {
        const frame = serialize({ sequence: 1, items: [...items] });
        assert.deepEqual(heard([frame], read), said);
      });
      fc.assert(property, { numRuns: 150 });
    });
  }
}

test('items of one turn leave in one frame, in their order', () => {
  const samples = fc.array(fc.oneof(...upstreamKinds.map(({ sample }) => sample)), {
    minLength: 1,
    maxLength: 20,
  });
  const property = fc.property(samples, (all) => {
    const frames = framesOf((exchange) => {
      for (const { write } of all) write(exchange);
    });
    // More than the smallest part may go on in another item and another frame.
    const bytes = frames.reduce((sum, { length }) => sum + length, 0);
    if (bytes > partBytesMin) return;
    assert.equal(frames.length, 1);
    const said = all.flatMap((sample) => sample.said);
    assert.deepEqual(heard(frames, readUpstream), said);
  });
  fc.assert(property, { numRuns: 100 });
});

test('a batch that is larger than a frame goes on in the next one', () => {
  const small = new Exchange({ windowFrames: 1000, frameBytesMax: 600 }, idle);
  const ofPublishes = fc.property(publishes, ({ first, batch }) => {
    const frames = framesOf((exchange) => writePublishes(exchange, first, batch), small);
    const said = heard(frames, readUpstream) as [string, unknown[]][];
    assert.deepEqual(
      said.flatMap(([, part]) => part),
      asRead(first, batch),
    );
  });
  fc.assert(ofPublishes, { numRuns: 100 });
  const ofPushes = fc.property(fc.array(message, { minLength: 1, maxLength: 30 }), (batch) => {
    const frames = framesOf((exchange) => writePushes(exchange, batch), small);
    const said = heard(frames, readDownstream) as [string, unknown[]][];
    assert.deepEqual(
      said.flatMap(([, part]) => part),
      batch.map(comparable),
    );
    for (const frame of frames.slice(0, -1)) assert.ok(frame.length >= 600);
  });
  fc.assert(ofPushes, { numRuns: 100 });
  const presented = fc.array(presentedSession, { minLength: 1, maxLength: 20 });
  const ofSessions = fc.property(presented, (sessions) => {
    const frames = framesOf((exchange) => writePresents(exchange, sessions, true), small);
    const said = heard(frames, readUpstream) as [string, unknown[], boolean][];
    assert.deepEqual(
      said.flatMap(([, part]) => part),
      sessions.map(comparable),
    );
    assert.deepEqual(
      said.map(([, , last]) => last),
      said.map((_, index) => index === said.length - 1),
    );
    for (const frame of frames.slice(0, -1)) assert.ok(frame.length >= 600);
  });
  fc.assert(ofSessions, { numRuns: 100 });
});

const welcome = fc.record({
  attachment: text,
  resumed: fc.boolean(),
  received: u53,
  leaseMs: u32,
});
const renew = fc.record({
  number: u32,
  counters: fc
    .array(fc.tuple(text, fc.double({ noNaN: true })), { maxLength: 10 })
    .map((entries): Record<string, number> => Object.fromEntries(entries)),
  connections: u32,
  draining: fc.boolean(),
});
const renewed = fc.record({
  number: u32,
  timeMs: fc.double({ noNaN: true }),
  unconfirmed: fc.boolean(),
  pushesWait: fc.boolean(),
  drain: fc.option(fc.boolean(), { nil: undefined }),
});
const pulses: fc.Arbitrary<Pulse> = fc.record({
  welcome: fc.option(welcome, { nil: undefined }),
  renew: fc.option(renew, { nil: undefined }),
  renewed: fc.option(renewed, { nil: undefined }),
});

test('pulses say the same by hand and by the loader', () => {
  const property = fc.property(pulses, (pulse) => {
    const arrived: Pulse[] = [];
    const taker: FrameTaker = { pulse: (pulse) => arrived.push(pulse), item: () => {} };
    const [frame, ...more] = framesOf((exchange) => exchange.pulse(pulse));
    assert.ok(frame !== undefined && more.length === 0);
    const byLoader = serialize(pulse);
    assert.deepEqual(plain(deserialize(frame)), plain(deserialize(byLoader)));
    const exchange = new Exchange(limits, taker);
    assert.equal(exchange.receive(frame), true);
    assert.equal(exchange.receive(byLoader), true);
    const isEmpty = Object.values(pulse).every((part) => part === undefined);
    assert.deepEqual(comparable(arrived), isEmpty ? [] : [comparable(pulse), comparable(pulse)]);
  });
  fc.assert(property, { numRuns: 300 });
});
