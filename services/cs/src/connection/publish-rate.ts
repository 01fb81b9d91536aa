import type { TurnTime } from '../turn-time.ts';
import type { Allowance, AllowanceWaiter, RateLimit } from './allowance.ts';

/** The client as its rate needs it. */
export interface RatedClient {
  pauseReading(): void;
  resumeReading(): void;
}

/** All rates of a node, as each of them needs them. */
interface RateOwner {
  readonly time: TurnTime;
  /** Number of clients that are not read because of their rates. */
  heldCount: number;
  released(allowance: Allowance): void;
}

/** Publishes of one connection, against the rates of its client and of its user. */
export class PublishRate implements AllowanceWaiter {
  /** The client is not read until its rates allow it. */
  held = false;
  readonly #client: RatedClient;
  readonly #owner: RateOwner;
  readonly #own: Allowance | undefined;
  readonly #ofUser: Allowance | undefined;

  constructor(
    client: RatedClient,
    owner: RateOwner,
    own: Allowance | undefined,
    ofUser: Allowance | undefined,
  ) {
    this.#client = client;
    this.#owner = owner;
    this.#own = own;
    this.#ofUser = ofUser;
  }

  /**
   * Takes a publish of so many bytes. The limit that it is past, if any; then the client is not read
   * until its rates allow it.
   */
  take(bytes: number): RateLimit | undefined {
    const nowMs = this.#owner.time.monotonicMs;
    const own = this.#own?.take(bytes, nowMs);
    const ofUser = this.#ofUser?.take(bytes, nowMs);
    if (own === undefined && ofUser === undefined) return undefined;
    if (!this.held) {
      this.held = true;
      this.#owner.heldCount += 1;
      this.#client.pauseReading();
      (own === undefined ? this.#ofUser : this.#own)?.await(this, nowMs);
    }
    return own ?? ofUser;
  }

  /** Takes a publish of so many bytes where no limit is in its way; otherwise says which one is. */
  takeWithin(bytes: number): RateLimit | undefined {
    const nowMs = this.#owner.time.monotonicMs;
    const limit = this.#own?.lacks(bytes, nowMs) ?? this.#ofUser?.lacks(bytes, nowMs);
    if (limit !== undefined) return limit;
    // A packet of more bytes than a burst leaves a debt, and nobody waits for it here.
    this.#own?.take(bytes, nowMs);
    this.#ofUser?.take(bytes, nowMs);
    return undefined;
  }

  allowed(nowMs: number): void {
    for (const allowance of [this.#own, this.#ofUser]) {
      if (allowance === undefined || allowance.debtMs(nowMs) === 0) continue;
      allowance.await(this, nowMs);
      return;
    }
    this.#free();
    this.#client.resumeReading();
  }

  /** The connection has ended. */
  end(): void {
    this.#free();
    for (const allowance of [this.#own, this.#ofUser]) {
      if (allowance === undefined) continue;
      allowance.forget(this);
      this.#owner.released(allowance);
    }
  }

  #free(): void {
    if (!this.held) return;
    this.held = false;
    this.#owner.heldCount -= 1;
  }
}
