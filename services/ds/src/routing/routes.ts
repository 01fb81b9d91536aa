import type { ClientId, NodeId, QueueId, QueueName } from '@lmqtt/common/ids';
import type { Message, QueueEntry } from '@lmqtt/common/message';
import { addresseeOf, clientOfP2p } from '@lmqtt/common/p2p';
import { isWildcardFilter } from '@lmqtt/common/topic';
import { TopicTrie } from '@lmqtt/common/topic-trie';
import type { Position } from '@lmqtt/proto/session-state';
import type { Outlet } from './outlet.ts';
import type { RouteChange } from '../registry/registry.ts';
import type { ClusterRouteChange } from '../registry/route-log.ts';
import { FewOrMany } from './few-or-many.ts';
import type { StoredSubscription } from '../session-store/stored-session.ts';

/** Shared by all that are empty; never pushed to. */
const none: never[] = [];

/** A shared group as routing sees it: who takes the messages of its queue. */
export interface GroupOutlet {
  readonly stored: { readonly cursors: readonly Position[] };
  /** A message that is not stored. */
  give(message: Message): void;
  arrived(entry: QueueEntry, message: Message): void;
}

/** Sessions of that cs that live at that ds. */
export interface Wanted {
  readonly node: NodeId;
  readonly ds: NodeId;
}

/** A queue as routing sees it, and who holds it. */
export class Queue {
  readonly id: QueueId;
  readonly name: QueueName;
  /** The store's own name for it; '': it has none. */
  readonly place: string;
  /** Subscriptions of sessions that this ds knows, connected or not; not by a group. */
  readonly holders: FewOrMany<StoredSubscription> = new FewOrMany();
  /** Subscribes under way. */
  pins = 0;
  /** How many connected sessions of each node subscribe. */
  interest: { readonly node: Outlet; sessions: number }[] = none;
  /** A position has moved since the queue was last trimmed. */
  moved = false;
  /** Nodes with a connected session that subscribes to it, not by a group. */
  nodes: Outlet[] = none;
  /** In a cluster: who wants its messages, whether or not that cs is attached here. */
  wanted: Wanted[] = none;
  groups: GroupOutlet[] | undefined = undefined;
  /** Set when its generation is over. */
  closed = false;

  constructor(id: QueueId, name: QueueName, place = '') {
    this.id = id;
    this.name = name;
    this.place = place;
  }
}

/** Destination of the messages of one topic. */
export interface Route {
  readonly queues: readonly Queue[];
  readonly queueIds: readonly QueueId[];
  /** The places of a message that is not stored. */
  readonly unstored: readonly QueueEntry[];
  readonly nodes: readonly Outlet[];
  readonly groups: readonly GroupOutlet[];
  /** The client that alone would get it, and is connected nowhere; undefined: others would. */
  readonly absent: ClientId | undefined;
  /** Version of the table when the route was made. */
  readonly version: number;
  stale: boolean;
}

const cachedMax = 100_000;

/**
 * The routes as far as this ds has applied the registry's log. It hides that routes of topics are
 * kept: a change to a filter without wildcards makes one of them stale, a change to a client's own
 * queue those of the topics that address it, any other change all.
 */
export class Routes {
  readonly #trie = new TopicTrie<Queue>();
  readonly #byId = new Map<QueueId, Queue>();
  readonly #byName = new Map<QueueName, Queue>();
  /** Queues may share a place. */
  readonly #byPlace = new Map<string, QueueId[]>();
  /** Queues of single clients, which no filter leads to. */
  readonly #byClient = new Map<ClientId, Queue>();
  #clientPlaces = 0;
  readonly #cached = new Map<string, Route>();
  /** Topics in `#cached` that address a client. */
  readonly #addressing = new Map<ClientId, string[]>();
  readonly #nodes: ReadonlyMap<NodeId, Outlet>;
  #version = 0;

  constructor(nodes: ReadonlyMap<NodeId, Outlet>) {
    this.#nodes = nodes;
  }

  /** Without those of single clients. */
  get queueCount(): number {
    return this.#byId.size - this.#byClient.size;
  }

  /** Queues of single clients. */
  get clientQueueCount(): number {
    return this.#byClient.size;
  }

  get queues(): Iterable<Queue> {
    return this.#byId.values();
  }

  queue(id: QueueId): Queue | undefined {
    return this.#byId.get(id);
  }

  named(name: QueueName): Queue | undefined {
    return this.#byName.get(name);
  }

  /** The queues that the store has under this name. */
  placed(place: string): readonly QueueId[] {
    return this.#byPlace.get(place) ?? none;
  }

  /** Queues of a shared name whose filters match the topic. */
  placedFor(place: string, topic: string): readonly QueueId[] {
    const found: QueueId[] = [];
    for (const queue of this.of(topic).queues) if (queue.place === place) found.push(queue.id);
    return found;
  }

  /** How many names the store has, without those of queues of single clients. */
  get placeCount(): number {
    return this.#byPlace.size - this.#clientPlaces;
  }

  /** How many names the store has for queues of single clients. */
  get clientPlaceCount(): number {
    return this.#clientPlaces;
  }

  /** The queue of messages to one client; undefined: it has none. */
  ofClient(client: ClientId): Queue | undefined {
    return this.#byClient.get(client);
  }

  /** A position in it has moved: there may be something to trim. */
  moved(id: QueueId): void {
    const queue = this.#byId.get(id);
    if (queue !== undefined) queue.moved = true;
  }

  isCurrent(route: Route): boolean {
    return !route.stale && route.version === this.#version;
  }

  of(topic: string): Route {
    const known = this.#cached.get(topic);
    if (known !== undefined && this.isCurrent(known)) return known;
    if (this.#cached.size >= cachedMax) this.#forgetAll();
    const queues = this.#trie.match(topic);
    const addressee = addresseeOf(topic);
    if (addressee !== undefined) {
      const queue = this.#byClient.get(addressee);
      if (queue !== undefined) queues.push(queue);
      const topics = this.#addressing.get(addressee);
      if (topics === undefined) this.#addressing.set(addressee, [topic]);
      else if (!topics.includes(topic)) topics.push(topic);
    }
    const route = this.#make(queues);
    this.#cached.set(topic, route);
    return route;
  }

  apply(change: RouteChange | ClusterRouteChange): void {
    if (change.kind === 'reset') {
      this.#reset();
      return;
    }
    if (change.kind === 'open') {
      if (this.#byId.has(change.queue)) return;
      const place = 'place' in change ? change.place : '';
      const queue = new Queue(change.queue, change.name, place);
      this.#byId.set(queue.id, queue);
      this.#byName.set(queue.name, queue);
      const client = clientOfP2p(queue.name);
      if (place !== '') {
        if (client !== undefined && !this.#byPlace.has(place)) this.#clientPlaces += 1;
        this.#byPlace.set(place, [...this.placed(place), queue.id]);
      }
      if (client === undefined) this.#trie.add(queue.name, queue);
      else this.#byClient.set(client, queue);
      this.changed(queue);
      return;
    }
    const queue = this.#byId.get(change.queue);
    if (queue === undefined) return;
    if (change.kind === 'close') {
      queue.closed = true;
      this.#byId.delete(queue.id);
      this.#displace(queue);
      if (this.#byName.get(queue.name) === queue) this.#byName.delete(queue.name);
      const client = clientOfP2p(queue.name);
      if (client === undefined) this.#trie.remove(queue.name, queue);
      else if (this.#byClient.get(client) === queue) this.#byClient.delete(client);
    } else if ('ds' in change) {
      const { node, ds } = change;
      const others = queue.wanted.filter((one) => one.node !== node || one.ds !== ds);
      queue.wanted = change.kind === 'interest' ? [...others, { node, ds }] : others;
      this.#wantedBy(queue);
    } else {
      const others = queue.nodes.filter((node) => node.id !== change.node);
      const node = this.#nodes.get(change.node);
      const added = change.kind === 'interest' && node !== undefined;
      if (added) queue.nodes = others.length === 0 ? [node] : [...others, node];
      else queue.nodes = others.length === 0 ? none : others;
    }
    this.changed(queue);
  }

  /** A cs is attached here, or is no more: what it wants goes there, or nowhere. */
  nodeChanged(node: NodeId): void {
    for (const queue of this.#byId.values()) {
      if (!queue.wanted.some((one) => one.node === node)) continue;
      this.#wantedBy(queue);
      this.changed(queue);
    }
  }

  #displace(queue: Queue): void {
    const others = this.placed(queue.place).filter((id) => id !== queue.id);
    if (others.length > 0) this.#byPlace.set(queue.place, others);
    else if (this.#byPlace.delete(queue.place) && clientOfP2p(queue.name) !== undefined)
      this.#clientPlaces -= 1;
  }

  #wantedBy(queue: Queue): void {
    const nodes: Outlet[] = [];
    for (const { node } of queue.wanted) {
      const outlet = this.#nodes.get(node);
      if (outlet !== undefined && !nodes.includes(outlet)) nodes.push(outlet);
    }
    queue.nodes = nodes.length === 0 ? none : nodes;
  }

  /** Everything is told again: queues stay themselves, what nobody tells of is not wanted. */
  #reset(): void {
    for (const queue of this.#byId.values()) {
      queue.wanted = none;
      queue.nodes = none;
    }
    this.#forgetAll();
  }

  /** The groups or nodes of the queue have changed. */
  changed(queue: Queue): void {
    const client = clientOfP2p(queue.name);
    if (client !== undefined) {
      for (const topic of this.#addressing.get(client) ?? []) this.#forget(topic);
      this.#addressing.delete(client);
    } else if (isWildcardFilter(queue.name)) this.#forgetAll();
    else this.#forget(queue.name);
  }

  #forget(topic: string): void {
    const route = this.#cached.get(topic);
    if (route === undefined) return;
    route.stale = true;
    this.#cached.delete(topic);
  }

  #forgetAll(): void {
    this.#version += 1;
    this.#cached.clear();
    this.#addressing.clear();
  }

  #make(queues: Queue[]): Route {
    const nodes = new Set<Outlet>();
    const groups: GroupOutlet[] = [];
    for (const queue of queues) {
      for (const node of queue.nodes) nodes.add(node);
      if (queue.groups !== undefined) groups.push(...queue.groups);
    }
    return {
      queues,
      queueIds: queues.map((queue) => queue.id),
      unstored: queues.map(({ id }) => ({ queue: id, partition: 0, offset: -1, previous: -1 })),
      nodes: [...nodes],
      groups,
      absent: nodes.size === 0 && queues.length === 1 ? clientOfP2p(queues[0]!.name) : undefined,
      version: this.#version,
      stale: false,
    };
  }
}
