/**
 * Work that is done once in the next turn of the event loop, however often a turn asks for it: what
 * came meanwhile is gathered by its owner. Asked for again while it runs, it runs once more.
 */
export class OnceATurn {
  #isDue = false;
  readonly #run: () => void;

  /** `work` handles its own errors: nobody waits for it. */
  constructor(work: () => void) {
    this.#run = () => {
      this.#isDue = false;
      work();
    };
  }

  soon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(this.#run);
  }
}
