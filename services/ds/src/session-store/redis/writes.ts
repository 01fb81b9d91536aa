import type { RedisConnection } from '../../redis/connection.ts';
import type { DirtyFields, SessionEntry } from './entry.ts';
import type { SessionKeys } from './keys.ts';
import { scripts } from './scripts.ts';
import { WriteBatch } from './write-batch.ts';

const lazyMs = 250;
const retryMs = 200;

const answers = { refused: 0, written: 1 } as const;

/**
 * Writes of all sessions of this ds: changed fields only, the latest value of each, one script for
 * a session and turn.
 *
 * A change not confirmed stays dirty and is sent again, as long as it takes; batches are told in
 * their order, so one whose write does not get through holds up those behind it. A session that
 * was fenced counts as written: whoever is told of it first (`onFenced`) sees to its connection.
 */
export class SessionWrites {
  readonly #redis: RedisConnection;
  readonly #keys: SessionKeys;
  readonly #ds: string;
  readonly #fenced: (entry: SessionEntry) => void;
  readonly #unsent = new Set<SessionEntry>();
  /** The next batch waits for all writes that come before its end. */
  #open = new WriteBatch(true);
  readonly #batches: WriteBatch[] = [];
  #lazy: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #flushing = false;
  #closed = false;
  readonly #stop: () => void;

  constructor(
    redis: RedisConnection,
    keys: SessionKeys,
    ds: string,
    fenced: (entry: SessionEntry) => void,
  ) {
    this.#redis = redis;
    this.#keys = keys;
    this.#ds = ds;
    this.#fenced = fenced;
    this.#stop = redis.onState((up) => {
      if (up) this.#sendAll();
    });
  }

  /** The session has dirty fields, to be stored soon. */
  touch(entry: SessionEntry): void {
    this.#unsent.add(entry);
    this.#lazy ??= setTimeout(() => this.#flush(), lazyMs);
  }

  /** `durable` comes when all that was touched before is stored, in a later turn. */
  commit(durable: () => void): void {
    this.#open.callbacks.push(durable);
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  /** Resolves when the session is stored or fenced, out of order with the batches. */
  stored(entry: SessionEntry): Promise<void> {
    return new Promise((resolve) => {
      const batch = new WriteBatch(false);
      batch.callbacks.push(resolve);
      if (entry.dirty === undefined || entry.fenced) {
        resolve();
        return;
      }
      entry.waiting.push(batch);
      batch.pending += 1;
      this.#unsent.add(entry);
      this.#send(entry);
    });
  }

  /** Sends what is dirty before what follows on the connection; nothing is waited for. */
  push(entry: SessionEntry): void {
    if (entry.dirty !== undefined) this.#send(entry);
  }

  /** The version that names the write before, and that of one to come. */
  nextVersions(entry: SessionEntry): { before: string; version: number } | undefined {
    if (entry.broken) {
      if (entry.inFlight > 0) return undefined;
      entry.broken = false;
      entry.version += 1;
      return { before: '', version: entry.version };
    }
    const before = String(entry.version);
    entry.version += 1;
    return { before, version: entry.version };
  }

  /** Nothing more is written for it. */
  drop(entry: SessionEntry): void {
    entry.fenced = true;
    entry.dirty = undefined;
    this.#unsent.delete(entry);
    const waiting = entry.waiting;
    entry.waiting = [];
    for (const batch of waiting) batch.pending -= 1;
    this.#tell(waiting);
  }

  /** Sends the changes that were to be stored soon; nothing is waited for. */
  close(): void {
    this.#sendAll();
    this.#closed = true;
    clearTimeout(this.#lazy);
    clearTimeout(this.#retry);
    this.#stop();
  }

  #flush(): void {
    clearTimeout(this.#lazy);
    this.#lazy = undefined;
    if (this.#closed) return;
    const batch = this.#open;
    for (const entry of this.#unsent) {
      // One that waits already is before this batch, and so are its batches.
      if (entry.waiting.length > 0) continue;
      entry.waiting.push(batch);
      batch.pending += 1;
    }
    if (batch.callbacks.length > 0) {
      this.#batches.push(batch);
      this.#open = new WriteBatch(true);
    }
    this.#sendAll();
    if (batch.pending === 0 && batch.callbacks.length > 0) queueMicrotask(() => this.#tell([]));
  }

  #sendAll(): void {
    for (const entry of this.#unsent) this.#send(entry);
  }

  #send(entry: SessionEntry): void {
    if (!this.#redis.up || this.#closed) return;
    const fields = entry.dirty;
    if (fields === undefined) return;
    const versions = this.nextVersions(entry);
    if (versions === undefined) return;
    entry.dirty = undefined;
    this.#unsent.delete(entry);
    const waiting = entry.waiting;
    entry.waiting = [];
    const { session } = entry;
    const args = [String(session.epoch), this.#ds, versions.before, versions.version];
    entry.inFlight += 1;
    this.#redis
      .callDurable(
        scripts.write,
        [this.#keys.session(session.clientId)],
        [...args, ...entry.values(fields, versions.version)],
      )
      .then(
        (reply) => {
          const broken = reply !== answers.written && reply !== answers.refused;
          // Another process of this ds's name.
          const displaced = broken && versions.before === '';
          if (broken && !displaced) this.#failed(entry, fields, waiting);
          else
            this.#answered(
              entry,
              fields,
              waiting,
              reply === answers.written ? versions.version : undefined,
            );
        },
        () => this.#failed(entry, fields, waiting),
      );
  }

  #answered(
    entry: SessionEntry,
    fields: DirtyFields,
    waiting: WriteBatch[],
    version: number | undefined,
  ): void {
    entry.inFlight -= 1;
    if (version !== undefined) entry.written(fields, version);
    else if (!entry.fenced) {
      const { closing } = entry;
      this.drop(entry);
      if (!closing) this.#fenced(entry);
    }
    for (const batch of waiting) batch.pending -= 1;
    this.#tell(waiting);
    if (entry.broken && entry.inFlight === 0 && entry.dirty !== undefined) this.#send(entry);
  }

  #failed(entry: SessionEntry, fields: DirtyFields, waiting: WriteBatch[]): void {
    entry.inFlight -= 1;
    if (entry.fenced) {
      for (const batch of waiting) batch.pending -= 1;
      this.#tell(waiting);
      return;
    }
    entry.broken = true;
    entry.restore(fields);
    entry.waiting = [...waiting, ...entry.waiting];
    this.#unsent.add(entry);
    if (this.#closed) return;
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      this.#sendAll();
    }, retryMs);
  }

  /**
   * Tells the batches that have nothing more to wait for: unordered ones at once, others in order.
   */
  #tell(batches: readonly WriteBatch[]): void {
    const ready: WriteBatch[] = [];
    while (this.#batches[0]?.pending === 0) ready.push(this.#batches.shift()!);
    for (const batch of batches) if (batch.pending === 0 && !batch.ordered) ready.push(batch);
    for (const batch of ready) for (const callback of batch.callbacks.splice(0)) callback();
  }
}
