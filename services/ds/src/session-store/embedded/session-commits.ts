import type { Journal } from '../../journal/journal.ts';

const retryMs = 250;

/**
 * Which of the records that were added are durable. Hides that nothing is waited for where nothing
 * was added, and that callbacks wait through a time in which the disk refuses.
 */
export class SessionCommits {
  readonly #journal: Journal;
  /** How many were added, and how many of them before the last commit. */
  #records = 0;
  #committed = 0;
  /** Commits whose callbacks are still to come. */
  #underWay = 0;
  /** Callbacks of those that failed, in their order. */
  readonly #refused: (() => void)[] = [];
  #retries = false;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  get records(): number {
    return this.#records;
  }

  /** A record was added, which the next commit is to cover. */
  noteRecord(): void {
    this.#records += 1;
  }

  /**
   * Resolves when all that was recorded since then is durable; later records of others are not
   * waited for.
   */
  async durable(since: number): Promise<void> {
    if (this.#records === since) return;
    this.#committed = this.#records;
    this.#underWay += 1;
    try {
      await this.#journal.durable();
    } finally {
      this.#underWay -= 1;
    }
  }

  /** `durable` comes when all that was recorded before is, never during the call. */
  commit(durable: () => void): void {
    if (this.#records === this.#committed && this.#underWay === 0) queueMicrotask(durable);
    else this.#commit(durable);
  }

  #commit(durable: () => void): void {
    this.#committed = this.#records;
    this.#underWay += 1;
    this.#journal.commit((failure) => {
      if (failure === undefined) {
        this.#tellRefused();
        this.#tell(durable);
      } else {
        this.#refused.push(durable);
        this.#retryLater();
      }
    });
  }

  /**
   * After a failure memory is what the journal makes durable before it goes on, so a commit that
   * succeeds later covers the writes of those that failed. They are told first: what was written
   * later goes out to the client after them [MQTT-4.6.0-5].
   */
  #tellRefused(): void {
    for (const durable of this.#refused.splice(0)) this.#tell(durable);
  }

  #tell(durable: () => void): void {
    this.#underWay -= 1;
    durable();
  }

  #retryLater(): void {
    if (this.#retries) return;
    this.#retries = true;
    const timer = setTimeout(() => {
      this.#retries = false;
      this.#journal.commit((failure) => {
        if (failure === undefined) this.#tellRefused();
        else if (this.#refused.length > 0) this.#retryLater();
      });
    }, retryMs);
    timer.unref();
  }
}
