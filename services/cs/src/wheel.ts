/**
 * One timing wheel for all connections: a timer each would cost more than the connection's other
 * state. Due times are rounded up to the next tick.
 */
export interface Timed {
  /** Tick at which it is due; kept by the wheel. −1: not in the wheel. */
  dueTick: number;
  /** Answers how many ms to wait until the next look; 0: no more. */
  due(nowMs: number): number;
}

const slots = 512;

export class Wheel {
  private readonly tickMs: number;
  private readonly slots: Timed[][] = Array.from({ length: slots }, () => []);
  private tick = 0;
  private startMs: number;

  constructor(tickMs: number, nowMs: number) {
    this.tickMs = tickMs;
    this.startMs = nowMs;
  }

  /** Adds it, or moves it; `due` is called between `afterMs` and a tick later. */
  add(timed: Timed, afterMs: number, nowMs: number): void {
    const tick = Math.ceil((nowMs - this.startMs + afterMs) / this.tickMs);
    timed.dueTick = Math.max(tick, this.tick + 1);
    this.slots[timed.dueTick % slots]?.push(timed);
  }

  remove(timed: Timed): void {
    // It is dropped from its slot when that comes round.
    timed.dueTick = -1;
  }

  /** Calls all that are due. To be called about once a tick. */
  advance(nowMs: number): void {
    const until = Math.floor((nowMs - this.startMs) / this.tickMs);
    while (this.tick < until) {
      this.tick += 1;
      const index = this.tick % slots;
      const slot = this.slots[index];
      if (slot === undefined || slot.length === 0) continue;
      const later: Timed[] = [];
      this.slots[index] = later;
      for (const timed of slot) {
        if (timed.dueTick < 0) continue;
        if (timed.dueTick !== this.tick) {
          if (timed.dueTick > this.tick && timed.dueTick % slots === index) later.push(timed);
          continue;
        }
        const againMs = timed.due(nowMs);
        if (againMs > 0) this.add(timed, againMs, nowMs);
        else timed.dueTick = -1;
      }
    }
  }
}
