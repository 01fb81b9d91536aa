// The life beside nodes of apache/rocketmq-mqtt on the same RocketMQ. It hides the KV configuration
// of the name servers, or the module in its place, which it reads every few seconds, and what
// follows from it: further names of light queues for each message, first levels that are read,
// filters that are written, events.
import { firstLevel } from '../rocketmq/mapping/topic-mapping.ts';
import type { StoredMessage } from '../rocketmq/message/stored-message.ts';
import type { RocketmqClient } from '../rocketmq/remoting/client.ts';
import { type AskedOfUs, EventServer } from './event-server.ts';
import { EventRetries } from './event-retries.ts';
import { EventSender } from './event-sender.ts';
import { FurtherNames } from './further-names.ts';
import type { JavaNodeEvents } from './java-events.ts';
import {
  javaConfigOf,
  javaNamespace,
  type JavaConfig,
  type SeedLists,
  seedsIn,
} from './kv-config.ts';
import { WrittenFilters } from './written-filters.ts';

interface JavaNodesSettings {
  /** `auto`: Java nodes are there while LMQ_CONNECT_NODES names some. */
  readonly javaNodes: 'auto' | 'on' | 'off';
  readonly dispatch: 'auto' | 'held' | 'always';
  readonly javaFiltersMax: number;
  /** null: neither listened on nor written to. */
  readonly javaRpcPort: number | null;
  readonly rpcBind: string;
  readonly eventNotifyRetryTopic: string | null;
  readonly clientRetryTopic: string | null;
}

export interface JavaNodesOptions {
  readonly settings: JavaNodesSettings;
  readonly clusterId: string;
  /** Names of light queues are those of the Java nodes. */
  readonly hasTheirNames: boolean;
  readonly client: RocketmqClient;
  /** Filters that somebody holds. */
  readonly held: () => Iterable<string>;
  /** Whether this ds is the one that writes for all. */
  readonly writes: () => Promise<boolean>;
  /** The RocketMQ topic is read from now on, if it is there. */
  readonly read: (topic: string) => Promise<void>;
  readonly events: JavaNodeEvents;
  /** In place of the KV configuration of the name servers, which is then not written to either. */
  readonly seeds?: (() => Promise<SeedLists>) | undefined;
}

const readEachMs = 5000;

export class JavaNodes {
  readonly #options: JavaNodesOptions;
  readonly #names: FurtherNames;
  readonly #written: WrittenFilters;
  readonly #sender: EventSender;
  readonly #server: EventServer | undefined;
  #config: JavaConfig | undefined;
  #seeds: JavaConfig | undefined;
  /** Retry topics among the first topics that were told last. */
  #retryTopics = '';
  #close: (clientId: string) => Promise<boolean> = async () => false;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: JavaNodesOptions) {
    const { settings, clusterId, client, held, events } = options;
    this.#options = options;
    this.#names = new FurtherNames({
      ...{ clusterId, dispatch: settings.dispatch },
      leftOut: (names) => events.namesLeftOut(names),
    });
    this.#written = new WrittenFilters({
      ...{ client, held, filtersMax: settings.javaFiltersMax },
      tooMany: (topic, filters) => events.tooManyFilters(topic, filters),
    });
    const port = settings.javaRpcPort === 0 ? null : settings.javaRpcPort;
    this.#server =
      port === null
        ? undefined
        : new EventServer({ host: settings.rpcBind, port, events, asked: this.#asked() });
    const retryTopic = settings.eventNotifyRetryTopic;
    const retries = retryTopic === null ? undefined : new EventRetries(client, retryTopic, events);
    this.#sender = new EventSender({
      ...{ port, events, isOwn: (node) => this.#isOwn(node) },
      ...(retries && { retry: (node, told) => void retries.put(node, told) }),
    });
    events.watch({
      nodes: () => this.#config?.nodes.length ?? 0,
      firstTopics: () => this.#seeds?.firstTopics.length ?? 0,
      written: () => this.#written.count,
    });
  }

  get areThere(): boolean {
    return this.#config !== undefined;
  }

  /** Light queues that the message names for clients of Java nodes. */
  namesFor(topic: string, rocketTopic: string): readonly string[] {
    return this.#names.of(topic, rocketTopic);
  }

  /** Some of the names are those of queues that clients of Java nodes may hold. */
  mayHold(topic: string, lmqNames: readonly string[]): boolean {
    if (this.#config === undefined) return false;
    const theirs = this.#names.of(topic, firstLevel(topic));
    return lmqNames.some((name) => theirs.includes(name));
  }

  /** From a tail: messages of ordinary queues. */
  stored(messages: readonly StoredMessage[], brokerName: string): void {
    if (this.#config === undefined) return;
    for (const { message } of messages)
      // Java nodes tell each other of their own, and of those of back ends.
      if (message.publisher !== '') this.#sender.tell(message.topic, brokerName);
  }

  /** Reads the configuration for the first time; it need not be there. `close`: a connection. */
  async start(close: (clientId: string) => Promise<boolean>): Promise<void> {
    this.#close = close;
    if (this.#isBeside || this.#options.seeds !== undefined) await this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#sender.close();
    await this.#server?.stop();
  }

  async #run(): Promise<void> {
    const { events } = this.#options;
    try {
      await this.#readConfig();
    } catch (error) {
      events.failed(error);
    }
    if (!this.#isStopped) this.#timer = setTimeout(() => void this.#run(), readEachMs);
  }

  async #readConfig(): Promise<void> {
    const { settings, read, events, writes } = this.#options;
    const retryTopics = [settings.eventNotifyRetryTopic, settings.clientRetryTopic];
    const lists = await this.#readLists();
    if (lists === undefined) return;
    const isRetry = new Set(retryTopics.filter((topic) => topic !== null));
    const config = javaConfigOf(lists, isRetry);
    const listed = config.retryTopics.join(',');
    if (listed !== this.#retryTopics && listed !== '') events.retryTopicsListed(config.retryTopics);
    this.#retryTopics = listed;
    this.#seeds = config;
    const areThere = settings.javaNodes === 'on' || config.nodes.length > 0;
    this.#take(this.#isBeside && areThere ? config : undefined);
    await Promise.allSettled(config.firstTopics.map((topic) => read(topic)));
    if (this.#isStopped || this.#config === undefined) return;
    await this.#server?.start(config.nodes);
    const isWritten = settings.javaNodes === 'on' && this.#options.seeds === undefined;
    if (isWritten && (await writes())) await this.#written.keepUp(config);
    else this.#written.count = 0;
  }

  /** Undefined: what was read before stays, as the module has told. */
  async #readLists(): Promise<SeedLists | undefined> {
    const { seeds, client } = this.#options;
    if (seeds === undefined) return seedsIn(await client.listKv(javaNamespace));
    return seeds().catch(() => undefined);
  }

  /** Java nodes may be there. */
  get #isBeside(): boolean {
    return this.#options.hasTheirNames && this.#options.settings.javaNodes !== 'off';
  }

  #take(config: JavaConfig | undefined): void {
    const before = this.#config;
    if (JSON.stringify(keyOf(before)) === JSON.stringify(keyOf(config))) return;
    this.#config = config;
    this.#names.changed(config);
    this.#sender.nodes(config?.nodes ?? []);
    const isSame = JSON.stringify(before?.nodes) === JSON.stringify(config?.nodes);
    if (!isSame) this.#options.events.configured(config);
    if (config === undefined) void this.#server?.stop();
  }

  #asked(): AskedOfUs {
    return {
      messages: async (firstLevels) => {
        await Promise.allSettled(firstLevels.map((topic) => this.#options.read(topic)));
      },
      close: (clientId) => this.#close(clientId),
    };
  }

  #isOwn(node: string): boolean {
    return this.#server?.isAt(node) === true;
  }
}

function keyOf(config: JavaConfig | undefined): unknown {
  if (config === undefined) return null;
  return [config.nodes, config.firstTopics, [...config.filters]];
}
