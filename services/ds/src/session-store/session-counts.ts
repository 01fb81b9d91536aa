import type { SessionUser, StoredSession } from './stored-session.ts';

/** Sessions that outlive their connections, at most: in all, and of one user. */
export interface SessionsMax {
  readonly total: number;
  readonly perUser: number;
}

export const noSessionsMax: SessionsMax = { total: Infinity, perUser: Infinity };

/** The limit that a new session is refused by. */
export type SessionsLimit = 'MAX_SESSIONS' | 'MAX_SESSIONS_PER_USER';

/** The user that a session is counted for; undefined: a session without a user. */
type CountedUser = SessionUser | undefined;

/** How many sessions are stored, connected or not, in all and by user. */
export class SessionCounts {
  /** Each as it was counted, since its user and its expiry may change. */
  readonly #counted = new Map<StoredSession, CountedUser>();
  readonly #byUser = new Map<CountedUser, number>();

  get total(): number {
    return this.#counted.size;
  }

  /** The session is new, has changed or is no more. */
  note(session: StoredSession): void {
    const isCounted = this.#counted.has(session);
    const counts = session.persistent && !session.removed;
    if (isCounted) {
      const user = this.#counted.get(session);
      if (counts && user === session.user) return;
      this.#counted.delete(session);
      this.#add(user, -1);
    }
    if (!counts) return;
    this.#counted.set(session, session.user);
    this.#add(session.user, 1);
  }

  /** The limit that keeps this user from one more session, in the place of `replaced`. */
  limitOf(
    max: SessionsMax,
    user: SessionUser,
    replaced: StoredSession | undefined,
  ): SessionsLimit | undefined {
    const isCounted = replaced !== undefined && this.#counted.has(replaced);
    if (!isCounted && this.total >= max.total) return 'MAX_SESSIONS';
    if (isCounted && replaced.user === user) return undefined;
    if ((this.#byUser.get(user) ?? 0) >= max.perUser) return 'MAX_SESSIONS_PER_USER';
    return undefined;
  }

  #add(user: CountedUser, change: 1 | -1): void {
    const count = (this.#byUser.get(user) ?? 0) + change;
    if (count === 0) this.#byUser.delete(user);
    else this.#byUser.set(user, count);
  }
}
