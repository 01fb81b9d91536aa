import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sessionHandle } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Publish } from '@lmqtt/proto/link';
import { WireError } from '@lmqtt/proto/wire/wire-error';
import { PendingPublishes } from '../src/link/pending-publishes.ts';
import { PendingWrites } from '../src/link/pending-writes.ts';
import { publishOf } from './link-fixture.ts';

const fenced: number = ReasonCode.sessionTakenOver;

function answersOf(ended: readonly Publish[]): [string, number][] {
  return ended.map(({ message, reasonCode }) => [message.payload.toString(), reasonCode]);
}

function filled(): PendingPublishes {
  const publishes = new PendingPublishes();
  assert.equal(publishes.add(1, [publishOf('a', 1, 1), publishOf('b', 1, 2)]), 1);
  assert.equal(publishes.add(2, [publishOf('c', 1, 1)]), 3);
  assert.equal(publishes.add(3, [publishOf('d', 1, 2), publishOf('e', 1, 3)]), 4);
  return publishes;
}

test('answers end publishes in their order, over batches and in parts', () => {
  const publishes = filled();
  const ended: Publish[] = [];
  publishes.answered(1, Uint8Array.of(0), ended);
  publishes.answered(2, Uint8Array.of(0x10, 0, 0x87), ended);
  assert.deepEqual(answersOf(ended), [
    ['a', 0],
    ['b', 0x10],
    ['c', 0],
    ['d', 0x87],
  ]);
  assert.equal(publishes.count, 1);
});

test('answers in another order end theirs, and the rest waits on', () => {
  const publishes = filled();
  const ended: Publish[] = [];
  publishes.answered(2, Uint8Array.of(0), ended);
  publishes.answered(5, Uint8Array.of(0), ended);
  assert.deepEqual(answersOf(ended), [
    ['b', 0],
    ['e', 0],
  ]);
  assert.equal(publishes.count, 3);
  publishes.answered(1, Uint8Array.of(0), ended);
  publishes.answered(3, Uint8Array.of(0, 0, 0x97), ended);
  assert.deepEqual(answersOf(ended).slice(2), [
    ['a', 0],
    ['c', 0],
    ['d', 0],
  ]);
  assert.equal(publishes.count, 0);
});

test('an answer that comes again ends nothing; one to what was never sent is garbage', () => {
  const publishes = filled();
  const ended: Publish[] = [];
  publishes.answered(1, Uint8Array.of(0, 0), ended);
  publishes.answered(1, Uint8Array.of(0, 0), ended);
  assert.equal(ended.length, 2);
  assert.throws(() => publishes.answered(5, Uint8Array.of(0, 0), ended), WireError);
});

test('publishes of fenced sessions end at once, those that are handed over later do not', () => {
  const publishes = filled();
  const ended: Publish[] = [];
  publishes.fenced(new Set([sessionHandle(2)]), 3, ended);
  assert.deepEqual(answersOf(ended), [['b', fenced]]);
  publishes.answered(1, Uint8Array.of(0, 0, 0, 0), ended);
  assert.deepEqual(answersOf(ended).slice(1), [
    ['a', 0],
    ['c', 0],
    ['d', 0],
  ]);
});

test('what is not answered keeps its numbers and tickets', () => {
  const publishes = filled();
  publishes.answered(1, Uint8Array.of(0), []);
  const left = [...publishes.unanswered()].map(({ ticket, first, publishes: batch }) => ({
    ticket,
    first,
    texts: batch.map((publish) => publish?.message.payload.toString()),
  }));
  assert.deepEqual(left, [
    { ticket: 1, first: 1, texts: [undefined, 'b'] },
    { ticket: 2, first: 3, texts: ['c'] },
    { ticket: 3, first: 4, texts: ['d', 'e'] },
  ]);
});

test('callbacks of fenced writes do not come; those that were presented come together', () => {
  const writes = new PendingWrites();
  const came: string[] = [];
  const numbers = ['a', 'b', 'c'].map((name) => writes.number(() => came.push(name)));
  assert.deepEqual(numbers, [1, 2, 3]);
  assert.equal(writes.number(undefined), 0);
  writes.durable([1], [2]);
  assert.deepEqual(came, ['a']);
  writes.cover();
  writes.hold(9, [], () => came.push('d'));
  writes.presented();
  assert.deepEqual(came, ['a', 'c']);
  const [held] = writes.takeHeld();
  writes.durable([held!.number], []);
  assert.deepEqual(came, ['a', 'c', 'd']);
});
