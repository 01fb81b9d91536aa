// The two hundred of the runs on real stores: each zone has its publishers and those who listen to
// it, few listen to everything, so that what is published can be watched at a rate that a small
// machine with two JVMs on it carries.
import type { Qos, Version } from '../harness/packets.ts';
import { LedgerPublisher } from './ledger-publisher.ts';
import { LedgerSubscriber } from './ledger-subscriber.ts';
import type { LedgerWills } from './ledger-wills.ts';
import type { Ledger, LedgerAccount, LedgerTopic } from './ledger.ts';

/**
 * Reason codes of a connection that is taken over, or that a node drops because it may not go on.
 */
const disconnects = [0x8e, 0x89];
/**
 * Reason codes that a publisher may get when a broker or Redis is away: no acknowledgement has
 * 0x88.
 */
const refusals = [0x97, 0x83];

const zones = 8;
const publishersEach = 8;
const cleanPublishers = 8;
const zoneFilters = ['#', '+/0', '+/1', '#', '+/0', '+/#'] as const;

export interface CastOptions {
  /** Default: all there are. */
  readonly zones?: number;
  readonly shared?: boolean;
}

export interface StoresCast {
  readonly publishers: readonly LedgerPublisher[];
  readonly cleanPublishers: readonly LedgerPublisher[];
  readonly retainers: readonly LedgerPublisher[];
  /** Mostly there. */
  readonly online: readonly LedgerSubscriber[];
  /** They come and go. */
  readonly visitors: readonly LedgerSubscriber[];
  /** Away until the end. */
  readonly away: readonly LedgerSubscriber[];
  readonly size: number;
}

interface Subscription {
  readonly filter: string;
  readonly qos: Qos;
}

const versionOf = (index: number): Version => (index % 2 === 0 ? 4 : 5);
const qosOf = (index: number): 1 | 2 => (index % 2 === 0 ? 1 : 2);

/** As MQTT matches them, for filters that begin with a plain level. */
export function matches(filter: string, topic: string): boolean {
  const levels = topic.split('/');
  const wanted = filter.split('/');
  for (const [index, level] of wanted.entries()) {
    if (level === '#') return true;
    const found = levels[index];
    if (found === undefined || (level !== '+' && level !== found)) return false;
  }
  return wanted.length === levels.length;
}

/** The highest QoS of those that match. */
function grant(subscriptions: readonly Subscription[], topic: string): Qos | undefined {
  const matching = subscriptions.filter(({ filter }) => matches(filter, topic));
  if (matching.length === 0) return undefined;
  return matching.reduce<Qos>((most, { qos }) => (qos > most ? qos : most), 0);
}

export function makeCast(ledger: Ledger, wills: LedgerWills, options: CastOptions): StoresCast {
  const zoneCount = Math.min(options.zones ?? zones, zones);
  const zoneNumbers = Array.from({ length: zoneCount }, (_, zone) => zone);
  const refused =
    (clientId: string) =>
    (reason: number): void => {
      if (refusals.includes(reason)) return;
      ledger.problems.push(`${clientId}: refused with 0x${reason.toString(16)}`);
    };
  const topics = (path: string, qos: Qos): LedgerTopic[] =>
    [0, 1].map((index) => ledger.topic(`load/${path}/${index}`, qos));

  const publishers = zoneNumbers.flatMap((zone) =>
    Array.from({ length: publishersEach }, (_, index) => {
      const clientId = `pub-${zone}-${index}`;
      const qos = qosOf(index);
      return new LedgerPublisher(ledger, {
        clientId,
        version: versionOf(index >> 1),
        topics: topics(`${zone}/p${index}`, qos),
        window: 3,
        refused: refused(clientId),
      });
    }),
  );
  const clean = Array.from({ length: Math.min(cleanPublishers, zoneCount) }, (_, index) => {
    const clientId = `pub-clean-${index}`;
    return new LedgerPublisher(ledger, {
      clientId,
      version: versionOf(index),
      topics: topics(`${index}/clean`, qosOf(index)),
      window: 2,
      clean: true,
      wills,
      refused: refused(clientId),
    });
  });
  // Each fifth message of these deletes what is retained.
  const retainers = ([1, 2] as const).map((qos) => {
    const clientId = `retainer-${qos}`;
    return new LedgerPublisher(ledger, {
      clientId,
      version: 5,
      topics: [ledger.topic(`kept/${qos}`, qos)],
      window: 2,
      retain: true,
      payload: (_, number) => (number % 5 === 0 ? '' : String(number)),
      refused: refused(clientId),
    });
  });

  const subscriber = (
    clientId: string,
    index: number,
    filters: readonly Subscription[],
  ): LedgerSubscriber => {
    const account = ledger.account(clientId, (topic) => grant(filters, topic));
    return new LedgerSubscriber(ledger, {
      clientId,
      version: versionOf(index),
      filters,
      disconnects,
      arrived: (topic, payload) => account.arrived(topic, Number(payload)),
    });
  };
  const everything: Subscription[] = [{ filter: 'load/#', qos: 2 }];
  const ofZone = (zone: number, name: string): LedgerSubscriber[] => [
    // One topic each.
    ...[0, 1, 2, 3, 4].map((index) =>
      subscriber(`${name}-exact-${zone}-${index}`, index, [
        { filter: `load/${zone}/p${index}/${index % 2}`, qos: qosOf(index >> 1) },
      ]),
    ),
  ];
  const overlapping = (zone: number): Subscription[] => [
    { filter: `load/${zone}/#`, qos: 1 },
    { filter: `load/${zone}/+/0`, qos: 2 },
    { filter: `load/${zone}/p1/1`, qos: 2 },
  ];
  const online = [
    ...[0, 1].map((index) => subscriber(`sub-all-${index}`, index, everything)),
    ...zoneNumbers.flatMap((zone) => [
      ...ofZone(zone, 'sub'),
      ...zoneFilters
        .slice(0, 4)
        .map((rest, index) =>
          subscriber(`sub-zone-${zone}-${index}`, index, [
            { filter: `load/${zone}/${rest}`, qos: qosOf(index + zone) },
          ]),
        ),
      subscriber(`sub-over-${zone}`, zone, overlapping(zone)),
      cleanSubscriber(ledger, zone),
      ...(options.shared === true && zone % 2 === 0 ? sharers(ledger, zone) : []),
    ]),
    new LedgerSubscriber(ledger, {
      clientId: 'sub-wills',
      version: 4,
      filters: [{ filter: 'wills/#', qos: 2 }],
      disconnects,
      arrived: (_topic, payload) => wills.arrived(payload),
    }),
  ];
  const visitors = zoneNumbers.flatMap((zone) => [
    subscriber(`visitor-zone-${zone}`, zone, [{ filter: `load/${zone}/+/0`, qos: qosOf(zone) }]),
    subscriber(`visitor-over-${zone}`, zone + 1, overlapping(zone)),
  ]);
  const away = [
    subscriber('away-all', 5, everything),
    ...zoneNumbers.map((zone) =>
      subscriber(`away-${zone}`, zone, [
        { filter: `load/${zone}/${zoneFilters[4 + (zone % 2)]}`, qos: 2 },
      ]),
    ),
  ];
  const parts = [publishers, clean, retainers, online, visitors, away];
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  return { publishers, cleanPublishers: clean, retainers, online, visitors, away, size };
}

/** Its session ends with its connection, and each session has an account of its own. */
function cleanSubscriber(ledger: Ledger, zone: number): LedgerSubscriber {
  const clientId = `sub-clean-${zone}`;
  const filters: Subscription[] = [
    { filter: `load/${zone}/#`, qos: ([2, 1, 0] as const)[zone % 3] ?? 1 },
  ];
  let account: LedgerAccount | undefined;
  let lives = 0;
  return new LedgerSubscriber(ledger, {
    clientId,
    version: versionOf(zone),
    filters,
    clean: true,
    disconnects,
    subscribing: () => {
      account?.end();
      lives += 1;
      account = ledger.account(`${clientId}, session ${lives}`, (topic) => grant(filters, topic));
      account.later();
    },
    subscribed: () => account?.begin(ledger.topics.values()),
    arrived: (topic, payload) => account?.arrived(topic, Number(payload)),
  });
}

/** One account for the members of a group. */
function sharers(ledger: Ledger, zone: number): LedgerSubscriber[] {
  const filter = `load/${zone}/#`;
  const account = ledger.account(
    `group-${zone}`,
    (topic) => grant([{ filter, qos: 2 }], topic),
    false,
  );
  return [0, 1, 2].map(
    (index) =>
      new LedgerSubscriber(ledger, {
        clientId: `sharer-${zone}-${index}`,
        version: versionOf(index),
        filters: [{ filter: `$share/group-${zone}/${filter}`, qos: 2 }],
        disconnects,
        arrived: (topic, payload) => account.arrived(topic, Number(payload)),
      }),
  );
}
