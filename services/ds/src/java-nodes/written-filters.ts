// The filters of this cluster's sessions in the KV configuration of the name servers, so that Java
// nodes index their messages for them, too. Only filters that lmqtt has written are taken away
// again: which those are is kept beside them, before and after each change, so that a ds that dies
// between the two leaves nothing that nobody takes away.
import { firstLevel } from '../rocketmq/mapping/topic-mapping.ts';
import type { RocketmqClient } from '../rocketmq/remoting/client.ts';
import {
  filtersValue,
  isJavaFilter,
  javaNamespace,
  type JavaConfig,
  listIn,
  writtenNamespace,
} from './kv-config.ts';

interface WrittenFiltersOptions {
  readonly client: Pick<RocketmqClient, 'listKv' | 'putKv'>;
  /** Filters that somebody holds. */
  readonly held: () => Iterable<string>;
  /** JAVA_FILTERS_MAX. */
  readonly filtersMax: number;
  /** For the first level, how many have no room. */
  readonly tooMany: (firstTopic: string, filters: number) => void;
}

export class WrittenFilters {
  readonly #options: WrittenFiltersOptions;
  /** How many there are. */
  count = 0;

  constructor(options: WrittenFiltersOptions) {
    this.#options = options;
  }

  /** Rejects where a name server does not answer: then it is called again. */
  async keepUp(config: JavaConfig): Promise<void> {
    const wanted = this.#wanted(config.firstTopics);
    const table = await this.#options.client.listKv(writtenNamespace);
    let count = 0;
    for (const topic of config.firstTopics) {
      const written = listIn(table.get(topic));
      const filters = this.#bounded(topic, wanted.get(topic) ?? []);
      count += await this.#put(topic, config.filters.get(topic) ?? [], written, filters);
    }
    this.count = count;
  }

  #wanted(firstTopics: readonly string[]): Map<string, string[]> {
    const wanted = new Map<string, string[]>(firstTopics.map((topic) => [topic, []]));
    for (const filter of this.#options.held())
      if (isJavaFilter(filter)) wanted.get(firstLevel(filter))?.push(filter);
    return wanted;
  }

  #bounded(topic: string, filters: string[]): string[] {
    const { filtersMax, tooMany } = this.#options;
    if (filters.length <= filtersMax) return filters.sort();
    tooMany(topic, filters.length - filtersMax);
    return filters.sort().slice(0, filtersMax);
  }

  /** The number of filters there that are ours. */
  async #put(
    topic: string,
    present: readonly string[],
    written: readonly string[],
    filters: readonly string[],
  ): Promise<number> {
    const { client } = this.#options;
    const others = present.filter((each) => !written.includes(each) && each !== topic);
    const own = filters.filter((each) => !others.includes(each));
    const value = filtersValue(topic, [...others, ...own]);
    const isThere = present.length === 0 ? own.length === 0 : value === present.join(',');
    const before = written.join(',');
    const after = own.join(',');
    if (!isThere) {
      const either = [...new Set([...written, ...own])].join(',');
      if (either !== before) await client.putKv(writtenNamespace, topic, either);
      await client.putKv(javaNamespace, topic, value);
      if (either !== after) await client.putKv(writtenNamespace, topic, after);
    } else if (before !== after) await client.putKv(writtenNamespace, topic, after);
    return own.length;
  }
}
