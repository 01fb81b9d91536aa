import type { NodeId, QueueId, QueueName } from '@lmqtt/common/ids';
import { pause } from '@lmqtt/common/pause';
import type { RedisSubscriber } from '../../redis/subscriber.ts';
import { AppliedRoutes } from './applied-routes.ts';
import { failureOf, type Membership, type Restorer } from './membership.ts';
import { OwnInterest } from './own-interest.ts';
import { aliveOf, listOf, textOf } from './registry-reply.ts';
import { scripts } from './registry-scripts.ts';
import { RouteBarrier } from './route-barrier.ts';
import { entryIn, entryOf } from './route-entry.ts';
import type { ClusterRouteChange, Holder, RouteLog, RouteOpening } from '../route-log.ts';
import { type Opened, RouteRequests } from './route-requests.ts';

type RouteSubscriber = Pick<RedisSubscriber, 'subscribe' | 'onGap'>;

const queuesAtOnce = 2000;
const heldAtOnce = 1000;
const patienceMs = 5000;
const againMs = 20;
const leasesForRestoring = 3;

/**
 * The log of routes in Redis. Entries come by pub/sub, each with the number of the one before: one
 * that does not follow on what is applied has the rest read from the log. A log that does not have
 * what was applied here has lost changes.
 *
 * After a loss all routes that are known go on to be used until every ds has told what it holds;
 * then all are read anew, and told in one turn. Nothing is opened meanwhile.
 */
export class RedisRouteLog implements RouteLog, Restorer {
  readonly #member: Membership;
  readonly #subscriber: RouteSubscriber;
  readonly #requests: RouteRequests;
  readonly #barrier: RouteBarrier;
  readonly #own = new OwnInterest();
  readonly #others: () => readonly NodeId[];
  readonly #applied: AppliedRoutes;
  #held: () => Iterable<RouteOpening & { readonly queue: QueueId }> = () => [];
  /** Openings without a holder that are under way, by name and cs. */
  readonly #opening = new Map<string, Promise<Opened>>();
  /** Interest that ended while openings were under way: what was asked before it is not known. */
  readonly #ended = new Map<string, number>();
  readonly #sweeping = new Map<QueueId, string>();
  #underWay = 0;
  #asks = 0;
  #closed = false;

  /** `others`: the other ds nodes that were alive at last. */
  constructor(member: Membership, subscriber: RouteSubscriber, others: () => readonly NodeId[]) {
    this.#member = member;
    this.#subscriber = subscriber;
    this.#others = others;
    this.#barrier = new RouteBarrier(member, (number) => this.#applied.seen(number));
    this.#applied = new AppliedRoutes(member, this.#barrier, this.#own, others);
    this.#requests = new RouteRequests(member, (entry, alive) => {
      this.#barrier.alive(alive, entry.number);
      this.#applied.receive(entry);
    });
  }

  held(source: () => Iterable<RouteOpening & { readonly queue: QueueId }>): void {
    this.#held = source;
  }

  async start(listener: (change: ClusterRouteChange) => void): Promise<void> {
    const { base, leaseMs } = this.#member;
    this.#applied.tellTo(listener);
    const logged = (text: string): void => this.#applied.receive(entryOf(text));
    const applied = (text: string): void => {
      const [ds, number] = text.split('\0');
      if (ds !== this.#member.id) this.#barrier.reported(ds!, Number(number));
    };
    this.#subscriber.onGap(() => void this.#applied.catchUp().catch(() => undefined));
    for (const endMs = this.#member.clock.monotonicMs() + 2 * leaseMs + patienceMs; ;) {
      try {
        await this.#subscriber.subscribe(`${base}log`, logged);
        await this.#subscriber.subscribe(`${base}applied`, applied);
        await this.#applied.load();
        await this.#applied.register();
        break;
      } catch (error) {
        if (this.#member.clock.monotonicMs() > endMs) throw failureOf(error);
      }
      await pause(againMs);
    }
    this.#requests.go();
    // Entries that earlier processes and nodes left, unheard of by anybody, are forgotten.
    void this.#forget('', '').catch(() => undefined);
  }

  async open(openings: readonly RouteOpening[]): Promise<QueueId[]> {
    const untilMs = this.#member.clock.monotonicMs() + patienceMs + this.#member.leaseMs;
    try {
      const opened = openings.map((opening) => this.#open(opening, untilMs));
      const all = await Promise.all(opened);
      let number = 0;
      for (const one of all) number = Math.max(number, one.number);
      if (number > this.#barrier.passed) await this.#barrier.wait(number, untilMs);
      return all.map(({ queue }) => queue);
    } catch (error) {
      throw failureOf(error);
    }
  }

  release(queue: QueueId, holder: Holder): void {
    this.#requests.ask(['r', String(queue), '', '', holder, '']);
  }

  uninterested(queue: QueueId, node: NodeId): void {
    this.#own.delete(queue, node);
    this.#asks += 1;
    if (this.#underWay > 0) this.#ended.set(`${queue}\0${node}`, this.#asks);
    this.#requests.ask(['u', String(queue), '', '', '', node]);
  }

  async forget(node: NodeId, role: 'cs' | 'ds'): Promise<void> {
    if (role === 'cs') this.#own.forget(node);
    await this.#requests.settled();
    while (!this.#closed) {
      try {
        await this.#forget(role, node);
        return;
      } catch (error) {
        this.#member.events.failed('forgetting a node', error);
      }
      await pause(this.#member.leaseMs / 3);
    }
  }

  async settled(): Promise<void> {
    const number = await this.#requests.settled();
    while (this.#member.applied < number && !this.#closed) {
      await this.#applied.catchUp();
      // Then a repair is under way.
      if (!this.#applied.isFollowing) await pause(againMs);
    }
  }

  async sweep(unheldMs: number, queuesMax: number): Promise<{ queue: QueueId; place: string }[]> {
    const untilMs = this.#member.clock.monotonicMs() + patienceMs + this.#member.leaseMs;
    try {
      const reply = await this.#member.call(scripts.sweep, unheldMs, queuesMax);
      const entry = entryIn(reply);
      this.#barrier.alive(aliveOf(reply[4]), entry.number);
      this.#applied.receive(entry);
      const closing = listOf(reply[5]).map(textOf);
      if (closing.length === 0) return [];
      await this.#barrier.wait(entry.number, untilMs);
      const [, ...deleted] = (await this.#member.call(scripts.delete, ...closing)).map(textOf);
      const queues: { queue: QueueId; place: string }[] = [];
      for (let at = 0; at < deleted.length; at += 3) {
        const queue = Number(deleted[at + 1]) as QueueId;
        this.#sweeping.set(queue, deleted[at]!);
        queues.push({ queue, place: deleted[at + 2]! });
      }
      return queues;
    } catch (error) {
      throw failureOf(error);
    }
  }

  async swept(queues: readonly QueueId[]): Promise<void> {
    const ours = queues.filter((queue) => this.#sweeping.has(queue));
    if (ours.length === 0) return;
    const args = ours.flatMap((queue) => [this.#sweeping.get(queue)!, String(queue)]);
    await this.#member.call(scripts.swept, ...args);
    for (const queue of ours) this.#sweeping.delete(queue);
  }

  async sweptLately(): Promise<{ name: QueueName; place: string }[]> {
    const { redis, base } = this.#member;
    try {
      const texts = listOf(await redis.command('ZREVRANGE', `${base}swept`, '0', '-1')).map(textOf);
      return texts.map((text) => {
        const [name, place] = text.split('\0');
        return { name: name as QueueName, place: place ?? '' };
      });
    } catch (error) {
      throw failureOf(error);
    }
  }

  close(): void {
    this.#closed = true;
    this.#applied.stop();
    this.#requests.stop();
    this.#barrier.stop(failureOf(new Error('stopped')));
  }

  async caughtUp(number: number): Promise<void> {
    if (!this.#applied.isBegun) return;
    while (this.#member.applied < number) {
      // Then a repair is under way, which goes before the lease as well.
      if (!this.#applied.isFollowing && !this.#applied.isCatchingUp) break;
      await this.#applied.catchUp();
    }
    if (this.#applied.isFollowing) this.#applied.reportSoon();
  }

  async restore(why: 'lost' | 'ended'): Promise<void> {
    if (!this.#applied.isBegun) return;
    const lostMs = this.#member.clock.monotonicMs();
    const before = this.#others();
    this.#requests.hold();
    // Entries read of the log so far belong to an earlier life of the registry.
    if (why === 'lost') this.#applied.stop();
    await this.#tellHeld();
    if (why === 'lost') {
      await this.#member.call(scripts.restored, '1');
      await this.#othersRestored(before, lostMs);
      await this.#applied.load();
    }
    await this.#applied.register();
    this.#requests.go();
  }

  #open(opening: RouteOpening, untilMs: number): Promise<Opened> {
    const { name, holder, node } = opening;
    if (node === undefined) return this.#ask(opening, untilMs);
    const known = this.#own.find(name, node);
    if (holder !== undefined) {
      const asked = this.#ask(opening, untilMs);
      if (known === undefined) return asked;
      // A holder is no change of the log.
      return asked.then((opened) => (opened.queue === known.queue ? known : opened));
    }
    if (known !== undefined) return Promise.resolve(known);
    const key = `${name}\0${node}`;
    let opened = this.#opening.get(key);
    if (opened === undefined) {
      opened = this.#ask(opening, untilMs).finally(() => this.#opening.delete(key));
      this.#opening.set(key, opened);
    }
    return opened;
  }

  async #ask(opening: RouteOpening, untilMs: number): Promise<Opened> {
    const { name, sharedPlace, holder = '', node } = opening;
    const place = sharedPlace === undefined ? opening.place : `${opening.place}\x01${sharedPlace}`;
    const asked = this.#asks;
    this.#asks += 1;
    this.#underWay += 1;
    try {
      const opened = await this.#requests.open(['o', '', name, place, holder, node ?? ''], untilMs);
      const ended = this.#ended.get(`${opened.queue}\0${node}`) ?? -1;
      if (node !== undefined && ended <= asked) {
        this.#own.set(name, opened.queue, node, opened.number);
      }
      return opened;
    } catch (error) {
      // It may have been stored; a holder stays, since it may have been there before.
      if (node !== undefined) this.#requests.ask(['u', '', name, '', '', node]);
      throw error;
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#ended.clear();
    }
  }

  async #tellHeld(): Promise<void> {
    let page: (RouteOpening & { readonly queue: QueueId })[] = [];
    const tell = async (): Promise<void> => {
      const args = page.flatMap(({ queue, name, place, holder = '', node = '' }) => {
        return ['o', String(queue), name, place, holder, node];
      });
      const reply = await this.#member.call(scripts.change, ...args);
      listOf(reply[5]).forEach((stored, index) => {
        const { queue, name } = page[index]!;
        if (Number(stored) !== queue) this.#member.events.conflict(name, queue, textOf(stored));
      });
      page = [];
    };
    for (const held of this.#held()) {
      page.push(held);
      if (page.length === heldAtOnce) await tell();
    }
    if (page.length > 0) await tell();
  }

  /** Until all have told what they hold, or have no lease any more. */
  async #othersRestored(before: readonly NodeId[], lostMs: number): Promise<void> {
    const { leaseMs } = this.#member;
    for (;;) {
      const alive = aliveOf((await this.#member.read(scripts.alive))[2]);
      const waitedMs = this.#member.clock.monotonicMs() - lostMs;
      const ids = new Set<string>(alive.map(({ id }) => id));
      const back = before.every((id) => ids.has(id)) || waitedMs > leaseMs;
      const restored = alive.every(({ restored: life }) => life === this.#member.life);
      if (back && (restored || waitedMs > leasesForRestoring * leaseMs)) return;
      await pause(againMs);
    }
  }

  async #forget(role: 'cs' | 'ds' | '', node: NodeId | ''): Promise<void> {
    for (;;) {
      const reply = await this.#member.call(scripts.forget, role, node, queuesAtOnce);
      this.#applied.receive(entryIn(reply));
      if (textOf(reply[4]) === '0') return;
    }
  }
}
