import type { Clock } from '@lmqtt/common/clock';
import { clientId, epoch } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { JournalTable } from '../../journal/journal-table.ts';
import type { Journal } from '../../journal/journal.ts';
import { RecordType } from '../../journal/records.ts';
import type { InboundId, InboundIds } from '../../queue-store/queue-store.ts';
import { decodeMessage, encodeMessage } from '../../queue-store/single-message.ts';
import { delayedLine } from '../delayed-line.ts';
import type {
  DelayedLimits,
  DelayedLine,
  DelayedPlace,
  DelayedPut,
  DelayedStore,
  DueMessage,
} from '../delayed-store.ts';

interface Held {
  readonly id: number;
  readonly dueAtMs: number;
  /** Message (single-message.ts). */
  readonly bytes: Buffer;
  /** Not to be looked at before; moved by a failure. */
  nextMs: number;
  taken: boolean;
  /** The record that it is gone is in the commit of its message. */
  sending: boolean;
}

const retryMs = 1000;
const overheadBytes = 256;
const headBytes = 15;

/**
 * Messages in memory, each change a record of the journal:
 *
 *     u48   id
 *     f64   wall clock in ms at which it is due
 *     u8    1: with the packet identifier of a QoS 2 publish, next:
 *           u16 packet identifier, f64 epoch, u16 length and client identifier
 *     …     message (single-message.ts)
 *
 * Due times are of the wall clock: what fell due while the broker was down goes out at its start.
 */
export class EmbeddedDelayedStore implements DelayedStore {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #inbound: InboundIds;
  readonly #limits: DelayedLimits;
  readonly #held = new Map<number, Held>();
  readonly #table: JournalTable<number>;
  /** By due time and id, sorted from its start; undefined: to be made. */
  #order: Held[] | undefined;
  #last = 0;
  #bytes = 0;

  /** To be made before the journal is opened. */
  constructor(journal: Journal, clock: Clock, inbound: InboundIds, limits: DelayedLimits) {
    this.#journal = journal;
    this.#clock = clock;
    this.#inbound = inbound;
    this.#limits = limits;
    this.#table = new JournalTable(
      'delayed',
      (id) => {
        const held = this.#held.get(id);
        return held && encode(held, undefined);
      },
      (value) => {
        this.#load(value);
      },
    );
    journal.participate(this.#table);
    journal.register(RecordType.delayedPut, {
      replay: (body, place) => {
        const { id, inbound: by } = this.#load(Buffer.from(body));
        this.#table.mark(id);
        if (by !== undefined && !place.covered)
          this.#inbound.stored(by.clientId, by.epoch, by.packetId);
      },
    });
    journal.register(RecordType.delayedRemoved, {
      replay: (body) => {
        const id = body.readUIntLE(0, 6);
        this.#last = Math.max(this.#last, id);
        this.#forget(id);
        this.#table.mark(id);
      },
    });
  }

  get count(): number {
    return this.#held.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  put(batch: readonly DelayedPut[], done: () => void): void {
    const journal = this.#journal;
    const puts: (Held | undefined)[] = batch.map((put) => {
      put.reasonCode = journal.refusal;
      if (put.reasonCode !== 0) return undefined;
      const bytes = encodeMessage(put.message);
      put.limit = this.#limitOf(bytes);
      if (put.limit !== undefined) {
        put.reasonCode = ReasonCode.quotaExceeded;
        return undefined;
      }
      const { inbound } = put;
      this.#last += 1;
      const held = heldOf(this.#last, put.dueAtMs, bytes);
      // Nobody takes it before it is durable.
      held.taken = true;
      this.#add(held);
      this.#table.mark(held.id);
      if (inbound !== undefined) this.#inbound.storing(inbound.clientId, inbound.epoch);
      journal.add(RecordType.delayedPut, encode(held, inbound));
      return held;
    });
    journal.commit((failure) => {
      for (const [index, held] of puts.entries()) {
        const put = batch[index]!;
        if (held === undefined) continue;
        held.taken = false;
        if (failure !== undefined) {
          put.reasonCode = failure.reasonCode;
          this.#forget(held.id);
          this.#table.mark(held.id);
        } else if (put.inbound !== undefined) {
          const { clientId: id, epoch: claimed, packetId } = put.inbound;
          this.#inbound.stored(id, claimed, packetId);
        }
      }
      done();
    });
  }

  takeDue(messagesMax: number): DueMessage[] {
    const nowMs = this.#clock.nowMs();
    const due: DueMessage[] = [];
    for (const held of this.#sorted()) {
      if (held.dueAtMs > nowMs || due.length === messagesMax) break;
      if (held.taken || held.nextMs > nowMs) continue;
      held.taken = true;
      due.push({ id: held.id, message: decodeMessage(held.bytes), sending: undefined });
    }
    return due;
  }

  sending({ id }: DueMessage): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    held.sending = true;
    this.#recordRemoved(id);
  }

  sent({ id }: DueMessage): Promise<void> {
    this.#remove(id);
    return Promise.resolve();
  }

  failed({ id }: DueMessage): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    held.taken = false;
    held.nextMs = this.#clock.nowMs() + retryMs;
    if (!held.sending) return;
    // The record that it is gone may be stored all the same.
    held.sending = false;
    this.#table.mark(id);
    this.#journal.add(RecordType.delayedPut, encode(held, undefined));
  }

  async cancel(id: number): Promise<boolean> {
    const held = this.#held.get(id);
    if (held === undefined || held.taken) return false;
    this.#remove(id);
    await this.#journal.durable();
    return true;
  }

  page(after: DelayedPlace | undefined, linesMax: number): Promise<DelayedLine[]> {
    const lines: DelayedLine[] = [];
    for (const { id, dueAtMs, bytes } of this.#sorted()) {
      if (after !== undefined && compare({ dueAtMs, id }, after) <= 0) continue;
      if (lines.length === linesMax) break;
      lines.push(delayedLine(id, dueAtMs, decodeMessage(bytes)));
    }
    return Promise.resolve(lines);
  }

  #limitOf(bytes: Buffer): DelayedPut['limit'] {
    if (this.#held.size >= this.#limits.messagesMax) return 'MAX_DELAYED_MESSAGES';
    const isOver = this.#bytes + bytes.length + overheadBytes > this.#limits.bytesMax;
    return isOver ? 'MAX_DELAYED_BYTES' : undefined;
  }

  /** Most come in the order in which they fall due. */
  #sorted(): Iterable<Held> {
    return (this.#order ??= [...this.#held.values()].sort(compare));
  }

  #add(held: Held): void {
    this.#held.set(held.id, held);
    this.#bytes += held.bytes.length + overheadBytes;
    const order = this.#order;
    if (order === undefined) return;
    let low = 0;
    let high = order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare(order[middle]!, held) <= 0) low = middle + 1;
      else high = middle;
    }
    order.splice(low, 0, held);
  }

  #remove(id: number): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    this.#forget(id);
    this.#table.mark(id);
    if (!held.sending) this.#recordRemoved(id);
  }

  #recordRemoved(id: number): void {
    const at = this.#journal.reserve(RecordType.delayedRemoved, 6);
    this.#journal.buffer.writeUIntLE(id, at, 6);
  }

  #forget(id: number): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    this.#held.delete(id);
    this.#bytes -= held.bytes.length + overheadBytes;
    const order = this.#order;
    if (order === undefined) return;
    // A sent message is at the beginning, and a refused one is near the end.
    const at = order.indexOf(held);
    if (at === 0) order.shift();
    else order.splice(at, 1);
  }

  #load(value: Buffer): { id: number; inbound: InboundId | undefined } {
    const id = value.readUIntLE(0, 6);
    const dueAtMs = value.readDoubleLE(6);
    let at = headBytes;
    let inbound: InboundId | undefined;
    if (value[14] === 1) {
      const packetId = value.readUInt16LE(at);
      const claimed = value.readDoubleLE(at + 2);
      const end = at + 12 + value.readUInt16LE(at + 10);
      const name = value.toString('utf8', at + 12, end);
      inbound = { clientId: clientId(name), epoch: epoch(claimed), packetId };
      at = end;
    }
    this.#last = Math.max(this.#last, id);
    this.#forget(id);
    this.#add(heldOf(id, dueAtMs, value.subarray(at)));
    return { id, inbound };
  }
}

function heldOf(id: number, dueAtMs: number, bytes: Buffer): Held {
  return { id, dueAtMs, bytes, nextMs: 0, taken: false, sending: false };
}

function compare(one: DelayedPlace, other: DelayedPlace): number {
  return one.dueAtMs - other.dueAtMs || one.id - other.id;
}

function encode({ id, dueAtMs, bytes }: Held, inbound: InboundId | undefined): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUIntLE(id, 0, 6);
  head.writeDoubleLE(dueAtMs, 6);
  if (inbound === undefined) return Buffer.concat([head, bytes]);
  head[14] = 1;
  const name = Buffer.from(inbound.clientId);
  const by = Buffer.alloc(12);
  by.writeUInt16LE(inbound.packetId, 0);
  by.writeDoubleLE(inbound.epoch, 2);
  by.writeUInt16LE(name.length, 10);
  return Buffer.concat([head, by, name, bytes]);
}
