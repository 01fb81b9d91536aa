import {
  type ClientId,
  csOfLane,
  type Epoch,
  epoch as epochOf,
  type NodeId,
} from '@lmqtt/common/ids';
import type { SessionWrite } from '@lmqtt/proto/link';
import type { Intents } from '../../queue-store/intents.ts';
import type { RedisConnection, Reply } from '../../redis/connection.ts';
import { Attempts, failureOf, unavailable, within } from './attempts.ts';
import { RedisClaims } from './claims.ts';
import { DueSessions } from './due.ts';
import { RedisSessionCounts } from './counts.ts';
import { SessionEntries } from './entries.ts';
import { EntryEnds } from './entry-ends.ts';
import { SessionEntry } from './entry.ts';
import { list, sessionOverTurns, text, userText } from './fields.ts';
import { HeldSessions } from './held.ts';
import { RedisIntents } from './intents.ts';
import { SessionKeys } from './keys.ts';
import { NodeEnds } from './node-ends.ts';
import { type Note, noteHoldsMs, SessionNotes } from './notes.ts';
import type { RedisSessionStoreOptions } from './options.ts';
import { releaseSession } from './release.ts';
import { scripts } from './scripts.ts';
import { SessionRecords } from './session-records.ts';
import { SessionWrites } from './writes.ts';
import { noSessionsMax } from '../session-counts.ts';
import type {
  Claim,
  Claimed,
  ClaimRefused,
  ClusterSessionStore,
  Due,
  DueWill,
  Held,
  Judgement,
  Presentation,
  Presented,
  Release,
  Released,
  TakenWills,
} from '../session-store.ts';
import { StoredSession, type StoredSubscription, type StoredWill } from '../stored-session.ts';
import { applyWrite } from '../apply-write.ts';

const waitMsDefault = 5000;
const takenMsDefault = 6000;

/**
 * Sessions in Redis, for any number of ds: a hash for each in a slot of its client, which is the
 * truth, and lists in the registry's slot, which are written before it. In memory are only the
 * sessions that this ds writes for.
 *
 * Writes not known to be stored are sent again for as long as it takes; only claims are given up,
 * and undone in the background. Every script fences by epoch and ds.
 */
export class RedisSessionStore implements ClusterSessionStore {
  readonly intents: Intents;
  readonly #redis: RedisConnection;
  readonly #keys: SessionKeys;
  readonly #ds: NodeId;
  readonly #waitMs: number;
  readonly #records: SessionRecords;
  readonly #entries = new SessionEntries();
  readonly #attempts = new Attempts();
  readonly #writes: SessionWrites;
  readonly #notes: SessionNotes;
  readonly #held: HeldSessions;
  readonly #counts: RedisSessionCounts;
  readonly #claims: RedisClaims;
  readonly #due: DueSessions;
  readonly #ends: EntryEnds;
  readonly #nodeEnds: NodeEnds;
  readonly #listeners: ((session: StoredSession) => void)[] = [];

  constructor(options: RedisSessionStoreOptions) {
    const { redis, ds, inbox } = options;
    this.#redis = redis;
    this.#keys = new SessionKeys(options.keys);
    this.#records = new SessionRecords(redis, this.#keys);
    this.#ds = ds;
    this.#waitMs = options.waitMs ?? waitMsDefault;
    this.#writes = new SessionWrites(redis, this.#keys, ds, (entry) => this.#fenced(entry));
    this.#notes = new SessionNotes(redis, this.#keys);
    this.#held = new HeldSessions(redis, this.#keys, ds, inbox);
    this.#ends = new EntryEnds(this.#entries, this.#writes, this.#notes, this.#held);
    this.#nodeEnds = new NodeEnds(redis, this.#keys, this.#notes, this.#held);
    this.#counts = new RedisSessionCounts(redis, this.#keys, options.sessionsMax ?? noSessionsMax);
    this.#claims = new RedisClaims({
      redis,
      keys: this.#keys,
      ds,
      notes: this.#notes,
      held: this.#held,
      counts: this.#counts,
      attempts: this.#attempts,
      flush: (clientId) => {
        const live = this.#entries.of(clientId);
        if (live !== undefined) this.#writes.push(live);
      },
    });
    this.#due = new DueSessions(
      redis,
      this.#keys,
      this.#notes,
      this.#attempts,
      (record, waiting) => {
        this.#counts.set(record.clientId, undefined);
        return this.#ends.ended(record, waiting);
      },
      options.takenMs ?? takenMsDefault,
    );
    this.intents = new RedisIntents(redis, this.#keys, this.#entries, this.#writes);
  }

  /** Sessions that this ds writes for. */
  get sessions(): Iterable<StoredSession> {
    return [...this.#entries.all].map((entry) => entry.session);
  }

  get count(): number {
    return this.#entries.count;
  }

  /** True for an identifier of a session that this ds writes for. */
  hasInbound(clientId: ClientId, packetId: number): boolean {
    return this.#entries.of(clientId)?.session.hasInbound(packetId) === true;
  }

  async claim(claim: Claim): Promise<Claimed | Held | ClaimRefused> {
    const { clientId } = claim;
    const releasing = this.#entries.of(clientId)?.releasing;
    if (releasing !== undefined) await this.#within(releasing);
    const answer = await this.#claims.claim(claim);
    if ('kind' in answer) return answer;
    const { note, reply, room } = answer;
    const before = this.#entries.of(clientId);
    const reading = reply[3] === 1 ? sessionOverTurns(clientId, list(reply[4])) : undefined;
    const read = reading instanceof Promise ? await reading : reading;
    if (this.#entries.isReplaced(clientId, before, epochOf(Number(reply[1]))))
      throw unavailable('the session was claimed again');
    const claimed = this.#claimed(claim, note, reply, read);
    if (room === undefined) {
      if (claimed.present || claimed.ended?.persistent === true)
        this.#counts.set(clientId, undefined);
    } else if (!room.isCounted) this.#counts.set(clientId, claim.user);
    return claimed;
  }

  freed(held: Held, waitMs: number): Promise<boolean> {
    return this.#held.freed(held, waitMs);
  }

  endHeld(held: Held): Promise<void> {
    return this.#nodeEnds.endHeld(held);
  }

  release(session: StoredSession, epoch: Epoch, release: Release): Promise<Released | false> {
    const entry = this.#entries.open(session, epoch);
    if (entry === undefined || !session.connected) return Promise.resolve(false);
    entry.closing = true;
    session.connected = false;
    const wasStored = session.persistent;
    if (release.sessionExpiryS !== undefined) session.sessionExpiryS = release.sessionExpiryS;
    if (!session.persistent) session.removed = true;
    const released = releaseSession(
      {
        redis: this.#redis,
        keys: this.#keys,
        ds: this.#ds,
        writes: this.#writes,
        notes: this.#notes,
        attempts: this.#attempts,
      },
      entry,
      release,
    ).then((answer) => {
      this.#ends.forget(entry);
      if (answer === undefined) return false;
      session.expiresAtMs = answer.expiresAtMs;
      if (wasStored && !session.persistent) this.#counts.set(session.clientId, undefined);
      this.#held.tell(session.clientId, answer.waiting);
      return { ended: !session.persistent };
    });
    entry.releasing = released;
    return released;
  }

  async remove(session: StoredSession): Promise<void> {
    if (session.removed) return;
    const { clientId, epoch } = session;
    session.removed = true;
    session.connected = false;
    const entry = this.#entries.of(clientId);
    if (entry?.session === session) this.#ends.forget(entry);
    const keys = [this.#keys.session(clientId), this.#keys.wills(clientId)];
    const removed = this.#attempts.until(async () => {
      const { atMs } = await this.#notes.note(clientId, undefined, 0);
      const args = [String(epoch), atMs, noteHoldsMs];
      const reply = list(await this.#redis.callDurable(scripts.remove, keys, args));
      return reply[0] === 'late' ? undefined : reply;
    });
    const reply = await this.#within(removed);
    if (reply[0] === 'removed' && session.persistent) this.#counts.set(clientId, undefined);
    this.#held.tell(clientId, text(reply[1]));
  }

  async subscribe(
    session: StoredSession,
    epoch: Epoch,
    put: StoredSubscription[],
  ): Promise<boolean> {
    const entry = this.#entries.open(session, epoch);
    if (entry === undefined) return false;
    for (const subscription of put) {
      session.putSubscription(subscription);
      if (session.persistent) entry.markSubscription(subscription.filter);
    }
    return this.#stored(entry);
  }

  async unsubscribe(session: StoredSession, epoch: Epoch, filters: string[]): Promise<boolean> {
    const entry = this.#entries.open(session, epoch);
    if (entry === undefined) return false;
    for (const filter of filters) {
      session.removeSubscription(filter);
      if (session.persistent) entry.markSubscription(filter);
    }
    return this.#stored(entry);
  }

  write(session: StoredSession, epoch: Epoch, write: SessionWrite): void {
    const entry = this.#entries.open(session, epoch);
    if (entry === undefined) return;
    entry.mark(write);
    applyWrite(session, write);
    if (entry.dirty !== undefined) this.#writes.touch(entry);
  }

  commit(durable?: () => void): void {
    if (durable !== undefined) this.#writes.commit(durable);
  }

  async present(presentation: Presentation): Promise<Presented> {
    const { clientId, epoch, node, handle, user, sessionExpiryS } = presentation;
    const cs = csOfLane(node);
    const live = this.#entries.of(clientId);
    const isHere = live?.session.epoch === epoch && !live.closing && !live.fenced;
    const inbound = sessionExpiryS > 0 ? [] : presentation.inbound;
    const keys = [
      this.#keys.session(clientId),
      this.#keys.wills(clientId),
      this.#keys.nodeEnd(clientId),
    ];
    const [note, reply] = await this.#claims.noted(clientId, cs, (noted, due) => {
      const head = [this.#ds, node, handle, String(epoch), sessionExpiryS, noted, noteHoldsMs];
      const args = [...head, due ? 1 : 0, isHere ? 1 : 0, userText(user), ...inbound];
      return this.#redis.callDurable(scripts.present, keys, args);
    });
    const [kind, version, record, endedRecord] = reply;
    if (kind === 'claimed') return { kind };
    if (kind === 'ended') return { kind };
    const known = this.#entries.of(clientId);
    const reading = sessionOverTurns(clientId, list(record));
    const session = (reading instanceof Promise ? await reading : reading)!;
    if (this.#entries.isReplaced(clientId, known, session.epoch)) return { kind: 'claimed' };
    const ended = this.#ends.endedOf(clientId, list(endedRecord));
    if (ended?.persistent === true) this.#counts.set(clientId, undefined);
    const before = this.#entries.of(clientId);
    if (before !== undefined) this.#ends.forget(before);
    if (sessionExpiryS === 0) {
      for (const subscription of presentation.subscriptions) session.putSubscription(subscription);
    }
    this.#entries.add(new SessionEntry(session, cs, note.score, Number(version)));
    return { kind: 'taken up', session, ended };
  }

  onFenced(listener: (session: StoredSession) => void): void {
    this.#listeners.push(listener);
  }

  endNode(
    node: NodeId,
    graceMs: number,
    judgement?: Judgement,
    ended?: (clientIds: ClientId[]) => Promise<void>,
  ): Promise<void> {
    return this.#nodeEnds.end(node, graceMs, judgement, ended);
  }

  look(clientId: ClientId): Promise<StoredSession | undefined> {
    return this.#records.session(clientId);
  }

  willOf({ clientId, will }: StoredSession): Promise<StoredWill | undefined> {
    return this.#records.will(clientId, will);
  }

  storedIds(after: ClientId | null, idsMax: number, prefix: string): Promise<ClientId[]> {
    return this.#counts.ids(after, idsMax, prefix).catch((error: unknown) => {
      throw failureOf(error);
    });
  }

  get storedCount(): number {
    return this.#counts.total;
  }

  readCount(repair: boolean): Promise<void> {
    return this.#counts.refresh(repair);
  }

  takeDue(itemsMax: number): Promise<Due[]> {
    return this.#due.take(itemsMax);
  }

  /** Behind a release that is under way. */
  async takeWills(clientId: ClientId): Promise<TakenWills> {
    await this.#entries.of(clientId)?.releasing?.catch(() => undefined);
    return this.#due.takeWills(clientId);
  }

  /** The taking of a will is stored with its key. */
  willSending(_will: DueWill): void {
    // Nothing is to be done.
  }

  willSent(will: DueWill): void {
    this.#due.sent(will);
  }

  willDelayed(will: DueWill): void {
    this.#due.delayed(will);
  }

  /** The list of its node keeps it: whoever ends the node finds it there. */
  drop(session: StoredSession): void {
    const entry = this.#entries.of(session.clientId);
    if (entry?.session === session) this.#ends.leave(entry);
  }

  /** Work in the background is given up. */
  close(): void {
    this.#due.close();
    this.#attempts.close();
    this.#writes.close();
    this.#notes.close();
  }

  /** `read`: the session that goes on. */
  #claimed(claim: Claim, note: Note, reply: Reply[], read: StoredSession | undefined): Claimed {
    const { clientId } = claim;
    const cs = csOfLane(claim.node);
    const [, epochText, version, , , endedRecord, waiting, willsDue] = reply;
    const epoch = epochOf(Number(epochText));
    const ended = this.#ends.endedOf(clientId, list(endedRecord));
    const before = this.#entries.of(clientId);
    if (before !== undefined) {
      before.session.connected = false;
      this.#ends.forget(before);
    }
    const present = reply[3] === 1;
    const session = read ?? newSession(claim, epoch);
    this.#entries.add(new SessionEntry(session, cs, note.score, Number(version)));
    this.#held.tell(clientId, text(waiting));
    return { kind: 'claimed', session, epoch, present, ended, willsDue: willsDue === 1 };
  }

  async #stored(entry: SessionEntry): Promise<boolean> {
    if (entry.dirty !== undefined) await this.#within(this.#writes.stored(entry));
    return !entry.fenced;
  }

  #within<T>(work: Promise<T>): Promise<T> {
    return within(work, this.#waitMs);
  }

  #fenced(entry: SessionEntry): void {
    const { session } = entry;
    session.connected = false;
    this.#ends.forget(entry);
    for (const listener of this.#listeners) listener(session);
  }
}

function newSession(claim: Claim, epoch: Epoch): StoredSession {
  const session = new StoredSession(0, claim.clientId, epoch, claim.sessionExpiryS);
  session.user = claim.user;
  session.connected = true;
  session.stored = true;
  if (claim.will !== undefined) session.will = epoch;
  return session;
}
