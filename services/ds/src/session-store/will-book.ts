import type { ClientId } from '@lmqtt/common/ids';
import { decodeJson, encodeJson, JournalTable } from '../journal-table.ts';
import type { Journal } from '../journal/journal.ts';
import { RecordType } from '../journal/records.ts';
import { DueTimes } from './due-times.ts';
import { willOf, type WillRecord, willRecord } from './session-record.ts';
import type { DueWill } from './session-store.ts';
import type { StoredWill } from './stored-session.ts';

interface HeldWill {
  readonly number: number;
  /** Number of the session that left it. */
  readonly session: number;
  readonly stored: StoredWill;
  /** 0: its client is connected. */
  dueAtMs: number;
  /** A planned stop: any claim of its client cancels it. */
  graced: boolean;
  /** The record that it is gone is in the commit of its message. */
  sending: boolean;
}

export interface HeldWillState {
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
  readonly #graced = new Map<ClientId, Set<number>>();
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

  /** All of them; due time 0: armed. */
  held(): HeldWillState[] {
    return [...this.#wills.values()].map(({ number, session, dueAtMs, stored }) => {
      return { number, session, dueAtMs, delayS: stored.will.delayS };
    });
  }

  /** Those that the last run had set a time for. */
  schedule(): void {
    for (const will of this.#wills.values())
      if (will.dueAtMs !== 0) this.#due.add(will.dueAtMs, will.number);
  }

  arm(session: number, stored: StoredWill): number {
    this.#last += 1;
    const will = { number: this.#last, session, stored, dueAtMs: 0, graced: false, sending: false };
    this.#wills.set(will.number, will);
    this.#journal.add(RecordType.willPut, this.#encode(will.number)!);
    this.#table.mark(will.number);
    return will.number;
  }

  get(number: number): { readonly delayS: number; readonly dueAtMs: number } | undefined {
    const will = this.#wills.get(number);
    return will && { delayS: will.stored.will.delayS, dueAtMs: will.dueAtMs };
  }

  makeDue(number: number, dueAtMs: number, graced: boolean): void {
    const will = this.#wills.get(number);
    if (will === undefined) return;
    this.#setDue(will, dueAtMs, graced);
    this.#due.add(dueAtMs, number);
    this.#table.mark(number);
    if (will.sending) {
      // Its message was not stored, though the record that it is gone may be.
      will.sending = false;
      this.#journal.add(RecordType.willPut, this.#encode(number)!);
      return;
    }
    const at = this.#journal.reserve(RecordType.willDue, 15);
    this.#journal.buffer.writeUIntLE(number, at, 6);
    this.#journal.buffer.writeDoubleLE(dueAtMs, at + 6);
    this.#journal.buffer[at + 14] = graced ? 1 : 0;
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
    for (const number of this.#graced.get(clientId) ?? []) this.remove(number);
  }

  take(nowMs: number): DueWill | undefined {
    for (;;) {
      const number = this.#due.take(nowMs);
      if (number === undefined) return undefined;
      const will = this.#wills.get(number);
      // Cancelled, or given another time meanwhile.
      if (will === undefined || will.dueAtMs === 0 || will.dueAtMs > nowMs) continue;
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
    const numbers = this.#graced.get(clientId);
    if (graced && numbers === undefined) this.#graced.set(clientId, new Set([will.number]));
    else if (graced) numbers!.add(will.number);
    else if (numbers?.delete(will.number) === true && numbers.size === 0) {
      this.#graced.delete(clientId);
    }
  }

  #forget(number: number): void {
    const will = this.#wills.get(number);
    if (will === undefined) return;
    this.#setDue(will, will.dueAtMs, false);
    this.#wills.delete(number);
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
    const will = {
      number,
      session,
      stored: willOf(record),
      dueAtMs: 0,
      graced: false,
      sending: false,
    };
    this.#wills.set(number, will);
    if (dueAtMs !== 0) this.#setDue(will, dueAtMs, graced);
    this.#last = Math.max(this.#last, number);
    this.lastSession = Math.max(this.lastSession, session);
  }
}
