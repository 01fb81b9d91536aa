import { isP2pFilter } from '@lmqtt/common/p2p';
import type { ReadRights } from '@lmqtt/common/read-rights';
import type { Subscription } from './cursor.ts';

/** Subscriptions judged in one turn, so that a session with many of them keeps nobody waiting. */
const perTurn = 100;

/** Judges subscriptions by new rights: which of them may be read whole, and whether any may. */
export class JudgedFilters {
  readonly rights: ReadRights;
  readonly #former: ReadRights | undefined;
  readonly #left: Iterator<Subscription>;
  #readsNow = false;
  #readBefore = false;

  constructor(
    subscriptions: Iterator<Subscription>,
    rights: ReadRights,
    former: ReadRights | undefined,
  ) {
    this.#left = subscriptions;
    this.rights = rights;
    this.#former = former;
  }

  /** Judges some. True: all are judged. */
  next(): boolean {
    for (let count = 0; count < perTurn; count += 1) {
      const { done, value } = this.#left.next();
      if (done === true) return true;
      // Messages to the client itself need no right.
      if (isP2pFilter(value.filter)) continue;
      const readable = this.rights.of(value.filter);
      if (readable === 'all') value.rights = undefined;
      if (readable !== 'nothing') this.#readsNow = true;
      this.#readBefore ||=
        this.#former === undefined || this.#former.of(value.filter) !== 'nothing';
    }
    return false;
  }

  /** Something could be read before, and nothing can now. */
  get lostAll(): boolean {
    return this.#readBefore && !this.#readsNow;
  }
}
