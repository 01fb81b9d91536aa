import type { Clock } from '@lmqtt/common/clock';
import type { SendLane } from './lane.ts';

const everyMs = 10;

/** Lanes that go on later: one timer for all of them. */
export class RestingLanes {
  readonly #clock: Clock;
  readonly #resume: (lane: SendLane) => void;
  readonly #lanes = new Set<SendLane>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(clock: Clock, resume: (lane: SendLane) => void) {
    this.#clock = clock;
    this.#resume = resume;
  }

  add(lane: SendLane): void {
    this.#lanes.add(lane);
    this.#timer ??= this.#closed ? undefined : setInterval(() => this.#look(), everyMs);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  #look(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const lane of [...this.#lanes]) {
      if (lane.resumeAtMs > nowMs) continue;
      this.#lanes.delete(lane);
      this.#resume(lane);
    }
    if (this.#lanes.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
