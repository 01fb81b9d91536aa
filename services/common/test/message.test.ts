import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageOf, ownBytes } from '../src/message.ts';

const plain = messageOf({ topic: 'a', qos: 1, retain: false, payload: Buffer.alloc(0) });

test('a message holds its topic, its properties, its payload, and some bytes besides', () => {
  assert.ok(plain.heldBytes > 100);
  const parts = {
    topic: 'a'.repeat(1001),
    qos: 1,
    retain: false,
    payload: Buffer.alloc(20_000),
    properties: Buffer.alloc(300_000),
  } as const;
  assert.equal(messageOf(parts).heldBytes - plain.heldBytes, 1000 + 20_000 + 300_000);
});

test('bytes that are kept for long hold no memory but their own', () => {
  const chunk = Buffer.from('will payload');
  const own = ownBytes(chunk.subarray(5));
  assert.equal(own.toString(), 'payload');
  assert.equal(own.buffer.byteLength, 7);
});
