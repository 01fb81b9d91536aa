import { randomUUID } from 'node:crypto';
import type { Clock } from '@lmqtt/common/clock';
import { nodeId, type NodeId, type QueueId, queueId } from '@lmqtt/common/ids';
import { decodeJson, encodeJson, JournalTable } from '../../journal/journal-table.ts';
import type { Journal } from '../../journal/journal.ts';
import { RecordType } from '../../journal/records.ts';
import type { AttachedNode, Registry, RouteChange } from '../registry.ts';

const identifiersReserved = 4096;

interface Lease extends AttachedNode {
  untilMs: number;
}

interface EmbeddedRegistryOptions {
  readonly leaseMs: number;
  /** Nodes are other processes: they are there after a restart of this one. */
  readonly csOutlives: boolean;
}

/**
 * The registry of one ds. Routes are in memory: the composition root builds them again from the
 * stored sessions. Durable are which nodes are attached, and that queue identifiers are never given
 * twice: they are reserved in blocks, whose record is in the log before any record with one of them.
 */
export class EmbeddedRegistry implements Registry {
  readonly logId: string = randomUUID();
  readonly leaseMs: number;
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #listeners: ((change: RouteChange, number: number) => void)[] = [];
  readonly #csOutlives: boolean;
  readonly #leases = new Map<NodeId, Lease>();
  readonly #left: NodeId[] = [];
  readonly #table: JournalTable<string>;
  readonly #nodes: JournalTable<NodeId>;
  readonly #replay: JournalTable<string>;
  #replayQueue: QueueId | undefined = undefined;
  #number = 0;
  #lastQueue = 0;
  #reserved = 0;

  constructor(journal: Journal, clock: Clock, options: EmbeddedRegistryOptions) {
    this.#journal = journal;
    this.#clock = clock;
    this.leaseMs = options.leaseMs;
    this.#csOutlives = options.csOutlives;
    const load = (value: Buffer): void => {
      this.#reserved = Math.max(this.#reserved, value.readUIntLE(0, 6));
      this.#lastQueue = this.#reserved;
    };
    this.#table = new JournalTable('queueIds', () => reservation(this.#reserved), load);
    journal.participate(this.#table);
    journal.register(RecordType.queueIdsReserved, {
      replay: (body) => {
        load(body);
        this.#table.mark('reserved');
      },
    });
    const replay = (value: Buffer): void => {
      const number = value.readUIntLE(0, 6);
      this.#replayQueue = number === 0 ? undefined : queueId(number);
    };
    this.#replay = new JournalTable(
      'replayQueue',
      () => reservation(this.#replayQueue ?? 0),
      replay,
    );
    journal.participate(this.#replay);
    journal.register(RecordType.replayQueue, {
      replay: (body) => {
        replay(body);
        this.#replay.mark('queue');
      },
    });
    const attached = (value: Buffer): NodeId => {
      const { node, instance } = decodeJson(value) as { node: string; instance: string };
      this.#leases.set(nodeId(node), { node: nodeId(node), instance, untilMs: 0 });
      return nodeId(node);
    };
    this.#nodes = new JournalTable('nodes', (node) => this.#encode(node), attached);
    journal.participate(this.#nodes);
    journal.register(RecordType.nodeAttached, {
      replay: (body) => this.#nodes.mark(attached(body)),
    });
    journal.register(RecordType.nodeEnded, {
      replay: (body) => {
        const node = nodeId(body.toString());
        this.#leases.delete(node);
        this.#nodes.mark(node);
      },
    });
  }

  /** After the journal was opened: the leases of those that the last run left begin. */
  start(): void {
    const untilMs = this.#clock.monotonicMs() + 2 * this.leaseMs;
    for (const lease of [...this.#leases.values()]) {
      if (this.#csOutlives) lease.untilMs = untilMs;
      else this.#end(lease.node, true);
    }
  }

  /** Queues up to this one are in the log: where the reservation was lost, it is made again. */
  noteQueue(highest: number): void {
    if (highest <= this.#lastQueue) return;
    this.#lastQueue = highest;
    this.#reserved = Math.max(this.#reserved, highest);
  }

  newQueue(): QueueId {
    if (this.#lastQueue === this.#reserved) {
      this.#reserved += identifiersReserved;
      this.#journal.add(RecordType.queueIdsReserved, reservation(this.#reserved));
      this.#table.mark('reserved');
    }
    this.#lastQueue += 1;
    return queueId(this.#lastQueue);
  }

  /** The queue of all topics, of this or an earlier run; undefined: there is none. */
  get replayQueue(): QueueId | undefined {
    return this.#replayQueue;
  }

  /** Lazily durable: a queue that nobody knows of is dropped at the next start. */
  setReplayQueue(queue: QueueId | undefined): void {
    this.#replayQueue = queue;
    this.#journal.add(RecordType.replayQueue, reservation(queue ?? 0));
    this.#replay.mark('queue');
  }

  /** The only ds has been told when this returns. */
  change(changes: RouteChange[]): Promise<void> {
    for (const change of changes) {
      this.#number += 1;
      for (const listener of this.#listeners) listener(change, this.#number);
    }
    return Promise.resolve();
  }

  onRoutes(listener: (change: RouteChange, number: number) => void): void {
    this.#listeners.push(listener);
  }

  get attached(): AttachedNode[] {
    return [...this.#leases.values()].map(({ node, instance }) => ({ node, instance }));
  }

  async join(node: NodeId, instance: string): Promise<void> {
    const known = this.#leases.get(node);
    const untilMs = this.#clock.monotonicMs() + this.leaseMs;
    this.#leases.set(node, { node, instance, untilMs });
    if (!this.#csOutlives || known?.instance === instance) return;
    this.#journal.add(RecordType.nodeAttached, this.#encode(node)!);
    this.#nodes.mark(node);
    await this.#journal.durable();
  }

  renew(node: NodeId): boolean {
    const lease = this.#leases.get(node);
    const nowMs = this.#clock.monotonicMs();
    if (lease === undefined || lease.untilMs <= nowMs) return false;
    // The lease that the start gave is not shortened.
    lease.untilMs = Math.max(lease.untilMs, nowMs + this.leaseMs);
    return true;
  }

  leave(node: NodeId): void {
    if (this.#end(node, this.#csOutlives)) this.#left.push(node);
  }

  ended(): NodeId[] {
    const nowMs = this.#clock.monotonicMs();
    for (const lease of [...this.#leases.values()])
      if (lease.untilMs <= nowMs) this.leave(lease.node);
    return this.#left.splice(0);
  }

  #end(node: NodeId, stored: boolean): boolean {
    if (!this.#leases.delete(node)) return false;
    if (stored) {
      this.#journal.add(RecordType.nodeEnded, Buffer.from(node));
      this.#nodes.mark(node);
    }
    return true;
  }

  #encode(node: NodeId): Buffer | undefined {
    const lease = this.#leases.get(node);
    return lease && encodeJson({ node, instance: lease.instance });
  }
}

function reservation(last: number): Buffer {
  const body = Buffer.alloc(6);
  body.writeUIntLE(last, 0, 6);
  return body;
}
