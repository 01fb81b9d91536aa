// Two hundred clients on a cluster with real stores, and the ledger of what they were promised. A
// run outlives any number of faults: after each everything is settled, so that the figures of each
// are its own.
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterNode } from '../harness/cluster-node.ts';
import type { LedgerPublisher } from './ledger-publisher.ts';
import { checkRetained, settlePublishers, settleSubscribers } from './ledger-settle.ts';
import { LedgerWills } from './ledger-wills.ts';
import { Ledger, type LedgerAccount, type LedgerFigures, type LedgerTopic } from './ledger.ts';
import type { Random } from './random.ts';
import { type CastOptions, makeCast, type StoresCast } from './stores-cast.ts';
import { Traveller } from './traveller.ts';

const tickMs = 20;
const disturbMs = 200;
const lookMs = 20;
const settleMsMax = 60_000;
const comeMs = 5000;
const startsAtOnce = 20;

export interface StoresRunOptions extends CastOptions {
  readonly leaseMs: number;
  /** Publishes a second, of all publishers together. */
  readonly rate: number;
}

/** The nodes of a cluster as a run needs them. */
export interface Nodes {
  readonly cs: readonly ClusterNode[];
}

/** Differences of one fault. */
export interface Deltas {
  readonly acknowledged: number;
  readonly arrivals: number;
  readonly lost: number;
  readonly doubled: number;
  readonly repeated: number;
  readonly disordered: number;
  readonly wills: number;
  readonly willsWrong: number;
  readonly problems: readonly string[];
}

/**
 * How long until what is sent arrives again, ms, for each pair of a topic and who gets it: half of
 * them, all whose topic is published to at QoS 1, and all.
 */
export interface Recovery {
  readonly halfMs: number;
  readonly qos1Ms: number;
  readonly allMs: number;
}

interface Pair {
  readonly account: LedgerAccount;
  readonly topic: LedgerTopic;
  readonly before: number;
}

export class StoresRun {
  readonly cluster: Nodes;
  readonly random: Random;
  readonly leaseMs: number;
  readonly #rate: number;
  readonly ledger: Ledger = new Ledger();
  readonly wills: LedgerWills;
  readonly cast: StoresCast;
  readonly publishers: readonly LedgerPublisher[];
  readonly travellers: readonly Traveller[];
  /** Nodes that nobody comes to. */
  readonly shunned: Set<ClusterNode> = new Set();
  readonly #running = new Set<Promise<void>>();
  #timers: readonly NodeJS.Timeout[] = [];
  #allowance = 0;
  #turn = 0;
  #isCalm = true;
  #isQuiet = true;
  #before: LedgerFigures;
  #willsBefore = { settled: 0, wrong: 0 };

  constructor(cluster: Nodes, options: StoresRunOptions, random: Random) {
    this.cluster = cluster;
    this.leaseMs = options.leaseMs;
    this.#rate = options.rate;
    this.random = random;
    this.wills = new LedgerWills(this.ledger, random);
    this.cast = makeCast(this.ledger, this.wills, options);
    const { publishers, cleanPublishers, retainers, online } = this.cast;
    this.publishers = [...publishers, ...cleanPublishers, ...retainers];
    const journey = { port: () => this.port(), connectMs: this.#connectMs };
    this.travellers = [...online, ...this.publishers].map(
      (party) => new Traveller(party.options.clientId, party, journey),
    );
    this.#before = this.ledger.figures();
  }

  /** A claim waits for a lease, and until it has been judged. */
  get #connectMs(): number {
    return 2 * this.leaseMs + comeMs;
  }

  /** Port of any node that is not shunned. */
  port(): number {
    const open = this.cluster.cs.filter((node) => !this.shunned.has(node));
    return this.random.pick(open).port('mqtt');
  }

  /** Everybody is there, and publishing has begun. */
  async start(): Promise<void> {
    const { visitors, away } = this.cast;
    const { cs } = this.cluster;
    const starts = [
      ...[...away, ...visitors].map((party, index) => async () => {
        await party.come(this.port(), this.#connectMs);
        if (index < away.length) party.leave();
      }),
      ...this.travellers.map((traveller, index) => () => {
        return traveller.start(cs[index % cs.length]?.port('mqtt') ?? 0);
      }),
    ];
    while (starts.length > 0) {
      await Promise.all(starts.splice(0, startsAtOnce).map((start) => start()));
    }
    this.#timers = [
      setInterval(() => this.#publish(), tickMs),
      setInterval(() => this.#disturb(), disturbMs),
    ];
    this.go();
  }

  #publish(): void {
    if (this.#isQuiet) return;
    this.#allowance = Math.min(this.#allowance + (this.#rate * tickMs) / 1000, this.#rate);
    for (let tries = this.publishers.length; tries > 0 && this.#allowance >= 1; tries -= 1) {
      const publisher = this.publishers[this.#turn++ % this.publishers.length];
      this.#allowance -= publisher?.publish(1) ?? 0;
    }
  }

  #disturb(): void {
    if (this.#isCalm) return;
    const { random } = this;
    if (random.chance(0.5)) this.#track(this.wills.add(this.port(), this.#connectMs));
    const traveller = random.pick(this.travellers);
    if (random.chance(0.5)) traveller.crash();
    else traveller.move();
    const visitor = random.pick(this.cast.visitors);
    if (visitor.isConnected) visitor.leave();
    else this.#track(visitor.come(this.port(), this.#connectMs));
  }

  /** Work that a fault interrupts may fail. */
  #track(work: Promise<void>): void {
    const run = work
      .catch(() => undefined)
      .finally(() => {
        this.#running.delete(run);
      });
    this.#running.add(run);
  }

  note(problem: string): void {
    this.ledger.problems.push(problem);
  }

  /** Whether it came to be; otherwise that is a problem. */
  async until(what: () => string, ms: number, holds: () => boolean): Promise<boolean> {
    const endMs = performance.now() + ms;
    while (!holds()) {
      if (performance.now() > endMs) {
        this.note(`not within ${Math.round(ms)} ms: ${what()}`);
        return false;
      }
      await delay(lookMs);
    }
    return true;
  }

  /** All that are connected to the node. */
  at(node: ClusterNode): Traveller[] {
    return this.travellers.filter(
      ({ isConnected, party }) => isConnected && party.seat.port === node.port('mqtt'),
    );
  }

  /**
   * To be called when it is over: that the other side ended a connection meanwhile is a problem,
   * and so is a will of a client that is still there.
   */
  undisturbed(of: readonly Traveller[] = this.travellers): (when: string) => void {
    const before = new Map(of.map((each) => [each, each.drops]));
    return (when) => {
      const dropped = of.filter((each) => each.drops > (before.get(each) ?? 0));
      if (dropped.length > 0) {
        const names = dropped.slice(0, 3).map(({ name }) => name);
        this.note(`${dropped.length} clients dropped ${when}: ${names.join()}`);
      }
      const { early } = this.wills;
      if (early.length > 0) this.note(`${early.length} wills ${when} of clients that are there`);
    };
  }

  connected(of: readonly Traveller[] = this.travellers): Promise<boolean> {
    const away = (): Traveller[] => of.filter(({ isConnected }) => !isConnected);
    return this.until(
      () => `back are all but ${away().map(describeTraveller).slice(0, 5).join()}`,
      3 * this.#connectMs,
      () => away().length === 0,
    );
  }

  /** From now on clients stay where they are, all of them connected, until `go`. */
  async calm(): Promise<void> {
    this.#isCalm = true;
    await Promise.all(this.#running);
    await this.connected();
  }

  /** Clients come and go and publish. */
  go(): void {
    this.#isCalm = false;
    this.#isQuiet = false;
  }

  /** The load goes on for a while. */
  load(msMin: number, msMax: number): Promise<void> {
    return delay(msMin + this.random.below(msMax - msMin));
  }

  /** Reads as if there was nothing before: what is sent from now on arrives. */
  watch(): () => Promise<Recovery> {
    const startMs = performance.now();
    const present = new Set(this.cast.online.map(({ options }) => options.clientId));
    const isGroup = (name: string): boolean => name.startsWith('group-');
    const accounts = this.ledger.accounts.filter(({ name }) => present.has(name) || isGroup(name));
    const pairs: Pair[] = [];
    for (const topic of this.ledger.topics.values()) {
      if (topic.qos === 0) continue;
      for (const account of accounts) {
        if (account.wants(topic.name)) pairs.push({ account, topic, before: topic.sent });
      }
    }
    const total = pairs.length;
    let waiting = pairs;
    return async () => {
      let halfMs = 0;
      let qos1Ms = 0;
      await this.until(
        () => `${waiting.length} of ${total} ways go on: ${describePairs(waiting)}`,
        settleMsMax,
        () => {
          waiting = waiting.filter(
            ({ account, topic, before }) => account.highest(topic.name) <= before,
          );
          const nowMs = performance.now() - startMs;
          if (halfMs === 0 && waiting.length <= total / 2) halfMs = nowMs;
          if (qos1Ms === 0 && waiting.every(({ topic }) => topic.qos === 2)) qos1Ms = nowMs;
          return waiting.length === 0;
        },
      );
      return { halfMs, qos1Ms, allMs: performance.now() - startMs };
    };
  }

  /** Each of the publishers gets something acknowledged that it sends from now on. How long, ms. */
  async acknowledged(
    withinMs: number,
    of: readonly LedgerPublisher[] = this.cast.publishers,
  ): Promise<number> {
    const startMs = performance.now();
    let waiting = of.map(({ options }) => ({
      name: options.clientId,
      topics: options.topics.map((topic) => ({ topic, before: topic.sent })),
    }));
    await this.until(
      () =>
        `acknowledgements for ${waiting
          .map(({ name }) => name)
          .slice(0, 5)
          .join()}`,
      withinMs,
      () => {
        waiting = waiting.filter(({ topics }) =>
          topics.every(({ topic, before }) => {
            for (let number = topic.sent; number > before; number -= 1) {
              if (topic.acknowledged.has(number)) return false;
            }
            return true;
          }),
        );
        return waiting.length === 0;
      },
    );
    return performance.now() - startMs;
  }

  /**
   * Nothing is sent any more, all come, and all that is owed arrives; what was since the last time.
   */
  async settle(): Promise<Deltas> {
    const { ledger, wills, cast } = this;
    await this.calm();
    this.#isQuiet = true;
    const deadlineMs = performance.now() + settleMsMax;
    wills.leave();
    await settlePublishers(ledger, this.publishers, deadlineMs);
    const comers = [...cast.visitors, ...cast.away].filter(({ isConnected }) => !isConnected);
    for (const party of comers) {
      await party.come(this.port(), this.#connectMs).catch((error: unknown) => {
        this.note(`${party.options.clientId} does not come: ${String(error)}`);
      });
    }
    await settleSubscribers(ledger, wills, deadlineMs);
    await checkRetained(ledger, cast.retainers, this.port());
    for (const party of cast.away) party.leave();
    return this.#take();
  }

  #take(): Deltas {
    const before = this.#before;
    const after = this.ledger.settle();
    const { settled, wrong } = this.wills;
    const wills = settled - this.#willsBefore.settled;
    const willsWrong = wrong - this.#willsBefore.wrong;
    this.#before = after;
    this.#willsBefore = { settled, wrong };
    this.ledger.problems.length = 0;
    return {
      acknowledged: after.acknowledged - before.acknowledged,
      arrivals: after.arrivals - before.arrivals,
      lost: after.lost - before.lost,
      doubled: after.doubled - before.doubled,
      repeated: after.repeated - before.repeated,
      disordered: after.disordered - before.disordered,
      wills,
      willsWrong,
      problems: after.problems,
    };
  }

  /** Everybody leaves. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#isCalm = true;
    this.wills.leave();
    for (const party of [...this.cast.visitors, ...this.cast.away]) party.leave();
    await Promise.all(this.travellers.map((traveller) => traveller.stop()));
    await Promise.all(this.#running);
  }
}

function describeTraveller({ name, trouble }: Traveller): string {
  return `${name} (${trouble})`;
}

function describePairs(pairs: readonly Pair[]): string {
  return pairs
    .slice(0, 5)
    .map(({ account, topic, before }) => `${topic.name} past ${before} to ${account.name}`)
    .join();
}
