import type { ClientId, Epoch } from '@lmqtt/common/ids';
import type { SessionEntry } from './entry.ts';
import type { StoredSession } from '../stored-session.ts';

/**
 * The sessions that this ds writes for. Those that it has released are not kept, but as long as
 * somebody has one, it is what that session is told by: an object a session.
 */
export class SessionEntries {
  readonly #entries = new Map<ClientId, SessionEntry>();
  readonly #released = new Map<ClientId, WeakRef<StoredSession>>();
  readonly #forgotten = new FinalizationRegistry<ClientId>((clientId) => {
    if (this.#released.get(clientId)?.deref() === undefined) this.#released.delete(clientId);
  });

  get all(): Iterable<SessionEntry> {
    return this.#entries.values();
  }

  get count(): number {
    return this.#entries.size;
  }

  of(clientId: ClientId): SessionEntry | undefined {
    return this.#entries.get(clientId);
  }

  /** By this epoch; undefined where changes are to be refused. */
  open(session: StoredSession, epoch: Epoch): SessionEntry | undefined {
    const entry = this.#entries.get(session.clientId);
    if (entry?.session !== session || session.epoch !== epoch) return undefined;
    return entry.closing || entry.fenced || session.removed ? undefined : entry;
  }

  /** Whether a later claim than that epoch has taken the place of the entry that there was. */
  isReplaced(clientId: ClientId, before: SessionEntry | undefined, epoch: Epoch): boolean {
    const now = this.#entries.get(clientId);
    return now !== undefined && now !== before && now.session.epoch > epoch;
  }

  add(entry: SessionEntry): void {
    this.#entries.set(entry.session.clientId, entry);
    this.#released.delete(entry.session.clientId);
  }

  /** The client's entry may be another by now. */
  remove(entry: SessionEntry): void {
    const { session } = entry;
    if (this.#entries.get(session.clientId) !== entry) return;
    this.#entries.delete(session.clientId);
    this.#released.set(session.clientId, new WeakRef(session));
    this.#forgotten.register(session, session.clientId);
  }

  /** The session of the stored record, as somebody may have it. */
  known(record: StoredSession): StoredSession {
    const { clientId, epoch } = record;
    const live = this.#entries.get(clientId)?.session;
    if (live?.epoch === epoch) return live;
    const released = this.#released.get(clientId)?.deref();
    return released?.epoch === epoch ? released : record;
  }
}
