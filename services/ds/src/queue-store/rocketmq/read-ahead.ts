// Read-ahead for readers that take a queue from end to end: while one answer is on its way to them,
// the pulls for the next are under way.
const queuesMax = 16;
const keptMs = 1000;

interface Ahead<Found> {
  readonly from: number;
  readonly until: number;
  readonly found: Promise<Found>;
}

interface Kept<Found> extends Ahead<Found> {
  readonly timer: NodeJS.Timeout;
}

export class ReadAhead<Found> {
  /** By queue, one each. */
  readonly #ahead = new Map<string, Kept<Found>>();

  /** Undefined: it was not begun, or from another place. */
  take(queue: string, from: number): Ahead<Found> | undefined {
    const ahead = this.#ahead.get(queue);
    if (ahead === undefined || ahead.from !== from) return undefined;
    this.#drop(queue, ahead);
    return ahead;
  }

  /** Not where many are ahead already: their readers are served by turns. */
  begin(queue: string, from: number, until: number, read: () => Promise<Found>): void {
    if (!this.#ahead.has(queue) && this.#ahead.size >= queuesMax) return;
    this.forget(queue);
    const found = read();
    // Whoever takes it is told; nobody else has to know.
    found.catch(() => undefined);
    const timer = setTimeout(() => this.#ahead.delete(queue), keptMs);
    this.#ahead.set(queue, { from, until, found, timer });
  }

  /** Messages that were read ahead belong to a queue that is no more. */
  forget(queue: string): void {
    const ahead = this.#ahead.get(queue);
    if (ahead !== undefined) this.#drop(queue, ahead);
  }

  close(): void {
    for (const [queue, ahead] of this.#ahead) this.#drop(queue, ahead);
  }

  #drop(queue: string, { timer }: Kept<Found>): void {
    clearTimeout(timer);
    this.#ahead.delete(queue);
  }
}
