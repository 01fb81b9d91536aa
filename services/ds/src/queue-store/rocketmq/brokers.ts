import { pause } from '@lmqtt/common/pause';
import {
  brokerKey,
  brokerOfKey,
  brokerRecordKind as recordKind,
  type ForgottenBroker,
  forgottenIn,
  forgottenRecordKind,
} from '../../rocketmq/names/broker-records.ts';
import { messageOfError } from './error-text.ts';
import { Broker } from './broker.ts';
import type { RocketmqStoreOptions } from './options.ts';

const connectedWithinMs = 2000;
const lookAgainMs = 20;
/** A broker that is restarted is no news for so long. */
const awaySaidAfterMs = 5000;

type Options = Pick<RocketmqStoreOptions, 'client' | 'records' | 'clock' | 'events'>;

/**
 * The brokers that there are or were, by name and by number. Numbers are the registry's, so that
 * all ds nodes have the same. What the name servers say is asked again and again.
 */
export class Brokers {
  readonly #options: Options;
  readonly #byName = new Map<string, Broker>();
  readonly #byPartition = new Map<number, Broker>();
  #partitions: number[] = [];
  #forgotten: ReadonlyMap<number, ForgottenBroker> = new Map();
  /** Brokers of which the log says that they are away. */
  readonly #saidAway = new Set<Broker>();
  #clusterNames: ReadonlySet<string> = new Set();
  #isUnknown = false;
  #refreshing: Promise<void> | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  named(name: string): Broker | undefined {
    return this.#byName.get(name);
  }

  numbered(partition: number): Broker | undefined {
    return this.#byPartition.get(partition);
  }

  /** Nothing of the partition will ever be read. */
  isForgotten(partition: number): boolean {
    return this.#forgotten.has(partition);
  }

  /** One of that name was forgotten, and has not come back. */
  isForgottenName(name: string): boolean {
    return !this.#byName.has(name) && this.#timesForgotten(name) > 0;
  }

  /** Their numbers. */
  get partitions(): readonly number[] {
    return this.#partitions;
  }

  get all(): Iterable<Broker> {
    return this.#byName.values();
  }

  /** Names of clusters and brokers are topics of RocketMQ's own. */
  isName(text: string): boolean {
    return this.#byName.has(text) || this.#clusterNames.has(text);
  }

  /** The name servers did not answer the last question for the brokers. */
  get isUnknown(): boolean {
    return this.#isUnknown;
  }

  /** Never rejects; calls meanwhile share the answer. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** Brokers that the name servers name are connected, or do not answer for a time. */
  async connected(): Promise<void> {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + connectedWithinMs;
    const isMissing = ({ missingMs, connection }: Broker): boolean =>
      missingMs === 0 && connection?.up === false;
    while ([...this.#byName.values()].some(isMissing) && clock.monotonicMs() < endMs)
      await pause(lookAgainMs);
  }

  close(): void {
    for (const broker of this.#byName.values()) broker.close();
  }

  async #refresh(): Promise<void> {
    const { client, records, events } = this.#options;
    try {
      this.#forget(forgottenIn(await records.all(forgottenRecordKind)));
    } catch (error) {
      events.registryFailed('brokers', messageOfError(error));
    }
    try {
      const { brokers } = await client.clusterInfo();
      this.#clusterNames = new Set(brokers.map(({ cluster }) => cluster));
      const there = new Map(brokers.map(({ name, master }) => [name, master]));
      for (const name of there.keys()) {
        if (this.#byName.has(name)) continue;
        const key = brokerKey(name, this.#timesForgotten(name));
        this.#know(key, await records.numberOf(recordKind, key));
      }
      for (const [key, number] of await records.all(recordKind)) this.#know(key, Number(number));
      for (const broker of this.#byName.values()) broker.located(there.get(broker.name));
      if (this.#isUnknown) events.brokersKnown();
      this.#isUnknown = false;
    } catch (error) {
      this.#isUnknown = true;
      events.brokersUnknown(messageOfError(error));
    }
    this.#sayAway();
    void client.probeNameServers();
  }

  #sayAway(): void {
    for (const broker of this.#byName.values()) {
      const { name, awayMs, missingMs } = broker;
      if (awayMs < awaySaidAfterMs) continue;
      this.#saidAway.add(broker);
      this.#options.events.brokerAway(name, awayMs, missingMs === 0);
    }
  }

  #forget(forgotten: ReadonlyMap<number, ForgottenBroker>): void {
    this.#forgotten = forgotten;
    for (const partition of forgotten.keys()) {
      const broker = this.#byPartition.get(partition);
      if (broker === undefined) continue;
      this.#byPartition.delete(partition);
      if (this.#byName.get(broker.name) === broker) this.#byName.delete(broker.name);
      this.#partitions = this.#partitions.filter((each) => each !== partition);
      this.#saidAway.delete(broker);
      broker.forget();
      this.#options.events.brokerForgotten(broker.name, partition);
    }
  }

  #timesForgotten(name: string): number {
    let times = 0;
    for (const each of this.#forgotten.values()) if (each.name === name) times += 1;
    return times;
  }

  /** When it was forgotten last. */
  #forgottenAtMs(name: string): number | undefined {
    const all = [...this.#forgotten.values()].filter((each) => each.name === name);
    return all.length === 0 ? undefined : Math.max(...all.map(({ atMs }) => atMs));
  }

  #know(key: string, partition: number): void {
    const { name, timesForgotten } = brokerOfKey(key);
    // The broker was forgotten, or another ds knows that it was and this one will, too.
    if (this.#forgotten.has(partition) || timesForgotten !== this.#timesForgotten(name)) return;
    if (this.#byName.has(name)) return;
    const { client, clock } = this.#options;
    const broker = new Broker(
      { name, partition, sinceMs: this.#forgottenAtMs(name) },
      client,
      clock,
    );
    this.#byName.set(name, broker);
    this.#byPartition.set(partition, broker);
    this.#partitions = [...this.#partitions, partition];
    broker.onAnswers((answers) => {
      if (answers && this.#saidAway.delete(broker)) this.#options.events.brokerBack(name);
    });
  }
}
