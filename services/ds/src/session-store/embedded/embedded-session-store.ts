import type { Clock } from '@lmqtt/common/clock';
import type { ClientId, Epoch } from '@lmqtt/common/ids';
import type { SessionWrite } from '@lmqtt/proto/link';
import type { Journal } from '../../journal/journal.ts';
import type { InboundIds } from '../../queue-store/queue-store.ts';
import { LastRun } from './last-run.ts';
import { SessionBook } from './session-book.ts';
import { SessionCommits } from './session-commits.ts';
import { noSessionsMax, type SessionsMax } from '../session-counts.ts';
import { hasEnded, SessionEnds, willDelayS } from './session-ends.ts';
import type {
  Claim,
  Claimed,
  ClaimRefused,
  Due,
  DueStore,
  DueWill,
  Held,
  LastRunStore,
  Presentation,
  Presented,
  Release,
  Released,
  SessionStore,
  TakenWills,
} from '../session-store.ts';
import {
  isSameName,
  type StoredSession,
  type StoredSubscription,
  type StoredWill,
} from '../stored-session.ts';
import { WillBook } from './will-book.ts';
import { applyWrite } from '../apply-write.ts';

interface EmbeddedSessionStoreOptions {
  /** Nodes are other processes: their sessions live on while this one restarts. */
  readonly csOutlives: boolean;
  /** Limits of stored sessions; default: no limit. */
  readonly sessionsMax?: SessionsMax;
}

const willRetryMs = 5000;

/**
 * Sessions in memory, each change a record of the journal. Hides that the store's time is the
 * broker's running time, and that sessions which end with their connection have no records (or
 * only a head, for a will or inbound identifiers to belong to).
 */
export class EmbeddedSessionStore implements SessionStore, DueStore, LastRunStore, InboundIds {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #csOutlives: boolean;
  readonly #sessionsMax: SessionsMax;
  readonly #commits: SessionCommits;
  readonly #wills: WillBook;
  readonly #book: SessionBook;
  readonly #ends: SessionEnds;
  readonly #lastRun: LastRun;

  constructor(
    journal: Journal,
    clock: Clock,
    options: EmbeddedSessionStoreOptions = { csOutlives: false },
  ) {
    this.#journal = journal;
    this.#clock = clock;
    this.#csOutlives = options.csOutlives;
    this.#sessionsMax = options.sessionsMax ?? noSessionsMax;
    this.#commits = new SessionCommits(journal);
    this.#wills = new WillBook(journal);
    this.#book = new SessionBook(journal, this.#commits, this.#wills);
    this.#ends = new SessionEnds(this.#book, this.#wills, this.#commits);
    this.#lastRun = new LastRun(this.#book, this.#wills, this.#ends);
  }

  get sessions(): Iterable<StoredSession> {
    return this.#book.all;
  }

  get count(): number {
    return this.#book.count;
  }

  /** Number of sessions that outlive their connections. */
  get storedCount(): number {
    return this.#book.counts.total;
  }

  /** For a figure that is asked for rarely. */
  get subscriptionCount(): number {
    let count = 0;
    for (const session of this.#book.all) count += session.askedCount;
    return count;
  }

  find(clientId: ClientId): StoredSession | undefined {
    return this.#book.of(clientId);
  }

  present(presentation: Presentation): Presented {
    return this.#lastRun.present(presentation, this.#journal.brokerTimeMs());
  }

  /** After the journal was opened. */
  start(): void {
    this.#lastRun.end(this.#journal.brokerTimeMs());
  }

  async claim(claim: Claim): Promise<Claimed | ClaimRefused> {
    const since = this.#commits.records;
    const nowMs = this.#journal.brokerTimeMs();
    const known = this.#book.of(claim.clientId);
    const goesOn = known !== undefined && !hasEnded(known, nowMs);
    const isOwn = known?.isOf(claim.user) === true;
    const isKept = claim.userChange === 'refuse' && !isSameName(known?.user ?? null, claim.user);
    if (goesOn && !isOwn && isKept) return { kind: 'refused', reason: 'other user' };
    const continues = goesOn && isOwn && !claim.cleanStart;
    if (!continues && claim.sessionExpiryS > 0) {
      const limit = this.#book.counts.limitOf(this.#sessionsMax, claim.user, known);
      if (limit !== undefined) return { kind: 'refused', reason: limit };
    }
    if (isOwn || known === undefined) this.#wills.removeGraced(claim.clientId);
    if (known !== undefined && known.will !== 0) this.#ends.judgeWill(known, continues, nowMs);
    if (known !== undefined && !continues) this.#ends.end(known, nowMs);
    const epoch = this.#book.nextEpoch(this.#clock);
    const session = continues ? known : this.#book.begin(claim.clientId, epoch);
    session.epoch = epoch;
    session.user = claim.user;
    session.sessionExpiryS = claim.sessionExpiryS;
    session.connected = true;
    session.expiresAtMs = 0;
    if (claim.will !== undefined) {
      session.will = this.#wills.arm(session.number, claim.will);
      this.#commits.noteRecord();
      if (this.#csOutlives) session.stored = true;
    }
    this.#book.putHead(session);
    try {
      await this.#commits.durable(since);
    } catch (error) {
      this.#undoClaim(session, epoch, continues);
      throw error;
    }
    const ended = continues ? undefined : known;
    const willsDue = this.#wills.hasDue(claim.clientId, nowMs);
    return { kind: 'claimed', session, epoch, present: continues, ended, willsDue };
  }

  /** There is no other ds. */
  freed(_held: Held): Promise<boolean> {
    return Promise.resolve(true);
  }

  endHeld(_held: Held): Promise<void> {
    return Promise.resolve();
  }

  async release(session: StoredSession, epoch: Epoch, release: Release): Promise<Released | false> {
    if (session.removed || session.epoch !== epoch || !session.connected) return false;
    const since = this.#commits.records;
    const nowMs = this.#journal.brokerTimeMs();
    if (release.sessionExpiryS !== undefined) session.sessionExpiryS = release.sessionExpiryS;
    const will = this.#wills.get(session.will);
    if (will !== undefined) {
      this.#commits.noteRecord();
      if (release.publishWill) {
        const delayMs = Math.max(willDelayS(session, will.delayS) * 1000, release.graceMs);
        this.#wills.makeDue(session.will, nowMs + delayMs, release.graceMs > 0);
      } else this.#wills.remove(session.will);
    }
    const ended = !session.persistent;
    if (ended) {
      session.will = 0;
      this.#ends.end(session, nowMs);
    } else this.#ends.makeAbsent(session, nowMs);
    await this.#commits.durable(since);
    return { ended };
  }

  async remove(session: StoredSession): Promise<void> {
    if (session.removed) return;
    const since = this.#commits.records;
    this.#ends.end(session, this.#journal.brokerTimeMs());
    await this.#commits.durable(since);
  }

  async subscribe(
    session: StoredSession,
    epoch: Epoch,
    put: StoredSubscription[],
  ): Promise<boolean> {
    if (session.removed || session.epoch !== epoch) return false;
    const since = this.#commits.records;
    for (const subscription of put) session.putSubscription(subscription);
    if (session.persistent) this.#book.putSubscriptions(session, put);
    // Queue and group must be known to the ds that this session is presented to.
    const presentable = this.#csOutlives && !session.persistent;
    await this.#commits.durable(presentable ? -1 : since);
    return true;
  }

  async unsubscribe(session: StoredSession, epoch: Epoch, filters: string[]): Promise<boolean> {
    if (session.removed || session.epoch !== epoch) return false;
    const since = this.#commits.records;
    for (const filter of filters) session.removeSubscription(filter);
    if (session.persistent) this.#book.removeSubscriptions(session, filters);
    await this.#commits.durable(since);
    return true;
  }

  willOf({ will }: StoredSession): Promise<StoredWill | undefined> {
    return Promise.resolve(this.#wills.find(will));
  }

  write(session: StoredSession, epoch: Epoch, write: SessionWrite): void {
    if (session.removed || session.epoch !== epoch) return;
    if (session.stored && (session.persistent || write.kind === 'inbound-done'))
      this.#book.putWrite(session, write);
    applyWrite(session, write);
  }

  commit(durable?: () => void): void {
    if (durable !== undefined) this.#commits.commit(durable);
  }

  takeDue(itemsMax: number): Due[] {
    const nowMs = this.#journal.brokerTimeMs();
    const due: Due[] = [];
    while (due.length < itemsMax) {
      const session = this.#ends.takeExpired(nowMs);
      if (session === undefined) break;
      due.push({ kind: 'expired', session });
    }
    while (due.length < itemsMax) {
      const will = this.#wills.take(nowMs);
      if (will === undefined) break;
      due.push(will);
    }
    return due;
  }

  takeWills(clientId: ClientId): TakenWills {
    return { wills: this.#wills.takeOf(clientId, this.#journal.brokerTimeMs()), busy: false };
  }

  willSending(will: DueWill): void {
    this.#wills.sending(will.number);
  }

  willSent(will: DueWill): void {
    this.#wills.remove(will.number);
  }

  willDelayed(will: DueWill): void {
    this.#wills.delay(will.number, this.#journal.brokerTimeMs() + willRetryMs);
  }

  /** Another store has added a record, which the next commit is to cover. */
  noteRecord(): void {
    this.#commits.noteRecord();
  }

  storing(clientId: ClientId, epoch: Epoch): void {
    if (!this.#csOutlives) return;
    const session = this.#book.of(clientId);
    if (session === undefined || session.stored || session.epoch !== epoch) return;
    session.stored = true;
    this.#book.putHead(session);
  }

  stored(clientId: ClientId, epoch: Epoch, packetId: number): void {
    const session = this.#book.of(clientId);
    if (session === undefined || epoch < session.madeEpoch) return;
    session.addInbound(packetId);
    this.#book.mark(session);
  }

  has(clientId: ClientId, epoch: Epoch, packetId: number): boolean {
    const session = this.#book.of(clientId);
    return session !== undefined && epoch >= session.madeEpoch && session.hasInbound(packetId);
  }

  /** The client is not told that it is connected, so it is not, and leaves no will. */
  #undoClaim(session: StoredSession, epoch: Epoch, continued: boolean): void {
    if (session.removed || session.epoch !== epoch) return;
    this.#wills.remove(session.will);
    session.will = 0;
    const nowMs = this.#journal.brokerTimeMs();
    if (continued && session.persistent) this.#ends.makeAbsent(session, nowMs);
    else this.#ends.end(session, nowMs);
  }
}
