// The workloads, and the goal of each on a machine with two cores.
import type { BrokerName } from './brokers.ts';
import type { Work } from './job.ts';
import {
  cpuUsPerMessage,
  p50Us,
  p99Us,
  perSecond,
  type Figure,
  type Results,
  rssGrowth,
  rssPerCount,
  seconds,
} from './results.ts';

export interface Times {
  readonly warmMs: number;
  readonly measureMs: number;
}

export interface Goal {
  readonly text: string;
  /** Undefined where the runs that it needs were not made. */
  readonly measured: string | undefined;
  readonly isMet: boolean;
}

export interface Workload {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly peers: readonly BrokerName[];
  /** Run one after the other within a round. */
  readonly variants: Readonly<Record<string, (times: Times) => Work>>;
  /** A new broker for each run, and one run of each: what is measured is not a speed. */
  readonly once?: boolean;
  readonly tls?: boolean;
  readonly settings?: Readonly<Record<string, string>>;
  readonly goals: (results: Results) => readonly Goal[];
}

const only = '';
const kib = 1024;
const mib = 1024 * 1024;

function place(broker: BrokerName, variant = only): { broker: BrokerName; variant: string } {
  return { broker, variant };
}

function goal(text: string, value: number, measured: string, isMet: boolean): Goal {
  return { text, measured: Number.isNaN(value) ? undefined : measured, isMet };
}

function atLeast(results: Results, peer: BrokerName, factor: number): Goal {
  const ratio = results.ratio(perSecond, place('ours'), place(peer));
  return goal(`≥ ${factor}x ${peer}`, ratio, `${ratio.toFixed(2)}x`, ratio >= factor);
}

function atMost(
  results: Results,
  figure: Figure,
  what: string,
  peer: BrokerName,
  factor: number,
): Goal {
  const ratio = results.ratio(figure, place('ours'), place(peer));
  return goal(`${what} ≤ ${factor}x ${peer}`, ratio, `${ratio.toFixed(2)}x`, ratio <= factor);
}

function memory(results: Results, limitKib: number): Goal {
  const each = results.median(rssPerCount, place('ours')) / kib;
  return goal(`≤ ${limitKib} KiB each`, each, `${each.toFixed(1)} KiB`, each <= limitKib);
}

/** What may still be called the same amount of memory, given a garbage collector. */
const flatBytes = 64 * mib;

function flat(text: string, growth: number): Goal {
  return goal(
    text,
    growth,
    `${growth < 0 ? '' : '+'}${(growth / mib).toFixed(0)} MiB`,
    growth <= flatBytes,
  );
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
    goals: (results) => {
      const ratio = results.ratio(p99Us, place('ours', one), place('ours', all));
      const growth =
        results.median(rssGrowth, place('ours', one)) -
        results.median(rssGrowth, place('ours', all));
      return [
        goal("others' p99 ≤ 1.5x", ratio, `${ratio.toFixed(2)}x`, ratio <= 1.5),
        flat(`memory bounded (≤ ${flatBytes / mib} MiB more)`, growth),
      ];
    },
  };
}

export const workloads: readonly Workload[] = [
  {
    name: 'qos0',
    title: 'QoS 0, 10 pairs, 64 in flight',
    unit: 'msg/s',
    peers: ['aedes', 'mosquitto', 'rumqttd'],
    variants: { [only]: (times) => ({ kind: 'pairs', qos: 0, pairs: 10, window: 64, ...times }) },
    goals: (results) => [
      atLeast(results, 'aedes', 8),
      atLeast(results, 'mosquitto', 7),
      atLeast(results, 'rumqttd', 2),
    ],
  },
  {
    name: 'qos1',
    title: 'QoS 1 durable, 10 pairs, 64 in flight',
    unit: 'msg/s',
    peers: ['aedes', 'mosquitto', 'rumqttd'],
    variants: { [only]: (times) => ({ kind: 'pairs', qos: 1, pairs: 10, window: 64, ...times }) },
    goals: (results) => [
      atLeast(results, 'aedes', 3.5),
      atLeast(results, 'mosquitto', 4),
      atLeast(results, 'rumqttd', 1),
      atMost(results, cpuUsPerMessage, 'CPU per message', 'rumqttd', 1),
    ],
  },
  {
    name: 'qos2',
    title: 'QoS 2 durable, 10 pairs, 64 in flight',
    unit: 'msg/s',
    peers: ['aedes', 'mosquitto'],
    variants: { [only]: (times) => ({ kind: 'pairs', qos: 2, pairs: 10, window: 64, ...times }) },
    goals: (results) => [atLeast(results, 'aedes', 3), atLeast(results, 'mosquitto', 3)],
  },
  {
    name: 'pairs500',
    title: 'QoS 1 durable, 500 pairs, 1 in flight',
    unit: 'msg/s',
    peers: ['aedes', 'rumqttd'],
    variants: { [only]: (times) => ({ kind: 'pairs', qos: 1, pairs: 500, window: 1, ...times }) },
    goals: (results) => [atLeast(results, 'aedes', 1.4), atLeast(results, 'rumqttd', 1)],
  },
  {
    name: 'fan-out',
    title: 'QoS 1, 1 publisher with 4 in flight to 1,000 subscribers',
    unit: 'deliveries/s',
    peers: ['aedes', 'mosquitto', 'rumqttd'],
    variants: {
      [only]: (times) => ({ kind: 'fan-out', qos: 1, subscribers: 1000, window: 4, ...times }),
    },
    goals: (results) => [
      atLeast(results, 'aedes', 2.2),
      atLeast(results, 'mosquitto', 1.7),
      atLeast(results, 'rumqttd', 1),
    ],
  },
  {
    name: 'connects',
    title: 'connects per second, clean session, 64 at once',
    unit: 'connects/s',
    peers: ['aedes'],
    variants: { [only]: (times) => ({ kind: 'connects', atOnce: 64, ...times }) },
    goals: (results) => [atLeast(results, 'aedes', 2)],
  },
  {
    name: 'memory',
    title: 'memory per idle connection with one subscription (5,000)',
    unit: 'set-ups/s',
    peers: ['aedes'],
    once: true,
    variants: { [only]: () => ({ kind: 'idle', connections: 5000, settleMs: 3000 }) },
    goals: (results) => [memory(results, 8), atMost(results, rssPerCount, 'memory', 'aedes', 0.5)],
  },
  {
    name: 'memory-tls',
    title: 'the same over TLS (2,000)',
    unit: 'set-ups/s',
    peers: ['aedes'],
    once: true,
    tls: true,
    variants: { [only]: () => ({ kind: 'idle', connections: 2000, settleMs: 3000 }) },
    goals: (results) => [memory(results, 20), atMost(results, rssPerCount, 'memory', 'aedes', 0.5)],
  },
  {
    name: 'open-loop',
    title: '5,000 msg/s QoS 1 durable, 10 pairs, open loop',
    unit: 'msg/s',
    peers: [],
    variants: {
      [only]: (times) => ({ kind: 'open-loop', qos: 1, pairs: 10, perSecond: 5000, ...times }),
    },
    goals: (results) => {
      const us = results.median(p50Us, place('ours'));
      return [goal('p50 ≤ 1 ms', us, `${(us / 1000).toFixed(2)} ms`, us <= 1000)];
    },
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
    goals: (results) => {
      const ratio = results.ratio(perSecond, place('ours', '100,000'), place('ours', '10'));
      return [goal('≥ 0.8x of 10 filters', ratio, `${ratio.toFixed(2)}x`, ratio >= 0.8)];
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
    goals: (results) => {
      const rate = results.median(perSecond, place('ours'));
      const growth = results.median(rssGrowth, place('ours'));
      return [
        goal('≥ 200,000 msg/s', rate, `${Math.round(rate)} msg/s`, rate >= 200_000),
        flat(`memory flat (≤ ${flatBytes / mib} MiB more)`, growth),
      ];
    },
  },
  {
    name: 'storm',
    title: '10,000 clients dropped and back at once',
    unit: 'connects/s',
    peers: [],
    once: true,
    variants: { [only]: () => ({ kind: 'storm', clients: 10_000 }) },
    goals: (results) => {
      const all = results.median(seconds, place('ours'));
      const refused = results.median((outcome) => outcome.faults.missing, place('ours'));
      return [
        goal('all in within 5 s', all, `${all.toFixed(2)} s`, all <= 5),
        goal('none refused', refused, String(refused), refused === 0),
      ];
    },
  },
];
