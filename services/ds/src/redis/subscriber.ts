import { Redis } from 'ioredis';
import type { Client } from '@lmqtt/redis/client';
import { failureOf, RedisUnavailable } from './failure.ts';

type MessageListener = (message: string) => void;

/**
 * Pub/sub on a connection of its own. A hint, never a promise: what is published while the
 * connection is away is not heard. `onGap` says that this may have happened.
 */
export class RedisSubscriber {
  readonly #client: Client;
  readonly #timeoutMs: number;
  readonly #listeners = new Map<string, Set<MessageListener>>();
  readonly #gapListeners = new Set<() => void>();
  readonly #ping: NodeJS.Timeout;
  #pinging = false;
  #readyOnce = false;

  private constructor(client: Client, timeoutMs: number) {
    this.#client = client;
    this.#timeoutMs = timeoutMs;
    client.on('error', () => undefined);
    client.on('message', (channel: string, message: string) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener(message);
    });
    client.on('ready', () => this.#ready());
    this.#ping = setInterval(() => this.#probe(), timeoutMs / 2).unref();
  }

  static async open(client: Client, timeoutMs: number): Promise<RedisSubscriber> {
    const subscriber = new RedisSubscriber(client, timeoutMs);
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        subscriber.close();
        reject(new RedisUnavailable('no connection for pub/sub', 'not done'));
      }, timeoutMs);
      client.once('ready', () => {
        clearTimeout(timer);
        resolve();
      });
    });
    return subscriber;
  }

  /** Resolves with what ends it when the server has it; rejects where that is not reached. */
  async subscribe(channel: string, listener: MessageListener): Promise<() => void> {
    const known = this.#listeners.get(channel);
    const listeners = known ?? new Set();
    listeners.add(listener);
    if (known === undefined) {
      this.#listeners.set(channel, listeners);
      try {
        await this.#client.subscribe(channel);
      } catch (error) {
        listeners.delete(listener);
        if (listeners.size === 0) this.#listeners.delete(channel);
        throw failureOf(error);
      }
    }
    return () => this.#unsubscribe(channel, listener);
  }

  /** The connection was away and is back: something may have been missed. */
  onGap(listener: () => void): void {
    this.#gapListeners.add(listener);
  }

  close(): void {
    clearInterval(this.#ping);
    this.#client.disconnect();
  }

  #unsubscribe(channel: string, listener: MessageListener): void {
    const listeners = this.#listeners.get(channel);
    listeners?.delete(listener);
    if (listeners?.size !== 0) return;
    this.#listeners.delete(channel);
    this.#client.unsubscribe(channel).catch(() => undefined);
  }

  #ready(): void {
    if (!this.#readyOnce) {
      this.#readyOnce = true;
      return;
    }
    const channels = [...this.#listeners.keys()];
    const again = channels.length === 0 ? undefined : this.#client.subscribe(...channels);
    const told = (): void => {
      for (const listener of this.#gapListeners) listener();
    };
    (again ?? Promise.resolve()).then(told, () => undefined);
  }

  /** A server that is silent is left. A Redis Cluster has its own way. */
  #probe(): void {
    const client = this.#client;
    if (!(client instanceof Redis) || this.#pinging) return;
    if (client.status !== 'ready' && client.status !== 'connect') return;
    this.#pinging = true;
    const stream = client.stream;
    const timer = setTimeout(() => {
      this.#pinging = false;
      stream.destroy();
    }, this.#timeoutMs);
    const end = (): void => {
      clearTimeout(timer);
      this.#pinging = false;
    };
    if (client.status === 'ready') client.ping().then(end, end);
    else client.once('ready', end);
  }
}
