// Sends by the clock, whatever comes back: message n is due n / rate seconds after the start and
// is dated with that time, so that a broker (or a generator) that falls behind is seen in the
// latencies of all the messages that had to wait.
//
// Between two turns the thread sleeps for at most a twentieth of a millisecond: timers are twenty
// times coarser, and spinning would take a core from the broker.
import type { Lane } from './lane.ts';
import { Histogram } from './meter.ts';
import { block, nowUs } from './wire/clock.ts';

const sleepMs = 0.05;

export class Timetable {
  /** How long after its time each message was written. */
  readonly lateness: Histogram = new Histogram();
  readonly #lanes: readonly Lane[];
  readonly #periodUs: number;
  #startUs = 0;
  #sent = 0;
  #isRunning = false;

  /** The lanes take turns. */
  constructor(lanes: readonly Lane[], perSecond: number) {
    this.#lanes = lanes;
    this.#periodUs = 1e6 / perSecond;
  }

  start(): void {
    this.#startUs = nowUs();
    this.#isRunning = true;
    setImmediate(this.#turn);
  }

  stop(): void {
    this.#isRunning = false;
  }

  readonly #turn = (): void => {
    if (!this.#isRunning) return;
    const now = nowUs();
    let dueUs = this.#startUs + this.#sent * this.#periodUs;
    while (dueUs <= now) {
      const lane = this.#lanes[this.#sent % this.#lanes.length];
      if (lane?.stopped === false) lane.send(1, Math.round(dueUs));
      this.lateness.add(now - Math.round(dueUs));
      this.#sent += 1;
      dueUs = this.#startUs + this.#sent * this.#periodUs;
    }
    const restMs = (dueUs - nowUs()) / 1000;
    if (restMs > 0) block(Math.min(restMs, sleepMs));
    setImmediate(this.#turn);
  };
}
