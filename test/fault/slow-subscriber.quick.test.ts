// One subscriber that stops reading: the others do not notice, memory is bounded, QoS 0 to it is
// dropped and counted, and QoS 1 waits for it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBroker } from '../harness/shape.ts';
import { closeAllClients, connected } from '../harness/wire.ts';

const batches = 40;
const batchMessages = 250;
const payloadBytes = 4096;
const growthMax = 120e6;

void test('a subscriber that stops reading costs the others nothing', async (t) => {
  const broker = await startBroker({ settings: { MAX_INFLIGHT: '100' } });
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
  const rss = async (): Promise<number> =>
    (await broker.metrics()).get('process_resident_memory_bytes') ?? 0;
  let before = 0;
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
    // By then the code is compiled and the buffers are there.
    if (batch === 10) before = await rss();
  }
  const grown = (await rss()) - before;
  const metrics = await broker.metrics();
  const dropped = metrics.get('lmqtt_dropped_total{reason="slow_client"}') ?? 0;
  t.diagnostic(
    `${dropped} of ${batches * batchMessages} dropped for it, ` +
      `RSS grew by ${Math.round(grown / 1e6)} MB, slowest batch ${Math.round(slowestMs)} ms`,
  );
  assert.ok(dropped > 0, 'QoS 0 is dropped');
  assert.ok(grown < growthMax, `RSS grew by ${grown}`);
  slow.stream.resume();
  for (let batch = 0; batch < batches; batch += 1) {
    const { packetId } = await slow.find('publish', { topic: 'load/1', payload: String(batch) });
    slow.sendAck('puback', packetId);
  }
  await slow.ping().catch(() => assert.ok(!slow.closed));
});
