// A cluster under load with the ledger of it: clients of all kinds spread over the nodes, which
// come back to any of them, while a test does its worst.
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster, LinkProxy } from '../harness/cluster.ts';
import type { ClusterNode } from '../harness/cluster-node.ts';
import {
  makeCleanPublishers,
  makeCleanSubscribers,
  makePublishers,
  makeSubscribers,
} from './ledger-cast.ts';
import type { LedgerPublisher } from './ledger-publisher.ts';
import { checkRetained, settlePublishers, settleSubscribers } from './ledger-settle.ts';
import type { LedgerSubscriber } from './ledger-subscriber.ts';
import { LedgerWills } from './ledger-wills.ts';
import { Ledger, type LedgerFigures } from './ledger.ts';
import type { Random } from './random.ts';
import { Traveller } from './traveller.ts';

const tickMs = 20;
const disturbMs = 150;
const lookMs = 10;
const quietMs = 100;
const settleMsMax = 20_000;
/** On top of what a claim may have to wait for: a lease, and that it is judged. */
const comeMs = 3000;

export interface RunFigures extends LedgerFigures {
  readonly wills: number;
  readonly retained: number;
}

export class ClusterRun<P extends LinkProxy = LinkProxy> {
  readonly cluster: Cluster<P>;
  readonly random: Random;
  readonly leaseMs: number;
  /** Clients come and go during the fault, too. */
  readonly busy: boolean;
  readonly ledger: Ledger = new Ledger();
  readonly wills: LedgerWills;
  readonly publishers: readonly LedgerPublisher[];
  readonly #retainers: readonly LedgerPublisher[];
  readonly #cleanPublishers: readonly LedgerPublisher[];
  readonly #offline: readonly LedgerSubscriber[];
  readonly travellers: readonly Traveller[];
  /** Nodes that nobody comes to. */
  readonly shunned: Set<ClusterNode> = new Set();
  readonly #running = new Set<Promise<void>>();
  #timers: readonly NodeJS.Timeout[] = [];
  #isCalm = false;
  #isQuiet = false;

  constructor(cluster: Cluster<P>, leaseMs: number, busy: boolean, random: Random) {
    this.cluster = cluster;
    this.leaseMs = leaseMs;
    this.busy = busy;
    this.random = random;
    this.wills = new LedgerWills(this.ledger, random);
    const { publishers, retainers } = makePublishers(this.ledger);
    this.#retainers = retainers;
    this.#cleanPublishers = makeCleanPublishers(this.ledger, this.wills);
    this.publishers = [...publishers, ...retainers, ...this.#cleanPublishers];
    const { online, offline } = makeSubscribers(this.ledger, this.wills);
    this.#offline = offline;
    const journey = { port: () => this.port(), connectMs: 2 * leaseMs + comeMs };
    const parties = [...online, ...makeCleanSubscribers(this.ledger), ...this.publishers];
    this.travellers = parties.map((party) => new Traveller(party.options.clientId, party, journey));
  }

  /** Port of any node that is not shunned. */
  port(): number {
    const open = this.cluster.cs.filter((node) => !this.shunned.has(node));
    return this.random.pick(open).port('mqtt');
  }

  /** Everybody is there, and publishing has begun. */
  async start(): Promise<void> {
    for (const party of this.#offline) {
      await party.come(this.port());
      party.leave();
    }
    await Promise.all(
      this.travellers.map((traveller, index) => {
        const node = this.cluster.cs[index % this.cluster.cs.length];
        return traveller.start(node?.port('mqtt') ?? 0);
      }),
    );
    this.#timers = [
      setInterval(() => this.#publish(), tickMs),
      setInterval(() => this.#disturb(), disturbMs),
    ];
  }

  #publish(): void {
    if (this.#isQuiet) return;
    for (const publisher of this.publishers) publisher.publish();
  }

  #disturb(): void {
    if (this.#isCalm) return;
    this.#track(this.wills.add(this.port()));
    const traveller = this.random.pick(this.travellers);
    if (this.random.chance(0.5)) traveller.crash();
    else traveller.move();
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
        this.note(`not within ${ms} ms: ${what()}`);
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

  /** Connections that were ended by the other side. */
  drops(of: readonly Traveller[] = this.travellers): number {
    return of.reduce((sum, { drops }) => sum + drops, 0);
  }

  /** To be called when it is over: whom the other side dropped meanwhile is a problem. */
  undisturbed(of: readonly Traveller[] = this.travellers): (when: string) => void {
    const before = this.drops(of);
    return (when) => {
      const dropped = this.drops(of) - before;
      if (dropped > 0 && !this.busy) this.note(`${dropped} clients dropped ${when}`);
    };
  }

  connected(of: readonly Traveller[] = this.travellers): Promise<boolean> {
    const away = (): Traveller[] => of.filter(({ isConnected }) => !isConnected);
    return this.until(
      () =>
        `back are all but ${away()
          .map(({ name, trouble }) => `${name} (${trouble})`)
          .join()}`,
      2 * this.leaseMs + 2 * comeMs,
      () => away().length === 0,
    );
  }

  /** From now on clients stay where they are, all of them connected, until `stir`; not if busy. */
  async calm(): Promise<void> {
    if (this.busy) return;
    this.#isCalm = true;
    await Promise.all(this.#running);
    await this.connected();
  }

  /** Nothing is published until `loud`, and nothing is on its way. */
  async quiet(): Promise<void> {
    this.#isQuiet = true;
    let packetCount = -1;
    let sinceMs = performance.now();
    await this.until(
      () => 'quiet',
      settleMsMax,
      () => {
        const before = packetCount;
        packetCount = this.travellers.reduce(
          (sum, { party }) => sum + (party.seat.connection?.packetCount ?? 0),
          0,
        );
        if (packetCount !== before) sinceMs = performance.now();
        return performance.now() - sinceMs > quietMs;
      },
    );
  }

  loud(): void {
    this.#isQuiet = false;
  }

  stir(): void {
    this.#isCalm = false;
  }

  /** The load goes on for a while. */
  load(msMin: number, msMax: number): Promise<void> {
    return delay(msMin + this.random.below(msMax - msMin));
  }

  /** Each of the publishers gets something acknowledged that it sends from now on. How long, ms. */
  async progress(
    withinMs: number,
    of: readonly LedgerPublisher[] = this.publishers,
  ): Promise<number> {
    const startMs = performance.now();
    const sent = of
      .map(({ options }) => options)
      .filter(({ topics }) => topics.some(({ qos }) => qos > 0))
      .map(({ clientId, topics }) => ({
        clientId,
        topics: topics.map((topic) => ({ topic, before: topic.sent })),
      }));
    const waiting = (): string[] =>
      sent
        .filter(({ topics }) =>
          topics.every(({ topic, before }) => {
            for (let number = topic.sent; number > before; number -= 1) {
              if (topic.acknowledged.has(number)) return false;
            }
            return true;
          }),
        )
        .map(({ clientId }) => clientId);
    await this.until(
      () => `acknowledgements for ${waiting().join()}`,
      withinMs,
      () => waiting().length === 0,
    );
    return performance.now() - startMs;
  }

  /** Ends the load and gives everybody the time to get what is owed. */
  async finish(): Promise<RunFigures> {
    const { ledger, wills } = this;
    const deadlineMs = performance.now() + settleMsMax;
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all(this.#running);
    wills.leave();
    await this.connected();
    await settlePublishers(ledger, this.publishers, deadlineMs);
    const clean = new Set<unknown>(this.#cleanPublishers);
    // Their wills are owed.
    await Promise.all(
      this.travellers.filter(({ party }) => clean.has(party)).map((each) => each.stop()),
    );
    for (const party of this.#offline) await party.come(this.port());
    await settleSubscribers(ledger, wills, deadlineMs);
    const retained = await checkRetained(ledger, this.#retainers, this.port());
    await this.stop();
    return { ...ledger.figures(), wills: wills.settled, retained };
  }

  /** Everybody leaves. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.wills.leave();
    for (const party of this.#offline) party.leave();
    await Promise.all(this.travellers.map((traveller) => traveller.stop()));
  }
}
