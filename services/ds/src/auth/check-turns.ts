// Turns of expensive checks: a bounded number at once, the others wait. Hides who is next:
// addresses take turns, and so do the user names of each address, so that a sender of many wrong
// passwords waits behind his own. A check for which nobody waits any more is left out when its turn
// comes. Where too many wait, the address with the most loses its newest.

import { FairQueue } from '@lmqtt/common/fair-queue';

interface CheckTurnsOptions {
  readonly atOnce: number;
  readonly waitingMax: number;
  /** The refusal of a check, because more than `waitingMax` would wait. */
  readonly onFull?: () => void;
}

export interface CheckAsker {
  readonly address: string;
  readonly user: string;
  /** Whether the check is still wanted; false: its client is gone or is refused by now. */
  readonly isWanted: () => boolean;
}

interface Waiting {
  readonly asker: CheckAsker;
  /** Called with true when the check has its turn, with false when it gets none. */
  readonly decide: (turn: boolean) => void;
}

export class CheckTurns {
  readonly #addresses = new Map<string, FairQueue<Waiting>>();
  readonly #waitingMax: number;
  readonly #onFull: () => void;
  #free: number;
  #waiting = 0;

  constructor({ atOnce, waitingMax, onFull }: CheckTurnsOptions) {
    this.#free = atOnce;
    this.#waitingMax = waitingMax;
    this.#onFull = onFull ?? (() => {});
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Rejects as `work` does; `busy`: it was never begun. */
  async take<T>(asker: CheckAsker, work: () => Promise<T>): Promise<T | 'busy'> {
    if (this.#free === 0) {
      if (!(await this.#turn(asker))) return 'busy';
    } else this.#free -= 1;
    try {
      return await work();
    } finally {
      this.#next();
    }
  }

  #turn(asker: CheckAsker): Promise<boolean> {
    return new Promise((resolve) => {
      let users = this.#addresses.get(asker.address);
      if (users === undefined) this.#addresses.set(asker.address, (users = new FairQueue()));
      users.add(asker.user, { asker, decide: resolve });
      this.#waiting += 1;
      if (this.#waiting > this.#waitingMax) this.#makeRoom();
    });
  }

  /** The turn is handed over, not freed and taken. */
  #next(): void {
    for (let next = this.#shift(); next !== undefined; next = this.#shift()) {
      const wanted = next.asker.isWanted();
      next.decide(wanted);
      if (wanted) return;
    }
    this.#free += 1;
  }

  #shift(): Waiting | undefined {
    for (const [address, users] of this.#addresses) {
      const next = users.take();
      this.#addresses.delete(address);
      if (users.size > 0) this.#addresses.set(address, users);
      this.#waiting -= 1;
      return next;
    }
    return undefined;
  }

  #makeRoom(): void {
    this.#leaveOut();
    if (this.#waiting <= this.#waitingMax) return;
    this.#onFull();
    let worst: [string, FairQueue<Waiting>] | undefined;
    for (const entry of this.#addresses)
      if (worst === undefined || entry[1].size > worst[1].size) worst = entry;
    if (worst === undefined) return;
    const [address, users] = worst;
    const last = users.takeNewest(users.largest!);
    if (users.size === 0) this.#addresses.delete(address);
    this.#waiting -= 1;
    last?.decide(false);
  }

  /** Checks that nobody waits for are removed before anybody is refused. */
  #leaveOut(): void {
    for (const [address, users] of this.#addresses) {
      const left = users.filter(({ asker }) => asker.isWanted());
      for (const { decide } of left) decide(false);
      this.#waiting -= left.length;
      if (users.size === 0) this.#addresses.delete(address);
    }
  }
}
