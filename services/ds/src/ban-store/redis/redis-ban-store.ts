import { randomUUID } from 'node:crypto';
import type { RedisConnection } from '../../redis/connection.ts';
import type { RedisKeys } from '../../redis/keys.ts';
import { loadScript, type Script } from '../../redis/script.ts';
import { type Ban, banKey, type BanKind, isInForce } from '../ban.ts';
import { BanList } from '../ban-list.ts';
import { type BanMode, type BanPut, type BanStore, roomFor } from '../ban-store.ts';

const load = (name: string): Script => loadScript(import.meta.dirname, name);
const scripts = { put: load('put'), remove: load('remove'), changes: load('changes') };

/** A node that has missed more changes than this reads all bans. */
const logLength = 1000;
/** Bans that are read from Redis together, where all are. */
const readAtOnce = 500;
const fieldsOfChange = 2;

interface RedisBanOptions {
  readonly bansMax: number;
}

/**
 * Bans in Redis, and in the memory of each ds. A list has the last changes: a ds asks for those
 * behind the newest that it knows, and reads all bans where that has gone from the list. Changes
 * have ids, so that a Redis that has lost some is not taken for one that has not.
 */
export class RedisBanStore implements BanStore {
  readonly list: BanList = new BanList();
  readonly #redis: RedisConnection;
  readonly #bansMax: number;
  readonly #bans: string;
  readonly #ends: string;
  readonly #log: string;
  readonly #listeners: ((ban: Ban) => void)[] = [];
  /** The newest change that the list has. */
  #known = '';
  #refreshing: Promise<void> = Promise.resolve();
  /** Begins when the one before it is over. */
  #nextRefresh: Promise<void> | undefined;

  private constructor(redis: RedisConnection, keys: RedisKeys, { bansMax }: RedisBanOptions) {
    this.#redis = redis;
    this.#bansMax = bansMax;
    this.#bans = keys.banned('bans');
    this.#ends = keys.banned('ends');
    this.#log = keys.banned('log');
  }

  /** Reads all bans. */
  static async open(
    redis: RedisConnection,
    keys: RedisKeys,
    options: RedisBanOptions,
  ): Promise<RedisBanStore> {
    await redis.measureTime();
    const store = new RedisBanStore(redis, keys, options);
    await store.refresh();
    return store;
  }

  nowMs(): number {
    return this.#redis.timeMs();
  }

  async put(ban: Ban, mode: BanMode): Promise<BanPut> {
    const key = banKey(ban);
    const bansMax = roomFor(mode, this.#bansMax);
    const outcome = await this.#redis.callDurable(
      scripts.put,
      [this.#bans, this.#ends, this.#log],
      [key, JSON.stringify(ban), ban.endsAtMs ?? '', mode, bansMax, changeOf(key), logLength],
    );
    await this.refresh();
    return outcome === 'put' || outcome === 'kept' ? outcome : 'full';
  }

  async remove(kind: BanKind, who: string): Promise<boolean> {
    const key = banKey({ kind, who });
    const record = await this.#redis.callDurable(
      scripts.remove,
      [this.#bans, this.#ends, this.#log],
      [key, changeOf(key), logLength],
    );
    await this.refresh();
    return record !== '' && isInForce(banOf(record), this.nowMs());
  }

  /** One after another, and one for all that wait for the same: an earlier one may read too early. */
  refresh(): Promise<void> {
    if (this.#nextRefresh === undefined) {
      this.#nextRefresh = this.#refreshing.then(() => {
        this.#nextRefresh = undefined;
        return this.#readChanges();
      });
      this.#refreshing = this.#nextRefresh.catch(() => undefined);
    }
    return this.#nextRefresh;
  }

  onBanned(listener: (ban: Ban) => void): void {
    this.#listeners.push(listener);
  }

  async #readChanges(): Promise<void> {
    const reply = await this.#redis.call(scripts.changes, [this.#bans, this.#log], [this.#known]);
    const [newest = '', isKnown, ...fields] = Array.isArray(reply) ? reply.map(String) : [];
    if (isKnown !== '1') await this.#readAll();
    // The newest change comes first: it has the record as it is now.
    for (let at = 0; at < fields.length; at += fieldsOfChange) {
      const [key = '', record = ''] = fields.slice(at, at + fieldsOfChange);
      if (record === '') this.list.remove(key);
      else this.#take(banOf(record));
    }
    this.#known = newest;
    this.list.sweep(this.nowMs());
  }

  /** Changes made meanwhile are in the log behind the newest that was known before. */
  async #readAll(): Promise<void> {
    const found = new Set<string>();
    let cursor = '0';
    do {
      const reply = await this.#redis.command('HSCAN', this.#bans, cursor, 'COUNT', readAtOnce);
      const [next, fields] = Array.isArray(reply) ? reply : [];
      const texts = Array.isArray(fields) ? fields.map(String) : [];
      for (let at = 0; at < texts.length; at += fieldsOfChange) {
        found.add(texts[at]!);
        this.#take(banOf(texts[at + 1]!));
      }
      cursor = String(next ?? '0');
    } while (cursor !== '0');
    for (const ban of [...this.list.all]) {
      const key = banKey(ban);
      if (!found.has(key)) this.list.remove(key);
    }
  }

  #take(ban: Ban): void {
    const known = this.list.get(banKey(ban));
    if (known !== undefined && isSame(known, ban)) return;
    this.list.put(ban);
    for (const listener of this.#listeners) listener(ban);
  }
}

function changeOf(key: string): string {
  return `${randomUUID()} ${key}`;
}

/** Redis holds only text that a ds has written. */
function banOf(record: unknown): Ban {
  return JSON.parse(String(record)) as Ban;
}

function isSame(one: Ban, other: Ban): boolean {
  return (
    one.createdAtMs === other.createdAtMs &&
    one.endsAtMs === other.endsAtMs &&
    one.reason === other.reason &&
    one.by === other.by
  );
}
