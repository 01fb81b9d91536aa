import type { Clock } from '@lmqtt/common/clock';
import type { Renew, Renewed } from '@lmqtt/proto/wire/pulse';
import type { Lease } from './lease.ts';
import type { WallOffset } from './wall-offset.ts';

/** After a pause of our own (a stopped process) what waits in the sockets is heard first. */
const pauseMs = 50;

interface RenewalTargets {
  send(renew: Renew): void;
  /** When the stream brought anything last. */
  heardMs(): number;
  /** Called when the stream has brought nothing for so long that it is to be broken. */
  stalled(silentMs: number): void;
  counters(): Readonly<Record<string, number>>;
  connections(): number;
  draining(): boolean;
}

/**
 * Number of leases after which a stream that brings nothing is given up, although answers come
 * another way.
 */
const silentLeases = 2;

/**
 * Over an open stream: asks for the lease each third of it, and notices when answers stay away. A
 * stream that brings anything is slow, and not broken.
 */
export class Renewal {
  readonly #clock: Clock;
  readonly #lease: Lease;
  readonly #wallOffset: WallOffset;
  readonly #targets: RenewalTargets;
  #renewTimer: NodeJS.Timeout | undefined = undefined;
  #stallTimer: NodeJS.Timeout | undefined = undefined;
  #stallMs = 0;
  #silentMsMax = 0;
  #excused = false;

  constructor(clock: Clock, lease: Lease, wallOffset: WallOffset, targets: RenewalTargets) {
    this.#clock = clock;
    this.#lease = lease;
    this.#wallOffset = wallOffset;
    this.#targets = targets;
  }

  /** A stream is open. */
  start(leaseMs: number): void {
    this.stop();
    this.#stallMs = leaseMs / 2;
    this.#silentMsMax = leaseMs * silentLeases;
    this.#renewTimer = setInterval(() => this.#renew(), leaseMs / 3);
    this.#renew();
  }

  stop(): void {
    clearInterval(this.#renewTimer);
    clearTimeout(this.#stallTimer);
    this.#renewTimer = undefined;
    this.#stallTimer = undefined;
  }

  renewed({ number, timeMs, unconfirmed }: Renewed): void {
    const askedMs = this.#lease.answer(number, !unconfirmed);
    if (askedMs === undefined) return;
    this.#wallOffset.add(timeMs, this.#clock.nowMs(), this.#clock.monotonicMs() - askedMs);
  }

  #renew(): void {
    const number = this.#lease.ask();
    const targets = this.#targets;
    targets.send({
      number,
      counters: targets.counters(),
      connections: targets.connections(),
      draining: targets.draining(),
    });
    if (this.#stallTimer === undefined) this.#watch(this.#stallMs);
  }

  #watch(delayMs: number): void {
    const dueMs = this.#clock.monotonicMs() + delayMs;
    this.#stallTimer = setTimeout(() => this.#look(dueMs), delayMs);
  }

  #look(dueMs: number): void {
    this.#stallTimer = undefined;
    const nowMs = this.#clock.monotonicMs();
    const heardMs = this.#targets.heardMs();
    const askedMs = this.#lease.silentSinceMs;
    // The time at which the stream is broken unless something comes.
    const endsMs =
      askedMs === undefined
        ? heardMs + this.#silentMsMax
        : Math.max(askedMs, heardMs) + this.#stallMs;
    const leftMs = endsMs - nowMs;
    if (leftMs > 0) {
      this.#excused = false;
      if (askedMs !== undefined) this.#watch(leftMs);
    } else if (nowMs - dueMs > pauseMs && !this.#excused) {
      this.#excused = true;
      this.#watch(pauseMs);
    } else {
      this.#excused = false;
      this.#targets.stalled(Math.round(nowMs - heardMs));
    }
  }
}
