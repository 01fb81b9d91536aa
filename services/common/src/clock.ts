/** Time from outside, so that what waits and expires can be tried at any moment. */
export interface Clock {
  /** Milliseconds since 1970; may jump. For what is stored: expiry, due times. */
  nowMs(): number;
  /** Milliseconds since some moment; never goes back. For what is measured: time-outs, leases. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
