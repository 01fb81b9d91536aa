import { randomUUID } from 'node:crypto';
import type { Clock } from '@lmqtt/common/clock';
import { type NodeId, type QueueId, queueId } from '@lmqtt/common/ids';
import { JournalTable } from '../journal-table.ts';
import type { Journal } from '../journal/journal.ts';
import { RecordType } from '../journal/records.ts';
import type { Registry, RouteChange } from './registry.ts';

const leaseMs = 3000;
const identifiersReserved = 4096;

/**
 * The registry of one process. Routes and leases are in memory: the composition root builds the
 * routes again from the stored sessions. What is durable is only that queue identifiers are never
 * given twice: they are reserved in blocks, whose record is in the log before any record with one
 * of them.
 */
export class EmbeddedRegistry implements Registry {
  readonly logId: string = randomUUID();
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #listeners: ((change: RouteChange, number: number) => void)[] = [];
  readonly #leases = new Map<NodeId, number>();
  readonly #left: NodeId[] = [];
  readonly #table: JournalTable<string>;
  #number = 0;
  #lastQueue = 0;
  #reserved = 0;

  constructor(journal: Journal, clock: Clock) {
    this.#journal = journal;
    this.#clock = clock;
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

  join(node: NodeId): void {
    this.renew(node);
  }

  renew(node: NodeId): void {
    this.#leases.set(node, this.#clock.monotonicMs() + leaseMs);
  }

  leave(node: NodeId): void {
    if (this.#leases.delete(node)) this.#left.push(node);
  }

  ended(): NodeId[] {
    const nowMs = this.#clock.monotonicMs();
    for (const [node, untilMs] of this.#leases) if (untilMs <= nowMs) this.leave(node);
    return this.#left.splice(0);
  }
}

function reservation(last: number): Buffer {
  const body = Buffer.alloc(6);
  body.writeUIntLE(last, 0, 6);
  return body;
}
