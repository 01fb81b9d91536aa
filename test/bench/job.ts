// The question of the main process to the generator, and the answer.
import type { Latency, ProcessUse } from './meter.ts';
import type { Qos } from './wire/packets.ts';
import type { Target } from './wire/connection.ts';

interface Timed {
  readonly warmMs: number;
  readonly measureMs: number;
}

export interface PairsJob extends Timed {
  readonly kind: 'pairs';
  readonly qos: Qos;
  readonly pairs: number;
  readonly window: number;
  /** Filters that other clients hold meanwhile. */
  readonly filters?: number;
}

/** The subscribers are spread over the nodes of the broker. */
export interface FanOutJob extends Timed {
  readonly kind: 'fan-out';
  readonly qos: Qos;
  readonly subscribers: number;
  readonly window: number;
}

export interface OpenLoopJob extends Timed {
  readonly kind: 'open-loop';
  readonly qos: Qos;
  readonly pairs: number;
  readonly perSecond: number;
}

export interface StalledJob extends Timed {
  readonly kind: 'stalled';
  readonly qos: Qos;
  readonly subscribers: number;
  readonly perSecond: number;
  readonly payloadBytes: number;
  /** Whether one of the subscribers stops reading. */
  readonly stall: boolean;
}

export interface ConnectsJob extends Timed {
  readonly kind: 'connects';
  readonly atOnce: number;
  /** Default: clean ones. Persistent ones are new at each connect, or this many take turns. */
  readonly persistent?: 'new' | number;
}

export interface IdleJob {
  readonly kind: 'idle';
  readonly connections: number;
  readonly settleMs: number;
  /** Not counted, before the others; default: a tenth of them more. */
  readonly firstConnections?: number;
  readonly persistent?: boolean;
  /** How long the processor time of doing nothing is taken; without it, it is not. */
  readonly idleMs?: number;
}

export interface BacklogJob {
  readonly kind: 'backlog';
  readonly messages: number;
  readonly receiveMaximum: number;
}

export interface StormJob {
  readonly kind: 'storm';
  readonly clients: number;
}

/** Persistent sessions, each with a topic of its own, that get one message each while offline. */
export interface SessionsJob {
  readonly kind: 'sessions';
  readonly sessions: number;
}

export type Work =
  | PairsJob
  | FanOutJob
  | OpenLoopJob
  | StalledJob
  | ConnectsJob
  | IdleJob
  | BacklogJob
  | StormJob
  | SessionsJob;

export interface Job {
  readonly work: Work;
  readonly target: Target;
}

/** All of it 0 in a run that counts. */
export interface Faults {
  readonly missing: number;
  readonly duplicates: number;
  readonly disorder: number;
  readonly refused: number;
  readonly lost: readonly string[];
}

/** One step of a run that has several. */
export interface Phase {
  readonly name: string;
  readonly count: number;
  readonly seconds: number;
  /** Clients that had to try again. */
  readonly retries: number;
  /** The most that was seen of each process of the broker, in their order. */
  readonly rssMax: readonly number[];
}

export interface Outcome {
  /** Messages received, or connections made, in the measured time. */
  readonly count: number;
  readonly seconds: number;
  /** When the measured time began: milliseconds since 1970. */
  readonly startedMs: number;
  readonly latency: Latency;
  /** Processes of the broker. */
  readonly processes: readonly ProcessUse[];
  readonly generatorCpuUs: number;
  /** CPU time of everything else that ran on the machine meanwhile. */
  readonly otherCpuUs: number;
  readonly faults: Faults;
  /** How late the generator itself was, where it has a timetable. */
  readonly lateP99Us?: number;
  readonly phases?: readonly Phase[];
}
