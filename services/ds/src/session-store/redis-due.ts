import { randomUUID } from 'node:crypto';
import { type ClientId, clientId as clientIdOf } from '@lmqtt/common/ids';
import type { RedisConnection, Reply } from '../redis/connection.ts';
import { type Attempts, unavailable } from './redis-attempts.ts';
import { list, sessionOfRecord, text } from './redis-fields.ts';
import type { SessionKeys } from './redis-keys.ts';
import { noteHoldsMs, type SessionNotes } from './redis-notes.ts';
import { scripts } from './redis-scripts.ts';
import { willOf, type WillRecord } from './session-record.ts';
import type { Due, DueWill } from './session-store.ts';
import type { StoredSession } from './stored-session.ts';

const willRetryMs = 5000;
/** Those that are being sent. */
const takenLookMs = 1000;
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
  readonly #taker = randomUUID();

  constructor(
    redis: RedisConnection,
    keys: SessionKeys,
    notes: SessionNotes,
    attempts: Attempts,
    removed: (record: StoredSession, waiting: string) => StoredSession,
  ) {
    this.#redis = redis;
    this.#keys = keys;
    this.#notes = notes;
    this.#attempts = attempts;
    this.#removed = removed;
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

  sent(will: DueWill): void {
    this.#tell(will, '', () => Promise.resolve());
  }

  delayed(will: DueWill): void {
    const { clientId } = will.will;
    this.#tell(will, String(willRetryMs), () =>
      this.#notes.note(clientId, undefined, willRetryMs).then(() => undefined),
    );
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
      // Where it fails they are looked at once more.
      await this.#redis.call(scripts.settleDue, [this.#keys.due], args).catch(() => undefined);
    }
    return next.length < entriesMax;
  }

  /** When it is to be looked at next; '': no more. */
  async #look(clientId: ClientId, score: number, nowMs: number, due: Due[]): Promise<string> {
    const keys = [this.#keys.session(clientId), this.#keys.wills(clientId)];
    let reply: Reply[];
    try {
      reply = list(
        await this.#redis.callDurable(scripts.dueSession, keys, [
          this.#taker,
          randomUUID(),
          takenLookMs,
        ]),
      );
    } catch {
      return String(nowMs + takenLookMs);
    }
    switch (reply[0]) {
      case 'expired':
        return this.#expire(clientId, list(reply[1]), nowMs, due);
      case 'will': {
        const record = JSON.parse(text(reply[3])) as WillRecord;
        const [key, sinceMs, again] = [text(reply[4]), Number(reply[5]), reply[6] === 1];
        const sending = { key, sinceMs, again };
        due.push({ kind: 'will', number: Number(reply[2]), will: willOf(record), sending });
        return text(reply[1]);
      }
      case 'connected':
        return nextOfConnected(score % 1, nowMs);
      default:
        return text(reply[1]);
    }
  }

  /** In two steps, so that a lost answer does not lose what the session held. */
  async #expire(clientId: ClientId, record: Reply[], nowMs: number, due: Due[]): Promise<string> {
    const expired = sessionOfRecord(clientId, record);
    if (expired === undefined) return '';
    const keys = [this.#keys.session(clientId), this.#keys.wills(clientId)];
    let waiting = '';
    try {
      const args = [String(expired.epoch), String(nowMs), noteHoldsMs];
      const reply = list(await this.#redis.callDurable(scripts.remove, keys, args));
      if (reply[0] !== 'removed') return String(nowMs);
      waiting = text(reply[1]);
    } catch {
      // It may be gone: what it held is let go by whoever is told of it, twice if need be.
    }
    due.push({ kind: 'expired', session: this.#removed(expired, waiting) });
    return String(nowMs);
  }

  #tell({ number, will }: DueWill, dueMs: string, before: () => Promise<void>): void {
    const keys = [this.#keys.wills(will.clientId)];
    this.#attempts
      .until(async () => {
        await before();
        return this.#redis.callDurable(scripts.will, keys, [String(number), dueMs]);
      })
      .catch(() => undefined);
  }
}

function nextOfConnected(mark: number, nowMs: number): string {
  if (mark === lastLook.mark) return '';
  const look = mark === secondLook.mark ? lastLook : secondLook;
  return String(nowMs + look.afterMs + look.mark);
}
