// The KV configuration of the name servers, as an installation of the Java nodes keeps it:
//
//     LMQ / ALL_FIRST_TOPICS    t1,t2            RocketMQ topics that are first levels
//     LMQ / {first level}       t1/+,t1/r/#      filters with wildcards that messages are indexed for
//     LMQ / LMQ_CONNECT_NODES   10.0.0.1,…       addresses of nodes that are told of new messages
//
// Nodes of lmqtt that write filters there keep the list of theirs in a namespace of their own.
import { isValidTopicFilter, isWildcardFilter } from '@lmqtt/common/topic';
import { firstLevel } from '../rocketmq/mapping/topic-mapping.ts';

export const javaNamespace = 'LMQ';
/** Namespace of the filters that lmqtt has written, by first level. */
export const writtenNamespace = 'lmqtt-filters';

const firstTopicsKey = 'ALL_FIRST_TOPICS';
const nodesKey = 'LMQ_CONNECT_NODES';
/** Limits on lists that somebody has written by hand. */
const firstTopicsMax = 10_000;
const filtersMax = 10_000;
const nodesMax = 256;

export interface JavaConfig {
  readonly firstTopics: readonly string[];
  /** Retry topics that stand among the first topics, where they make Java nodes go round for ever. */
  readonly retryTopics: readonly string[];
  /** By first level; as they are written, without wildcards too. */
  readonly filters: ReadonlyMap<string, readonly string[]>;
  readonly nodes: readonly string[];
}

/** The lists that an installation begins with, whoever keeps them. */
export interface SeedLists {
  readonly firstTopics: readonly string[];
  /** By first topic. */
  readonly filters: ReadonlyMap<string, readonly string[]>;
  readonly nodes: readonly string[];
}

/** Lists of the name servers. `table`: of the namespace. */
export function seedsIn(table: ReadonlyMap<string, string>): SeedLists {
  const firstTopics = listIn(table.get(firstTopicsKey));
  const filters = new Map<string, readonly string[]>();
  for (const topic of firstTopics) {
    const value = table.get(topic);
    if (value !== undefined) filters.set(topic, listIn(value));
  }
  return { firstTopics, filters, nodes: listIn(table.get(nodesKey)) };
}

/** `retryTopics`: those of the settings. */
export function javaConfigOf(seeds: SeedLists, retryTopics: ReadonlySet<string>): JavaConfig {
  const listed = seeds.firstTopics.slice(0, firstTopicsMax);
  const firstTopics = listed.filter((topic) => !retryTopics.has(topic));
  const filters = new Map<string, readonly string[]>();
  for (const topic of firstTopics) {
    const value = seeds.filters.get(topic);
    if (value !== undefined) filters.set(topic, value.slice(0, filtersMax));
  }
  return {
    firstTopics,
    retryTopics: listed.filter((topic) => retryTopics.has(topic)),
    filters,
    nodes: seeds.nodes.slice(0, nodesMax),
  };
}

export function listIn(value: string | undefined): string[] {
  if (value === undefined) return [];
  const items = value.split(',').map((each) => each.trim());
  return [...new Set(items.filter((each) => each !== ''))];
}

/** A filter as Java nodes can have it: below a first level that is no wildcard, without commas. */
export function isJavaFilter(filter: string): boolean {
  if (!isWildcardFilter(filter) || filter.includes(',') || filter.startsWith('$')) return false;
  return isValidTopicFilter(filter) && !/[+#]/.test(firstLevel(filter));
}

/** Java nodes take `t/r` and `t/r/` for one topic. */
export function withoutLastSlash(text: string): string {
  return text.length > 1 && text.endsWith('/') ? text.slice(0, -1) : text;
}

/**
 * The value for a first level that has these filters. A Java node stops reading all others where it
 * is empty; the first level itself stands for no filter and changes nothing.
 */
export function filtersValue(firstTopic: string, filters: readonly string[]): string {
  return filters.length === 0 ? firstTopic : filters.join(',');
}
