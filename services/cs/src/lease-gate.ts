import type { Clock } from '@lmqtt/common/clock';
import type { Link } from '@lmqtt/proto/link';

/** Somebody with bytes that may not leave now. */
export interface HeldBack {
  /** Bytes may leave, and are to be written again. */
  thaw(): void;
}

/**
 * Whether this node may act for its sessions. Past the lease another node may have them:
 * nothing leaves to their clients until it is renewed. In one process it never ends.
 */
export class LeaseGate {
  /** As of the last look. */
  frozen = false;
  readonly #link: Pick<Link, 'leaseEndsMs'>;
  readonly #clock: Clock;
  readonly #changed: (frozen: boolean) => void;
  readonly #held: Set<HeldBack> = new Set();

  constructor(link: Pick<Link, 'leaseEndsMs'>, clock: Clock, changed: (frozen: boolean) => void) {
    this.#link = link;
    this.#clock = clock;
    this.#changed = changed;
  }

  /** By a clock that is read now: a process that was stopped finds out before it sends. */
  look(): void {
    const { leaseEndsMs } = this.#link;
    const frozen = leaseEndsMs !== Infinity && this.#clock.monotonicMs() >= leaseEndsMs;
    if (frozen === this.frozen) return;
    this.frozen = frozen;
    if (!frozen) {
      const held = [...this.#held];
      this.#held.clear();
      for (const each of held) each.thaw();
    }
    this.#changed(frozen);
  }

  /** How long it has been over, ms; 0 or less: it is not. */
  get overMs(): number {
    const { leaseEndsMs } = this.#link;
    return leaseEndsMs === Infinity ? 0 : this.#clock.monotonicMs() - leaseEndsMs;
  }

  hold(held: HeldBack): void {
    this.#held.add(held);
  }

  forget(held: HeldBack): void {
    this.#held.delete(held);
  }
}
