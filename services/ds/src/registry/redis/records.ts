import { failureOf, type Membership, type Restorer } from './membership.ts';
import type { Records } from '../records.ts';
import { listOf, textOf } from './registry-reply.ts';
import { scripts } from './registry-scripts.ts';

/** Records in a hash for each kind. What was seen here is kept, for a Redis that is emptied. */
export class RedisRecords implements Records, Restorer {
  readonly #member: Membership;
  readonly #seen = new Map<string, Map<string, string>>();

  constructor(member: Membership) {
    this.#member = member;
  }

  async remember(kind: string, key: string, value: string): Promise<string> {
    const seen = this.#of(kind);
    const known = seen.get(key);
    if (known !== undefined) return Promise.resolve(known);
    const stored = textOf(await this.#member.plain(scripts.remember, kind, key, value));
    seen.set(key, stored);
    return stored;
  }

  async numberOf(kind: string, key: string): Promise<number> {
    return Number(await this.remember(kind, key, ''));
  }

  async all(kind: string): Promise<Map<string, string>> {
    const { redis, base } = this.#member;
    try {
      const texts = listOf(await redis.command('HGETALL', `${base}r:${kind}`)).map(textOf);
      const seen = this.#of(kind);
      for (let at = 0; at < texts.length; at += 2) seen.set(texts[at]!, texts[at + 1]!);
      return new Map(seen);
    } catch (error) {
      throw failureOf(error);
    }
  }

  /** A record that another ds has made for the same key meanwhile counts. */
  async restore(why: 'lost' | 'ended'): Promise<void> {
    if (why === 'ended') return;
    for (const [kind, seen] of this.#seen) {
      for (const [key, value] of seen) {
        const stored = textOf(await this.#member.plain(scripts.remember, kind, key, value));
        if (stored === value) continue;
        this.#member.events.conflict(`${kind} ${key}`, value, stored);
        seen.set(key, stored);
      }
    }
  }

  caughtUp(): Promise<void> {
    return Promise.resolve();
  }

  #of(kind: string): Map<string, string> {
    let seen = this.#seen.get(kind);
    if (seen === undefined) {
      seen = new Map();
      this.#seen.set(kind, seen);
    }
    return seen;
  }
}
