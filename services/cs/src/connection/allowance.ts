import type { LimitName } from '@lmqtt/common/settings/row';
import type { Timed, Wheel } from '../wheel.ts';
import { RateBucket } from './rate-bucket.ts';

export type RateLimit = Extract<LimitName, `MAX_PUBLISH_${string}RATE${string}`>;

/** Rates of one client, or of all clients of one user. */
export interface AllowanceTerms {
  /** Publishes and bytes a second; 0: no limit. */
  readonly publishes: number;
  readonly bytes: number;
  readonly burstMs: number;
  /** Names of the two limits. */
  readonly publishesLimit: RateLimit;
  readonly bytesLimit: RateLimit;
}

/** A client that is not read until its allowance is out of debt. */
export interface AllowanceWaiter {
  /** May be in debt again when it returns, and wait anew. */
  allowed(nowMs: number): void;
}

/**
 * The allowance to publish under one name. Clients that wait for it take turns: the first goes on as
 * soon as it is out of debt, the next one if it still is then.
 */
export class Allowance implements Timed {
  dueTick = -1;
  slotIndex = 0;
  readonly name: string;
  /** Connections that share it. */
  connections = 0;
  readonly #terms: AllowanceTerms;
  readonly #wheel: Wheel;
  readonly #publishes: RateBucket | undefined;
  readonly #bytes: RateBucket | undefined;
  readonly #waiting: Set<AllowanceWaiter> = new Set();

  constructor(name: string, terms: AllowanceTerms, wheel: Wheel, nowMs: number) {
    const { publishes, bytes, burstMs } = terms;
    this.name = name;
    this.#terms = terms;
    this.#wheel = wheel;
    this.#publishes = publishes > 0 ? new RateBucket(publishes, burstMs, nowMs) : undefined;
    this.#bytes = bytes > 0 ? new RateBucket(bytes, burstMs, nowMs) : undefined;
  }

  /** The limit that a publish of so many bytes is past; undefined: it is within the rates. */
  lacks(bytes: number, nowMs: number): RateLimit | undefined {
    if (this.#publishes?.has(1, nowMs) === false) return this.#terms.publishesLimit;
    return this.#bytes?.has(bytes, nowMs) === false ? this.#terms.bytesLimit : undefined;
  }

  /** Takes a publish of so many bytes. The limit that is in debt now; undefined: none. */
  take(bytes: number, nowMs: number): RateLimit | undefined {
    const publishesLeft = this.#publishes?.take(1, nowMs) !== false;
    const bytesLeft = this.#bytes?.take(bytes, nowMs) !== false;
    if (!publishesLeft) return this.#terms.publishesLimit;
    return bytesLeft ? undefined : this.#terms.bytesLimit;
  }

  /** Time until nothing of it is in debt. */
  debtMs(nowMs: number): number {
    return Math.max(this.#publishes?.debtMs(nowMs) ?? 0, this.#bytes?.debtMs(nowMs) ?? 0);
  }

  /** Whether it is as a new one. */
  isFull(nowMs: number): boolean {
    return this.#publishes?.isFull(nowMs) !== false && this.#bytes?.isFull(nowMs) !== false;
  }

  /** `allowed` is called when it is out of debt, and the turn of the waiter has come. */
  await(waiter: AllowanceWaiter, nowMs: number): void {
    this.#waiting.add(waiter);
    // Where it is due right now, `due` says when the next time is.
    if (this.dueTick === -1) this.#wheel.add(this, this.debtMs(nowMs), nowMs);
  }

  forget(waiter: AllowanceWaiter): void {
    this.#waiting.delete(waiter);
    if (this.#waiting.size === 0) this.#wheel.remove(this);
  }

  due(nowMs: number): number {
    for (const waiter of [...this.#waiting]) {
      if (this.debtMs(nowMs) > 0) break;
      if (this.#waiting.delete(waiter)) waiter.allowed(nowMs);
    }
    return this.#waiting.size === 0 ? 0 : Math.max(1, this.debtMs(nowMs));
  }
}
