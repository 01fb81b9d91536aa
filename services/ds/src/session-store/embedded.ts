import type { Clock } from '@lmqtt/common/clock';
import { type ClientId, type Epoch, epoch as epochOf } from '@lmqtt/common/ids';
import type { SessionWrite } from '@lmqtt/proto/link';
import { decodeJson, encodeJson, JournalTable } from '../journal-table.ts';
import type { JournalFailure } from '../journal/failure.ts';
import type { Journal } from '../journal/journal.ts';
import { RecordType } from '../journal/records.ts';
import type { InboundIds } from '../queue-store/queue-store.ts';
import { DueTimes } from './due-times.ts';
import {
  applyHead,
  entryOf,
  headOf,
  type SessionEntry,
  type SessionHead,
  sessionOf,
  sessionOfEntry,
  subscriptionOf,
  type SubscriptionRecord,
  subscriptionRecord,
} from './session-record.ts';
import type {
  Claim,
  Claimed,
  Due,
  DueWill,
  Presentation,
  Presented,
  Release,
  Released,
  SessionStore,
} from './session-store.ts';
import { neverS, StoredSession, type StoredSubscription } from './stored-session.ts';
import { WillBook } from './will-book.ts';
import { applyWrite, recordWrite, replayWrite } from './write-record.ts';

export interface EmbeddedSessionStoreOptions {
  /** Nodes are other processes: their sessions live on while this one restarts. */
  readonly csOutlives: boolean;
}

const retryMs = 250;
const willRetryMs = 5000;

/**
 * Sessions in memory, each change a record of the journal. Hides that the store's time is the
 * broker's running time, that sessions which end with their connection have no records (or only a
 * head, for a will or inbound identifiers to belong to), and that durable callbacks wait through a
 * time in which the disk refuses.
 */
export class EmbeddedSessionStore implements SessionStore, InboundIds {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #wills: WillBook;
  readonly #sessions = new Map<number, StoredSession>();
  readonly #byClient = new Map<ClientId, StoredSession>();
  readonly #expiries = new DueTimes<StoredSession>();
  readonly #table: JournalTable<number>;
  readonly #csOutlives: boolean;
  /** Before the start: those that stay connected. */
  readonly #presented = new Set<StoredSession>();
  #lastNumber = 0;
  #lastEpoch = 0;
  /** How many records were added, and how many of them before the last commit. */
  #records = 0;
  #committed = 0;
  /** Commits whose callbacks are still to come. */
  #commits = 0;

  constructor(
    journal: Journal,
    clock: Clock,
    options: EmbeddedSessionStoreOptions = { csOutlives: false },
  ) {
    this.#journal = journal;
    this.#clock = clock;
    this.#csOutlives = options.csOutlives;
    this.#wills = new WillBook(journal);
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

  get sessions(): Iterable<StoredSession> {
    return this.#sessions.values();
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** For a figure that is asked for rarely. */
  get subscriptionCount(): number {
    let count = 0;
    for (const session of this.#sessions.values()) count += session.subscriptions.length;
    return count;
  }

  find(clientId: ClientId): StoredSession | undefined {
    return this.#byClient.get(clientId);
  }

  present(presentation: Presentation): Presented {
    const { clientId, epoch, sessionExpiryS } = presentation;
    const known = this.#byClient.get(clientId);
    const same = known?.epoch === epoch && known.connected && !this.#presented.has(known);
    if (known !== undefined && known.epoch > epoch) return { kind: 'claimed' };
    if (sessionExpiryS > 0) {
      if (!same || !known.persistent) return { kind: 'ended' };
      this.#presented.add(known);
      return { kind: 'taken up', session: known, ended: undefined };
    }
    if (same ? known.persistent : known?.epoch === epoch) return { kind: 'ended' };
    if (known !== undefined && !same) this.#end(known, this.#journal.brokerTimeMs());
    const session = same
      ? known
      : this.#add(new StoredSession(this.#nextNumber(), clientId, epoch, 0));
    session.connected = true;
    for (const { filter } of [...session.subscriptions]) session.removeSubscription(filter);
    for (const { packetId } of [...session.outbound]) session.removeOutbound(packetId);
    for (const subscription of presentation.subscriptions) session.putSubscription(subscription);
    for (const packetId of presentation.inbound) session.addInbound(packetId);
    this.#mark(session);
    this.#presented.add(session);
    return { kind: 'taken up', session, ended: same ? undefined : known };
  }

  /** After the journal was opened: connections of the last run count as ended by now. */
  start(): void {
    const nowMs = this.#journal.brokerTimeMs();
    const presented = this.#presented;
    for (const session of [...this.#sessions.values()]) {
      if (presented.has(session)) continue;
      if (session.connected && !session.persistent) this.#end(session, nowMs);
      else if (session.connected) this.#makeAbsent(session, nowMs);
      else this.#setTimer(session);
    }
    this.#wills.schedule();
    for (const will of this.#wills.held()) {
      const session = this.#sessions.get(will.session);
      const goesOn = session !== undefined && presented.has(session);
      // What became due by the claim of a session that goes on is no longer its own.
      if (session !== undefined && !(goesOn && will.dueAtMs !== 0)) session.will = will.number;
      if (will.dueAtMs !== 0 || goesOn) continue;
      const delayS = session === undefined ? 0 : willDelayS(session, will.delayS);
      this.#wills.makeDue(will.number, nowMs + delayS * 1000, false);
    }
    presented.clear();
  }

  async claim(claim: Claim): Promise<Claimed> {
    const since = this.#records;
    const nowMs = this.#journal.brokerTimeMs();
    const known = this.#byClient.get(claim.clientId);
    const continues = known !== undefined && !claim.cleanStart && !hasEnded(known, nowMs);
    this.#wills.removeGraced(claim.clientId);
    if (known !== undefined && known.will !== 0) this.#judgeWill(known, continues, nowMs);
    if (known !== undefined && !continues) this.#end(known, nowMs);
    this.#lastEpoch = Math.max(this.#lastEpoch + 1, this.#clock.nowMs());
    const epoch = epochOf(this.#lastEpoch);
    const session = continues
      ? known
      : this.#add(new StoredSession(this.#nextNumber(), claim.clientId, epoch, 0));
    session.epoch = epoch;
    session.sessionExpiryS = claim.sessionExpiryS;
    session.connected = true;
    session.expiresAtMs = 0;
    if (claim.will !== undefined) {
      session.will = this.#wills.arm(session.number, claim.will);
      this.#records += 1;
      if (this.#csOutlives) session.stored = true;
    }
    this.#putHead(session);
    try {
      await this.#durable(since);
    } catch (error) {
      this.#undoClaim(session, epoch, continues);
      throw error;
    }
    return { session, epoch, present: continues, ended: continues ? undefined : known };
  }

  async release(session: StoredSession, epoch: Epoch, release: Release): Promise<Released | false> {
    if (session.removed || session.epoch !== epoch || !session.connected) return false;
    const since = this.#records;
    const nowMs = this.#journal.brokerTimeMs();
    if (release.sessionExpiryS !== undefined) session.sessionExpiryS = release.sessionExpiryS;
    const will = this.#wills.get(session.will);
    if (will !== undefined) {
      this.#records += 1;
      if (release.publishWill) {
        const delayMs = Math.max(willDelayS(session, will.delayS) * 1000, release.graceMs);
        this.#wills.makeDue(session.will, nowMs + delayMs, release.graceMs > 0);
      } else this.#wills.remove(session.will);
    }
    const ended = !session.persistent;
    if (ended) {
      session.will = 0;
      this.#end(session, nowMs);
    } else this.#makeAbsent(session, nowMs);
    await this.#durable(since);
    return { ended };
  }

  async remove(session: StoredSession): Promise<void> {
    if (session.removed) return;
    const since = this.#records;
    this.#end(session, this.#journal.brokerTimeMs());
    await this.#durable(since);
  }

  async subscribe(
    session: StoredSession,
    epoch: Epoch,
    put: StoredSubscription[],
  ): Promise<boolean> {
    if (session.removed || session.epoch !== epoch) return false;
    const since = this.#records;
    for (const subscription of put) session.putSubscription(subscription);
    if (session.persistent) {
      const record = { number: session.number, subscriptions: put.map(subscriptionRecord) };
      this.#record(RecordType.subscriptionsPut, session, encodeJson(record));
    }
    // Queue and group must be known to the ds that this session is presented to.
    const presentable = this.#csOutlives && !session.persistent;
    await this.#durable(presentable ? -1 : since);
    return true;
  }

  async unsubscribe(session: StoredSession, epoch: Epoch, filters: string[]): Promise<boolean> {
    if (session.removed || session.epoch !== epoch) return false;
    const since = this.#records;
    for (const filter of filters) session.removeSubscription(filter);
    if (session.persistent) {
      const record = { number: session.number, filters };
      this.#record(RecordType.subscriptionsRemoved, session, encodeJson(record));
    }
    await this.#durable(since);
    return true;
  }

  write(session: StoredSession, epoch: Epoch, write: SessionWrite): void {
    if (session.removed || session.epoch !== epoch) return;
    if (session.stored && (session.persistent || write.kind === 'inbound-done')) {
      recordWrite(this.#journal, session, write);
      this.#records += 1;
      this.#mark(session);
    }
    applyWrite(session, write);
  }

  commit(durable?: () => void): void {
    if (durable === undefined) return;
    if (this.#records === this.#committed && this.#commits === 0) queueMicrotask(durable);
    else this.#commit(durable);
  }

  takeDue(itemsMax: number): Due[] {
    const nowMs = this.#journal.brokerTimeMs();
    const due: Due[] = [];
    while (due.length < itemsMax) {
      const session = this.#expiries.take(nowMs);
      if (session === undefined) break;
      session.timerAtMs = 0;
      if (session.removed || session.connected) continue;
      if (!hasEnded(session, nowMs)) {
        this.#setTimer(session);
        continue;
      }
      this.#end(session, nowMs);
      due.push({ kind: 'expired', session });
    }
    while (due.length < itemsMax) {
      const will = this.#wills.take(nowMs);
      if (will === undefined) break;
      due.push(will);
    }
    return due;
  }

  willSending(will: DueWill): void {
    this.#wills.sending(will.number);
  }

  willSent(will: DueWill): void {
    this.#wills.remove(will.number);
  }

  willDelayed(will: DueWill): void {
    this.#wills.makeDue(will.number, this.#journal.brokerTimeMs() + willRetryMs, false);
  }

  /** Another store has added a record, which the next commit is to cover. */
  noteRecord(): void {
    this.#records += 1;
  }

  storing(clientId: ClientId, epoch: Epoch): void {
    if (!this.#csOutlives) return;
    const session = this.#byClient.get(clientId);
    if (session === undefined || session.stored || session.epoch !== epoch) return;
    session.stored = true;
    this.#putHead(session);
  }

  stored(clientId: ClientId, epoch: Epoch, packetId: number): void {
    const session = this.#byClient.get(clientId);
    if (session === undefined || epoch < session.madeEpoch) return;
    session.addInbound(packetId);
    this.#mark(session);
  }

  has(clientId: ClientId, epoch: Epoch, packetId: number): boolean {
    const session = this.#byClient.get(clientId);
    return session !== undefined && epoch >= session.madeEpoch && session.hasInbound(packetId);
  }

  /** The client is not told that it is connected, so it is not, and leaves no will. */
  #undoClaim(session: StoredSession, epoch: Epoch, continued: boolean): void {
    if (session.removed || session.epoch !== epoch) return;
    this.#wills.remove(session.will);
    session.will = 0;
    const nowMs = this.#journal.brokerTimeMs();
    if (continued && session.persistent) this.#makeAbsent(session, nowMs);
    else this.#end(session, nowMs);
  }

  /** Rule 13 of a claim: see the port. */
  #judgeWill(session: StoredSession, continues: boolean, nowMs: number): void {
    const will = this.#wills.get(session.will);
    if (will === undefined) return;
    this.#records += 1;
    const waits = will.dueAtMs === 0 ? will.delayS > 0 : will.dueAtMs > nowMs;
    if (continues && waits) this.#wills.remove(session.will);
    else if (will.dueAtMs === 0 || waits) this.#wills.makeDue(session.will, nowMs, false);
    session.will = 0;
  }

  #makeAbsent(session: StoredSession, nowMs: number): void {
    session.connected = false;
    session.expiresAtMs =
      session.sessionExpiryS === neverS ? 0 : nowMs + session.sessionExpiryS * 1000;
    this.#setTimer(session);
    this.#putHead(session);
  }

  #end(session: StoredSession, nowMs: number): void {
    if (session.will !== 0) this.#judgeWill(session, false, nowMs);
    session.removed = true;
    session.connected = false;
    this.#forget(session);
    if (!session.stored) return;
    const at = this.#journal.reserve(RecordType.sessionRemoved, 4);
    this.#journal.buffer.writeUInt32LE(session.number, at);
    this.#records += 1;
    this.#table.mark(session.number);
  }

  /** One time a session: where an earlier one is set, that moment sets the next. */
  #setTimer(session: StoredSession): void {
    const { expiresAtMs, timerAtMs } = session;
    if (expiresAtMs === 0 || (timerAtMs !== 0 && timerAtMs <= expiresAtMs)) return;
    session.timerAtMs = expiresAtMs;
    this.#expiries.add(expiresAtMs, session);
  }

  #putHead(session: StoredSession): void {
    if (!session.persistent && !session.stored) return;
    session.stored = true;
    this.#record(RecordType.sessionPut, session, encodeJson(headOf(session)));
  }

  #record(type: number, session: StoredSession, body: Buffer): void {
    this.#journal.add(type, body);
    this.#records += 1;
    this.#mark(session);
  }

  #mark(session: StoredSession): void {
    if (session.changed || !session.stored) return;
    session.changed = true;
    this.#table.mark(session.number);
  }

  /** A will may name a session that is no more. */
  #nextNumber(): number {
    return Math.max(this.#lastNumber, this.#wills.lastSession) + 1;
  }

  #add(session: StoredSession): StoredSession {
    this.#sessions.set(session.number, session);
    const known = this.#byClient.get(session.clientId);
    if (known === undefined || known.madeEpoch <= session.madeEpoch)
      this.#byClient.set(session.clientId, session);
    this.#lastNumber = Math.max(this.#lastNumber, session.number);
    this.#lastEpoch = Math.max(this.#lastEpoch, session.epoch);
    return session;
  }

  #forget(session: StoredSession): void {
    this.#sessions.delete(session.number);
    if (this.#byClient.get(session.clientId) === session) this.#byClient.delete(session.clientId);
  }

  /** What was recorded since then is durable; what others recorded is not waited for. */
  async #durable(since: number): Promise<void> {
    if (this.#records === since) return;
    this.#committed = this.#records;
    this.#commits += 1;
    try {
      await this.#journal.durable();
    } finally {
      this.#commits -= 1;
    }
  }

  /**
   * After a failure memory is what the journal makes durable before it goes on, so a commit that
   * succeeds later covers the writes of one that failed.
   */
  #commit(durable: () => void): void {
    this.#committed = this.#records;
    this.#commits += 1;
    const done = (failure: JournalFailure | undefined): void => {
      if (failure !== undefined) {
        setTimeout(() => this.#journal.commit(done), retryMs).unref();
        return;
      }
      this.#commits -= 1;
      durable();
    };
    this.#journal.commit(done);
  }

  #encode(number: number): Buffer | undefined {
    const session = this.#sessions.get(number);
    if (session === undefined) return undefined;
    session.changed = false;
    return encodeJson(entryOf(session));
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
      const record = decodeJson(body) as { number: number; subscriptions: SubscriptionRecord[] };
      const session = this.#sessions.get(record.number);
      if (session === undefined) return;
      for (const one of record.subscriptions) session.putSubscription(subscriptionOf(one));
      this.#replayed(session);
    });
    on(RecordType.subscriptionsRemoved, (body) => {
      const record = decodeJson(body) as { number: number; filters: string[] };
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
    this.#mark(session);
  }
}

function hasEnded(session: StoredSession, nowMs: number): boolean {
  if (session.connected) return !session.persistent;
  return session.expiresAtMs !== 0 && session.expiresAtMs <= nowMs;
}

/** A will goes out when its delay has passed or the session ends, whichever comes first. */
function willDelayS(session: StoredSession, delayS: number): number {
  return Math.min(delayS, session.sessionExpiryS);
}
