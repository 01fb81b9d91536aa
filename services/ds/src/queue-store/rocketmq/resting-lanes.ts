import type { Clock } from '@lmqtt/common/clock';
import type { Lane } from './lane.ts';

const everyMs = 10;

/** Lanes that go on later: one timer for all of them. */
export class RestingLanes {
  readonly #clock: Clock;
  readonly #resume: (lane: Lane) => void;
  readonly #lanes = new Set<Lane>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(clock: Clock, resume: (lane: Lane) => void) {
    this.#clock = clock;
    this.#resume = resume;
  }

  add(lane: Lane): void {
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
