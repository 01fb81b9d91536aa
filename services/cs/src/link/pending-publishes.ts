import type { SessionHandle } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Message } from '@lmqtt/common/message';
import type { Publish } from '@lmqtt/proto/link';
import { WireError } from '@lmqtt/proto/wire/wire-error';
import { Fifo } from '../fifo.ts';

/** Publishes of one call, numbered one after another; undefined: answered out of turn. */
export interface PublishBatch {
  /** Of the call, among all calls on the link. */
  readonly ticket: number;
  readonly first: number;
  readonly publishes: readonly (Publish | undefined)[];
}

interface Batch extends PublishBatch {
  readonly publishes: (Publish | undefined)[];
}

/**
 * Publishes at QoS 1 and 2 that ds has not answered, in the order of their numbers. Answers come in
 * that order too, so what is left is always the newest; a number that was passed over is the
 * publish of a session that is fenced: it ends with 0x8E, so that nothing waits for it.
 */
export class PendingPublishes {
  private readonly batches: Fifo<Batch> = new Fifo();
  private lastNumber = 0;
  /** Where a message was found last. */
  private looked: Batch | undefined = undefined;
  /** The number that is answered next. */
  private next = 1;

  /** Publishes without an answer. */
  get count(): number {
    return this.lastNumber + 1 - this.next;
  }

  /** Keeps the batch, all of QoS 1 or 2, and answers the number of its first. */
  add(ticket: number, publishes: Publish[]): number {
    const first = this.lastNumber + 1;
    if (publishes.length === 0) return first;
    this.lastNumber += publishes.length;
    this.batches.push({ ticket, first, publishes });
    return first;
  }

  /** Of a publish without an answer. Asked for in the order of the numbers, more or less. */
  message(number: number): Message | undefined {
    let batch = this.looked;
    if (batch === undefined || number < batch.first || number >= endOf(batch)) {
      batch = this.batchOf(number);
      if (batch === undefined) return undefined;
      this.looked = batch;
    }
    return number < this.next ? undefined : batch.publishes[number - batch.first]?.message;
  }

  private batchOf(number: number): Batch | undefined {
    for (let index = 0; ; index++) {
      const batch = this.batches.at(index);
      if (batch === undefined || batch.first > number) return undefined;
      if (number < endOf(batch)) return batch;
    }
  }

  /** Adds what ended to `ended`, with its reason code set, in order. */
  answered(first: number, reasonCodes: Uint8Array, ended: Publish[]): void {
    const end = first + reasonCodes.length;
    if (end > this.lastNumber + 1) throw new WireError('answers to publishes that were not sent');
    for (let batch = this.batches.at(0); batch !== undefined; batch = this.batches.at(0)) {
      const { publishes } = batch;
      const batchEnd = endOf(batch);
      const stop = Math.min(end, batchEnd);
      for (; this.next < stop; this.next++) {
        const publish = publishes[this.next - batch.first];
        if (publish === undefined) continue;
        publish.reasonCode =
          this.next < first ? ReasonCode.sessionTakenOver : (reasonCodes[this.next - first] ?? 0);
        ended.push(publish);
      }
      if (this.next < batchEnd) return;
      if (this.looked === batch) this.looked = undefined;
      this.batches.shift();
    }
  }

  /** Sessions whose publishes handed over before the ticket will not be answered any more. */
  fenced(sessions: ReadonlySet<SessionHandle>, ticket: number, ended: Publish[]): void {
    for (let index = 0; ; index++) {
      const batch = this.batches.at(index);
      if (batch === undefined || batch.ticket >= ticket) return;
      const { publishes } = batch;
      for (let at = Math.max(0, this.next - batch.first); at < publishes.length; at++) {
        const publish = publishes[at];
        if (publish === undefined || !sessions.has(publish.session)) continue;
        publishes[at] = undefined;
        publish.reasonCode = ReasonCode.sessionTakenOver;
        ended.push(publish);
      }
    }
  }

  /** All that is not answered, under its numbers. */
  *unanswered(): Iterable<PublishBatch> {
    for (let index = 0; ; index++) {
      const batch = this.batches.at(index);
      if (batch === undefined) return;
      const { ticket, publishes } = batch;
      const from = Math.max(0, this.next - batch.first);
      yield { ticket, first: batch.first + from, publishes: publishes.slice(from) };
    }
  }
}

function endOf({ first, publishes }: Batch): number {
  return first + publishes.length;
}
