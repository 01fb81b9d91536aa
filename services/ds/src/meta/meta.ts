// Functions of the operator's own that keep what belongs to a whole installation: its retained
// messages, and for a cluster on RocketMQ the first topics, the filters that messages are indexed
// for, and the addresses of Java nodes. The last three are what MetaPersistManager of the Java
// project answers. All are optional; each may give a promise. docs/meta.md says what follows from
// their answers; time and failures: meta-module.ts.
import type { Qos } from '@lmqtt/common/qos';
import type { HookProperties } from '../hooks/hooks.ts';

export interface RetainedRecord {
  readonly topic: string;
  /** Never empty. Not to be written to. */
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly properties?: HookProperties;
  /** Seconds since 1970 after which it is no longer there; undefined: never. */
  readonly expires_at?: number | undefined;
  /** Client identifier of the publisher; '' for messages of the broker and of back ends. */
  readonly clientid?: string;
}

type Records = Iterable<RetainedRecord> | AsyncIterable<RetainedRecord>;

export interface MetaFunctions {
  /** RocketMQ topics that are first levels of MQTT topics, and are read from the start. */
  readonly firstTopics?: () => readonly string[] | Promise<readonly string[]>;
  /** Filters with wildcards below a first topic that messages are indexed for. */
  readonly wildcards?: (firstTopic: string) => readonly string[] | Promise<readonly string[]>;
  /** Addresses of Java nodes, which are told of new messages. */
  readonly connectNodes?: () => readonly string[] | Promise<readonly string[]>;
  /** All retained messages, at the start; each topic once, in any order. */
  readonly listRetained?: () => Records | Promise<Records>;
  /** The message is the topic's from now on. For one topic never twice at a time by one node. */
  readonly putRetained?: (record: RetainedRecord) => unknown;
  /** The topic has no retained message. It may have had none before. */
  readonly deleteRetained?: (topic: string) => unknown;
  readonly close?: () => unknown;
}

export type MetaFunction = Exclude<keyof MetaFunctions, 'close'>;

export const metaFunctions: readonly MetaFunction[] = [
  'firstTopics',
  'wildcards',
  'connectNodes',
  'listRetained',
  'putRetained',
  'deleteRetained',
];

/** Lists that an installation on RocketMQ begins with. */
export interface SeedLists {
  readonly firstTopics: readonly string[];
  /** By first topic. */
  readonly filters: ReadonlyMap<string, readonly string[]>;
  readonly nodes: readonly string[];
}
