// The queue store on a scripted broker, with a registry and sessions in memory.
import type { TestContext } from 'node:test';
import { type Clock, systemClock } from '@lmqtt/common/clock';
import { clientId, epoch, nodeId } from '@lmqtt/common/ids';
import { silentLogs } from '@lmqtt/common/log';
import { messageOf } from '@lmqtt/common/message';
import { Metrics } from '@lmqtt/common/metrics';
import type { Qos } from '@lmqtt/common/qos';
import type { Intent, Intents } from '../src/queue-store/intents.ts';
import type { Append, InboundId } from '../src/queue-store/queue-store.ts';
import { RocketmqQueueStore } from '../src/queue-store/rocketmq/rocketmq-queue-store.ts';
import { RocketmqStoreEvents } from '../src/queue-store/rocketmq/events.ts';
import {
  defaultStoreSettings,
  type QueuePlaces,
  type RocketmqStoreOptions,
  type RocketmqStoreSettings,
} from '../src/queue-store/rocketmq/options.ts';
import type { Records } from '../src/registry/records.ts';
import { RocketmqClient } from '../src/rocketmq/remoting/client.ts';
import { MovedClock } from './moved-clock.ts';
import { EventLines } from './remoting-peer.ts';
import { ScriptedBroker } from './scripted-broker.ts';

const self = nodeId('ds-1');
export const topic = 'lmqtt';

/** Intents that are open, by packet identifier and client. */
export class KeptIntents implements Intents {
  readonly open_: Map<string, Intent> = new Map();
  readonly ids: Set<string> = new Set();

  intend(batch: readonly Intent[], done: (kept: boolean[]) => void): void {
    for (const intent of batch) this.open_.set(nameOf(intent), intent);
    setImmediate(() => done(batch.map(() => true)));
  }

  stored(batch: readonly InboundId[], done: () => void): void {
    for (const id of batch) {
      this.open_.delete(nameOf(id));
      this.ids.add(nameOf(id));
    }
    setImmediate(done);
  }

  dropped(batch: readonly InboundId[]): void {
    for (const id of batch) this.open_.delete(nameOf(id));
  }

  open(client: InboundId['clientId']): Promise<Intent[]> {
    return Promise.resolve([...this.open_.values()].filter((each) => each.clientId === client));
  }
}

function nameOf(id: InboundId): string {
  return `${id.packetId} ${id.clientId}`;
}

export class RecordsInMemory implements Records {
  readonly #all = new Map<string, Map<string, string>>();

  remember(kind: string, key: string, value: string): Promise<string> {
    const known = this.#of(kind);
    if (!known.has(key)) known.set(key, value);
    return Promise.resolve(known.get(key) ?? value);
  }

  async numberOf(kind: string, key: string): Promise<number> {
    return Number(await this.remember(kind, key, `${this.#of(kind).size}`));
  }

  all(kind: string): Promise<Map<string, string>> {
    return Promise.resolve(new Map(this.#of(kind)));
  }

  #of(kind: string): Map<string, string> {
    const known = this.#all.get(kind) ?? new Map<string, string>();
    this.#all.set(kind, known);
    return known;
  }
}

export class ScriptedStore {
  readonly broker: ScriptedBroker;
  readonly intents: KeptIntents = new KeptIntents();
  readonly records: Records;
  readonly metrics: Metrics = new Metrics();
  readonly remoting: EventLines = new EventLines();
  /** Which light queues there are; to be set before the start. */
  queues: QueuePlaces = { placeOf: () => undefined, atPlace: () => [] };
  readonly #settings: Partial<RocketmqStoreSettings>;
  readonly #clock: Clock;
  #store: RocketmqQueueStore | undefined;
  #client: RocketmqClient | undefined;
  #packetId = 0;

  /** `beside`: another store on the same broker and registry. */
  constructor(
    settings: Partial<RocketmqStoreSettings> = {},
    beside?: ScriptedStore,
    clock: Clock = systemClock,
  ) {
    this.#settings = settings;
    this.#clock = clock;
    this.broker = beside?.broker ?? new ScriptedBroker();
    if (clock instanceof MovedClock) clock.settled = () => this.broker.settled();
    this.records = beside?.records ?? new RecordsInMemory();
  }

  /** Open until the test ends. */
  static async open(
    t: TestContext,
    settings: Partial<RocketmqStoreSettings> = {},
    beside?: ScriptedStore,
    clock: Clock = systemClock,
  ): Promise<ScriptedStore> {
    const scripted = new ScriptedStore(settings, beside, clock);
    t.after(() => scripted.close());
    if (beside === undefined) {
      t.after(() => scripted.broker.close());
      await scripted.broker.start();
    }
    await scripted.start();
    return scripted;
  }

  get store(): RocketmqQueueStore {
    if (this.#store === undefined) throw new Error('not started');
    return this.#store;
  }

  async start(): Promise<void> {
    const clock = this.#clock;
    const client = new RocketmqClient({
      nameServers: [this.broker.nameServer],
      ...{ clock, events: this.remoting, requestTimeoutMs: 2000 },
    });
    this.#client = client;
    this.#store = new RocketmqQueueStore(this.#options(client));
    await this.#store.start();
  }

  #options(client: RocketmqClient): RocketmqStoreOptions {
    const clock = this.#clock;
    return {
      ...{ client, self, clock, intents: this.intents, records: this.records },
      nodes: {
        ds: [{ id: self }],
        aliveDs: new Set([self]),
        onChange: () => undefined,
        onLease: () => undefined,
      },
      ownership: {
        acquire: (things) => Promise.resolve(things.map(() => ({ owner: self, epoch: 1 }))),
        release: () => Promise.resolve(),
        save: () => Promise.resolve(true),
        load: (things) => Promise.resolve(things.map(() => undefined)),
      },
      queues: this.queues,
      settings: { ...defaultStoreSettings, defaultTopic: topic, ...this.#settings },
      events: new RocketmqStoreEvents(silentLogs(), this.metrics, clock),
    };
  }

  async close(): Promise<void> {
    this.#client?.close();
    await this.#store?.close();
  }

  /** A publish of a client of its own for each lane. */
  make(lane: string, text: string, qos: Qos = 2): Append {
    this.#packetId += 1;
    const client = clientId(lane);
    const inbound = { clientId: client, epoch: epoch(1), packetId: this.#packetId };
    const payload = Buffer.from(text);
    return {
      message: messageOf({ topic: `t/${lane}`, qos, retain: false, payload, publisher: client }),
      queues: [],
      lane,
      inbound: qos === 2 ? inbound : undefined,
      reasonCode: -1,
      orderKey: undefined,
    };
  }

  /** Resolves with them when all are answered. */
  append(batch: Append[]): Promise<Append[]> {
    return new Promise((resolve) => {
      let open = batch.length;
      this.store.append(batch, (answered) => {
        open -= answered.length;
        if (open === 0) resolve(batch);
      });
    });
  }
}
