import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readDownstream } from '../src/wire/downstream-reader.ts';
import { Exchange } from '../src/wire/exchange.ts';
import type { FrameTaker } from '../src/wire/exchange.ts';
import { readUpstream } from '../src/wire/upstream.ts';
import { WireError } from '../src/wire/wire-error.ts';
import { downstreamKinds, Listener, upstreamKinds } from './wire-items.ts';
import type { ItemSample } from './wire-items.ts';

const limits = { windowFrames: 1000, frameBytesMax: 1 << 20 };
const writing = new Exchange(limits, { pulse: () => {}, item: () => {} });

type Read = typeof readUpstream | typeof readDownstream;

/** Items of a frame; a WireError may end it, nothing else. */
function heard(frame: Buffer, read: Read): Listener {
  const listener = new Listener();
  const taker: FrameTaker = {
    pulse: () => {},
    item: (reader, field, end) => read(listener, reader, field, end),
  };
  try {
    new Exchange(limits, taker).receive(frame);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
  return listener;
}

/** Every element that was made of a frame stands for a byte of it at least. */
function elementsIn(value: unknown): number {
  if (!Array.isArray(value)) return 1;
  return value.reduce<number>((sum, part) => sum + elementsIn(part), 1);
}

function assertBounded(frame: Buffer): void {
  for (const read of [readUpstream, readDownstream]) {
    const { said } = heard(frame, read);
    assert.ok(elementsIn(said) <= 20 + 8 * frame.length);
  }
}

function frameOf(samples: readonly ItemSample[]): Buffer {
  const frames: Buffer[] = [];
  writing.reset();
  writing.bind((frame) => frames.push(Buffer.from(frame)));
  for (const { write } of samples) write(writing);
  writing.pulse({
    welcome: { attachment: 'a', resumed: true, received: 1, leaseMs: 3000 },
    renew: { number: 1, counters: { c: 1 }, connections: 1, draining: true },
  });
  writing.resume(0);
  return frames.at(-1) ?? Buffer.alloc(0);
}

const kinds = [...upstreamKinds, ...downstreamKinds];
const frames = fc
  .array(fc.oneof(...kinds.map(({ sample }) => sample)), { maxLength: 4 })
  .map(frameOf);
const bytes = fc.uint8Array({ maxLength: 200, size: 'max' }).map((array) => Buffer.from(array));

/** Bytes that look like a frame of one item up to the item's own bytes. */
const itemOfBytes = fc
  .tuple(fc.constantFrom(1, 2, 3, 4, 5, 6, 16, 17, 18, 19, 20, 21, 22, 23, 24), bytes)
  .map(([field, body]) => {
    const lengthOf = (bytes: number): number[] => [(bytes & 0x7f) | 0x80, bytes >> 7];
    const tag = (field << 3) | 2;
    const head = tag > 0x7f ? [(tag & 0x7f) | 0x80, tag >> 7] : [tag];
    const item = Buffer.from([...head, ...lengthOf(body.length), ...body]);
    const sequence = [0x09, 1, 0, 0, 0, 0, 0, 0, 0];
    return Buffer.from([...sequence, 0x3a, ...lengthOf(item.length), ...item]);
  });

test('random bytes are refused or say little', () => {
  fc.assert(fc.property(fc.oneof(bytes, itemOfBytes), assertBounded), { numRuns: 3000 });
});

test('a frame that is cut off anywhere is refused or says what is there', () => {
  const property = fc.property(frames, fc.nat(), (frame, at) => {
    assertBounded(frame.subarray(0, at % (frame.length + 1)));
  });
  fc.assert(property, { numRuns: 1000 });
});

test('flipped bits are refused or change what is said, nothing more', () => {
  const flips = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 7 })), { minLength: 1, maxLength: 8 });
  const property = fc.property(frames, flips, (frame, all) => {
    if (frame.length === 0) return;
    for (const [at, bit] of all) frame[at % frame.length]! ^= 1 << bit;
    assertBounded(frame);
  });
  fc.assert(property, { numRuns: 2000 });
});

test('lengths that lie cost no more than the bytes that are there', () => {
  // An item, a list and a text that claim 2^28 - 1 bytes, and numbers without an end.
  const lie = [0xff, 0xff, 0xff, 0x7f];
  const endless = Array.from({ length: 12 }, () => 0xff);
  const bodies = [
    [0x3a, ...lie],
    [0x3a, 8, 0x12, ...lie, 0x0a, 0x00, 0x00],
    [0x3a, 9, 0xaa, 0x01, ...lie, 0x0a, 0x00, 0x00],
    [0x3a, 7, 0x22, 5, 0x1a, ...lie],
    [0x3a, 12, ...endless],
    [0x22, 6, 0x0a, ...lie, 0],
    [...endless],
  ];
  for (const body of bodies) {
    const frame = Buffer.from([0x09, 1, 0, 0, 0, 0, 0, 0, 0, ...body]);
    for (const read of [readUpstream, readDownstream]) {
      const listener = new Listener();
      const exchange = new Exchange(limits, {
        pulse: () => {},
        item: (reader, field, end) => read(listener, reader, field, end),
      });
      assert.throws(() => exchange.receive(frame), WireError);
      assert.deepEqual(listener.said, []);
    }
  }
});
