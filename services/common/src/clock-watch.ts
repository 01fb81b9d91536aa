import type { Clock } from './clock.ts';

const everyMs = 1000;
/**
 * Minimum difference that counts as a jump: more than the adjustment of a clock between two checks.
 */
const jumpMs = 2000;

/**
 * Tells when the wall clock was set, or stood still with the machine: it has moved otherwise than
 * the monotonic one since the last look. `onJump` gets the difference, below 0 where it went back.
 * Answers with a function that ends it.
 */
export function watchClock(clock: Clock, onJump: (jumpedMs: number) => void): () => void {
  let lastMs = clock.nowMs() - clock.monotonicMs();
  const timer = setInterval(() => {
    const ms = clock.nowMs() - clock.monotonicMs();
    const jumpedMs = ms - lastMs;
    lastMs = ms;
    if (Math.abs(jumpedMs) >= jumpMs) onJump(jumpedMs);
  }, everyMs);
  timer.unref();
  return () => {
    clearInterval(timer);
  };
}
