// The rows of the cluster's table: what is asked of the nodes, what runs beside it without them,
// and the goals.
import type { Work } from '../job.ts';
import type { BareWork } from './bare-job.ts';
import type { Condition } from './condition.ts';
import {
  allInWithin,
  cpuAtMost,
  type Goal,
  idleAtMost,
  inOrder,
  latencyOverBare,
  memoryAtMost,
  ofBareAtLeast,
  p50OfWindow,
  rateAtLeast,
  redisCommandsAtMost,
} from './goals.ts';

export interface Times {
  readonly warmMs: number;
  readonly measureMs: number;
}

export interface Row {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly work: (times: Times) => Work;
  readonly bare?: (condition: Condition) => BareWork;
  readonly goals: readonly Goal[];
  /** Nodes that clients connect to; default 1. */
  readonly cs?: number;
  readonly settings?: Readonly<Record<string, string>>;
  /** Redis is watched, which slows it. */
  readonly countsRedis?: boolean;
  /** Files that both sides need; default: no more than any process may open. */
  readonly openFiles?: number;
  /** Open files of the broker, on a file store. */
  readonly brokerOpenFiles?: number;
  readonly limitMs?: number;
  /** Run only where it is named. */
  readonly isApart?: boolean;
}

/** A lane has one send outstanding; where there is one send thread a broker keeps the order. */
function lanes(count: number, inFlight: number): (condition: Condition) => BareWork {
  return ({ threads }) => ({
    kind: 'loop',
    senders: threads === 'one' ? { pipelineWindow: inFlight } : { lanes: count },
  });
}

function pairs(count: number, window: number): Pick<Row, 'unit' | 'work'> {
  return {
    unit: 'msg/s',
    work: (times) => ({ kind: 'pairs', qos: 1, pairs: count, window, ...times }),
  };
}

function openLoop(perSecond: number): Row {
  return {
    name: `open-${perSecond}`,
    title: `open loop, ${perSecond.toLocaleString('en-US')} msg/s over 10 pairs`,
    unit: 'msg/s',
    work: (times) => ({ kind: 'open-loop', qos: 1, pairs: 10, perSecond, ...times }),
    bare: () => ({ kind: 'loop', senders: { lanes: 10 }, ratePerS: perSecond }),
    goals: latencyOverBare(2, 10),
  };
}

const connectsAtOnce = 64;
const untimedLimitMs = 300_000;
const backlogMessages = 200_000;
const manyQueued = { MAX_QUEUED_MESSAGES: '2000000', MAX_QUEUED_BYTES: '2g' };

export function rowsWith(sessions: number): readonly Row[] {
  return [
    {
      name: 'pairs-10',
      title: '10 pairs, 64 in flight',
      ...pairs(10, 64),
      bare: lanes(10, 640),
      goals: [ofBareAtLeast(0.75), inOrder, p50OfWindow(1.3, 640), cpuAtMost(60)],
    },
    {
      name: 'pairs-100',
      title: '100 pairs, 8 in flight',
      ...pairs(100, 8),
      bare: () => ({ kind: 'loop', senders: { lanes: 100 } }),
      goals: [ofBareAtLeast(0.75), inOrder],
    },
    {
      name: 'pair-1',
      title: '1 pair, 64 in flight',
      ...pairs(1, 64),
      bare: lanes(1, 64),
      goals: [ofBareAtLeast(0.75), inOrder],
    },
    {
      name: 'fan-out',
      title: '1 publisher, 4 in flight, to 1,000 subscribers on 2 cs',
      unit: 'deliveries/s',
      cs: 2,
      work: (times) => ({ kind: 'fan-out', qos: 1, subscribers: 1000, window: 4, ...times }),
      goals: [rateAtLeast(100_000, 'deliveries/s'), inOrder],
    },
    ...[100, 1000, 5000].map(openLoop),
    {
      name: 'connects-new',
      title: 'connects, persistent sessions, each a new one',
      unit: 'connects/s',
      work: (times) => ({
        kind: 'connects',
        atOnce: connectsAtOnce,
        persistent: 'new',
        ...times,
      }),
      goals: [rateAtLeast(2500, 'connects/s')],
    },
    {
      name: 'connects-persistent',
      title: 'connects, 5,000 persistent sessions that come and go',
      unit: 'connects/s',
      work: (times) => ({ kind: 'connects', atOnce: connectsAtOnce, persistent: 5000, ...times }),
      goals: [rateAtLeast(2500, 'connects/s')],
    },
    {
      name: 'connects-clean',
      title: 'connects, clean sessions',
      unit: 'connects/s',
      work: (times) => ({ kind: 'connects', atOnce: connectsAtOnce, ...times }),
      goals: [rateAtLeast(6000, 'connects/s')],
    },
    {
      name: 'storm',
      title: '10,000 clients dropped and back at once',
      unit: 'connects/s',
      openFiles: 12_000,
      limitMs: untimedLimitMs,
      work: () => ({ kind: 'storm', clients: 10_000 }),
      goals: allInWithin(10),
    },
    {
      name: 'memory',
      title: 'memory, fresh and with 5,000 connections and subscriptions',
      unit: 'set-ups/s',
      openFiles: 7000,
      limitMs: untimedLimitMs,
      work: () => ({ kind: 'idle', connections: 5000, firstConnections: 0, settleMs: 5000 }),
      goals: memoryAtMost(180, 250),
    },
    {
      name: 'idle',
      title: '1,000 idle connections with one subscription each',
      unit: 'set-ups/s',
      limitMs: untimedLimitMs,
      work: () => ({ kind: 'idle', connections: 1000, settleMs: 10_000, idleMs: 10_000 }),
      goals: [idleAtMost(0.03)],
    },
    {
      name: 'backlog',
      title: 'backlog of 200,000 messages of one session',
      unit: 'msg/s',
      settings: manyQueued,
      limitMs: untimedLimitMs,
      work: () => ({ kind: 'backlog', messages: backlogMessages, receiveMaximum: 1000 }),
      bare: () => ({ kind: 'pulls', messages: backlogMessages, outstanding: 4 }),
      goals: [ofBareAtLeast(0.6), inOrder],
    },
    {
      name: 'redis-session',
      title: 'Redis commands per new persistent session with one subscription',
      unit: 'set-ups/s',
      countsRedis: true,
      limitMs: untimedLimitMs,
      work: () => ({ kind: 'idle', connections: 1000, persistent: true, settleMs: 2000 }),
      goals: [redisCommandsAtMost(10, 1, 'session')],
    },
    {
      name: 'redis-deliveries',
      title: 'Redis commands per 1,000 deliveries, 10 pairs, 64 in flight',
      ...pairs(10, 64),
      countsRedis: true,
      goals: [redisCommandsAtMost(20, 1000, '1,000 deliveries')],
    },
    {
      name: 'sessions-100k',
      title: `${sessions.toLocaleString('en-US')} persistent sessions with a topic of its own each`,
      unit: 'sessions/s',
      isApart: true,
      brokerOpenFiles: 20_000,
      limitMs: 1_800_000,
      work: () => ({ kind: 'sessions', sessions }),
      goals: [],
    },
  ];
}
