import { type Message, messageOf } from '@lmqtt/common/message';
import type { NodeId } from '@lmqtt/common/ids';
import { TopicTree } from '@lmqtt/common/topic-trie';
import type { Outlet } from '../routing/outlet.ts';
import type { Routes } from '../routing/routes.ts';

/**
 * The `$SYS/broker/…` topics: figures of the broker, sent at QoS 0 to whoever subscribes, and only
 * then; the newest value also at subscribe.
 */
export class SysTopics {
  readonly #nodes: ReadonlyMap<NodeId, Outlet>;
  readonly #routes: Routes;
  readonly #read: () => Record<string, number | string>;

  /** `read` gives the values by the rest of the topic, such as `clients/connected`. */
  constructor(
    nodes: ReadonlyMap<NodeId, Outlet>,
    routes: Routes,
    read: () => Record<string, number | string>,
  ) {
    this.#nodes = nodes;
    this.#routes = routes;
    this.#read = read;
  }

  send(): void {
    // A wildcard below $SYS matches this topic as soon as it matches any.
    if (!this.#wanted()) return;
    for (const [topic, message] of this.#messages(false)) {
      const route = this.#routes.of(topic);
      message.entries = route.unstored;
      for (const node of route.nodes) node.push(message);
      for (const group of route.groups) group.give(message);
    }
    for (const node of this.#nodes.values()) node.flush();
  }

  /** The newest values, as retained messages. */
  match(filter: string): Message[] {
    const tree = new TopicTree<Message>();
    for (const [topic, message] of this.#messages(true)) tree.set(topic, message);
    return tree.matching(filter, undefined, 10_000).items.map(([, message]) => message);
  }

  #wanted(): boolean {
    for (const queue of this.#routes.queues) if (queue.name.startsWith('$SYS/')) return true;
    return false;
  }

  *#messages(retain: boolean): Iterable<[string, Message]> {
    for (const [name, value] of Object.entries(this.#read())) {
      const topic = `$SYS/broker/${name}`;
      const message = messageOf({ topic, qos: 0, retain, payload: Buffer.from(String(value)) });
      message.orderKey = { placement: 0, offset: 0 };
      yield [topic, message];
    }
  }
}
