// A broker that is killed at random instants under load, and the ledger of it: publishers at QoS 1
// and 2, subscribers that are there, that are away, that overlap and that share, retained
// messages and wills. All clients keep the state of their handshakes over every reconnect.
import { setTimeout as delay } from 'node:timers/promises';
import { makePublishers, makeSubscribers } from './ledger-cast.ts';
import type { LedgerPublisher } from './ledger-publisher.ts';
import { checkRetained, settlePublishers, settleSubscribers } from './ledger-settle.ts';
import { LedgerWills } from './ledger-wills.ts';
import { Ledger, type LedgerFigures } from './ledger.ts';
import type { Random } from './random.ts';

/** A broker on the same stored state after each `start`. */
export interface Victim {
  readonly mqttPort: number;
  start(): Promise<void>;
  /** No warning, no flush. */
  kill(): Promise<void>;
}

export interface KillOptions {
  readonly kills: number;
  readonly random: Random;
  /** The least and the greatest time between start and kill. */
  readonly loadMs: readonly [number, number];
  /** How long to wait for what is owed, at the end. */
  readonly settleMs?: number;
}

export interface KillFigures extends LedgerFigures {
  readonly kills: number;
  readonly wills: number;
  readonly retained: number;
}

const tickMs = 15;
const disturbMs = 120;
const settleMsMax = 30_000;

interface Party {
  readonly isConnected: boolean;
  come(port: number): Promise<void>;
  leave(): void;
}

export async function killRun(victim: Victim, options: KillOptions): Promise<KillFigures> {
  const { kills, random, loadMs } = options;
  const ledger = new Ledger();
  const wills = new LedgerWills(ledger, random);
  const { publishers, retainers } = makePublishers(ledger);
  const { online, offline } = makeSubscribers(ledger, wills);
  const parties: readonly Party[] = [...publishers, ...retainers, ...online];
  await victim.start();
  for (const party of [...parties, ...offline]) await party.come(victim.mqttPort);
  for (const party of offline) party.leave();
  for (let kill = 0; kill < kills; kill += 1) {
    const load = new Load([...publishers, ...retainers], parties, wills, victim, random);
    await delay(loadMs[0] + random.below(loadMs[1] - loadMs[0]));
    const killed = victim.kill();
    load.stop();
    await killed;
    for (const party of parties) party.leave();
    wills.leave();
    await load.ended;
    await victim.start();
    // A few come back at once, before the others, so that redelivery meets new arrivals.
    for (const party of parties) await party.come(victim.mqttPort);
  }
  const deadlineMs = performance.now() + (options.settleMs ?? settleMsMax);
  await settlePublishers(ledger, [...publishers, ...retainers], deadlineMs);
  for (const party of offline) await party.come(victim.mqttPort);
  await settleSubscribers(ledger, wills, deadlineMs);
  const retained = await checkRetained(ledger, retainers, victim.mqttPort);
  for (const party of [...parties, ...offline]) party.leave();
  return { ...ledger.figures(), kills, wills: wills.settled, retained };
}

/** Publishing, clients that drop and come back, wills: until it is stopped. */
class Load {
  readonly #publishers: readonly LedgerPublisher[];
  readonly #parties: readonly Party[];
  readonly #wills: LedgerWills;
  readonly #victim: Victim;
  readonly #random: Random;
  readonly #running = new Set<Promise<void>>();
  readonly #timers: NodeJS.Timeout[];

  constructor(
    publishers: readonly LedgerPublisher[],
    parties: readonly Party[],
    wills: LedgerWills,
    victim: Victim,
    random: Random,
  ) {
    this.#publishers = publishers;
    this.#parties = parties;
    this.#wills = wills;
    this.#victim = victim;
    this.#random = random;
    this.#timers = [
      setInterval(() => this.#publish(), tickMs),
      setInterval(() => this.#disturb(), disturbMs),
    ];
  }

  #publish(): void {
    for (const publisher of this.#publishers) publisher.publish();
  }

  #disturb(): void {
    const { mqttPort } = this.#victim;
    this.#track(this.#wills.add(mqttPort));
    const party = this.#random.pick(this.#parties);
    if (!party.isConnected || this.#random.chance(0.3)) return;
    party.leave();
    this.#track(party.come(mqttPort));
  }

  /** Work that the kill interrupts may fail. */
  #track(work: Promise<void>): void {
    const run = work
      .catch(() => undefined)
      .finally(() => {
        this.#running.delete(run);
      });
    this.#running.add(run);
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  get ended(): Promise<unknown> {
    return Promise.all(this.#running);
  }
}
