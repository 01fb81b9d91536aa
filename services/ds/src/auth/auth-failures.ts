// Failed authentications of the last minute, by address and by address and user name. Where there
// are too many, further ones are refused without a check, and the answers before that come late;
// both only for where the failures come from. A count leaks away at its limit a minute. Others at
// its address cannot use up the count of a client that has come in before: a user name that has
// come in from an address is checked whatever else fails there, and address, user name and client
// id together have a count of their own. Failures of a user name over all addresses only delay the
// answers to wrong passwords, so that nobody is kept out by what others try under his name.

import type { Clock } from '@lmqtt/common/clock';
import { addressGroup } from '@lmqtt/common/address-group';

interface AuthFailureLimits {
  /** Failures a minute from one address; 0: no limit. */
  readonly perAddress: number;
  /** Failures a minute with one user name from one address; 0: no limit. */
  readonly perUser: number;
}

export type AuthFailureLimit = 'address' | 'user';

export interface Claimant {
  readonly address: string;
  readonly user: string;
  readonly clientId: string;
}

/**
 * Maximum number of counts, about 200 bytes each; the count whose last failure is the longest ago
 * is forgotten first.
 */
const entriesMax = 20_000;
const minuteMs = 60_000;
/** The longest delay of an answer. */
const delayMsMax = 1000;

export class AuthFailures {
  readonly #limits: AuthFailureLimits;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #addresses: LeakyCounts;
  readonly #users: LeakyCounts;
  readonly #everywhere: LeakyCounts;
  /** Clients that have come in, and their user names at their addresses, the longest ago first. */
  readonly #known = new Set<string>();

  constructor(limits: AuthFailureLimits, clock: Pick<Clock, 'monotonicMs'>) {
    this.#limits = limits;
    this.#clock = clock;
    this.#addresses = new LeakyCounts(limits.perAddress);
    this.#users = new LeakyCounts(limits.perUser);
    this.#everywhere = new LeakyCounts(limits.perUser);
  }

  /** The limit that the claimant is over; undefined: the password is checked. */
  refuses(claimant: Claimant): AuthFailureLimit | undefined {
    const { perAddress, perUser } = this.#limits;
    const nowMs = this.#clock.monotonicMs();
    const address = addressGroup(claimant.address);
    const client = clientKey(address, claimant);
    const user = userKey(address, claimant);
    const known = this.#known.has(client) ? client : user;
    if (perUser > 0 && this.#users.of(known, nowMs) > perUser - 1) return 'user';
    if (perAddress > 0 && !this.#known.has(user)) {
      if (this.#addresses.of(address, nowMs) > perAddress - 1) return 'address';
    }
    return undefined;
  }

  /** Counts a failure. Answers how long the client waits for its answer, ms. */
  failed(claimant: Claimant): number {
    const nowMs = this.#clock.monotonicMs();
    const address = addressGroup(claimant.address);
    const client = clientKey(address, claimant);
    const isKnown = this.#known.has(client);
    const shares = [
      this.#users.add(isKnown ? client : userKey(address, claimant), nowMs),
      this.#everywhere.add(claimant.user, nowMs),
      this.#addresses.add(address, nowMs),
    ];
    // Nothing up to half of a limit, then rising.
    const share = Math.min(1, Math.max(...shares));
    return Math.round(Math.max(0, share - 0.5) * 2 * delayMsMax);
  }

  succeeded(claimant: Claimant): void {
    const address = addressGroup(claimant.address);
    for (const key of [userKey(address, claimant), clientKey(address, claimant)]) {
      this.#known.delete(key);
      this.#known.add(key);
    }
    for (const oldest of this.#known) {
      if (this.#known.size <= entriesMax) break;
      this.#known.delete(oldest);
    }
  }
}

function userKey(address: string, { user }: Claimant): string {
  return `u ${address} ${user}`;
}

function clientKey(address: string, { user, clientId }: Claimant): string {
  return `c ${address} ${user.length} ${user} ${clientId}`;
}

interface Count {
  level: number;
  atMs: number;
}

/** Counts that fall at `perMinute`, the least recently raised first. */
class LeakyCounts {
  readonly #perMinute: number;
  readonly #counts = new Map<string, Count>();

  constructor(perMinute: number) {
    this.#perMinute = perMinute;
  }

  of(key: string, nowMs: number): number {
    const count = this.#counts.get(key);
    if (count === undefined) return 0;
    const leakedLevel = ((nowMs - count.atMs) * this.#perMinute) / minuteMs;
    return Math.max(0, count.level - leakedLevel);
  }

  /** The count as a share of the limit. */
  add(key: string, nowMs: number): number {
    if (this.#perMinute === 0) return 0;
    const level = Math.min(this.of(key, nowMs) + 1, this.#perMinute);
    this.#counts.delete(key);
    this.#counts.set(key, { level, atMs: nowMs });
    if (this.#counts.size > entriesMax) {
      for (const oldest of this.#counts.keys()) {
        this.#counts.delete(oldest);
        break;
      }
    }
    return level / this.#perMinute;
  }
}
