import { setTimeout as delay } from 'node:timers/promises';

const pollMs = 20;

/** Resolves when the question, asked again and again, is answered with true. */
export async function until(
  question: () => Promise<boolean>,
  timeoutMs: number,
  what: string,
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await question())) {
    if (performance.now() > endMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await delay(pollMs);
  }
}
