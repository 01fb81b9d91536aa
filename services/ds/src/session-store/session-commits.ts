import type { JournalFailure } from '../journal/failure.ts';
import type { Journal } from '../journal/journal.ts';

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

  /** What was recorded since then is durable; what others recorded is not waited for. */
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

  /**
   * After a failure memory is what the journal makes durable before it goes on, so a commit that
   * succeeds later covers the writes of one that failed.
   */
  #commit(durable: () => void): void {
    this.#committed = this.#records;
    this.#underWay += 1;
    const done = (failure: JournalFailure | undefined): void => {
      if (failure !== undefined) {
        setTimeout(() => this.#journal.commit(done), retryMs).unref();
        return;
      }
      this.#underWay -= 1;
      durable();
    };
    this.#journal.commit(done);
  }
}
