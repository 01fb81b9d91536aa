/** Who waits for several writes, and how many of them are still to be stored. */
export class WriteBatch {
  pending = 0;
  /** It is told behind the batches before it. */
  readonly ordered: boolean;
  readonly callbacks: (() => void)[] = [];

  constructor(ordered: boolean) {
    this.ordered = ordered;
  }
}
