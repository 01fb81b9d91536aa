import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sessionHandle } from '@lmqtt/common/ids';
import { messageOf } from '@lmqtt/common/message';
import type { Publish } from '../src/link.ts';
import { Exchange, type FrameTaker } from '../src/wire/exchange.ts';
import { frameEntriesMax } from '../src/wire/frame-queue.ts';
import { readUpstream, writeCredit, writePublishes } from '../src/wire/upstream.ts';
import { Listener } from './wire-items.ts';

const limits = { windowFrames: 4, frameBytesMax: 256 << 10 };
const idle: FrameTaker = { pulse: () => {}, item: () => {} };

function tiny(first: number, count: number): Publish[] {
  return Array.from({ length: count }, (_, index) => ({
    session: sessionHandle(1),
    packetId: 0,
    message: messageOf({
      topic: 't',
      payload: Buffer.from(String(first + index)),
      qos: 1,
      retain: false,
    }),
    reasonCode: 0,
  }));
}

/** The frames that leave for what is written, although none of them is acknowledged. */
function framesOf(write: (exchange: Exchange) => void): Buffer[] {
  const frames: Buffer[] = [];
  const exchange = new Exchange(limits, idle);
  exchange.bind((frame) => frames.push(Buffer.from(frame)));
  write(exchange);
  exchange.resume(0);
  exchange.unbind();
  return frames;
}

test('tiny publishes: a frame has only so many, over all batches of a turn, in their order', () => {
  const batchSize = 320;
  const batches = 8;
  const total = batchSize * batches;
  const frames = framesOf((exchange) => {
    for (let batch = 0; batch < batches; batch++) {
      const first = batch * batchSize;
      writePublishes(exchange, first + 1, tiny(first, batchSize));
    }
  });
  const inFrame: number[] = [];
  const numbers: number[] = [];
  const payloads: string[] = [];
  const listener = new Listener();
  const handler = Object.assign(listener, {
    publishes: (batch: readonly (Publish & { readonly number: number })[]) => {
      inFrame[inFrame.length - 1]! += batch.length;
      numbers.push(...batch.map(({ number }) => number));
      payloads.push(...batch.map(({ message }) => message.payload.toString()));
    },
  });
  const receiving = new Exchange(limits, {
    pulse: () => {},
    item: (reader, field, end) => readUpstream(handler, reader, field, end),
  });
  for (const frame of frames) {
    inFrame.push(0);
    assert.equal(receiving.receive(frame), true);
  }
  assert.ok(inFrame.every((count) => count <= frameEntriesMax));
  assert.equal(frames.length, total / frameEntriesMax, 'full frames, and more than the window has');
  assert.deepEqual(
    numbers,
    [...Array(total).keys()].map((index) => index + 1),
  );
  assert.deepEqual(payloads, [...Array(total).keys()].map(String));
});

test('tiny items: a frame has only so many', () => {
  const items = 2 * frameEntriesMax + 1;
  const frames = framesOf((exchange) => {
    for (let index = 0; index < items; index++) writeCredit(exchange, sessionHandle(1), index);
  });
  assert.equal(frames.length, 3);
  const listener = new Listener();
  const receiving = new Exchange(limits, {
    pulse: () => {},
    item: (reader, field, end) => readUpstream(listener, reader, field, end),
  });
  for (const frame of frames) assert.equal(receiving.receive(frame), true);
  assert.deepEqual(
    listener.said,
    [...Array(items).keys()].map((index) => ['credit', sessionHandle(1), index]),
  );
});
