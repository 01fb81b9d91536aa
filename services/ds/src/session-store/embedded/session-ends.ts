import { DueTimes } from './due-times.ts';
import type { SessionBook } from './session-book.ts';
import type { SessionCommits } from './session-commits.ts';
import { neverS, type StoredSession } from '../stored-session.ts';
import type { WillBook } from './will-book.ts';

/**
 * How a session comes to its end: absent first, if it outlives its connection, then expired or
 * removed, and what becomes of its will. Hides that an expiry which was put off keeps its old
 * place among the due times, and is looked at again when that comes.
 */
export class SessionEnds {
  readonly #book: SessionBook;
  readonly #wills: WillBook;
  readonly #commits: SessionCommits;
  readonly #expiries = new DueTimes<StoredSession>();

  constructor(book: SessionBook, wills: WillBook, commits: SessionCommits) {
    this.#book = book;
    this.#wills = wills;
    this.#commits = commits;
  }

  makeAbsent(session: StoredSession, nowMs: number): void {
    session.connected = false;
    session.expiresAtMs =
      session.sessionExpiryS === neverS ? 0 : nowMs + session.sessionExpiryS * 1000;
    this.schedule(session);
    this.#book.putHead(session);
  }

  /** Now, connected or not. */
  end(session: StoredSession, nowMs: number): void {
    if (session.will !== 0) this.judgeWill(session, false, nowMs);
    this.#book.remove(session);
  }

  /** A claim cancels it, if the session continues and it still waits; else it becomes due. */
  judgeWill(session: StoredSession, continues: boolean, nowMs: number): void {
    const will = this.#wills.get(session.will);
    if (will === undefined) return;
    this.#commits.noteRecord();
    const waits = will.dueAtMs === 0 ? will.delayS > 0 : will.dueAtMs > nowMs;
    if (continues && waits) this.#wills.remove(session.will);
    else if (will.dueAtMs === 0 || waits) this.#wills.makeDue(session.will, nowMs, false);
    session.will = 0;
  }

  /** One time a session: where an earlier one is set, that moment sets the next. */
  schedule(session: StoredSession): void {
    const { expiresAtMs, timerAtMs } = session;
    if (expiresAtMs === 0 || (timerAtMs !== 0 && timerAtMs <= expiresAtMs)) return;
    session.timerAtMs = expiresAtMs;
    this.#expiries.add(expiresAtMs, session);
  }

  /** Ends the next one whose time has come; undefined: there is none. */
  takeExpired(nowMs: number): StoredSession | undefined {
    for (;;) {
      const session = this.#expiries.take(nowMs);
      if (session === undefined) return undefined;
      session.timerAtMs = 0;
      if (session.removed || session.connected) continue;
      if (!hasEnded(session, nowMs)) {
        this.schedule(session);
        continue;
      }
      this.end(session, nowMs);
      return session;
    }
  }
}

export function hasEnded(session: StoredSession, nowMs: number): boolean {
  if (session.connected) return !session.persistent;
  return session.expiresAtMs !== 0 && session.expiresAtMs <= nowMs;
}

/** A will goes out when its delay has passed or the session ends, whichever comes first. */
export function willDelayS(session: StoredSession, delayS: number): number {
  return Math.min(delayS, session.sessionExpiryS);
}
