import { NetworkMap } from '@lmqtt/common/network-map';
import { type Ban, banKey, type BanKind, isInForce } from './ban.ts';

/** Bans in memory, found by what a CONNECT says. One that has ended is found by nobody. */
export class BanList {
  readonly #bans = new Map<string, Ban>();
  readonly #addresses = new NetworkMap<Ban>();
  /** The next end is not before this time. */
  #endsFromMs = Infinity;

  /** Bans, those that have ended and were not swept among them. */
  get size(): number {
    return this.#bans.size;
  }

  get all(): Iterable<Ban> {
    return this.#bans.values();
  }

  put(ban: Ban): void {
    this.#bans.set(banKey(ban), ban);
    if (ban.kind === 'address') this.#addresses.set(ban.who, ban);
    if (ban.endsAtMs !== null) this.#endsFromMs = Math.min(this.#endsFromMs, ban.endsAtMs);
  }

  /** The ban that was there. */
  remove(key: string): Ban | undefined {
    const ban = this.#bans.get(key);
    this.#bans.delete(key);
    if (ban?.kind === 'address') this.#addresses.delete(ban.who);
    return ban;
  }

  /** In force or not. */
  get(key: string): Ban | undefined {
    return this.#bans.get(key);
  }

  /** The ban of this client identifier, user or address; of networks the narrowest. */
  find(kind: BanKind, who: string, nowMs: number): Ban | undefined {
    if (this.#bans.size === 0) return undefined;
    if (kind === 'address') return this.#addresses.find(who, (ban) => isInForce(ban, nowMs));
    const ban = this.#bans.get(banKey({ kind, who }));
    return ban !== undefined && isInForce(ban, nowMs) ? ban : undefined;
  }

  /** Removes the bans that have ended; gives their keys. */
  sweep(nowMs: number): string[] {
    if (nowMs < this.#endsFromMs) return [];
    const ended: string[] = [];
    this.#endsFromMs = Infinity;
    for (const [key, ban] of this.#bans) {
      if (!isInForce(ban, nowMs)) ended.push(key);
      else if (ban.endsAtMs !== null) this.#endsFromMs = Math.min(this.#endsFromMs, ban.endsAtMs);
    }
    for (const key of ended) this.remove(key);
    return ended;
  }
}
