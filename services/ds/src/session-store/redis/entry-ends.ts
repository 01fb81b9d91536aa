import type { ClientId } from '@lmqtt/common/ids';
import type { Reply } from '../../redis/connection.ts';
import type { SessionEntries } from './entries.ts';
import type { SessionEntry } from './entry.ts';
import { sessionOfRecord } from './fields.ts';
import type { HeldSessions } from './held.ts';
import type { SessionNotes } from './notes.ts';
import type { SessionWrites } from './writes.ts';
import type { StoredSession } from '../stored-session.ts';

/** The ways in which this ds ceases to write for a session. */
export class EntryEnds {
  readonly #entries: SessionEntries;
  readonly #writes: SessionWrites;
  readonly #notes: SessionNotes;
  readonly #held: HeldSessions;

  constructor(
    entries: SessionEntries,
    writes: SessionWrites,
    notes: SessionNotes,
    held: HeldSessions,
  ) {
    this.#entries = entries;
    this.#writes = writes;
    this.#notes = notes;
    this.#held = held;
  }

  /** The note of its cs stays: whoever ends the cs finds the session by it. */
  leave(entry: SessionEntry): void {
    this.#writes.drop(entry);
    this.#entries.remove(entry);
  }

  /** The session is not at its cs any more. */
  forget(entry: SessionEntry): void {
    this.leave(entry);
    this.#notes.unnote(entry.session.clientId, entry.cs, entry.noted);
  }

  /** The session of a record has ended: as whoever has it knows it. `waiting`: ds to be told. */
  ended(record: StoredSession, waiting: string): StoredSession {
    const session = this.#entries.known(record);
    session.removed = true;
    session.connected = false;
    const entry = this.#entries.of(session.clientId);
    if (entry?.session === session) this.forget(entry);
    this.#held.tell(session.clientId, waiting);
    return session;
  }

  /** The same of the answer of a script; undefined: none has ended. */
  endedOf(clientId: ClientId, record: Reply[]): StoredSession | undefined {
    const ended = sessionOfRecord(clientId, record);
    return ended && this.ended(ended, '');
  }
}
