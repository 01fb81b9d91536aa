import { Cluster, Command, type Redis } from 'ioredis';
import type { Client } from '@lmqtt/redis/client';
import { nodesOf } from './one-write.ts';
import { failureOf, RedisUnavailable } from './failure.ts';

const replicasToConfirm = 1;
const watchMs = 2000;

/** Replicas of one server. */
interface Replication {
  /** Identifier of its history: another one after a failover. */
  id: string;
  /** Replicas that were there at once, since this history began. */
  seen: number;
  connected: number;
}

/**
 * WAIT: what a turn of the event loop has written is on a replica as well. One for each server and
 * turn, behind the turn's commands on the same connection. Nothing where a server has no replicas.
 * Where something may make a replica the master (Sentinel, Redis Cluster), a server that has had
 * replicas and lost them may be the one that was cut off: it confirms nothing.
 */
export class DurableBarrier {
  readonly #client: Client;
  readonly #failsOver: boolean;
  readonly #timeoutMs: number;
  readonly #servers = new Map<Redis, Replication>();
  readonly #turn = new Map<Redis, Promise<void>>();
  #watch: NodeJS.Timeout | undefined;

  constructor(client: Client, failsOver: boolean, timeoutMs: number) {
    this.#client = client;
    this.#failsOver = failsOver;
    this.#timeoutMs = timeoutMs;
  }

  start(): void {
    this.#watch ??= setInterval(() => void this.look(), watchMs).unref();
  }

  stop(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  /** Asks each server for its replicas. */
  async look(): Promise<void> {
    const nodes = nodesOf(this.#client).filter((node) => node.status === 'ready');
    for (const known of this.#servers.keys())
      if (!nodes.includes(known)) this.#servers.delete(known);
    await Promise.all(
      nodes.map(async (node) => {
        try {
          this.#note(node, await node.info('replication'));
        } catch {
          // Not permitted, or lost: the checks at the start say the one, the next command the
          // other.
        }
      }),
    );
  }

  /** Replicas of the server with the fewest; for the checks. */
  get replicas(): number {
    const counts = [...this.#servers.values()].map((server) => server.connected);
    return counts.length === 0 ? 0 : Math.min(...counts);
  }

  /**
   * Resolves when what was sent in this turn is as durable as it gets; for a key: on its server.
   */
  wait(key: string | undefined): Promise<void> {
    const nodes = this.#nodesOf(key).filter((node) => this.#wanted(node));
    if (nodes.length === 0) return Promise.resolve();
    const waits = nodes.map((node) => {
      let wait = this.#turn.get(node);
      if (wait === undefined) {
        wait = new Promise<void>((resolve, reject) => {
          setImmediate(() => {
            this.#turn.delete(node);
            this.#confirm(node).then(resolve, reject);
          });
        });
        this.#turn.set(node, wait);
      }
      return wait;
    });
    return waits.length === 1 ? waits[0]! : Promise.all(waits).then(() => undefined);
  }

  async #confirm(node: Redis): Promise<void> {
    let confirmed: number;
    try {
      const command = new Command('wait', [replicasToConfirm, this.#timeoutMs]);
      void node.sendCommand(command);
      confirmed = Number(await command.promise);
    } catch (error) {
      throw new RedisUnavailable(failureOf(error).message, 'unknown');
    }
    if (confirmed < replicasToConfirm) {
      throw new RedisUnavailable('no replica of Redis has confirmed a write', 'unknown');
    }
  }

  #wanted(node: Redis): boolean {
    const server = this.#servers.get(node);
    if (server === undefined) return false;
    return (this.#failsOver ? server.seen : server.connected) > 0;
  }

  #nodesOf(key: string | undefined): Redis[] {
    const client = this.#client;
    const nodes = nodesOf(client);
    if (key === undefined || !(client instanceof Cluster)) return nodes;
    const [owner] = client.slots[new Command('get', [key]).getSlot()] ?? [];
    if (owner === undefined) return nodes;
    return nodes.filter(({ options }) => `${options.host}:${options.port}` === owner);
  }

  #note(node: Redis, text: string): void {
    const id = /master_replid:(\w+)/.exec(text)?.[1] ?? '';
    const connected = text.match(/^slave\d+:.*state=online/gm)?.length ?? 0;
    const before = this.#servers.get(node);
    const seen = before?.id === id ? Math.max(before.seen, connected) : connected;
    this.#servers.set(node, { id, seen, connected });
  }
}
