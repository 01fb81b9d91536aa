// The light queues that a message names for clients of Java nodes, beside those that clients of this
// cluster hold: that of its topic, and those of the filters in the KV configuration.
import type { QueueName } from '@lmqtt/common/ids';
import { TopicTrie } from '@lmqtt/common/topic-trie';
import { firstLevel } from '../rocketmq/mapping/topic-mapping.ts';
import { clusterLmqName } from '../rocketmq/names/cluster-names.ts';
import { isJavaFilter, type JavaConfig, withoutLastSlash } from './kv-config.ts';

const cachedMax = 100_000;
/** The share of each publish's room for names (`namesBytesMax`), with offsets. */
const namesBytesMax = 1024;
const offsetBytes = 14;
const none: readonly string[] = [];

interface FurtherNamesOptions {
  readonly clusterId: string;
  /** `always`: each topic's own queue; `held`: none of them; `auto`: beside Java nodes. */
  readonly dispatch: 'auto' | 'held' | 'always';
  /** Names that had no room. */
  readonly leftOut: (names: number) => void;
}

export class FurtherNames {
  readonly #options: FurtherNamesOptions;
  readonly #cached = new Map<string, readonly string[]>();
  #filters = new TopicTrie<string>();
  #areJavaNodesThere = false;

  constructor(options: FurtherNamesOptions) {
    this.#options = options;
  }

  /** undefined: there are no Java nodes. */
  changed(config: JavaConfig | undefined): void {
    this.#areJavaNodesThere = config !== undefined;
    this.#filters = new TopicTrie();
    for (const filter of new Set([...(config?.filters.values() ?? [])].flat())) {
      const plain = withoutLastSlash(filter);
      if (isJavaFilter(plain)) this.#filters.add(plain, plain);
    }
    this.#cached.clear();
  }

  /** `rocketTopic`: where the message is stored. Java nodes see only topics named like first levels. */
  of(topic: string, rocketTopic: string): readonly string[] {
    const { dispatch } = this.#options;
    if (!this.#areJavaNodesThere && dispatch !== 'always') return none;
    const isTheirs = this.#areJavaNodesThere && rocketTopic === firstLevel(topic);
    if (!isTheirs && dispatch !== 'always') return none;
    const known = this.#cached.get(topic);
    if (known !== undefined) return known;
    const names = this.#make(topic, isTheirs);
    if (this.#cached.size >= cachedMax) this.#cached.clear();
    this.#cached.set(topic, names);
    return names;
  }

  #make(topic: string, isTheirs: boolean): readonly string[] {
    const { clusterId, dispatch, leftOut } = this.#options;
    const filters = isTheirs ? this.#filters.match(withoutLastSlash(topic)) : [];
    const wanted = dispatch === 'held' ? filters : [topic, ...filters];
    const names: string[] = [];
    let bytes = 0;
    for (const filter of wanted) {
      const name = clusterLmqName(clusterId, filter as QueueName);
      bytes += Buffer.byteLength(name) + 1 + offsetBytes;
      if (bytes > namesBytesMax) break;
      names.push(name);
    }
    if (names.length < wanted.length) leftOut(wanted.length - names.length);
    return names;
  }
}
