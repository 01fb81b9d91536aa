import { setTimeout as delay } from 'node:timers/promises';
import type { NodeId, QueueId, QueueName } from '@lmqtt/common/ids';
import type { RedisSubscriber } from '../../redis/subscriber.ts';
import { failureOf, type Membership, NotMember, type Restorer } from './membership.ts';
import { OwnInterest } from './own-interest.ts';
import { aliveOf, listOf, textOf } from './registry-reply.ts';
import { scripts } from './registry-scripts.ts';
import { RouteBarrier } from './route-barrier.ts';
import { changesOf, entryIn, entryOf, type LogEntry } from './route-entry.ts';
import type { ClusterRouteChange, Holder, RouteLog, RouteOpening } from '../route-log.ts';
import { type Opened, RouteRequests } from './route-requests.ts';
import { RouteSnapshot } from './route-snapshot.ts';

const entriesAtOnce = 200;
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
  readonly #subscriber: RedisSubscriber;
  readonly #requests: RouteRequests;
  readonly #barrier: RouteBarrier;
  readonly #own = new OwnInterest();
  readonly #others: () => readonly NodeId[];
  #listener: ((change: ClusterRouteChange) => void) | undefined;
  #held: () => Iterable<RouteOpening & { readonly queue: QueueId }> = () => [];
  /** Entries are applied; otherwise all is being loaded. */
  #following = false;
  #catching: Promise<void> | undefined;
  /** Openings without a holder that are under way, by name and cs. */
  readonly #opening = new Map<string, Promise<Opened>>();
  /** Interest that ended while openings were under way: what was asked before it is not known. */
  readonly #ended = new Map<string, number>();
  readonly #sweeping = new Map<QueueId, string>();
  #underWay = 0;
  #asks = 0;
  #reported = 0;
  #reporting = false;
  #closed = false;

  /** `others`: the other ds nodes that were alive at last. */
  constructor(member: Membership, subscriber: RedisSubscriber, others: () => readonly NodeId[]) {
    this.#member = member;
    this.#subscriber = subscriber;
    this.#others = others;
    this.#barrier = new RouteBarrier(member, (number) => this.#seen(number));
    this.#requests = new RouteRequests(member, (entry, alive) => {
      this.#barrier.alive(alive, entry.number);
      this.#receive(entry);
    });
  }

  held(source: () => Iterable<RouteOpening & { readonly queue: QueueId }>): void {
    this.#held = source;
  }

  async start(listener: (change: ClusterRouteChange) => void): Promise<void> {
    const { base, leaseMs } = this.#member;
    this.#listener = listener;
    await this.#subscriber.subscribe(`${base}log`, (text) => this.#receive(entryOf(text)));
    await this.#subscriber.subscribe(`${base}applied`, (text) => {
      const [ds, number] = text.split('\0');
      if (ds !== this.#member.id) this.#barrier.reported(ds!, Number(number));
    });
    this.#subscriber.onGap(() => void this.#catchUp().catch(() => undefined));
    for (const endMs = performance.now() + 2 * leaseMs + patienceMs; ;) {
      try {
        await this.#load();
        await this.#register();
        break;
      } catch (error) {
        if (performance.now() > endMs) throw failureOf(error);
      }
      await delay(againMs);
    }
    this.#requests.go();
    // What earlier processes and nodes left, of which nobody was there to be told.
    void this.#forget('', '').catch(() => undefined);
  }

  async open(openings: readonly RouteOpening[]): Promise<QueueId[]> {
    const untilMs = performance.now() + patienceMs + this.#member.leaseMs;
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
      await delay(this.#member.leaseMs / 3);
    }
  }

  async settled(): Promise<void> {
    const number = await this.#requests.settled();
    while (this.#member.applied < number) await this.#catchUp();
  }

  async sweep(unheldMs: number, queuesMax: number): Promise<{ queue: QueueId; place: string }[]> {
    const untilMs = performance.now() + patienceMs + this.#member.leaseMs;
    try {
      const reply = await this.#member.call(scripts.sweep, unheldMs, queuesMax);
      const entry = entryIn(reply);
      this.#barrier.alive(aliveOf(reply[4]), entry.number);
      this.#receive(entry);
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

  async swept(queue: QueueId): Promise<void> {
    const name = this.#sweeping.get(queue);
    if (name === undefined) return;
    await this.#member.call(scripts.swept, name, String(queue));
    this.#sweeping.delete(queue);
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
    this.#following = false;
    this.#requests.stop();
    this.#barrier.stop(failureOf(new Error('stopped')));
  }

  async caughtUp(number: number): Promise<void> {
    if (this.#listener === undefined) return;
    while (this.#member.applied < number) {
      // Then a repair is under way, which goes before the lease as well.
      if (!this.#following && this.#catching === undefined) break;
      await this.#catchUp();
    }
    if (this.#following) this.#reportSoon();
  }

  async restore(why: 'lost' | 'ended'): Promise<void> {
    if (this.#listener === undefined) return;
    const lostMs = performance.now();
    const before = this.#others();
    this.#requests.hold();
    // What was read of the log is not of this life.
    if (why === 'lost') this.#following = false;
    await this.#tellHeld();
    if (why === 'lost') {
      await this.#member.call(scripts.restored, '1');
      await this.#othersRestored(before, lostMs);
      await this.#load();
    }
    await this.#register();
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

  #receive(entry: LogEntry): void {
    if (!this.#following || entry.number <= this.#member.applied) return;
    if (entry.before === this.#member.applied) this.#apply(entry);
    else void this.#catchUp().catch(() => undefined);
  }

  #apply({ number, text }: LogEntry): void {
    const changes = changesOf(text);
    if (changes === undefined) {
      this.#following = false;
      this.#member.refused('lost');
      return;
    }
    this.#member.applied = number;
    for (const change of changes) this.#tell(change);
    this.#barrier.check();
    this.#reportSoon();
  }

  #tell(change: ClusterRouteChange): void {
    if (change.kind !== 'reset') {
      this.#member.queueMax = Math.max(this.#member.queueMax, change.queue);
    }
    if (change.kind === 'close') this.#own.close(change.queue);
    if (change.kind === 'no interest' && change.ds === this.#member.id) {
      this.#own.delete(change.queue, change.node);
    }
    this.#listener?.(change);
  }

  #seen(last: number): void {
    if (last > this.#member.applied) void this.#catchUp().catch(() => undefined);
  }

  #catchUp(): Promise<void> {
    this.#catching ??= this.#follow().finally(() => {
      this.#catching = undefined;
    });
    return this.#catching;
  }

  async #follow(): Promise<void> {
    while (this.#following) {
      const [word, last, ...entries] = (
        await this.#member.read(scripts.follow, this.#member.applied, entriesAtOnce)
      ).map(textOf);
      if (word === 'trimmed') {
        await this.#load();
        return;
      }
      for (const entry of entriesOf(entries)) this.#receive(entry);
      if (this.#member.applied >= Number(last)) return;
    }
  }

  /** Reads all routes, and tells them in one turn. */
  async #load(): Promise<void> {
    const member = this.#member;
    const startedMs = performance.now();
    this.#following = false;
    for (;;) {
      const [, last] = await member.read(scripts.alive);
      const snapshot = new RouteSnapshot();
      await snapshot.load(member);
      const number = await this.#replay(snapshot, Number(textOf(last)));
      if (number === undefined) continue;
      member.applied = number;
      this.#following = true;
      this.#own.clear();
      for (const change of snapshot.changes()) this.#tell(change);
      this.#barrier.check();
      member.events.routesLoaded(snapshot.queueCount, performance.now() - startedMs);
      return;
    }
  }

  /** Undefined: the log was trimmed meanwhile. */
  async #replay(snapshot: RouteSnapshot, from: number): Promise<number | undefined> {
    let number = from;
    for (;;) {
      const reply = await this.#member.read(scripts.follow, number, entriesAtOnce);
      const [word, last, ...entries] = reply.map(textOf);
      if (word === 'trimmed') return undefined;
      for (const entry of entriesOf(entries)) {
        const changes = changesOf(entry.text);
        if (changes === undefined) {
          this.#member.refused('lost');
          throw new NotMember('lost');
        }
        for (const change of changes) snapshot.apply(change);
        number = entry.number;
      }
      if (number >= Number(last)) return number;
    }
  }

  /** From now on subscribes of others wait for this ds: it has all routes of this moment. */
  async #register(): Promise<void> {
    for (;;) {
      const number = this.#member.applied;
      const [word] = await this.#member.read(scripts.report, number, '1');
      if (textOf(word) === 'ok') return;
      await this.#catchUp();
    }
  }

  #reportSoon(): void {
    if (this.#reporting || this.#reported >= this.#member.applied) return;
    if (!this.#barrier.hasOthers && this.#others().length === 0) return;
    this.#reporting = true;
    setImmediate(() => void this.#report());
  }

  async #report(): Promise<void> {
    const number = this.#member.applied;
    try {
      const [, last] = await this.#member.read(scripts.report, number, '0');
      this.#reported = number;
      this.#reporting = false;
      this.#seen(Number(textOf(last)));
      this.#reportSoon();
    } catch {
      // The next renewal says it.
      this.#reporting = false;
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
      const waitedMs = performance.now() - lostMs;
      const ids = new Set<string>(alive.map(({ id }) => id));
      const back = before.every((id) => ids.has(id)) || waitedMs > leaseMs;
      const restored = alive.every(({ restored: life }) => life === this.#member.life);
      if (back && (restored || waitedMs > leasesForRestoring * leaseMs)) return;
      await delay(againMs);
    }
  }

  async #forget(role: 'cs' | 'ds' | '', node: NodeId | ''): Promise<void> {
    for (;;) {
      const reply = await this.#member.call(scripts.forget, role, node, queuesAtOnce);
      this.#receive(entryIn(reply));
      if (textOf(reply[4]) === '0') return;
    }
  }
}

/** Before, number and text, by turns. */
function* entriesOf(texts: readonly string[]): Iterable<LogEntry> {
  for (let at = 0; at + 2 < texts.length; at += 3) {
    yield { before: Number(texts[at]), number: Number(texts[at + 1]), text: texts[at + 2]! };
  }
}
