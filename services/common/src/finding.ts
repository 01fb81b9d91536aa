/** One check of what a cluster stands on: a row of `doctor`, a line of the start. */
export interface Finding {
  readonly name: string;
  /** `warn`: it works, and less is promised or nobody could look. */
  readonly state: 'ok' | 'warn' | 'wrong';
  readonly found: string;
  readonly wanted: string;
  /** The change to make; empty: none. */
  readonly fix: string;
}
