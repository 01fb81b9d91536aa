// The generator's clock: whole microseconds since the process began. They fit 32 bits for 71
// minutes, longer than any run, so that a message can carry one in its payload.

export function nowUs(): number {
  return Math.round(performance.now() * 1000);
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const cell = new Int32Array(new SharedArrayBuffer(4));

/** Blocks the thread: for waits shorter than the millisecond that timers count in. */
export function block(ms: number): void {
  Atomics.wait(cell, 0, 0, ms);
}
