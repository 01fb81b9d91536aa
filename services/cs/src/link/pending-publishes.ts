import type { SessionHandle } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Message } from '@lmqtt/common/message';
import type { Publish } from '@lmqtt/proto/link';
import { WireError } from '@lmqtt/proto/wire/wire-error';
import { Fifo } from '@lmqtt/common/fifo';

/** Publishes of one call, numbered one after another; undefined: answered. */
export interface PublishBatch {
  /** Number of the call among all calls on the link. */
  readonly ticket: number;
  readonly first: number;
  readonly publishes: readonly (Publish | undefined)[];
}

interface Batch extends PublishBatch {
  readonly publishes: (Publish | undefined)[];
  /** How many are not answered. */
  open: number;
}

/**
 * Publishes at QoS 1 and 2 that ds has not answered, in the order of their numbers. Answers come in
 * the order of each session's publishes, and in any order otherwise.
 */
export class PendingPublishes {
  readonly #batches: Fifo<Batch> = new Fifo();
  #lastNumber = 0;
  #open = 0;
  /** The batch in which a number was found last. */
  #looked: Batch | undefined = undefined;

  /** Publishes without an answer. */
  get count(): number {
    return this.#open;
  }

  /** Keeps the batch, all of QoS 1 or 2, and answers the number of its first. */
  add(ticket: number, publishes: Publish[]): number {
    const first = this.#lastNumber + 1;
    const { length } = publishes;
    if (length === 0) return first;
    this.#lastNumber += length;
    this.#open += length;
    this.#batches.push({ ticket, first, publishes, open: length });
    return first;
  }

  /**
   * Message of a publish without an answer. Asked for in the order of the numbers, more or less.
   */
  message(number: number): Message | undefined {
    const batch = this.#batchOf(number);
    return batch?.publishes[number - batch.first]?.message;
  }

  /** Undefined: all of it was answered, or it was never sent. */
  #batchOf(number: number): Batch | undefined {
    const batches = this.#batches;
    const looked = this.#looked;
    if (looked !== undefined && number >= looked.first && number < endOf(looked)) return looked;
    let low = 0;
    let high = batches.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (endOf(batches.at(middle)!) <= number) low = middle + 1;
      else high = middle;
    }
    const batch = batches.at(low);
    if (batch === undefined || number < batch.first) return undefined;
    this.#looked = batch;
    return batch;
  }

  /** Adds what ended to `ended`, with its reason code set, in order. */
  answered(first: number, reasonCodes: Uint8Array, ended: Publish[]): void {
    const end = first + reasonCodes.length;
    if (first < 1 || end > this.#lastNumber + 1)
      throw new WireError('answers to publishes that were not sent');
    for (let number = first; number < end; number++) {
      const batch = this.#batchOf(number);
      const publish = batch && this.#take(batch, number - batch.first);
      if (publish === undefined) continue;
      publish.reasonCode = reasonCodes[number - first]!;
      ended.push(publish);
    }
    this.#shift();
  }

  /** Sessions whose publishes handed over before the ticket will not be answered any more. */
  fenced(sessions: ReadonlySet<SessionHandle>, ticket: number, ended: Publish[]): void {
    for (let index = 0; ; index++) {
      const batch = this.#batches.at(index);
      if (batch === undefined || batch.ticket >= ticket) break;
      for (let at = 0; at < batch.publishes.length; at++) {
        const publish = batch.publishes[at];
        if (publish === undefined || !sessions.has(publish.session)) continue;
        this.#take(batch, at);
        publish.reasonCode = ReasonCode.sessionTakenOver;
        ended.push(publish);
      }
    }
    this.#shift();
  }

  /** All that is not answered, under its numbers. */
  *unanswered(): Iterable<PublishBatch> {
    for (let index = 0; ; index++) {
      const batch = this.#batches.at(index);
      if (batch === undefined) return;
      if (batch.open > 0) yield batch;
    }
  }

  #take(batch: Batch, at: number): Publish | undefined {
    const publish = batch.publishes[at];
    if (publish === undefined) return undefined;
    batch.publishes[at] = undefined;
    batch.open -= 1;
    this.#open -= 1;
    return publish;
  }

  /** The oldest go when they are answered, and those after them that were answered before. */
  #shift(): void {
    for (let batch = this.#batches.at(0); batch?.open === 0; batch = this.#batches.at(0)) {
      if (this.#looked === batch) this.#looked = undefined;
      this.#batches.shift();
    }
  }
}

function endOf({ first, publishes }: Batch): number {
  return first + publishes.length;
}
