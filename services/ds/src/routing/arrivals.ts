import type { NodeId } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { Outlet } from './outlet.ts';
import type { Queue, Routes } from './routes.ts';

/**
 * Messages that arrive from the store go once to each node that is interested in one of its queues,
 * and to the owners of shared groups. One array for each node and call.
 */
export class Arrivals {
  readonly #nodes: ReadonlyMap<NodeId, Outlet>;
  readonly #routes: Routes;

  constructor(nodes: ReadonlyMap<NodeId, Outlet>, routes: Routes) {
    this.#nodes = nodes;
    this.#routes = routes;
  }

  take(messages: Message[]): void {
    let queue: Queue | undefined;
    for (const message of messages) {
      for (const entry of message.entries) {
        // Most messages come many at a time for one queue.
        if (queue === undefined || queue.id !== entry.queue)
          queue = this.#routes.queue(entry.queue);
        if (queue === undefined) continue;
        for (const node of queue.nodes) node.push(message);
        if (queue.groups !== undefined)
          for (const group of queue.groups) group.arrived(entry, message);
      }
    }
    for (const node of this.#nodes.values()) node.flush();
  }
}
