// A broker under test, whichever it is: its names, how it is asked for and what it is once it runs.
import type { Target } from './wire/connection.ts';

/** Ours: as one process, or as a ds and one or more cs. */
export const shapes = ['standalone', 'split'] as const;
export type Shape = (typeof shapes)[number];

export const peerNames = ['aedes', 'mosquitto', 'rumqttd', 'relay'] as const;
export type PeerName = (typeof peerNames)[number];

export type BrokerName = Shape | PeerName;

export function isShape(name: string): name is Shape {
  return shapes.some((shape) => shape === name);
}

export function isPeerName(name: string): name is PeerName {
  return peerNames.some((peer) => peer === name);
}

/**
 * Which process of ours a profile is of: the standalone one, or all of one kind of the split shape.
 */
export const profiledProcesses = ['broker', 'cs', 'ds'] as const;
export type ProfiledProcess = (typeof profiledProcesses)[number];

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface Profiling {
  readonly of: ProfiledProcess;
  readonly dir: string;
}

export interface StartOptions {
  /** Speak TLS with it; only ours and aedes are asked to. */
  readonly certificate?: Certificate;
  /** Settings of ours, by their names in the table. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly profiling?: Profiling;
  /** Nodes of the split shape that clients connect to. */
  readonly cs: number;
}

export interface RunningBroker {
  readonly name: BrokerName;
  readonly target: Target;
  stop(): Promise<void>;
}
