/** Callers that wait for several writes, and the number of writes that are still to be stored. */
export class WriteBatch {
  pending = 0;
  /** It is told behind the batches before it. */
  readonly ordered: boolean;
  readonly callbacks: (() => void)[] = [];

  constructor(ordered: boolean) {
    this.ordered = ordered;
  }
}
