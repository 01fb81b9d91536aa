import type { Link } from '@lmqtt/proto/link';
import type { SessionCursor } from './session/cursor.ts';
import type { OutboundSession } from './session/outbound-session.ts';
import type { Turn } from './turn.ts';

interface Moved {
  readonly session: OutboundSession;
  readonly cursor: SessionCursor;
}

/**
 * Reports of sessions to ds at the end of a turn: the progress of their cursors, and the number of
 * messages of groups that they take.
 */
export class DueReports {
  readonly #turn: Turn;
  readonly #link: Link;
  readonly #moved: Moved[] = [];
  #movedLater: Moved[] = [];
  readonly #credits: Set<OutboundSession> = new Set();

  constructor(turn: Turn, link: Link) {
    this.#turn = turn;
    this.#link = link;
  }

  positionMoved(session: OutboundSession, cursor: SessionCursor): void {
    cursor.dirty = true;
    if (session.persistent) {
      this.#moved.push({ session, cursor });
      this.#turn.begin();
    } else {
      this.#movedLater.push({ session, cursor });
    }
  }

  credit(session: OutboundSession): void {
    this.#credits.add(session);
    this.#turn.begin();
  }

  /** The session has ended, or is presented to another ds, to which totals of before mean nothing. */
  forget(session: OutboundSession): void {
    this.#credits.delete(session);
  }

  /** The positions that moved in this turn; credits after what freed them. */
  beforeWrites(): void {
    for (const { session, cursor } of this.#moved) this.#writePosition(session, cursor);
    this.#moved.length = 0;
    if (this.#credits.size === 0) return;
    const sessions = [...this.#credits];
    this.#credits.clear();
    for (const session of sessions) {
      if (session.closed) continue;
      const messagesTotal = session.takeCredit();
      if (messagesTotal !== undefined) this.#link.credit(session.handle, messagesTotal);
    }
  }

  /** Sessions that are not stored tell their positions now and then, for the store to let go. */
  slowRound(): void {
    const later = this.#movedLater;
    this.#movedLater = [];
    for (const { session, cursor } of later) {
      if (!session.closed) this.#writePosition(session, cursor);
    }
  }

  #writePosition(session: OutboundSession, cursor: SessionCursor): void {
    const position = cursor.takePosition();
    if (position === undefined) return;
    const { queue, partition } = cursor.feed;
    const { handle } = session;
    this.#turn.write({ kind: 'position', session: handle, queue, partition, position });
  }
}
