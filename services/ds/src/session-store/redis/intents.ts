import type { ClientId } from '@lmqtt/common/ids';
import type { Intent, Intents } from '../../queue-store/intents.ts';
import type { InboundId } from '../../queue-store/queue-store.ts';
import type { RedisConnection } from '../../redis/connection.ts';
import type { SessionEntries } from './entries.ts';
import type { SessionEntry } from './entry.ts';
import { list, sessionOfRecord } from './fields.ts';
import type { SessionKeys } from './keys.ts';
import type { SessionWrites } from './writes.ts';

/**
 * Intents as fields of their session, written with whatever else of it has changed. One whose
 * session has left this ds stays for the next to resolve.
 */
export class RedisIntents implements Intents {
  readonly #redis: RedisConnection;
  readonly #keys: SessionKeys;
  readonly #entries: SessionEntries;
  readonly #writes: SessionWrites;

  constructor(
    redis: RedisConnection,
    keys: SessionKeys,
    entries: SessionEntries,
    writes: SessionWrites,
  ) {
    this.#redis = redis;
    this.#keys = keys;
    this.#entries = entries;
    this.#writes = writes;
  }

  intend(batch: readonly Intent[], done: (kept: boolean[]) => void): void {
    const entries = batch.map((intent) => {
      const entry = this.#entryOf(intent);
      if (entry?.session.epoch !== intent.epoch || entry.closing) return undefined;
      entry.intents.set(intent.packetId, intent);
      this.#mark(entry, intent.packetId);
      return entry;
    });
    this.#writes.commit(() =>
      done(entries.map((entry) => entry !== undefined && !entry.fenced && !entry.closing)),
    );
  }

  stored(batch: readonly InboundId[], done: () => void): void {
    for (const { clientId, epoch, packetId } of batch) {
      const entry = this.#entryOf({ clientId, epoch, packetId });
      if (entry === undefined) continue;
      entry.session.addInbound(packetId);
      entry.markInbound(packetId);
      entry.intents.delete(packetId);
      this.#mark(entry, packetId);
    }
    this.#writes.commit(done);
  }

  dropped(batch: readonly InboundId[]): void {
    for (const one of batch) {
      const entry = this.#entryOf(one);
      if (entry?.intents.delete(one.packetId) === true) this.#mark(entry, one.packetId);
    }
  }

  async open(clientId: ClientId): Promise<Intent[]> {
    const entry = this.#entries.of(clientId);
    if (entry !== undefined) return [...entry.session.intents];
    const record = list(await this.#redis.command('HGETALL', this.#keys.session(clientId)));
    return [...(sessionOfRecord(clientId, record)?.intents ?? [])];
  }

  /** Entry of the session, if the identifier is of one of its connections, also an earlier one. */
  #entryOf({ clientId, epoch }: InboundId): SessionEntry | undefined {
    const entry = this.#entries.of(clientId);
    if (entry === undefined || entry.fenced || epoch < entry.session.madeEpoch) return undefined;
    return entry;
  }

  #mark(entry: SessionEntry, packetId: number): void {
    entry.markIntent(packetId);
    this.#writes.touch(entry);
  }
}
