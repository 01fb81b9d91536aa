import type { Redis } from 'ioredis';
import type { Client } from '@lmqtt/redis/client';
import { nodesOf, type OneWrite } from './one-write.ts';
import type { Script } from './script.ts';

/** Scripts that were called once: each server has them before it gets anything else. */
export class KnownScripts {
  readonly #client: Client;
  readonly #oneWrite: OneWrite;
  readonly #bySha1 = new Map<string, Script>();

  constructor(client: Client, oneWrite: OneWrite) {
    this.#client = client;
    this.#oneWrite = oneWrite;
  }

  has(script: Script): boolean {
    return this.#bySha1.has(script.sha1);
  }

  add(script: Script): void {
    this.#bySha1.set(script.sha1, script);
  }

  /** Loads one into each server that is ready. */
  load(script: Script): void {
    for (const node of nodesOf(this.#client)) this.#loadInto(node, script);
  }

  loadAll(): void {
    for (const node of nodesOf(this.#client)) this.#loadAllInto(node);
  }

  /** A new server of a Redis Cluster: connected to before the first command. */
  teach(node: Redis): void {
    if (node.options.readOnly === true) return;
    if (node.status === 'wait') node.connect().catch(() => undefined);
    node.once('ready', () => this.#loadAllInto(node));
  }

  #loadAllInto(node: Redis): void {
    for (const script of this.#bySha1.values()) this.#loadInto(node, script);
  }

  #loadInto(node: Redis, script: Script): void {
    if (node.status !== 'ready') return;
    this.#oneWrite.begin();
    // Without it the first call pays: EVAL.
    node.script('LOAD', script.source).catch(() => undefined);
  }
}
