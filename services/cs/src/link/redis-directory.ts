import { setTimeout as delay } from 'node:timers/promises';

import {
  type Client,
  commandTimeoutMsDefault,
  openClient,
  type RedisOptions,
} from '@lmqtt/redis/client';
import { addressOfRecord, dsOfMember, nodeKeys, registryPrefix } from '@lmqtt/redis/registry-keys';
import type { Logger } from '@lmqtt/common/log';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';
import type { Directory, DsNode } from './directory.ts';
import {
  type ListedNode,
  listedNodes,
  connectionsKey,
  type NodeReplies,
} from './redis-node-list.ts';

interface RedisDirectoryOptions {
  readonly redis: RedisOptions;
  readonly clusterId: string;
  readonly log: Logger;
  readonly pollMs?: number;
}

const pollMsDefault = 500;
/** After a loss in Redis each ds comes back by itself, one after the other. */
const comeBackMs = 3000;

interface Listed {
  readonly life: string;
  readonly nodes: DsNode[];
}

/**
 * The ds nodes that the registry has: those with a lease, until another ds has judged that it has
 * ended. So a Redis that was away takes no ds out of the list.
 */
export class RedisDirectory implements Directory {
  readonly #client: Client;
  readonly #keys: { readonly [name in keyof typeof nodeKeys | 'connections']: string };
  readonly #log: Logger;
  readonly #timeoutMs: number;
  readonly #listeners = new Set<() => void>();
  readonly #timer: NodeJS.Timeout;
  #known: readonly DsNode[] = [];
  #text = '';
  #life = '';
  /** Until then a ds that is not in the list stays in it. */
  #keepUntilMs = 0;
  #asking: Promise<void> | undefined = undefined;
  #away = false;
  #lastError = '';

  /** Throws where the address of Redis or the cluster id is wrong. */
  constructor({ redis, clusterId, log, pollMs = pollMsDefault }: RedisDirectoryOptions) {
    const prefix = registryPrefix(clusterId);
    this.#keys = {
      life: prefix + nodeKeys.life,
      leases: prefix + nodeKeys.leases,
      records: prefix + nodeKeys.records,
      draining: prefix + nodeKeys.draining,
      connections: prefix + connectionsKey,
    };
    this.#log = log;
    this.#timeoutMs = redis.commandTimeoutMs ?? commandTimeoutMsDefault;
    this.#client = openClient(redis).client;
    this.#client.on('error', (error: Error) => {
      this.#lastError = error.message;
    });
    this.#client.on('ready', () => this.#ask());
    this.#timer = setInterval(() => {
      // The first connection asks when it is there.
      if (this.#client.status !== 'connecting' && this.#client.status !== 'wait') this.#ask();
    }, pollMs).unref();
  }

  nodes(): readonly DsNode[] {
    return this.#known;
  }

  onChange(listener: () => void): () => void {
    const own = (): void => listener();
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  /** Why no ds is known; null: Redis answers. */
  get problem(): string | null {
    const isNew = this.#life === '' && this.#text === '';
    if (!this.#away && !(isNew && this.#lastError !== '')) return null;
    return `Redis does not answer${this.#lastError === '' ? '' : `: ${this.#lastError}`}`;
  }

  /** All nodes with a lease, cs too. Rejects with `StoreFailure` where Redis does not answer. */
  async list(leaseMs: number): Promise<ListedNode[]> {
    const late = new AbortController();
    try {
      return await Promise.race([
        this.#readList(leaseMs),
        delay(this.#timeoutMs, undefined, { signal: late.signal, ref: false }).then(() =>
          Promise.reject(new Error(`no answer within ${this.#timeoutMs} ms`)),
        ),
      ]);
    } catch (error) {
      const why = this.problem ?? `Redis does not answer: ${String(error)}`;
      throw new StoreFailure(why, ReasonCode.serverUnavailable, error);
    } finally {
      late.abort();
    }
  }

  async #readList(leaseMs: number): Promise<ListedNode[]> {
    const replies = await this.#client
      .multi()
      .time()
      .zrange(this.#keys.leases, 0, -1, 'WITHSCORES')
      .hgetall(this.#keys.records)
      .hgetall(this.#keys.connections)
      .smembers(this.#keys.draining)
      .exec();
    const values: unknown[] = (replies ?? []).map(([error, reply]) => {
      if (error !== null) throw error;
      return reply;
    });
    const [time, leases, records, connections, draining] = values as [...NodeReplies];
    return listedNodes([time, leases, records, connections, draining], leaseMs);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#client.disconnect();
  }

  async refresh(): Promise<void> {
    await this.#asking;
    this.#ask();
    await this.#asking;
  }

  #ask(): void {
    if (this.#asking !== undefined) return;
    const silent = setTimeout(() => this.#client.disconnect(true), this.#timeoutMs).unref();
    this.#asking = this.#read()
      .then(
        (listed) => this.#take(listed),
        (error: unknown) => this.#failed(error),
      )
      .finally(() => {
        clearTimeout(silent);
        this.#asking = undefined;
      });
  }

  async #read(): Promise<Listed> {
    // One transaction: what is emptied in between would look like nodes that have gone.
    const replies = await this.#client
      .multi()
      .get(this.#keys.life)
      .zrange(this.#keys.leases, 0, -1)
      .smembers(this.#keys.draining)
      .hgetall(this.#keys.records)
      .exec();
    const [life, members, draining, records] = (replies ?? []).map(([error, reply]) => {
      if (error !== null) throw error;
      return reply;
    }) as [string | null, string[], string[], Record<string, string>];
    const nodes = members.flatMap((member) => {
      const id = dsOfMember(member);
      const address = addressOfRecord(records[member] ?? '');
      if (id === undefined || address === undefined) return [];
      return [{ id, ...address, draining: draining.includes(id) }];
    });
    return { life: life ?? '', nodes };
  }

  #take({ life, nodes }: Listed): void {
    if (this.#away) this.#log.info('Redis answers again');
    this.#away = false;
    this.#lastError = '';
    if (life !== this.#life) {
      if (this.#life !== '') this.#keepUntilMs = performance.now() + comeBackMs;
      this.#life = life;
    }
    if (performance.now() < this.#keepUntilMs) {
      nodes.push(...this.#known.filter(({ id }) => nodes.every((node) => node.id !== id)));
    }
    nodes.sort((one, other) => (one.id < other.id ? -1 : 1));
    const text = JSON.stringify(nodes);
    if (text === this.#text) return;
    this.#text = text;
    this.#known = nodes;
    this.#log.info({ ds: nodes }, 'ds nodes');
    for (const listener of this.#listeners) listener();
  }

  #failed(error: unknown): void {
    const reason = this.#lastError === '' ? String(error) : this.#lastError;
    if (!this.#away) this.#log.warn({ reason }, 'Redis does not answer; the last list of ds stays');
    this.#away = true;
  }
}
