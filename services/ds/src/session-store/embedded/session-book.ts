import type { Clock } from '@lmqtt/common/clock';
import { type ClientId, type Epoch, epoch as epochOf } from '@lmqtt/common/ids';
import type { SessionWrite } from '@lmqtt/proto/link';
import { decodeJson, encodeJson, JournalTable } from '../../journal/journal-table.ts';
import type { Journal } from '../../journal/journal.ts';
import { RecordType } from '../../journal/records.ts';
import type { EntryBytes } from '../../journal/participant.ts';
import type { SessionCommits } from './session-commits.ts';
import { SessionCounts } from '../session-counts.ts';
import {
  applyHead,
  headOf,
  type SessionEntry,
  type SessionHead,
  sessionOf,
  sessionOfEntry,
  subscriptionOf,
  type SubscriptionRecord,
  subscriptionRecord,
} from '../session-record.ts';
import { entryBytes } from './session-entry.ts';
import { StoredSession, type StoredSubscription } from '../stored-session.ts';
import type { WillBook } from './will-book.ts';
import { recordWrite, replayWrite } from './write-record.ts';

interface SubscriptionsPut {
  readonly number: number;
  readonly subscriptions: SubscriptionRecord[];
}

interface SubscriptionsRemoved {
  readonly number: number;
  readonly filters: string[];
}

/**
 * All sessions, and what the journal has of them: the records of their changes, their entries in
 * the checkpoints, and the replay of both. Hides that a session has no record before its first
 * head is put, and that its entry is marked once for all changes between two checkpoints.
 */
export class SessionBook {
  readonly #journal: Journal;
  readonly #commits: SessionCommits;
  readonly #wills: WillBook;
  readonly #sessions = new Map<number, StoredSession>();
  readonly #byClient = new Map<ClientId, StoredSession>();
  readonly #table: JournalTable<number>;
  readonly counts: SessionCounts = new SessionCounts();
  #lastNumber = 0;
  #lastEpoch = 0;

  constructor(journal: Journal, commits: SessionCommits, wills: WillBook) {
    this.#journal = journal;
    this.#commits = commits;
    this.#wills = wills;
    this.#table = new JournalTable(
      'sessions',
      (number) => this.#encode(number),
      (value) => {
        this.#add(sessionOfEntry(decodeJson(value) as SessionEntry)).stored = true;
      },
    );
    journal.participate(this.#table);
    this.#register();
  }

  get all(): Iterable<StoredSession> {
    return this.#sessions.values();
  }

  get count(): number {
    return this.#sessions.size;
  }

  get(number: number): StoredSession | undefined {
    return this.#sessions.get(number);
  }

  /** The client's latest. */
  of(clientId: ClientId): StoredSession | undefined {
    return this.#byClient.get(clientId);
  }

  nextEpoch(clock: Clock): Epoch {
    this.#lastEpoch = Math.max(this.#lastEpoch + 1, clock.nowMs());
    return epochOf(this.#lastEpoch);
  }

  /** A new one, of which there is no record yet. */
  begin(clientId: ClientId, epoch: Epoch): StoredSession {
    // A will may name a session that is no more.
    const number = Math.max(this.#lastNumber, this.#wills.lastSession) + 1;
    return this.#add(new StoredSession(number, clientId, epoch, 0));
  }

  remove(session: StoredSession): void {
    session.removed = true;
    session.connected = false;
    this.#forget(session);
    if (!session.stored) return;
    const at = this.#journal.reserve(RecordType.sessionRemoved, 4);
    this.#journal.buffer.writeUInt32LE(session.number, at);
    this.#commits.noteRecord();
    this.#table.mark(session.number);
  }

  /** Writes the head; for a session that ends with its connection only if it is stored already. */
  putHead(session: StoredSession): void {
    this.counts.note(session);
    if (!session.persistent && !session.stored) return;
    session.stored = true;
    this.#record(RecordType.sessionPut, session, encodeJson(headOf(session)));
  }

  putSubscriptions(session: StoredSession, put: readonly StoredSubscription[]): void {
    const { number } = session;
    const record: SubscriptionsPut = { number, subscriptions: put.map(subscriptionRecord) };
    this.#record(RecordType.subscriptionsPut, session, encodeJson(record));
  }

  removeSubscriptions(session: StoredSession, filters: string[]): void {
    const record: SubscriptionsRemoved = { number: session.number, filters };
    this.#record(RecordType.subscriptionsRemoved, session, encodeJson(record));
  }

  /** Before it is applied. */
  putWrite(session: StoredSession, write: SessionWrite): void {
    recordWrite(this.#journal, session, write);
    this.#commits.noteRecord();
    this.mark(session);
  }

  /** The session has changed; if it has records, its entry is to be in the next checkpoint. */
  mark(session: StoredSession): void {
    if (session.changed || !session.stored) return;
    session.changed = true;
    this.#table.mark(session.number);
  }

  #record(type: number, session: StoredSession, body: Buffer): void {
    this.#journal.add(type, body);
    this.#commits.noteRecord();
    this.mark(session);
  }

  #add(session: StoredSession): StoredSession {
    this.#sessions.set(session.number, session);
    const known = this.#byClient.get(session.clientId);
    if (known === undefined || known.madeEpoch <= session.madeEpoch)
      this.#byClient.set(session.clientId, session);
    this.#lastNumber = Math.max(this.#lastNumber, session.number);
    this.#lastEpoch = Math.max(this.#lastEpoch, session.epoch);
    this.counts.note(session);
    return session;
  }

  #forget(session: StoredSession): void {
    this.counts.note(session);
    this.#sessions.delete(session.number);
    if (this.#byClient.get(session.clientId) === session) this.#byClient.delete(session.clientId);
  }

  #encode(number: number): EntryBytes | undefined {
    const session = this.#sessions.get(number);
    if (session === undefined) return undefined;
    session.changed = false;
    return entryBytes(session);
  }

  #register(): void {
    const on = (type: number, replay: (body: Buffer) => void): void =>
      this.#journal.register(type, { replay });
    on(RecordType.sessionPut, (body) => {
      const head = decodeJson(body) as SessionHead;
      const known = this.#sessions.get(head.number);
      if (known === undefined) this.#replayed(this.#add(sessionOf(head)));
      else {
        applyHead(known, head);
        this.counts.note(known);
        this.#replayed(known);
      }
    });
    on(RecordType.sessionRemoved, (body) => {
      const session = this.#sessions.get(body.readUInt32LE(0));
      if (session === undefined) return;
      session.removed = true;
      this.#forget(session);
      this.#table.mark(session.number);
    });
    on(RecordType.subscriptionsPut, (body) => {
      const record = decodeJson(body) as SubscriptionsPut;
      const session = this.#sessions.get(record.number);
      if (session === undefined) return;
      for (const one of record.subscriptions) session.putSubscription(subscriptionOf(one));
      this.#replayed(session);
    });
    on(RecordType.subscriptionsRemoved, (body) => {
      const record = decodeJson(body) as SubscriptionsRemoved;
      const session = this.#sessions.get(record.number);
      if (session === undefined) return;
      for (const filter of record.filters) session.removeSubscription(filter);
      this.#replayed(session);
    });
    on(RecordType.sessionWrite, (body) =>
      replayWrite(body, (number) => {
        const session = this.#sessions.get(number);
        if (session !== undefined) this.#replayed(session);
        return session;
      }),
    );
  }

  #replayed(session: StoredSession): void {
    session.stored = true;
    this.mark(session);
  }
}
