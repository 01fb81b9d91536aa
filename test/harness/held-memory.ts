// What the processes of a broker hold in memory: resident memory would count garbage, too, of which
// V8 leaves as much as it likes.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

interface Measured {
  metrics(): Promise<ReadonlyMap<string, number>>;
}

/** Options of Node for each process that is measured. */
export const collecting: readonly string[] = [
  '--expose-gc',
  '--import',
  new URL('collecting.js', import.meta.url).href,
];

const parts = ['nodejs_heap_size_used_bytes', 'nodejs_external_memory_bytes'];
const lookMs = 100;
const patienceMs = 60_000;

/** Bytes on the heap and in buffers, and the garbage since the last collection. */
export async function heldBytes(measured: Measured): Promise<number> {
  const metrics = await measured.metrics();
  return parts.reduce((sum, name) => sum + (metrics.get(name) ?? Number.NaN), 0);
}

/** Passes as soon as fewer bytes are held; who holds more holds them after every collection. */
export async function holdsLess(measured: Measured, bytesMax: number): Promise<void> {
  const endMs = performance.now() + patienceMs;
  for (;;) {
    const bytes = await heldBytes(measured);
    if (bytes < bytesMax) return;
    assert.ok(performance.now() < endMs, `${bytes} bytes are held, not less than ${bytesMax}`);
    await pause(lookMs);
  }
}
