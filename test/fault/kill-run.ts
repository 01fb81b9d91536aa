// A broker that is killed at random instants under load, and the ledger of it: publishers at QoS 1
// and 2, subscribers that are there, that are away, that overlap and that share, retained
// messages and wills. All clients keep the state of their handshakes over every reconnect.
import { setTimeout as delay } from 'node:timers/promises';
import type { Qos, Version } from '../harness/packets.ts';
import { LedgerPublisher } from './ledger-publisher.ts';
import { LedgerSubscriber } from './ledger-subscriber.ts';
import { LedgerWills } from './ledger-wills.ts';
import { Ledger, type LedgerFigures, type LedgerTopic } from './ledger.ts';
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
const quietMs = 300;

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
  await settle(ledger, [...publishers, ...retainers], wills, deadlineMs, async () => {
    for (const party of offline) await party.come(victim.mqttPort);
  });
  const retained = await checkRetained(ledger, retainers, victim.mqttPort);
  wills.settle();
  for (const party of [...parties, ...offline]) party.leave();
  return { ...ledger.figures(), kills, wills: wills.owed.size, retained };
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

  /** What the kill interrupts may fail. */
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

function makePublishers(ledger: Ledger): {
  publishers: LedgerPublisher[];
  retainers: LedgerPublisher[];
} {
  const topicsOf = (name: string, qos: 1 | 2): LedgerTopic[] =>
    [0, 1].map((index) => ledger.topic(`load/${name}/${index}`, qos));
  const publishers = (['a', 'b', 'c', 'd'] as const).map((name, index) => {
    const qos = index % 2 === 0 ? 1 : 2;
    const version: Version = index < 2 ? 4 : 5;
    const topics = topicsOf(name, qos);
    return new LedgerPublisher(ledger, { clientId: `pub-${name}`, version, topics, window: 6 });
  });
  // Each fifth message of these deletes what is retained.
  const retainers = ([1, 2] as const).map((qos) => {
    const payload = (_: LedgerTopic, number: number): string =>
      number % 5 === 0 ? '' : String(number);
    const topics = [ledger.topic(`kept/${qos}`, qos)];
    const clientId = `retainer-${qos}`;
    return new LedgerPublisher(ledger, {
      clientId,
      version: 5,
      topics,
      window: 3,
      retain: true,
      payload,
    });
  });
  return { publishers, retainers };
}

function makeSubscribers(
  ledger: Ledger,
  wills: LedgerWills,
): { online: LedgerSubscriber[]; offline: LedgerSubscriber[] } {
  const make = (
    clientId: string,
    version: Version,
    filters: readonly { filter: string; qos: Qos }[],
    granted: (topic: string) => Qos | undefined,
  ): LedgerSubscriber => {
    const account = ledger.account(clientId, granted);
    const arrived = (topic: string, payload: string): void =>
      account.arrived(topic, Number(payload));
    return new LedgerSubscriber(ledger, { clientId, version, filters, arrived });
  };
  const isLoad = (topic: string): boolean => topic.startsWith('load/');
  const all = [{ filter: 'load/#', qos: 2 as const }];
  const online = [
    make('sub-all', 5, all, (topic) => (isLoad(topic) ? 2 : undefined)),
    make('sub-exact', 4, [{ filter: 'load/b/0', qos: 2 }], (topic) =>
      topic === 'load/b/0' ? 2 : undefined,
    ),
    make('sub-lower', 4, [{ filter: 'load/+/1', qos: 1 }], (topic) =>
      /^load\/[^/]+\/1$/.test(topic) ? 1 : undefined,
    ),
    make(
      'sub-overlapping',
      5,
      [
        { filter: 'load/#', qos: 1 },
        { filter: 'load/+/0', qos: 2 },
        { filter: 'load/d/0', qos: 1 },
      ],
      (topic) => (!isLoad(topic) ? undefined : topic.endsWith('/0') ? 2 : 1),
    ),
    ...sharers(ledger),
    new LedgerSubscriber(ledger, {
      clientId: 'sub-wills',
      version: 4,
      filters: [{ filter: 'wills/#', qos: 2 }],
      arrived: (_topic, payload) => wills.arrived(payload),
    }),
  ];
  const offline = [
    make('sub-away-4', 4, all, (topic) => (isLoad(topic) ? 2 : undefined)),
    make('sub-away-5', 5, [{ filter: 'load/+/0', qos: 1 }], (topic) =>
      /^load\/[^/]+\/0$/.test(topic) ? 1 : undefined,
    ),
  ];
  return { online, offline };
}

/** One account for the members of a group. */
function sharers(ledger: Ledger): LedgerSubscriber[] {
  const account = ledger.account(
    'group',
    (topic) => (topic.startsWith('load/') ? 2 : undefined),
    false,
  );
  return ([4, 5, 5] as const).map(
    (version, index) =>
      new LedgerSubscriber(ledger, {
        clientId: `sharer-${index}`,
        version,
        filters: [{ filter: '$share/group/load/#', qos: 2 }],
        arrived: (topic, payload) => account.arrived(topic, Number(payload)),
      }),
  );
}

async function settle(
  ledger: Ledger,
  publishers: readonly LedgerPublisher[],
  wills: LedgerWills,
  deadlineMs: number,
  everyoneComes: () => Promise<void>,
): Promise<void> {
  const until = async (isDone: () => boolean): Promise<void> => {
    while (!isDone() && performance.now() < deadlineMs) await delay(50);
  };
  await until(() => publishers.every((publisher) => publisher.inflight === 0));
  for (const publisher of publishers) {
    if (publisher.inflight === 0) continue;
    const { clientId } = publisher.options;
    ledger.problems.push(`${clientId}: ${publisher.inflight} never acknowledged`);
  }
  await everyoneComes();
  await until(() => ledger.owed() === 0 && wills.missing === 0);
  // What comes twice comes late.
  await delay(quietMs);
}

/** What a new subscriber gets is the last that was published, or nothing where that deleted. */
async function checkRetained(
  ledger: Ledger,
  retainers: readonly LedgerPublisher[],
  port: number,
): Promise<number> {
  const found = new Map<string, string>();
  const reader = new LedgerSubscriber(ledger, {
    clientId: 'retained-reader',
    version: 5,
    filters: [{ filter: 'kept/#', qos: 1 }],
    arrived: (topic, payload) => found.set(topic, payload),
  });
  await reader.come(port);
  await delay(quietMs);
  reader.leave();
  let count = 0;
  for (const { options } of retainers) {
    for (const topic of options.topics) {
      count += 1;
      const wanted = options.payload?.(topic, topic.sent) ?? '';
      const got = found.get(topic.name) ?? '';
      if (got !== wanted) {
        ledger.problems.push(`${topic.name}: retained is "${got}", not "${wanted}"`);
      }
    }
  }
  return count;
}
