import { type ClientId, clientId as clientIdOf } from '@lmqtt/common/ids';
import { OnceATurn } from '@lmqtt/common/once-a-turn';
import type { Argument, RedisConnection } from '../../redis/connection.ts';
import { RedisUnavailable } from '../../redis/failure.ts';
import { list, text, userText } from './fields.ts';
import type { SessionKeys } from './keys.ts';
import { scripts } from './scripts.ts';
import type { SessionsLimit, SessionsMax } from '../session-counts.ts';
import type { SessionUser } from '../stored-session.ts';

/** `full`: a new session is refused by this limit. `fresh`: it was counted by the question. */
export interface Room {
  readonly full: SessionsLimit | undefined;
  readonly isFresh: boolean;
  /** Whether the session is counted for this user. */
  readonly isCounted: boolean;
}

type Answer = 'counted' | 'reserved' | 'room' | 'sessions' | 'user' | 'set';

interface Waiting {
  readonly clientId: ClientId;
  /** User that the session counts for; '': the session is no more. */
  readonly user: string;
  readonly kind: 'ask' | 'set';
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

const entriesMax = 500;
const scannedAtOnce = 1000;
/** The number that stands for no limit, because Redis has no infinity. */
const noMax = 1e15;

/**
 * The stored sessions of the cluster, counted in the registry's slot, all questions of a turn as
 * one request. Hides that the count is beside the sessions and not of them: what was lost between
 * the two is found by `check`, some minutes later.
 */
export class RedisSessionCounts {
  readonly #redis: RedisConnection;
  readonly #keys: SessionKeys;
  readonly #max: SessionsMax;
  readonly #sending: OnceATurn = new OnceATurn(() => this.#send());
  #waiting: Waiting[] = [];
  #total = 0;
  #cursor = '0';
  /** Counted clients without a session, as the last round of `check` has found them. */
  #missing = new Set<string>();
  #missingNow = new Set<string>();

  constructor(redis: RedisConnection, keys: SessionKeys, max: SessionsMax) {
    this.#redis = redis;
    this.#keys = keys;
    this.#max = max;
  }

  /** Number of stored sessions in the cluster, as Redis answered last. */
  get total(): number {
    return this.#total;
  }

  /**
   * Called before the claim of a session that is to be stored; takes a place in the count for it.
   */
  async ask(clientId: ClientId, user: SessionUser): Promise<Room> {
    const answer = await this.#say(clientId, userText(user), 'ask');
    const isCounted = answer === 'counted' || answer === 'reserved';
    const isFresh = answer === 'reserved';
    const full = fullOf[answer];
    return { full, isFresh, isCounted };
  }

  /**
   * Sets the user for whom the client's stored session counts; undefined: the session is no more.
   */
  set(clientId: ClientId, user: SessionUser | undefined): void {
    const name = user === undefined ? '' : userText(user);
    // A lost request is made up for by `check`.
    this.#say(clientId, name, 'set').catch(() => undefined);
  }

  /**
   * Checks one page of the count: a client that twice in a row has no session is counted no more.
   */
  async check(): Promise<void> {
    const { storedSessions } = this.#keys;
    const [cursor, found] = list(
      await this.#redis.command('HSCAN', storedSessions, this.#cursor, 'COUNT', entriesMax),
    );
    this.#cursor = text(cursor);
    const clients = list(found).filter((_, at) => at % 2 === 0);
    await Promise.all(
      clients.map(async (client) => {
        const id = clientIdOf(text(client));
        const expiryS = await this.#redis.command('HGET', this.#keys.session(id), 'X');
        if (expiryS !== null && text(expiryS) !== '0') return;
        if (this.#missing.has(id)) this.set(id, undefined);
        else this.#missingNow.add(id);
      }),
    );
    if (this.#cursor !== '0') return;
    this.#missing = this.#missingNow;
    this.#missingNow = new Set();
  }

  /** The first ids behind the one given that begin with the prefix, in their order. */
  async ids(after: ClientId | null, idsMax: number, prefix: string): Promise<ClientId[]> {
    const { storedSessions } = this.#keys;
    // A scan may give a client twice.
    let found = new Set<string>();
    const first = (): string[] => [...found].sort().slice(0, idsMax);
    let cursor = '0';
    do {
      const [next, page] = list(
        await this.#redis.command('HSCAN', storedSessions, cursor, 'COUNT', scannedAtOnce),
      );
      for (const [at, name] of list(page).entries()) {
        if (at % 2 !== 0) continue;
        const id = text(name);
        if (id.startsWith(prefix) && (after === null || id > after)) found.add(id);
      }
      if (found.size >= idsMax * 2 + scannedAtOnce) found = new Set(first());
      cursor = text(next);
    } while (cursor !== '0');
    return first().map((id) => clientIdOf(id));
  }

  /** Reads the total again, or all counts with a repair; not where Redis is away. */
  async refresh(repair: boolean): Promise<void> {
    try {
      if (repair) await this.check();
      else await this.read();
    } catch (error) {
      // Callers that wait for Redis say so.
      if (!(error instanceof RedisUnavailable)) throw error;
    }
  }

  async read(): Promise<void> {
    this.#total = Number(await this.#redis.command('HLEN', this.#keys.storedSessions));
  }

  #say(clientId: ClientId, user: string, kind: Waiting['kind']): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#sending.soon();
      this.#waiting.push({ clientId, user, kind, resolve, reject });
    });
  }

  #send(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let at = 0; at < waiting.length; at += entriesMax)
      void this.#sendSome(waiting.slice(at, at + entriesMax));
  }

  async #sendSome(waiting: Waiting[]): Promise<void> {
    const { total, perUser } = this.#max;
    const args: Argument[] = [Math.min(total, noMax), Math.min(perUser, noMax)];
    for (const { clientId, user, kind } of waiting) args.push(clientId, user, kind);
    const keys = [this.#keys.storedSessions, this.#keys.storedByUser];
    try {
      const [count, ...answers] = list(await this.#redis.call(scripts.count, keys, args));
      this.#total = Number(count);
      waiting.forEach(({ resolve }, at) => resolve(text(answers[at]) as Answer));
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }
}

const fullOf: Partial<Record<Answer, SessionsLimit>> = {
  sessions: 'MAX_SESSIONS',
  user: 'MAX_SESSIONS_PER_USER',
};
