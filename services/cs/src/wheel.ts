/**
 * One timing wheel for all connections: a timer each would cost more than the connection's other
 * state. Due times are rounded up to the next tick.
 */
export interface Timed {
  /** Tick at which it is due; kept by the wheel. −1: not in the wheel; −2: due right now. */
  dueTick: number;
  /** Place of the timer in the slot of its tick; kept by the wheel. */
  slotIndex: number;
  /** Answers how many ms to wait until the next look; 0: no more. */
  due(nowMs: number): number;
}

const slots = 512;

export class Wheel {
  readonly #tickMs: number;
  readonly #slots: Timed[][] = Array.from({ length: slots }, () => []);
  #tick = 0;
  #startMs: number;

  constructor(tickMs: number, nowMs: number) {
    this.#tickMs = tickMs;
    this.#startMs = nowMs;
  }

  /** Adds it, or moves it; `due` is called between `afterMs` and a tick later. */
  add(timed: Timed, afterMs: number, nowMs: number): void {
    this.remove(timed);
    const tick = Math.ceil((nowMs - this.#startMs + afterMs) / this.#tickMs);
    timed.dueTick = Math.max(tick, this.#tick + 1);
    this.#put(timed);
  }

  /** Nothing of it stays behind: what ends early must not wait in memory for its slot. */
  remove(timed: Timed): void {
    if (timed.dueTick >= 0) {
      const slot = this.#slots[timed.dueTick % slots]!;
      const last = slot.pop()!;
      if (last !== timed) {
        slot[timed.slotIndex] = last;
        last.slotIndex = timed.slotIndex;
      }
    }
    timed.dueTick = -1;
  }

  /** Calls all that are due. To be called about once a tick. */
  advance(nowMs: number): void {
    const until = Math.floor((nowMs - this.#startMs) / this.#tickMs);
    while (this.#tick < until) {
      this.#tick += 1;
      const index = this.#tick % slots;
      const slot = this.#slots[index];
      if (slot === undefined || slot.length === 0) continue;
      this.#slots[index] = [];
      const due: Timed[] = [];
      for (const timed of slot) {
        if (timed.dueTick === this.#tick) {
          timed.dueTick = -2;
          due.push(timed);
        } else this.#put(timed);
      }
      for (const timed of due) {
        // Another one's call may have removed it, or added it anew.
        if (timed.dueTick !== -2) continue;
        const againMs = timed.due(nowMs);
        if (againMs > 0) this.add(timed, againMs, nowMs);
        else if (timed.dueTick === -2) timed.dueTick = -1;
      }
    }
  }

  #put(timed: Timed): void {
    const slot = this.#slots[timed.dueTick % slots]!;
    timed.slotIndex = slot.length;
    slot.push(timed);
  }
}
