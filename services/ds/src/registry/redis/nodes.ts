import { randomUUID } from 'node:crypto';
import { pause } from '@lmqtt/common/pause';
import { type NodeId, nodeId } from '@lmqtt/common/ids';
import { NodeIdInUse } from '../node-id-in-use.ts';
import { RedisUnavailable } from '../../redis/failure.ts';
import type { RedisSubscriber } from '../../redis/subscriber.ts';
import { CsRenewals } from './cs-renewals.ts';
import { EndedNodes } from './ended-nodes.ts';
import { type Membership, NotMember, type Restorer } from './membership.ts';
import { linesOf } from './node-lines.ts';
import type { EndedNode, NodeLine, NodeRecord, Nodes, NodeRole } from '../nodes.ts';
import { listOf, textOf } from './registry-reply.ts';
import { scripts } from './registry-scripts.ts';

const renewalsPerLease = 3;
const againMs = 20;
/** Between tries of a start while Redis is away. */
const awayMs = 200;

/**
 * Nodes by leases in Redis. Each renewal is one script call, which also judges, and brings the ends
 * of nodes, the list of ds nodes and the last number of the routes' log.
 *
 * A lease that had ended begins again only after this ds has applied all routes of that moment: a
 * subscribe of another ds does not wait for one without a lease.
 */
export class RedisNodes implements Nodes {
  readonly #member: Membership;
  readonly #subscriber: RedisSubscriber;
  readonly #named: () => Promise<void>;
  readonly #renewals: CsRenewals;
  readonly #ended: EndedNodes;
  readonly #restorers: Restorer[] = [];
  readonly #leaseListeners: ((held: boolean) => void)[] = [];
  readonly #changeListeners: (() => void)[] = [];
  readonly #cs = new Map<NodeId, NodeRecord>();
  #self: NodeRecord | undefined;
  #ds: readonly NodeRecord[] = [];
  #aliveDs: ReadonlySet<NodeId> = new Set();
  #dsText = '';
  #leaseEndsMs = 0;
  /** Asked when of the last renewal, while the lease has not begun again. */
  #renewedMs = 0;
  #opening = false;
  #repairing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #leaseTimer: NodeJS.Timeout | undefined;
  #draining = false;
  #stopped = false;

  /** `named`: called when this ds has its name. */
  constructor(member: Membership, subscriber: RedisSubscriber, named: () => Promise<void>) {
    this.#member = member;
    this.#subscriber = subscriber;
    this.#named = named;
    this.#renewals = new CsRenewals(member.clock, member.leaseMs, () => void this.#renew());
    this.#ended = new EndedNodes(member);
    member.onRefusal((why) => void this.#repair(why));
  }

  get leaseMs(): number {
    return this.#member.leaseMs;
  }

  get leaseEndsMs(): number {
    return this.#leaseEndsMs;
  }

  get ds(): readonly NodeRecord[] {
    return this.#ds;
  }

  get aliveDs(): ReadonlySet<NodeId> {
    return this.#aliveDs;
  }

  /** In the order in which they are to restore. */
  addRestorer(restorer: Restorer): void {
    this.#restorers.push(restorer);
  }

  onLease(listener: (held: boolean) => void): void {
    this.#leaseListeners.push(listener);
  }

  onChange(listener: () => void): void {
    this.#changeListeners.push(listener);
  }

  onEnded(listener: (ended: EndedNode) => void): void {
    this.#ended.onEnded(listener);
  }

  async start(self: NodeRecord): Promise<void> {
    const member = this.#member;
    this.#self = self;
    member.id = self.id;
    member.instance = self.instance;
    const endedChannel = `${member.base}ended`;
    const heard = (): void => this.#renewals.soon();
    await this.#whenAnswered(() => this.#subscriber.subscribe(endedChannel, heard));
    await this.#whenAnswered(() => this.#named());
    await this.#whenAnswered(() => this.#begin());
    this.#ended.since = await this.#joinPatiently(self);
    await this.#renew();
    const intervalMs = this.leaseMs / renewalsPerLease;
    this.#timer = setInterval(() => this.#renewals.soon(), intervalMs).unref();
  }

  async drain(): Promise<void> {
    this.#draining = true;
    await this.#member.plain(scripts.drain, this.#member.id, 1);
    this.#renewals.soon();
  }

  async undrain(): Promise<void> {
    this.#draining = false;
    await this.#member.plain(scripts.drain, this.#member.id, 0);
    this.#renewals.soon();
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#end();
    const { id, instance } = this.#member;
    try {
      if (this.#self !== undefined) await this.#member.plain(scripts.leave, 'ds', id, instance);
    } catch {
      // Then the lease ends by itself.
    }
    this.#loseLease('stopped');
  }

  /** Without a word to the others: then the lease ends by itself. */
  close(): void {
    if (this.#stopped) return;
    this.#end();
    this.#loseLease('stopped');
  }

  #end(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#renewals.stop();
  }

  async join(cs: NodeRecord): Promise<void> {
    const untilMs = this.#member.clock.monotonicMs() + this.leaseMs;
    for (;;) {
      try {
        // A cs may come while this ds itself is still joining.
        if (this.#member.join === '') throw new NotMember('ended');
        await this.#joinAs('cs', cs);
        this.#cs.set(cs.id, cs);
        return;
      } catch (error) {
        if (!(error instanceof NotMember) || this.#member.clock.monotonicMs() > untilMs)
          throw error;
      }
      await pause(againMs);
    }
  }

  async renew(
    cs: NodeId,
    instance: string,
    connections: number,
    draining: boolean = false,
  ): Promise<boolean> {
    const renewed = await this.#renewals.renew({ cs, instance, connections, draining });
    if (!renewed && this.#cs.get(cs)?.instance === instance) this.#cs.delete(cs);
    return renewed;
  }

  async leave(cs: NodeId, instance: string): Promise<void> {
    if (this.#cs.get(cs)?.instance === instance) this.#cs.delete(cs);
    await this.#member.plain(scripts.leave, 'cs', cs, instance);
    this.#renewals.soon();
  }

  takeEnded(): Promise<EndedNode[]> {
    return this.#ended.take();
  }

  settled(ended: EndedNode): Promise<void> {
    return this.#ended.settled(ended);
  }

  async list(): Promise<NodeLine[]> {
    return linesOf(await this.#member.plain(scripts.list), this.leaseMs);
  }

  /** The life of the registry; a new one where there is none, or the known one has ended. */
  async #begin(): Promise<'known' | 'begun' | 'emptied'> {
    const { life, queueMax } = this.#member;
    const reply = listOf(await this.#member.plain(scripts.begin, life, randomUUID(), queueMax));
    this.#member.life = textOf(reply[0]);
    if (textOf(reply[1]) === '0') return 'known';
    return textOf(reply[2]) === '1' ? 'emptied' : 'begun';
  }

  /** A step of the start, tried again while Redis is away. */
  async #whenAnswered<T>(step: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await step();
      } catch (error) {
        if (this.#stopped || !(error instanceof RedisUnavailable)) throw error;
        this.#member.events.failed('start', error);
      }
      await pause(awayMs);
    }
  }

  /** A process that died leaves a lease: its next one waits for the end. */
  async #joinPatiently(self: NodeRecord): Promise<number> {
    const { clock } = this.#member;
    const untilMs = clock.monotonicMs() + 2 * this.leaseMs;
    for (;;) {
      try {
        return await this.#whenAnswered(() => this.#joinAs('ds', self));
      } catch (error) {
        if (!(error instanceof NodeIdInUse) || clock.monotonicMs() > untilMs) throw error;
      }
      await pause(this.leaseMs / renewalsPerLease);
    }
  }

  /** Answers the time of Redis in µs. */
  async #joinAs(role: NodeRole, record: NodeRecord): Promise<number> {
    const member = this.#member;
    const { id, instance } = record;
    const args = [member.life, role, id, instance, this.leaseMs, JSON.stringify(record)];
    const reply = listOf(await member.plain(scripts.join, ...args));
    const word = textOf(reply[0]);
    if (word === 'in use') throw new NodeIdInUse(nodeId(id));
    if (word === 'lost') {
      member.refused('lost');
      throw new NotMember('lost');
    }
    if (role === 'ds') member.join = textOf(reply[1]);
    return Number(textOf(reply[2]));
  }

  async #renew(): Promise<void> {
    const member = this.#member;
    const asked = this.#renewals.take();
    const askedMs = member.clock.monotonicMs();
    const cs = asked.flatMap((one) => [
      ...[one.cs, one.instance, one.connections, one.draining ? 1 : 0],
    ]);
    try {
      const args = [this.leaseMs, member.applied, this.#ended.since, ...cs];
      const [, last, results, ends, nodes] = await member.call(scripts.renew, ...args);
      this.#renewals.answer(asked, textOf(results));
      const begun = this.#hold(askedMs, Number(textOf(last)));
      this.#list(listOf(nodes).map(textOf));
      for (const ended of this.#ended.told(listOf(ends).map(textOf))) {
        if (this.#cs.get(ended.id)?.instance === ended.instance) this.#cs.delete(ended.id);
      }
      await begun;
    } catch (error) {
      if (error instanceof NotMember && !this.#stopped) {
        this.#renewals.again(asked, error);
      } else {
        this.#renewals.fail(asked, error);
        if (!this.#stopped && !(error instanceof NotMember)) member.events.failed('renewal', error);
      }
    }
  }

  /** A renewal that was asked for at that moment has been answered. */
  async #hold(askedMs: number, last: number): Promise<void> {
    if (this.#stopped) return;
    this.#renewedMs = Math.max(this.#renewedMs, askedMs);
    if (this.#leaseEndsMs <= this.#member.clock.monotonicMs()) {
      this.#loseLease('not renewed');
      await this.#openLease(last);
      return;
    }
    this.#extend();
    for (const restorer of this.#restorers) restorer.caughtUp(last).catch(() => undefined);
  }

  /** Begins the lease (again). */
  async #openLease(last: number): Promise<void> {
    if (this.#opening || this.#repairing !== undefined) return;
    this.#opening = true;
    try {
      for (const restorer of this.#restorers) await restorer.caughtUp(last);
      if (this.#repairing === undefined) this.#extend();
    } catch {
      // The next renewal tries again.
    } finally {
      this.#opening = false;
    }
  }

  #extend(): void {
    const { clock, events, id } = this.#member;
    const had = this.#leaseEndsMs !== 0;
    const endsMs = this.#renewedMs + this.leaseMs;
    const restMs = endsMs - clock.monotonicMs();
    if (restMs <= 0) return;
    this.#leaseEndsMs = endsMs;
    clearTimeout(this.#leaseTimer);
    this.#leaseTimer = setTimeout(() => this.#loseLease('not renewed'), restMs).unref();
    if (had) return;
    events.leaseBegan(id);
    for (const listener of this.#leaseListeners) listener(true);
  }

  #loseLease(reason: string): void {
    clearTimeout(this.#leaseTimer);
    if (this.#leaseEndsMs === 0) return;
    this.#leaseEndsMs = 0;
    if (!this.#stopped) this.#member.events.leaseLost(this.#member.id, reason);
    for (const listener of this.#leaseListeners) listener(false);
  }

  #list(texts: readonly string[]): void {
    const text = texts.join('\0');
    if (text === this.#dsText) return;
    this.#dsText = text;
    const records: NodeRecord[] = [];
    this.#aliveDs = new Set(texts.filter((_, at) => at % 3 === 0).map(nodeId));
    for (let at = 0; at < texts.length; at += 3) {
      if (texts[at + 2] === '0') records.push(JSON.parse(texts[at + 1]!) as NodeRecord);
    }
    this.#ds = records.sort((one, other) => (one.id < other.id ? -1 : 1));
    for (const listener of this.#changeListeners) listener();
  }

  /** Joins anew, then has everything told again that this ds holds. */
  #repair(why: 'lost' | 'ended'): Promise<void> {
    if (this.#stopped || this.#self === undefined) return Promise.resolve();
    // Answers that calls get while this ds joins anew are about the former join.
    if (this.#repairing !== undefined) return this.#repairing;
    if (why === 'ended') this.#loseLease('judged by another ds');
    this.#repairing = this.#joinAnew(why).finally(() => {
      this.#repairing = undefined;
      this.#renewals.soon();
    });
    return this.#repairing;
  }

  async #joinAnew(why: 'lost' | 'ended'): Promise<void> {
    const { events, id } = this.#member;
    for (let tried = 0; !this.#stopped; tried += 1) {
      try {
        if (why === 'lost') {
          const begun = await this.#begin();
          if (tried === 0 || begun !== 'known') events.lost(begun === 'emptied');
        }
        await this.#joinAs('ds', this.#self!);
        if (this.#draining) await this.#member.plain(scripts.drain, id, 1);
        for (const cs of this.#cs.values()) await this.#joinCsAgain(cs, why);
        for (const restorer of this.#restorers) await restorer.restore(why);
        return;
      } catch (error) {
        if (error instanceof NodeIdInUse) events.nameTaken(id);
        if (error instanceof NotMember) why = error.why;
        if (error instanceof NotMember && why === 'ended') this.#loseLease('judged by another ds');
      }
      await pause(this.leaseMs / renewalsPerLease / 2);
    }
  }

  /** Only what the registry has lost: one that was judged stays so. */
  async #joinCsAgain(cs: NodeRecord, why: 'lost' | 'ended'): Promise<void> {
    if (why === 'ended') return;
    try {
      await this.#joinAs('cs', cs);
    } catch (error) {
      if (!(error instanceof NodeIdInUse)) throw error;
      this.#cs.delete(cs.id);
    }
  }
}
