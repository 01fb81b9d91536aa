import type { ClientId } from '@lmqtt/common/ids';
import { decodeJson, encodeJson, JournalTable } from '../../journal/journal-table.ts';
import type { Journal } from '../../journal/journal.ts';
import { RecordType } from '../../journal/records.ts';
import { DueTimes } from './due-times.ts';
import { willOf, type WillRecord, willRecord } from '../session-record.ts';
import type { DueWill } from '../session-store.ts';
import type { StoredWill } from '../stored-session.ts';

interface HeldWill {
  readonly number: number;
  /** Number of the session that left it. */
  readonly session: number;
  readonly stored: StoredWill;
  /** 0: its client is connected. */
  dueAtMs: number;
  /** A planned stop: any claim of its client cancels it. */
  graced: boolean;
  /** Whether the will was given to somebody for sending. */
  taken: boolean;
  /** The record that it is gone is in the commit of its message. */
  sending: boolean;
}

interface HeldWillState {
  readonly number: number;
  readonly session: number;
  readonly dueAtMs: number;
  readonly delayS: number;
}

/**
 * The wills of all sessions, also of sessions that are no more. A will is *armed* while its client
 * is connected, then due at a time, then taken, and leaves when it was sent or cancelled. Hides
 * that cancelled wills stay among the due times until their moment comes.
 */
export class WillBook {
  readonly #journal: Journal;
  readonly #wills = new Map<number, HeldWill>();
  /** Numbers of the wills that have a due time, by client. */
  readonly #dueOf = new Map<ClientId, Set<number>>();
  readonly #due = new DueTimes<number>();
  readonly #table: JournalTable<number>;
  #last = 0;
  /** The greatest number of a session that any of them was of. */
  lastSession = 0;

  constructor(journal: Journal) {
    this.#journal = journal;
    this.#table = new JournalTable(
      'wills',
      (number) => this.#encode(number),
      (value) => this.#load(decodeJson(value) as WillRecord),
    );
    journal.participate(this.#table);
    journal.register(RecordType.willPut, {
      replay: (body) => {
        const record = decodeJson(body) as WillRecord;
        this.#load(record);
        this.#table.mark(record.number);
      },
    });
    journal.register(RecordType.willDue, { replay: (body) => this.#replayDue(body) });
    journal.register(RecordType.willRemoved, {
      replay: (body) => {
        const number = body.readUIntLE(0, 6);
        this.#forget(number);
        // Even where it is not there: a checkpoint that was cut short may have it.
        this.#table.mark(number);
      },
    });
  }

  /** All wills; due time 0: armed. */
  held(): HeldWillState[] {
    return [...this.#wills.values()].map(({ number, session, dueAtMs, stored }) => {
      return { number, session, dueAtMs, delayS: stored.will.delayS };
    });
  }

  /** Schedules the wills for which the last run had set a time. */
  schedule(): void {
    for (const will of this.#wills.values())
      if (will.dueAtMs !== 0) this.#due.add(will.dueAtMs, will.number);
  }

  arm(session: number, stored: StoredWill): number {
    this.#last += 1;
    const will = heldWill(this.#last, session, stored);
    this.#wills.set(will.number, will);
    this.#journal.add(RecordType.willPut, this.#encode(will.number)!);
    this.#table.mark(will.number);
    return will.number;
  }

  get(number: number): { readonly delayS: number; readonly dueAtMs: number } | undefined {
    const will = this.#wills.get(number);
    return will && { delayS: will.stored.will.delayS, dueAtMs: will.dueAtMs };
  }

  /** Undefined: it was sent or cancelled. */
  find(number: number): StoredWill | undefined {
    return this.#wills.get(number)?.stored;
  }

  makeDue(number: number, dueAtMs: number, graced: boolean): void {
    const will = this.#wills.get(number);
    if (will === undefined) return;
    this.#setDue(will, dueAtMs, graced);
    // The time that the will itself has: `take` drops a number that comes before its will is due.
    this.#due.add(will.dueAtMs, number);
    this.#table.mark(number);
    const at = this.#journal.reserve(RecordType.willDue, 15);
    this.#journal.buffer.writeUIntLE(number, at, 6);
    this.#journal.buffer.writeDoubleLE(will.dueAtMs, at + 6);
    this.#journal.buffer[at + 14] = graced ? 1 : 0;
  }

  /**
   * Puts off a will whose message was not stored: `take` gives it again at that time, `takeOf` at
   * once.
   */
  delay(number: number, atMs: number): void {
    const will = this.#wills.get(number);
    if (will === undefined) return;
    will.taken = false;
    this.#due.add(atMs, number);
    if (!will.sending) return;
    // The record that it is gone may be stored all the same.
    will.sending = false;
    this.#table.mark(number);
    this.#journal.add(RecordType.willPut, this.#encode(number)!);
  }

  /** In memory it stays until its message is stored. */
  sending(number: number): void {
    const will = this.#wills.get(number);
    if (will === undefined) return;
    will.sending = true;
    this.#recordRemoved(number);
  }

  remove(number: number): void {
    const will = this.#wills.get(number);
    if (will === undefined) return;
    this.#forget(number);
    this.#table.mark(number);
    if (!will.sending) this.#recordRemoved(number);
  }

  removeGraced(clientId: ClientId): void {
    for (const number of [...(this.#dueOf.get(clientId) ?? [])]) {
      const will = this.#wills.get(number)!;
      if (will.graced && !will.taken) this.remove(number);
    }
  }

  /** Whether a will of the client is due, or being sent. */
  hasDue(clientId: ClientId, nowMs: number): boolean {
    for (const number of this.#dueOf.get(clientId) ?? [])
      if (this.#wills.get(number)!.dueAtMs <= nowMs) return true;
    return false;
  }

  /** Takes the client's wills that are due, in the order in which they were left. */
  takeOf(clientId: ClientId, nowMs: number): DueWill[] {
    const taken: DueWill[] = [];
    for (const number of this.#dueOf.get(clientId) ?? []) {
      const will = this.#wills.get(number)!;
      if (will.taken || will.dueAtMs > nowMs) continue;
      will.taken = true;
      taken.push({ kind: 'will', number, will: will.stored });
    }
    return taken;
  }

  take(nowMs: number): DueWill | undefined {
    for (;;) {
      const number = this.#due.take(nowMs);
      if (number === undefined) return undefined;
      const will = this.#wills.get(number);
      // Cancelled, given another time, or taken otherwise meanwhile.
      if (will === undefined || will.taken) continue;
      if (will.dueAtMs === 0 || will.dueAtMs > nowMs) continue;
      will.taken = true;
      return { kind: 'will', number, will: will.stored };
    }
  }

  #recordRemoved(number: number): void {
    const at = this.#journal.reserve(RecordType.willRemoved, 6);
    this.#journal.buffer.writeUIntLE(number, at, 6);
  }

  #setDue(will: HeldWill, dueAtMs: number, graced: boolean): void {
    will.dueAtMs = Math.max(dueAtMs, 1);
    will.graced = graced;
    const { clientId } = will.stored;
    const numbers = this.#dueOf.get(clientId);
    if (numbers === undefined) this.#dueOf.set(clientId, new Set([will.number]));
    else numbers.add(will.number);
  }

  #forget(number: number): void {
    const will = this.#wills.get(number);
    if (will === undefined) return;
    this.#wills.delete(number);
    const { clientId } = will.stored;
    const numbers = this.#dueOf.get(clientId);
    if (numbers?.delete(number) === true && numbers.size === 0) this.#dueOf.delete(clientId);
  }

  #replayDue(body: Buffer): void {
    const number = body.readUIntLE(0, 6);
    const will = this.#wills.get(number);
    if (will !== undefined) this.#setDue(will, body.readDoubleLE(6), body[14] === 1);
    this.#table.mark(number);
  }

  #encode(number: number): Buffer | undefined {
    const will = this.#wills.get(number);
    if (will === undefined) return undefined;
    const { session, stored, dueAtMs, graced } = will;
    return encodeJson(willRecord(number, session, stored, dueAtMs, graced));
  }

  #load(record: WillRecord): void {
    const { number, session, dueAtMs, graced } = record;
    this.#forget(number);
    const will = heldWill(number, session, willOf(record));
    this.#wills.set(number, will);
    if (dueAtMs !== 0) this.#setDue(will, dueAtMs, graced);
    this.#last = Math.max(this.#last, number);
    this.lastSession = Math.max(this.lastSession, session);
  }
}

function heldWill(number: number, session: number, stored: StoredWill): HeldWill {
  return { number, session, stored, dueAtMs: 0, graced: false, taken: false, sending: false };
}
