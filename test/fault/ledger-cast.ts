// Publishers and subscribers of a run: persistent and clean sessions, filters that overlap, a
// group, retained messages, subscribers that are away.
import type { Qos, Version } from '../harness/packets.ts';
import { LedgerPublisher } from './ledger-publisher.ts';
import { LedgerSubscriber } from './ledger-subscriber.ts';
import type { LedgerWills } from './ledger-wills.ts';
import type { Ledger, LedgerAccount, LedgerTopic } from './ledger.ts';

/**
 * Reason codes of a connection that is taken over, or that a node drops because it may not go on.
 */
const disconnects = [0x8e, 0x89];

const isLoad = (topic: string): boolean => topic.startsWith('load/');
const all = [{ filter: 'load/#', qos: 2 as const }];

export function makePublishers(ledger: Ledger): {
  publishers: LedgerPublisher[];
  retainers: LedgerPublisher[];
} {
  const publishers = (['a', 'b', 'c', 'd'] as const).map((name, index) => {
    const qos = index % 2 === 0 ? 1 : 2;
    const version: Version = index < 2 ? 4 : 5;
    const topics = topicsOf(ledger, name, qos);
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

function topicsOf(ledger: Ledger, name: string, qos: Qos): LedgerTopic[] {
  return [0, 1].map((index) => ledger.topic(`load/${name}/${index}`, qos));
}

/** Their sessions end with their connections; each connection has a will. */
export function makeCleanPublishers(ledger: Ledger, wills: LedgerWills): LedgerPublisher[] {
  return ([0, 1, 2, 2] as const).map((qos, index) => {
    const version: Version = index % 2 === 0 ? 5 : 4;
    const clientId = `pub-clean-${index}`;
    const topics = topicsOf(ledger, `clean-${index}`, qos);
    return new LedgerPublisher(ledger, {
      clientId,
      version,
      topics,
      window: 4,
      clean: true,
      wills,
    });
  });
}

export function makeSubscribers(
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
    return new LedgerSubscriber(ledger, { clientId, version, filters, disconnects, arrived });
  };
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
  const account = ledger.account('group', (topic) => (isLoad(topic) ? 2 : undefined), false);
  return ([4, 5, 5] as const).map(
    (version, index) =>
      new LedgerSubscriber(ledger, {
        clientId: `sharer-${index}`,
        version,
        filters: [{ filter: '$share/group/load/#', qos: 2 }],
        disconnects,
        arrived: (topic, payload) => account.arrived(topic, Number(payload)),
      }),
  );
}

/** Their sessions end with their connections, and each session has an account of its own. */
export function makeCleanSubscribers(ledger: Ledger): LedgerSubscriber[] {
  const rows = [
    { version: 4, qos: 2 },
    { version: 5, qos: 2 },
    { version: 5, qos: 1 },
    { version: 4, qos: 0 },
  ] as const;
  return rows.map(({ version, qos }, index) => {
    const clientId = `sub-clean-${index}`;
    let account: LedgerAccount | undefined;
    let lives = 0;
    return new LedgerSubscriber(ledger, {
      clientId,
      version,
      filters: [{ filter: 'load/#', qos }],
      clean: true,
      disconnects,
      subscribing: () => {
        account?.end();
        lives += 1;
        account = ledger.account(`${clientId}, session ${lives}`, (topic) =>
          isLoad(topic) ? qos : undefined,
        );
        account.later();
      },
      subscribed: () => account?.begin(ledger.topics.values()),
      arrived: (topic, payload) => account?.arrived(topic, Number(payload)),
    });
  });
}
