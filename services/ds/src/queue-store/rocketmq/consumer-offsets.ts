// Positions as RocketMQ's consumer offsets: group `%LMQ%{client id}`, topic the LMQ, queue 0, as the
// Java nodes have them. What was given last wins, so that it may be given late and again.
import { isTime } from '@lmqtt/common/cursor';
import type { ClientId, QueueId } from '@lmqtt/common/ids';
import type { MirroredPosition, PositionMirror } from '../position-mirror.ts';
import { clusterGroupName, plainCluster } from '../../rocketmq/names/cluster-names.ts';
import type { BrokerConnection } from '../../rocketmq/remoting/broker-connection.ts';
import type { Brokers } from './brokers.ts';
import type { RocketmqStoreOptions } from './options.ts';

const flushMs = 1000;
const updatesAtOnce = 2000;
const pendingMax = 200_000;
/** Reads back as if there were none. */
const noOffset = -1;
/** A group and a light queue that nobody has. */
const noQueue = '%LMQ%##none';

interface Update {
  readonly group: string;
  readonly lmq: string;
  readonly partition: number;
  offset: number;
}

export class ConsumerOffsets implements PositionMirror {
  readonly #options: RocketmqStoreOptions;
  readonly #brokers: Brokers;
  readonly #clusterId: string;
  readonly #pending = new Map<string, Update>();
  /** By address: whether the broker says that there is no offset. */
  readonly #tellNone = new Map<string, boolean>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: RocketmqStoreOptions, brokers: Brokers) {
    this.#options = options;
    this.#brokers = brokers;
    this.#clusterId = options.clusterId ?? plainCluster;
  }

  note(clientId: ClientId, queue: QueueId, positions: readonly MirroredPosition[]): void {
    const lmq = this.#options.queues.placeOf(queue);
    if (lmq === undefined) return;
    const group = clusterGroupName(this.#clusterId, clientId);
    for (const { partition, position } of positions)
      if (!isTime(position)) this.#set(group, lmq, partition, position);
  }

  forget(clientId: ClientId, queue: QueueId, partitions: readonly number[]): void {
    const lmq = this.#options.queues.placeOf(queue);
    if (lmq === undefined) return;
    const group = clusterGroupName(this.#clusterId, clientId);
    for (const partition of partitions) this.#set(group, lmq, partition, noOffset);
  }

  async find(clientId: ClientId, queue: QueueId): Promise<MirroredPosition[]> {
    const lmq = this.#options.queues.placeOf(queue);
    if (lmq === undefined) return [];
    const group = clusterGroupName(this.#clusterId, clientId);
    const place = { topic: lmq, queueId: 0 };
    const found = await Promise.all(
      [...this.#brokers.all].map(async ({ partition, connection }) => {
        const pending = this.#pending.get(keyOf(group, lmq, partition));
        if (pending !== undefined) return { partition, position: pending.offset };
        // A broker that is away says nothing, and those that are there are not waited with.
        if (connection?.up !== true) return { partition, position: noOffset };
        const position = await connection.queryConsumerOffset(group, place).catch(() => noOffset);
        const isReal = position !== 0 || (await this.#tellsNone(connection));
        return { partition, position: isReal ? (position ?? noOffset) : noOffset };
      }),
    );
    return found.filter(({ position }) => position >= 0);
  }

  /**
   * Whether a broker tells a committed 0, of a client that came when its queue was empty, from none:
   * 4.9 answers 0 for both, and none is the likelier then.
   */
  async #tellsNone(connection: BrokerConnection): Promise<boolean> {
    const known = this.#tellNone.get(connection.address);
    if (known !== undefined) return known;
    const place = { topic: noQueue, queueId: 0 };
    try {
      const tells = (await connection.queryConsumerOffset(noQueue, place)) === undefined;
      this.#tellNone.set(connection.address, tells);
      return tells;
    } catch {
      return false;
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #set(group: string, lmq: string, partition: number, offset: number): void {
    const key = keyOf(group, lmq, partition);
    const known = this.#pending.get(key);
    if (known !== undefined) known.offset = offset;
    else if (this.#pending.size < pendingMax)
      this.#pending.set(key, { group, lmq, partition, offset });
    if (this.#timer === undefined && !this.#closed)
      this.#timer = setTimeout(() => void this.#flush(), flushMs);
  }

  async #flush(): Promise<void> {
    const sent: Promise<unknown>[] = [];
    for (const [key, update] of this.#pending) {
      if (sent.length >= updatesAtOnce) break;
      if (this.#brokers.isForgotten(update.partition)) this.#pending.delete(key);
      const connection = this.#brokers.numbered(update.partition)?.connection;
      if (connection === undefined || !connection.up) continue;
      this.#pending.delete(key);
      const place = { topic: update.lmq, queueId: 0 };
      // A broker that stops has its positions again with the next change of each.
      sent.push(connection.updateConsumerOffset(update.group, place, update.offset).catch(ignore));
    }
    await Promise.all(sent);
    this.#timer = undefined;
    if (this.#pending.size > 0 && !this.#closed)
      this.#timer = setTimeout(() => void this.#flush(), flushMs);
  }
}

function keyOf(group: string, lmq: string, partition: number): string {
  return `${partition} ${lmq}\0${group}`;
}

function ignore(): void {}
