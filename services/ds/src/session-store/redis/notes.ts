import { systemClock } from '@lmqtt/common/clock';
import type { ClientId, NodeId } from '@lmqtt/common/ids';
import { OnceATurn } from '@lmqtt/common/once-a-turn';
import type { RedisConnection } from '../../redis/connection.ts';
import { list, text } from './fields.ts';
import type { SessionKeys } from './keys.ts';
import { scripts } from './scripts.ts';

/**
 * How long after its note a change may be made: after that, whoever cleans up needs not think of
 * it.
 */
export const noteHoldsMs = 10_000;

export interface Note {
  /** By the clock of Redis. */
  readonly atMs: number;
  /** Score of the claim's entry; '' if there was none. */
  readonly score: string;
}

interface WaitingNote {
  readonly clientId: ClientId;
  readonly cs: NodeId | undefined;
  readonly dueMs: number | undefined;
  readonly resolve: (note: Note) => void;
  readonly reject: (error: unknown) => void;
}

interface Unnote {
  readonly clientId: ClientId;
  readonly cs: NodeId;
  readonly score: string;
}

const unnoteMs = 250;
const entriesMax = 500;

/**
 * Notes of sessions in the registry: at which cs they may be, and when they are to be looked at.
 * Written before the session is changed, all of a turn as one request; an entry too many does no
 * harm.
 */
export class SessionNotes {
  readonly #redis: RedisConnection;
  readonly #keys: SessionKeys;
  readonly #sending: OnceATurn = new OnceATurn(() => this.#send());
  #waiting: WaitingNote[] = [];
  #unnotes: Unnote[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(redis: RedisConnection, keys: SessionKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /**
   * `cs`: it may be connected there; `dueMs`: it may be due after that time. Durable when it
   * resolves.
   */
  note(clientId: ClientId, cs: NodeId | undefined, dueMs: number | undefined): Promise<Note> {
    return new Promise((resolve, reject) => {
      this.#sending.soon();
      this.#waiting.push({ clientId, cs, dueMs, resolve, reject });
    });
  }

  /** Many clients are looked at soon. */
  async noteDue(clientIds: readonly ClientId[]): Promise<void> {
    const args = clientIds.flatMap((clientId) => [clientId, 0]);
    await this.#redis.callDurable(scripts.note, [this.#keys.due], [0, ...args]);
  }

  /** The session is no longer at that cs. If this is lost, the end of the cs takes it. */
  unnote(clientId: ClientId, cs: NodeId, score: string): void {
    if (score === '') return;
    this.#unnotes.push({ clientId, cs, score });
    if (this.#unnotes.length >= entriesMax) this.#sendUnnotes();
    else this.#timer ??= setTimeout(() => this.#sendUnnotes(), unnoteMs);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #send(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let at = 0; at < waiting.length; at += entriesMax) {
      void this.#sendSome(waiting.slice(at, at + entriesMax));
    }
  }

  async #sendSome(waiting: WaitingNote[]): Promise<void> {
    const keys = [this.#keys.due];
    const claims: (string | number)[] = [];
    const dues: (string | number)[] = [];
    let count = 0;
    for (const { clientId, cs, dueMs } of waiting) {
      if (cs !== undefined) {
        claims.push(indexOf(keys, this.#keys.sessionsOf(cs)), clientId);
        count += 1;
      }
      if (dueMs !== undefined) dues.push(clientId, Math.round(dueMs));
    }
    try {
      const askedMs = systemClock.monotonicMs();
      const reply = list(
        await this.#redis.callDurable(scripts.note, keys, [count, ...claims, ...dues]),
      );
      const atMs = Number(reply[0]);
      this.#redis.noteTime(atMs, askedMs, systemClock.monotonicMs());
      let next = 1;
      for (const { cs, resolve } of waiting) {
        if (cs === undefined) resolve({ atMs, score: '' });
        else {
          resolve({ atMs, score: text(reply[next]) });
          next += 1;
        }
      }
    } catch (error) {
      for (const one of waiting) one.reject(error);
    }
  }

  #sendUnnotes(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const unnotes = this.#unnotes;
    this.#unnotes = [];
    const keys: string[] = [];
    const args: (string | number)[] = [];
    for (const { clientId, cs, score } of unnotes) {
      args.push(indexOf(keys, this.#keys.sessionsOf(cs)), clientId, score);
    }
    this.#redis.call(scripts.unnote, keys, args).catch(() => undefined);
  }
}

/** Index of the key among the keys of a script, from 1 on. */
function indexOf(keys: string[], key: string): number {
  const at = keys.indexOf(key);
  return at === -1 ? keys.push(key) : at + 1;
}
