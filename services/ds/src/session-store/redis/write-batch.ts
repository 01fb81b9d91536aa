/** Callers that wait for several writes, and the number of writes that are still to be stored. */
export class WriteBatch {
  pending = 0;
  /** True for a batch that is told behind those before it. */
  readonly ordered: boolean;
  readonly callbacks: (() => void)[] = [];

  constructor(ordered: boolean) {
    this.ordered = ordered;
  }
}
