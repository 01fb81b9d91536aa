// One subscriber that stops reading: the others do not notice, memory is bounded, QoS 0 to it is
// dropped and counted, and QoS 1 waits for it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collecting, heldBytes, holdsLess } from '../harness/held-memory.ts';
import { startBroker } from '../harness/shape.ts';
import { closeAllClients, connected } from '../harness/wire.ts';

const batches = 200;
/** Fewer bytes than the write buffer of a client may have; all batches are 160 MB. */
const batchMessages = 50;
const payloadBytes = 16_384;
const grownBytesMax = 64 << 20;

void test('a subscriber that stops reading costs the others nothing', async (t) => {
  const broker = await startBroker({ settings: { MAX_INFLIGHT: '100' }, nodeArgs: collecting });
  t.after(async () => {
    closeAllClients();
    await broker.stop();
  });
  const slow = await connected(broker.mqttPort, { clientId: 'slow' });
  await slow.subscribe('load/#', 1);
  const others = [];
  for (let index = 0; index < 4; index += 1) {
    const other = await connected(broker.mqttPort, { clientId: `other-${index}` });
    await other.subscribe('load/#', 1);
    others.push(other);
  }
  const publisher = await connected(broker.mqttPort, { clientId: 'publisher' });
  slow.stream.pause();
  const payload = Buffer.alloc(payloadBytes, 'x');
  const idleBytes = await heldBytes(broker);
  let slowestMs = 0;
  for (let batch = 0; batch < batches; batch += 1) {
    const began = performance.now();
    for (let index = 0; index < batchMessages; index += 1) {
      publisher.sendPublish({ topic: 'load/0', payload });
    }
    await publisher.publish('load/1', String(batch), { qos: 1 });
    for (const other of others) {
      for (let index = 0; index < batchMessages; index += 1) {
        await other.expect('publish', { topic: 'load/0' });
      }
      await other.receive({ topic: 'load/1', payload: String(batch) });
    }
    slowestMs = Math.max(slowestMs, performance.now() - began);
  }
  const metrics = await broker.metrics();
  const dropped = metrics.get('lmqtt_dropped_total{reason="slow_client"}') ?? 0;
  t.diagnostic(
    `${dropped} of ${batches * batchMessages} dropped for it, ` +
      `slowest batch ${Math.round(slowestMs)} ms`,
  );
  assert.ok(dropped > 0, 'QoS 0 is dropped');
  await holdsLess(broker, idleBytes + grownBytesMax);
  slow.stream.resume();
  for (let batch = 0; batch < batches; batch += 1) {
    const { packetId } = await slow.find('publish', { topic: 'load/1', payload: String(batch) });
    slow.sendAck('puback', packetId);
  }
  await slow.ping().catch(() => assert.ok(!slow.closed));
});
