import type { SessionBook } from './session-book.ts';
import { type SessionEnds, willDelayS } from './session-ends.ts';
import type { Presentation, Presented } from '../session-store.ts';
import type { StoredSession } from '../stored-session.ts';
import type { WillBook } from './will-book.ts';

/**
 * Sessions of the last run: those that their nodes present go on, the connections of all others
 * have ended with it.
 */
export class LastRun {
  readonly #book: SessionBook;
  readonly #wills: WillBook;
  readonly #ends: SessionEnds;
  readonly #presented = new Set<StoredSession>();

  constructor(book: SessionBook, wills: WillBook, ends: SessionEnds) {
    this.#book = book;
    this.#wills = wills;
    this.#ends = ends;
  }

  present(presentation: Presentation, nowMs: number): Presented {
    const { clientId, epoch, user, sessionExpiryS } = presentation;
    const known = this.#book.of(clientId);
    const same = known?.epoch === epoch && known.connected && !this.#presented.has(known);
    if (known !== undefined && known.epoch > epoch) return { kind: 'claimed' };
    if (sessionExpiryS > 0) {
      if (!same || !known.persistent) return { kind: 'ended' };
      if (known.user === undefined) known.user = user;
      this.#presented.add(known);
      return { kind: 'taken up', session: known, ended: undefined };
    }
    if (same ? known.persistent : known?.epoch === epoch) return { kind: 'ended' };
    if (known !== undefined && !same) this.#ends.end(known, nowMs);
    const session = same ? known : this.#book.begin(clientId, epoch);
    session.connected = true;
    if (session.user === undefined) session.user = user;
    for (const { filter } of [...session.subscriptions]) session.removeSubscription(filter);
    for (const { packetId } of [...session.outbound]) session.removeOutbound(packetId);
    for (const subscription of presentation.subscriptions) session.putSubscription(subscription);
    for (const packetId of presentation.inbound) session.addInbound(packetId);
    this.#book.mark(session);
    this.#presented.add(session);
    return { kind: 'taken up', session, ended: same ? undefined : known };
  }

  /** The connections that nobody has presented count as ended by now. */
  end(nowMs: number): void {
    const presented = this.#presented;
    for (const session of [...this.#book.all]) {
      if (presented.has(session)) continue;
      if (session.connected && !session.persistent) this.#ends.end(session, nowMs);
      else if (session.connected) this.#ends.makeAbsent(session, nowMs);
      else this.#ends.schedule(session);
    }
    this.#wills.schedule();
    for (const will of this.#wills.held()) {
      const session = this.#book.get(will.session);
      const goesOn = session !== undefined && presented.has(session);
      // A will that became due by the claim of a session that goes on is no longer its own.
      if (session !== undefined && !(goesOn && will.dueAtMs !== 0)) session.will = will.number;
      if (will.dueAtMs !== 0 || goesOn) continue;
      const delayS = session === undefined ? 0 : willDelayS(session, will.delayS);
      this.#wills.makeDue(will.number, nowMs + delayS * 1000, false);
    }
    presented.clear();
  }
}
