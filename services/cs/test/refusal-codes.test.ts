import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeIn } from '../src/connection/packets/refusal-codes.ts';

void test('[MQTT-3.9.3-2] [MQTT-3.11.3-2] only codes of the packet are sent: a store that is away is 0x83', () => {
  assert.equal(codeIn('suback', 0x88), 0x83);
  assert.equal(codeIn('unsuback', 0x88), 0x83);
  assert.equal(codeIn('suback', 0x97), 0x97);
  assert.equal(codeIn('unsuback', 0x97), 0x83);
  assert.equal(codeIn('suback', 2), 2);
  assert.equal(codeIn('unsuback', 0x11), 0x11);
});
