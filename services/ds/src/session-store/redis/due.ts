import { randomUUID } from 'node:crypto';
import { type ClientId, clientId as clientIdOf } from '@lmqtt/common/ids';
import type { RedisConnection, Reply } from '../../redis/connection.ts';
import { type Attempts, unavailable } from './attempts.ts';
import { list, sessionOverTurns, text } from './fields.ts';
import type { SessionKeys } from './keys.ts';
import { noteHoldsMs, type SessionNotes } from './notes.ts';
import { scripts } from './scripts.ts';
import { willOf, type WillRecord } from '../session-record.ts';
import type { Due, DueWill, TakenWills } from '../session-store.ts';
import type { StoredSession } from '../stored-session.ts';

const willRetryMs = 5000;
/**
 * Time after which the due time is looked at again where nothing came of it, or another ds has it.
 */
const againMs = 1000;
/**
 * A client that is connected may be one whose release was noted and is still under way, so it is
 * looked at again, first soon, then when that can no longer be. A fraction of the score says which.
 */
const secondLook = { afterMs: 500, mark: 0.5 } as const;
const lastLook = { afterMs: 2 * noteHoldsMs, mark: 0.25 } as const;

/**
 * Wills and expiry, by the sorted set of the registry, which only says whom to look at: what is
 * due the client's own slot knows. A will that was taken stays there, under a key for its message,
 * until it was sent.
 */
export class DueSessions {
  readonly #redis: RedisConnection;
  readonly #keys: SessionKeys;
  readonly #notes: SessionNotes;
  readonly #attempts: Attempts;
  readonly #removed: (record: StoredSession, waiting: string) => StoredSession;
  readonly #takenMs: number;
  readonly #taker = randomUUID();
  /** Numbers of the wills that this ds has taken, until Redis knows what became of them. */
  readonly #taken = new Map<ClientId, Set<number>>();
  /** Requests for due wills under way, one at a time for each client. */
  readonly #taking = new Map<ClientId, Promise<TakenWills>>();
  #keeping: NodeJS.Timeout | undefined;

  /**
   * `takenMs`: time for which a will belongs to the ds that took it, if that ds is not heard;
   * longer than its lease.
   */
  constructor(
    redis: RedisConnection,
    keys: SessionKeys,
    notes: SessionNotes,
    attempts: Attempts,
    removed: (record: StoredSession, waiting: string) => StoredSession,
    takenMs: number,
  ) {
    this.#redis = redis;
    this.#keys = keys;
    this.#notes = notes;
    this.#attempts = attempts;
    this.#removed = removed;
    this.#takenMs = takenMs;
  }

  async take(itemsMax: number): Promise<Due[]> {
    const due: Due[] = [];
    try {
      while (due.length < itemsMax) {
        const count = due.length;
        const isLast = await this.#takePage(itemsMax - count, due);
        if (isLast || due.length === count) break;
      }
    } catch (error) {
      if (due.length === 0) throw unavailable('what is due cannot be read', error);
    }
    return due;
  }

  /** The wills of one client that are due. */
  async takeWills(clientId: ClientId): Promise<TakenWills> {
    const before = this.#taking.get(clientId);
    const taking = (async () => {
      await before?.catch(() => undefined);
      return this.#takeWills(clientId);
    })();
    this.#taking.set(clientId, taking);
    try {
      return await taking;
    } finally {
      if (this.#taking.get(clientId) === taking) this.#taking.delete(clientId);
    }
  }

  sent(will: DueWill): void {
    this.#tell(will, 'sent', () => Promise.resolve());
  }

  delayed(will: DueWill): void {
    const { clientId } = will.will;
    this.#tell(will, 'failed', () =>
      this.#notes.note(clientId, undefined, willRetryMs).then(() => undefined),
    );
  }

  close(): void {
    clearInterval(this.#keeping);
  }

  /** True: there is no more for now. */
  async #takePage(entriesMax: number, due: Due[]): Promise<boolean> {
    const [now, found] = list(
      await this.#redis.call(scripts.takeDue, [this.#keys.due], [entriesMax]),
    );
    const entries = list(found);
    const looks: Promise<string>[] = [];
    const args: string[] = [];
    for (let at = 0; at < entries.length; at += 2) {
      looks.push(
        this.#look(
          clientIdOf(text(entries[at])),
          Number(text(entries[at + 1])),
          Number(text(now)),
          due,
        ),
      );
    }
    const next = await Promise.all(looks);
    for (const [index, one] of next.entries())
      args.push(text(entries[2 * index]), text(entries[2 * index + 1]), one);
    if (args.length > 0) {
      // A failure means that they are looked at once more.
      await this.#redis.call(scripts.settleDue, [this.#keys.due], args).catch(() => undefined);
    }
    return next.length < entriesMax;
  }

  /** When it is to be looked at next; '': no more. */
  async #look(clientId: ClientId, score: number, nowMs: number, due: Due[]): Promise<string> {
    const keys = [this.#keys.session(clientId), this.#keys.wills(clientId)];
    let reply: Reply[];
    try {
      reply = list(await this.#redis.callDurable(scripts.dueSession, keys, [againMs]));
      if (reply[0] === 'wills') due.push(...(await this.takeWills(clientId)).wills);
    } catch {
      return String(nowMs + againMs);
    }
    switch (reply[0]) {
      case 'expired':
        return this.#expire(clientId, list(reply[1]), nowMs, due);
      case 'connected':
        return nextOfConnected(score % 1, nowMs);
      default:
        return text(reply[1]);
    }
  }

  async #takeWills(clientId: ClientId): Promise<TakenWills> {
    const known = [...(this.#taken.get(clientId) ?? [])];
    const reply = list(
      await this.#redis.callDurable(
        scripts.takeWills,
        [this.#keys.wills(clientId)],
        [this.#taker, `${randomUUID()}-`, this.#takenMs, `,${known.join(',')},`],
      ),
    );
    const wills: DueWill[] = [];
    for (let at = 1; at < reply.length; at += 5) {
      const number = Number(text(reply[at]));
      const record = JSON.parse(text(reply[at + 1])) as WillRecord;
      const [key, sinceMs] = [text(reply[at + 2]), Number(text(reply[at + 3]))];
      const sending = { key, sinceMs, again: reply[at + 4] === 1 };
      wills.push({ kind: 'will', number, will: willOf(record), sending });
      this.#hold(clientId, number);
    }
    return { wills, busy: reply[0] === 1 };
  }

  #hold(clientId: ClientId, number: number): void {
    const numbers = this.#taken.get(clientId) ?? new Set();
    numbers.add(number);
    this.#taken.set(clientId, numbers);
    this.#keeping ??= setInterval(() => this.#keep(), this.#takenMs / 3).unref();
  }

  /** A send may take long: those that are under way stay this ds's. */
  #keep(): void {
    if (this.#taken.size === 0) {
      clearInterval(this.#keeping);
      this.#keeping = undefined;
    }
    for (const [clientId, numbers] of this.#taken) {
      for (const number of numbers) {
        const args = [String(number), 'sending', this.#taker, this.#takenMs];
        this.#redis.call(scripts.will, [this.#keys.wills(clientId)], args).catch(() => undefined);
      }
    }
  }

  /** In two steps, so that a lost answer does not lose what the session held. */
  async #expire(clientId: ClientId, record: Reply[], nowMs: number, due: Due[]): Promise<string> {
    const expired = await sessionOverTurns(clientId, record);
    if (expired === undefined) return '';
    const keys = [this.#keys.session(clientId), this.#keys.wills(clientId)];
    let waiting = '';
    try {
      const args = [String(expired.epoch), String(nowMs), noteHoldsMs];
      const reply = list(await this.#redis.callDurable(scripts.remove, keys, args));
      if (reply[0] !== 'removed') return String(nowMs);
      waiting = text(reply[1]);
    } catch {
      // The session may be gone: whoever is told of it lets go its references, twice if need be.
    }
    due.push({ kind: 'expired', session: this.#removed(expired, waiting) });
    return String(nowMs);
  }

  #tell({ number, will }: DueWill, what: 'sent' | 'failed', before: () => Promise<void>): void {
    const { clientId } = will;
    const args = [String(number), what, this.#taker, this.#takenMs];
    this.#attempts
      .until(async () => {
        await before();
        return this.#redis.callDurable(scripts.will, [this.#keys.wills(clientId)], args);
      })
      .catch(() => undefined)
      .finally(() => {
        const numbers = this.#taken.get(clientId);
        if (numbers?.delete(number) === true && numbers.size === 0) this.#taken.delete(clientId);
      });
  }
}

function nextOfConnected(mark: number, nowMs: number): string {
  if (mark === lastLook.mark) return '';
  const look = mark === secondLook.mark ? lastLook : secondLook;
  return String(nowMs + look.afterMs + look.mark);
}
