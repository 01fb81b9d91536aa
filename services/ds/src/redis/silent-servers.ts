import { Redis } from 'ioredis';
import type { Client } from '@lmqtt/redis/client';

const pingMsMax = 1000;

/** Servers that keep a connection and do not answer are left, so that the library connects anew. */
export class SilentServers {
  readonly #client: Client;
  readonly #timeoutMs: number;
  readonly #onLeave: () => void;
  #probing = false;
  #stopped = false;

  /** `onLeave`: the only server is left. */
  constructor(client: Client, timeoutMs: number, onLeave: () => void) {
    this.#client = client;
    this.#timeoutMs = timeoutMs;
    this.#onLeave = onLeave;
    setTimeout(() => this.#probeHandshake(), timeoutMs).unref();
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Leaves the servers that are silent: a command was not answered in time. */
  probe(): void {
    if (this.#probing || this.#stopped) return;
    if (this.#client instanceof Redis) {
      this.#onLeave();
      leave(this.#client);
      return;
    }
    this.#probing = true;
    const answered = new Set<Redis>();
    const nodes = this.#client.nodes();
    for (const node of nodes) {
      node.ping().then(
        () => answered.add(node),
        () => undefined,
      );
    }
    setTimeout(() => {
      this.#probing = false;
      for (const node of nodes) if (!answered.has(node)) leave(node);
    }, pingMsMax).unref();
  }

  /** A server that takes connections and does not answer the first commands, now and then. */
  #probeHandshake(): void {
    if (this.#stopped) return;
    const client = this.#client;
    if (client instanceof Redis) {
      const before = client.stream as Redis['stream'] | undefined;
      const stuck = client.status === 'connect';
      setTimeout(() => {
        if (stuck && client.status === 'connect' && client.stream === before) leave(client);
        this.#probeHandshake();
      }, this.#timeoutMs).unref();
    } else {
      if (client.status === 'connect' || client.status === 'connecting') this.probe();
      setTimeout(() => this.#probeHandshake(), this.#timeoutMs).unref();
    }
  }
}

function leave(node: Redis): void {
  const stream: { destroy(): void } | undefined = node.stream;
  stream?.destroy();
}
