import type { NodeId, SessionHandle } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { Assignment, GroupFence } from '@lmqtt/proto/assignment';
import type { Downstream, Publish, QueueEnd, Reach, ReadAnswer, Refusal } from '@lmqtt/proto/link';
import {
  writeAnswer,
  writeAssignments,
  writeDurable,
  writeFailure,
  writeFence,
  writeKick,
  writePresented,
  writePublished,
  writePushes,
  writeQueueEnds,
  writeReadAnswer,
  writeRefusal,
  writeRights,
} from '@lmqtt/proto/wire/downstream-writer';
import type { Exchange } from '@lmqtt/proto/wire/exchange';
import type { NumberedPublish } from '@lmqtt/proto/wire/upstream';
import { LostPushes } from './lost-pushes.ts';
import type { RpcEvents } from './rpc-events.ts';

/**
 * Items from ds to one cs, written into its exchange. Answers and other items that somebody waits
 * for leave before messages; answers to publishes do not leave before the places of messages that
 * cs keeps until then, nor before one another. Pushes are the only items that are dropped, where
 * the cs does not keep up; the cs is then told how far their queues have come, and reads. All other
 * items are bounded by the requests of the cs.
 */
export class DownstreamItems implements Downstream {
  readonly node: NodeId;
  readonly #exchange: Exchange;
  readonly #waitingBytesMax: number;
  readonly #events: RpcEvents;
  readonly #lost = new LostPushes();
  #closed = false;
  /** Identity that the messages from this cs name as their origin. */
  #origin: object | undefined = undefined;
  /** Publishes up to this number are answered: the cs has let them go. */
  #answered = 0;
  /**
   * The mark in bulk behind the last place of a kept message, or behind an answer that follows it.
   */
  #placesMark = 0;
  #durable: number[] = [];
  #fenced: number[] = [];
  #telling = false;

  constructor(node: NodeId, exchange: Exchange, waitingBytesMax: number, events: RpcEvents) {
    this.node = node;
    this.#exchange = exchange;
    this.#waitingBytesMax = waitingBytesMax;
    this.#events = events;
  }

  get reach(): Reach {
    if (this.#closed) return 'closed';
    return this.#exchange.bound ? 'open' : 'broken';
  }

  /** Set by the reader of this cs's publishes. */
  set origin(origin: object) {
    this.#origin = origin;
  }

  /** The cs is fenced: nothing is written any more. */
  close(): void {
    this.#closed = true;
  }

  published(batch: Publish[]): void {
    if (!this.#begin()) return;
    // The answered batch is one that `readUpstream` made.
    const numbered = batch as NumberedPublish[];
    const last = numbered.at(-1);
    if (last !== undefined) this.#answered = Math.max(this.#answered, last.number);
    const exchange = this.#exchange;
    if (exchange.hasLeft(this.#placesMark)) {
      writePublished(exchange, 'control', numbered);
      return;
    }
    writePublished(exchange, 'bulk', numbered);
    this.#placesMark = exchange.bulkMark;
  }

  push(batch: Message[]): void {
    if (this.#closed) return;
    if (this.#exchange.waitingBytes > this.#waitingBytesMax) {
      this.#drop(batch);
      return;
    }
    this.#tellLost();
    this.#tellDurable();
    const exchange = this.#exchange;
    if (writePushes(exchange, batch, this.#origin, this.#answered))
      this.#placesMark = exchange.bulkMark;
  }

  assign(batch: Assignment[]): void {
    if (!this.#begin()) return;
    const isBehind = this.#exchange.waitingBytes > this.#waitingBytesMax;
    // Assignments of stored messages are bounded by the members' credit; those at QoS 0 are not.
    const taken = isBehind ? batch.filter(({ offset }) => offset >= 0) : batch;
    if (taken.length < batch.length) this.#events.pushesDropped(0, batch.length - taken.length);
    if (taken.length > 0) writeAssignments(this.#exchange, taken);
  }

  fence(fence: GroupFence): void {
    if (this.#begin()) writeFence(this.#exchange, fence);
  }

  refused(session: SessionHandle, reasonCode: number): void {
    if (this.#begin()) writeRefusal(this.#exchange, session, reasonCode);
  }

  kick(session: SessionHandle, reasonCode: number): void {
    if (this.#begin()) writeKick(this.#exchange, session, reasonCode);
  }

  rights(session: SessionHandle, rights: string | undefined): void {
    if (this.#begin()) writeRights(this.#exchange, session, rights);
  }

  behind(places: QueueEnd[]): void {
    if (this.#begin()) writeQueueEnds(this.#exchange, places);
  }

  presented(refusals: Refusal[]): void {
    if (this.#begin()) writePresented(this.#exchange, refusals);
  }

  answer(id: number, body: Buffer): void {
    if (this.#begin()) writeAnswer(this.#exchange, 'control', id, body);
  }

  /** An answer that holds messages. */
  answerWithMessages(id: number, body: Buffer): void {
    if (this.#begin()) writeAnswer(this.#exchange, 'bulk', id, body);
  }

  failed(id: number, error: string): void {
    if (this.#begin()) writeFailure(this.#exchange, id, error);
  }

  readAnswer(id: number, answer: ReadAnswer): void {
    if (this.#begin()) writeReadAnswer(this.#exchange, id, answer);
  }

  /** A batch of writes is durable; told once for all of a turn. */
  durable(number: number): void {
    this.#durable.push(number);
    this.#tellSoon();
  }

  /** A batch of writes of which no session is known. */
  fenced(number: number): void {
    this.#fenced.push(number);
    this.#tellSoon();
  }

  /** The other end may have taken something: what was dropped can be told. */
  roomMade(): void {
    if (this.#closed || this.#lost.size === 0) return;
    if (this.#exchange.waitingBytes * 2 <= this.#waitingBytesMax) this.#tellLost();
  }

  get fallenBehind(): boolean {
    return this.#lost.size > 0;
  }

  /** False where nothing is to be written. What was durable before comes before. */
  #begin(): boolean {
    if (this.#closed) return false;
    this.#tellDurable();
    return true;
  }

  #tellSoon(): void {
    if (this.#telling) return;
    this.#telling = true;
    process.nextTick(() => {
      this.#telling = false;
      if (!this.#closed) this.#tellDurable();
    });
  }

  #tellDurable(): void {
    if (this.#durable.length === 0 && this.#fenced.length === 0) return;
    writeDurable(this.#exchange, this.#durable, this.#fenced);
    this.#durable = [];
    this.#fenced = [];
  }

  #drop(batch: Message[]): void {
    if (this.#lost.size === 0) this.#events.fallsBehind(this.node, this.#exchange.waitingBytes);
    let stored = 0;
    for (const message of batch) if (this.#lost.add(message)) stored += 1;
    this.#events.pushesDropped(stored, batch.length - stored);
  }

  #tellLost(): void {
    if (this.#lost.size === 0) return;
    this.#events.catchesUp(this.node, this.#lost.size);
    writeQueueEnds(this.#exchange, this.#lost.take());
  }
}
