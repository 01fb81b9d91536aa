import type { NodeId, QueueId, QueueName } from '@lmqtt/common/ids';

interface OwnQueue {
  readonly queue: QueueId;
  /** Number of the log up to which all must be before it counts. */
  readonly nodes: { readonly node: NodeId; readonly number: number }[];
}

/** Interest of this ds's own sessions that is stored: what is known here needs no request. */
export class OwnInterest {
  readonly #byName = new Map<QueueName, OwnQueue>();
  readonly #names = new Map<QueueId, QueueName>();

  find(name: QueueName, node: NodeId): { queue: QueueId; number: number } | undefined {
    const own = this.#byName.get(name);
    const known = own?.nodes.find((one) => one.node === node);
    if (own === undefined || known === undefined) return undefined;
    return { queue: own.queue, number: known.number };
  }

  set(name: QueueName, queue: QueueId, node: NodeId, number: number): void {
    const own = this.#byName.get(name);
    if (own?.queue !== queue) {
      if (own !== undefined) this.#names.delete(own.queue);
      this.#byName.set(name, { queue, nodes: [{ node, number }] });
      this.#names.set(queue, name);
    } else if (!own.nodes.some((one) => one.node === node)) {
      own.nodes.push({ node, number });
    }
  }

  delete(queue: QueueId, node: NodeId): void {
    const name = this.#names.get(queue);
    const own = name === undefined ? undefined : this.#byName.get(name);
    const at = own?.nodes.findIndex((one) => one.node === node) ?? -1;
    if (at === -1) return;
    own!.nodes.splice(at, 1);
    if (own!.nodes.length === 0) this.close(queue);
  }

  close(queue: QueueId): void {
    const name = this.#names.get(queue);
    if (name === undefined) return;
    this.#names.delete(queue);
    this.#byName.delete(name);
  }

  forget(node: NodeId): void {
    for (const queue of [...this.#names.keys()]) this.delete(queue, node);
  }

  clear(): void {
    this.#byName.clear();
    this.#names.clear();
  }
}
