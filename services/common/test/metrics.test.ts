import assert from 'node:assert/strict';
import { test } from 'node:test';

import { latencyBoundsS, Metrics } from '../src/metrics.ts';

test('plain numbers come out as Prometheus text', async () => {
  const metrics = new Metrics();
  const one = metrics.counter('one_total', 'one');
  const packets = metrics.counters('packets_total', 'packets', 'type', ['connect', 'publish']);
  let depth = 1;
  metrics.gauge('depth', 'depth', () => depth);
  metrics.gauges('delay', 'delay', 'quantile', () => [['p50', 0.5]]);
  one.value += 2;
  packets.publish += 3;
  metrics.limits.RETENTION_BYTES += 1;
  depth = 9;
  const text = await metrics.registry.metrics();
  for (const line of [
    'one_total 2',
    'packets_total{type="connect"} 0',
    'packets_total{type="publish"} 3',
    'depth 9',
    'delay{quantile="p50"} 0.5',
    'lmqtt_limit_total{limit="retention_bytes"} 1',
    'lmqtt_limit_total{limit="max_connections"} 0',
  ]) {
    assert.ok(text.split('\n').includes(line), line);
  }
  assert.equal(await metrics.registry.metrics(), text, 'asking twice counts nothing twice');
});

test('a histogram counts a value in its bucket and all above', async () => {
  const metrics = new Metrics();
  const histogram = metrics.histogram('latency_seconds', 'latency', latencyBoundsS);
  for (const value of [0.000_05, 0.003, 0.003, 60]) histogram.record(value);
  const text = await metrics.registry.metrics();
  for (const line of [
    '# TYPE latency_seconds histogram',
    'latency_seconds_bucket{le="0.00005"} 1',
    'latency_seconds_bucket{le="0.0025"} 1',
    'latency_seconds_bucket{le="0.005"} 3',
    'latency_seconds_bucket{le="10"} 3',
    'latency_seconds_bucket{le="+Inf"} 4',
    'latency_seconds_count 4',
  ]) {
    assert.ok(text.split('\n').includes(line), line);
  }
});
