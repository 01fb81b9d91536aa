// The workloads, and the goals of each on a machine with two cores.
import {
  atLeast,
  atMost,
  cpuAtMost,
  flat,
  type Goal,
  idleShareOfAtMost,
  memoryAtMost,
  memoryOfAtMost,
  only,
  p50AtMost,
  variantRatio,
  verdict,
} from './goals.ts';
import type { Work } from './job.ts';
import { cpuUsPerMessage, p99Us, perSecond, rssGrowth, rssPerCount, seconds } from './results.ts';
import type { PeerName, Shape } from './running-broker.ts';

export interface Times {
  readonly warmMs: number;
  readonly measureMs: number;
}

export interface Workload {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly peers: readonly PeerName[];
  /** Run one after the other within a round. */
  readonly variants: Readonly<Record<string, (times: Times) => Work>>;
  /** A new broker for each run, and one run of each: what is measured is not a speed. */
  readonly once?: boolean;
  readonly tls?: boolean;
  readonly settings?: Readonly<Record<string, string>>;
  /** Nodes of the split shape that clients connect to; default 1. */
  readonly cs?: number;
  /** Files that both sides need; default: no more than any process may open. */
  readonly openFiles?: number;
  /** Whether the cost of one connection is shown. */
  readonly perConnection?: boolean;
  /** By shape; one that is not named runs only where it is asked for. */
  readonly goals: Readonly<Partial<Record<Shape, readonly Goal[]>>>;
}

function stalled(
  name: string,
  title: string,
  stalledJob: { readonly qos: 0 | 1; readonly perSecond: number; readonly payloadBytes: number },
): Workload {
  const job = { kind: 'stalled', subscribers: 100, ...stalledJob } as const;
  const [all, one] = ['all read', 'one stalled'];
  return {
    name,
    title,
    unit: 'deliveries/s',
    peers: [],
    variants: {
      [all]: (times) => ({ ...job, ...times, stall: false }),
      [one]: (times) => ({ ...job, ...times, stall: true }),
    },
    goals: {
      standalone: [
        variantRatio(p99Us, one, all, "others' p99 ≤ 1.5x", (ratio) => ratio <= 1.5),
        flat('memory bounded', (results, broker) => {
          const growth = (variant: string): number =>
            results.median(rssGrowth, { broker, variant });
          return growth(one) - growth(all);
        }),
      ],
    },
  };
}

const storm: readonly Goal[] = [
  (results, broker) => {
    const all = results.median(seconds, { broker, variant: only });
    return verdict('all in within 5 s', all, `${all.toFixed(2)} s`, all <= 5);
  },
  (results, broker) => {
    const missing = results.median((outcome) => outcome.faults.missing, { broker, variant: only });
    return verdict('none refused', missing, String(missing), missing === 0);
  },
];

const backlog: readonly Goal[] = [
  (results, broker) => {
    const rate = results.median(perSecond, { broker, variant: only });
    return verdict('≥ 200,000 msg/s', rate, `${Math.round(rate)} msg/s`, rate >= 200_000);
  },
  flat('memory flat', (results, broker) => results.median(rssGrowth, { broker, variant: only })),
];

export const workloads: readonly Workload[] = [
  {
    name: 'qos0',
    title: 'QoS 0, 10 pairs, 64 in flight',
    unit: 'msg/s',
    peers: ['aedes', 'mosquitto', 'rumqttd'],
    variants: { [only]: (times) => ({ kind: 'pairs', qos: 0, pairs: 10, window: 64, ...times }) },
    goals: {
      standalone: [atLeast('aedes', 8), atLeast('mosquitto', 7), atLeast('rumqttd', 2)],
      split: [atLeast('aedes', 4)],
    },
  },
  {
    name: 'qos1',
    title: 'QoS 1 durable, 10 pairs, 64 in flight',
    unit: 'msg/s',
    peers: ['aedes', 'mosquitto', 'rumqttd'],
    variants: { [only]: (times) => ({ kind: 'pairs', qos: 1, pairs: 10, window: 64, ...times }) },
    goals: {
      standalone: [
        atLeast('aedes', 3.5),
        atLeast('mosquitto', 4),
        atLeast('rumqttd', 1),
        atMost(cpuUsPerMessage, 'CPU per message', 'rumqttd', 1),
      ],
      split: [
        atLeast('aedes', 2.2),
        atLeast('mosquitto', 2.5),
        atLeast('rumqttd', 0.6),
        cpuAtMost(8),
      ],
    },
  },
  {
    name: 'qos2',
    title: 'QoS 2 durable, 10 pairs, 64 in flight',
    unit: 'msg/s',
    peers: ['aedes', 'mosquitto'],
    variants: { [only]: (times) => ({ kind: 'pairs', qos: 2, pairs: 10, window: 64, ...times }) },
    goals: { standalone: [atLeast('aedes', 3), atLeast('mosquitto', 3)] },
  },
  {
    name: 'pairs500',
    title: 'QoS 1 durable, 500 pairs, 1 in flight',
    unit: 'msg/s',
    peers: ['aedes', 'rumqttd'],
    variants: { [only]: (times) => ({ kind: 'pairs', qos: 1, pairs: 500, window: 1, ...times }) },
    goals: {
      standalone: [atLeast('aedes', 1.4), atLeast('rumqttd', 1)],
      split: [atLeast('aedes', 1.1)],
    },
  },
  {
    name: 'fan-out',
    title: 'QoS 1, 1 publisher with 4 in flight to 1,000 subscribers',
    unit: 'deliveries/s',
    peers: ['aedes', 'mosquitto', 'rumqttd'],
    cs: 2,
    variants: {
      [only]: (times) => ({ kind: 'fan-out', qos: 1, subscribers: 1000, window: 4, ...times }),
    },
    goals: {
      standalone: [atLeast('aedes', 2.2), atLeast('mosquitto', 1.7), atLeast('rumqttd', 1)],
      split: [atLeast('aedes', 2)],
    },
  },
  {
    name: 'connects',
    title: 'connects per second, clean session, 64 at once',
    unit: 'connects/s',
    peers: ['aedes'],
    variants: { [only]: (times) => ({ kind: 'connects', atOnce: 64, ...times }) },
    goals: { standalone: [atLeast('aedes', 2)] },
  },
  {
    name: 'memory',
    title: 'memory per idle connection with one subscription (5,000)',
    unit: 'set-ups/s',
    peers: ['aedes'],
    once: true,
    perConnection: true,
    variants: { [only]: () => ({ kind: 'idle', connections: 5000, settleMs: 3000 }) },
    goals: { standalone: [memoryAtMost(8), atMost(rssPerCount, 'memory', 'aedes', 0.5)] },
  },
  {
    name: 'memory-tls',
    title: 'the same over TLS (2,000)',
    unit: 'set-ups/s',
    peers: ['aedes'],
    once: true,
    tls: true,
    perConnection: true,
    variants: { [only]: () => ({ kind: 'idle', connections: 2000, settleMs: 3000 }) },
    goals: { standalone: [memoryAtMost(20), atMost(rssPerCount, 'memory', 'aedes', 0.5)] },
  },
  {
    name: 'idle',
    title: '10,000 idle connections with one subscription each',
    unit: 'set-ups/s',
    peers: [],
    once: true,
    perConnection: true,
    openFiles: 12_000,
    // Settled for longer than the set-up leaves work behind: garbage, the time-out of each CONNECT.
    variants: {
      [only]: () => ({ kind: 'idle', connections: 10_000, settleMs: 15_000, idleMs: 10_000 }),
    },
    goals: { standalone: [], split: [memoryOfAtMost('cs-1', 8), idleShareOfAtMost('cs-1', 1)] },
  },
  {
    name: 'open-loop',
    title: '5,000 msg/s QoS 1 durable, 10 pairs, open loop',
    unit: 'msg/s',
    peers: [],
    variants: {
      [only]: (times) => ({ kind: 'open-loop', qos: 1, pairs: 10, perSecond: 5000, ...times }),
    },
    goals: { standalone: [p50AtMost(1)], split: [p50AtMost(2)] },
  },
  {
    name: 'filters',
    title: '100,000 filters subscribed (QoS 0, 10 pairs, 64 in flight)',
    unit: 'msg/s',
    peers: [],
    variants: {
      10: (times) => ({ kind: 'pairs', qos: 0, pairs: 10, window: 64, ...times }),
      '100,000': (times) => ({
        kind: 'pairs',
        qos: 0,
        pairs: 10,
        window: 64,
        filters: 100_000,
        ...times,
      }),
    },
    goals: {
      standalone: [
        variantRatio(perSecond, '100,000', '10', '≥ 0.8x of 10 filters', (ratio) => ratio >= 0.8),
      ],
    },
  },
  stalled('stalled-qos1', 'one subscriber of 100 stops reading (QoS 1, 200 msg/s)', {
    qos: 1,
    perSecond: 200,
    payloadBytes: 256,
  }),
  // Large payloads, so that the kernel's own buffers are full early in the run.
  stalled('stalled-qos0', 'the same at QoS 0, 400 msg/s of 4 KiB', {
    qos: 0,
    perSecond: 400,
    payloadBytes: 4096,
  }),
  {
    name: 'backlog',
    title: 'offline backlog of 1,000,000 messages of one session drained',
    unit: 'msg/s',
    peers: [],
    once: true,
    settings: { MAX_QUEUED_MESSAGES: '2000000', MAX_QUEUED_BYTES: '2g' },
    variants: {
      [only]: () => ({ kind: 'backlog', messages: 1_000_000, receiveMaximum: 1000 }),
    },
    goals: { standalone: backlog },
  },
  {
    name: 'storm',
    title: '10,000 clients dropped and back at once',
    unit: 'connects/s',
    peers: [],
    once: true,
    openFiles: 12_000,
    variants: { [only]: () => ({ kind: 'storm', clients: 10_000 }) },
    goals: { standalone: storm },
  },
];
