import { systemClock } from '@lmqtt/common/clock';
import { nextTurn } from '@lmqtt/common/pause';
import { queueId, type ClientId, type Epoch, type QueueId } from '@lmqtt/common/ids';
import { noEntries, type Message, type QueueEntry } from '@lmqtt/common/message';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { ReadAnswer, ReadRequest } from '@lmqtt/proto/link';
import type { JournalFailure } from '../../journal/failure.ts';
import type { Journal, JournalSegments, Written } from '../../journal/journal.ts';
import type { Place } from '../../journal/participant.ts';
import { RecordType } from '../../journal/records.ts';
import {
  decodeHead,
  decodeRecord,
  encodeRecord,
  recordBytes,
  recordQueuesMax,
} from './message-record.ts';
import { before, collect, emptyRecords } from './collect.ts';
import { QueueEntries } from './queue-entries.ts';
import { QueueIndex, type QueuePlaces } from './queue-index.ts';
import type {
  Append,
  Damage,
  InboundIds,
  Loss,
  Outcome,
  PartitionEnd,
  QueueStore,
  StoredSince,
} from '../queue-store.ts';
import { OpenInbound } from './open-inbound.ts';
import { type DamagedBlock, RecordReader } from './record-reader.ts';
import { SegmentUnreadable } from './segment-blocks.ts';
import { Retention, type RetentionLimits } from './retention.ts';
import { storedSince } from './stored-since.ts';

/** So many messages are decoded in one turn. */
const decodeMax = 2000;

/**
 * The queue store on the journal: a message is one record, and the queues are an index over the
 * log. One partition, 0. Lanes need no care: the log has one order. Placement is always 0.
 */
export class EmbeddedQueueStore implements QueueStore {
  readonly #journal: Journal & JournalSegments;
  readonly #inbound: InboundIds;
  readonly #index = new QueueIndex();
  readonly #entries: QueueEntries;
  readonly #reader: RecordReader;
  readonly #retention: Retention;
  readonly #open = new OpenInbound();
  /** The queue that a message of this batch was entered into last. */
  #entering: QueuePlaces | undefined = undefined;
  #arrived: (messages: Message[]) => void = () => undefined;
  #lost: (loss: Loss) => void = () => undefined;
  readonly #onDamagedBlock: (block: DamagedBlock) => void;
  #damaged: (damage: Damage) => void = () => undefined;

  /** To be made before the journal is opened. */
  constructor(
    journal: Journal & JournalSegments,
    inbound: InboundIds,
    limits: RetentionLimits = {},
    onDamagedBlock: (block: DamagedBlock) => void = () => undefined,
  ) {
    this.#onDamagedBlock = onDamagedBlock;
    this.#journal = journal;
    this.#inbound = inbound;
    this.#entries = new QueueEntries(this.#index);
    this.#reader = new RecordReader(journal, (block) => {
      this.#onDamagedBlock(block);
    });
    this.#retention = new Retention(journal, this.#index, this.#entries, limits, (loss) => {
      this.#lost(loss);
    });
    journal.register(RecordType.message, {
      all: true,
      replay: (body, place) => {
        this.#replay(body, place);
      },
    });
    journal.register(RecordType.queueDropped, {
      replay: (body, place) => {
        this.#index.drop(body.readDoubleLE(0), place.segment);
        this.#entries.changed(body.readDoubleLE(0));
      },
    });
    journal.participate(this.#entries);
    journal.index(this.#index);
    journal.onCovered(() => {
      if (journal.refusal === 0) this.#open.recovered();
      this.#retention.wake();
    });
  }

  append(batch: Append[], done: (batch: Append[]) => void): void {
    const journal = this.#journal;
    const { refusal } = journal;
    const offsets: number[] = [];
    const lengths: number[] = [];
    const nowMs = systemClock.nowMs();
    this.#entering = undefined;
    for (const append of batch) {
      const { message, queues, inbound } = append;
      const stores = queues.length > 0 || inbound !== undefined;
      append.reasonCode = stores ? refusal : 0;
      append.orderKey = undefined;
      if (append.reasonCode === 0 && queues.length > recordQueuesMax) {
        append.reasonCode = ReasonCode.quotaExceeded;
        append.final = true;
      }
      if (append.reasonCode !== 0) {
        offsets.push(-1);
        lengths.push(0);
        continue;
      }
      append.orderKey = { placement: 0, offset: journal.nextOrder() };
      if (!stores) {
        offsets.push(-1);
        lengths.push(0);
        continue;
      }
      if (inbound !== undefined) this.#inbound.storing(inbound.clientId, inbound.epoch);
      const entries = this.#enter(queues);
      const bytes = recordBytes(message, entries.length, inbound);
      const at = journal.reserve(RecordType.message, bytes);
      encodeRecord(message, entries, inbound, nowMs, journal.buffer, at);
      message.entries = entries;
      offsets.push(at - journal.blockStart);
      lengths.push(bytes);
      if (inbound !== undefined) this.#open.begin(inbound);
    }
    journal.commit((failure, block) => {
      this.#answer(batch, offsets, lengths, failure, block);
      if (failure === undefined) this.#tellArrivals(batch);
      done(batch);
    });
  }

  /** Before the answers: a cs that has sent a message keeps it until its publish is answered. */
  #tellArrivals(batch: Append[]): void {
    const arrivals: Message[] = [];
    for (const { message } of batch) if (message.entries.length > 0) arrivals.push(message);
    if (arrivals.length > 0) this.#arrived(arrivals);
  }

  outcome(clientId: ClientId, epoch: Epoch, packetId: number): Promise<Outcome> {
    if (this.#open.has({ clientId, epoch, packetId })) return Promise.resolve('unknown');
    const stored = this.#inbound.has(clientId, epoch, packetId);
    return Promise.resolve(stored ? 'stored' : 'not stored');
  }

  async read(asked: ReadRequest): Promise<ReadAnswer> {
    let request = asked;
    for (;;) {
      const places = this.#index.queues.get(request.queue);
      const oldest = places?.runs[0];
      try {
        const answer = await this.#readOnce(request);
        if (answer.messages.length > 0 || answer.next >= answer.end) return answer;
        // All of it was damaged.
        request = { ...request, from: answer.next };
      } catch (error) {
        // A segment went while it was being read: the index no longer speaks of it.
        const now = this.#index.queues.get(request.queue);
        const isUnchanged = now === places && now?.runs[0] === oldest;
        if (!isUnchanged || places === undefined) continue;
        if (!(error instanceof SegmentUnreadable)) throw error;
        this.#passOver(places, places.offsetsIn(error.segment));
      }
    }
  }

  async ends(queue: QueueId): Promise<PartitionEnd[]> {
    const places = this.#index.queues.get(queue);
    if (places === undefined) return [{ partition: 0, first: 0, end: 0 }];
    // The answer must hold after a crash: no offset below may be given again.
    if (places.next > places.stored) await this.#journal.durable().catch(() => undefined);
    return [{ partition: 0, first: places.first, end: places.next }];
  }

  async since(queue: QueueId, _partition: number, timeMs: number): Promise<StoredSince> {
    const places = this.#index.queues.get(queue);
    if (places === undefined) return { offset: 0, isOlder: true };
    return storedSince(places, this.#reader, timeMs);
  }

  onArrivals(listener: (messages: Message[]) => void): void {
    this.#arrived = listener;
  }

  onLost(listener: (loss: Loss) => void): void {
    this.#lost = listener;
  }

  /** Sets the one listener for damage that is found when a block is read. */
  onDamaged(listener: (damage: Damage) => void): void {
    this.#damaged = listener;
  }

  /** Somebody has come so far in the queue: no offset below is ever given again. */
  reached(queue: QueueId, offset: number): void {
    if (offset <= (this.#index.queues.get(queue)?.next ?? 0)) return;
    const places = this.#index.places(queue);
    places.next = offset;
    places.stored = offset;
    this.#entries.changed(queue);
  }

  /** The highest number of a queue in the log, dropped ones included. */
  get highestQueue(): number {
    let highest = 0;
    const { queues, dropped } = this.#index;
    for (const queue of queues.keys()) highest = Math.max(highest, queue);
    for (const queue of dropped.keys()) highest = Math.max(highest, queue);
    return highest;
  }

  trim(queue: QueueId, partition: number, offset: number): void {
    const places = partition === 0 ? this.#index.queues.get(queue) : undefined;
    if (places === undefined || offset <= places.trimmed) return;
    const freed = this.#index.trim(places, Math.min(offset, places.next));
    this.#entries.changed(queue);
    if (freed) this.#retention.wake();
  }

  async drop(queue: QueueId): Promise<void> {
    if (!this.#index.queues.has(queue)) return;
    const body = Buffer.alloc(8);
    body.writeDoubleLE(queue);
    this.#journal.add(RecordType.queueDropped, body);
    this.#index.drop(queue, Infinity);
    this.#entries.changed(queue);
    await new Promise<void>((resolve, reject) => {
      this.#journal.commit((failure, block) => {
        // After a failure the next checkpoint has it; where messages of it may be is not known.
        this.#index.dropped.set(queue, failure === undefined ? block.segment : Infinity);
        this.#entries.changed(queue);
        if (failure === undefined) resolve();
        else reject(failure);
      });
    });
    this.#retention.wake();
  }

  /** Messages that somebody still needs, once for each queue that they are in. */
  get depth(): number {
    return this.#index.depth;
  }

  /** True once the queue's generation is over: nothing is stored in it any more. */
  isDropped(queue: QueueId): boolean {
    return this.#index.dropped.has(queue);
  }

  /** Every queue that has offsets and was not dropped: what nobody holds is to be dropped. */
  queues(): QueueId[] {
    return [...this.#index.queues.keys()].map(queueId);
  }

  /** One pass over the segments: removes what nobody needs, and what is over the limits. */
  retain(): Promise<void> {
    return this.#retention.run();
  }

  /** Before the journal is closed. */
  async close(): Promise<void> {
    await this.#retention.close();
  }

  async #readOnce(request: ReadRequest): Promise<ReadAnswer> {
    const { queue, partition, messagesMax, bytesMax } = request;
    const places = partition === 0 ? this.#index.queues.get(queue) : undefined;
    if (places === undefined) return { messages: [], next: request.from, end: 0 };
    const end = places.stored;
    const from = Math.max(request.from, places.trimmed);
    const wanted = emptyRecords();
    const offsets: number[] = [];
    const last = collect(places, from, Math.max(1, messagesMax), bytesMax, wanted, offsets);
    const next = Math.max(request.from, last ? end : (offsets.at(-1) ?? from) + 1);
    let previous = before(places, offsets[0] ?? 0);
    await this.#reader.load(wanted);
    const messages: Message[] = [];
    const damaged: number[] = [];
    for (const [i, offset] of offsets.entries()) {
      if (i > 0 && i % decodeMax === 0) await nextTurn();
      const { [i]: buffer } = wanted.buffers;
      if (buffer === undefined) {
        damaged.push(offset);
        continue;
      }
      const start = wanted.starts[i] ?? 0;
      messages.push(decodeRecord(buffer, start, wanted.lengths[i] ?? 0, queue, previous));
      previous = offset;
    }
    if (damaged.length > 0) this.#passOver(places, damaged);
    return { messages, next, end };
  }

  #passOver(places: QueuePlaces, offsets: number[]): void {
    const fresh = offsets.filter((offset) => this.#index.damage(places, offset));
    if (fresh.length === 0) return;
    this.#damaged({ queue: queueId(places.queue), partition: 0, offsets: fresh });
  }

  #enter(queues: readonly QueueId[]): readonly QueueEntry[] {
    if (queues.length === 0) return noEntries;
    const entries: QueueEntry[] = [];
    for (const queue of queues) {
      const places = this.#placesOf(queue);
      if (places === undefined) continue;
      const offset = places.next++;
      entries.push({ queue, partition: 0, offset, previous: places.last });
      places.last = offset;
      this.#entries.changed(queue);
    }
    return entries;
  }

  /** Most messages come many at a time for one queue. */
  #placesOf(queue: QueueId): QueuePlaces | undefined {
    const entering = this.#entering;
    if (entering !== undefined && entering.queue === queue) return entering;
    if (this.#index.dropped.has(queue)) return undefined;
    this.#entering = this.#index.places(queue);
    return this.#entering;
  }

  #answer(
    batch: Append[],
    offsets: number[],
    lengths: number[],
    failure: JournalFailure | undefined,
    block: Written,
  ): void {
    let places: QueuePlaces | undefined;
    for (let i = 0; i < batch.length; i++) {
      const append = batch[i];
      const offset = offsets[i] ?? -1;
      if (append === undefined || offset < 0) continue;
      const { message, inbound } = append;
      if (failure !== undefined) {
        this.#answerFailed(append, failure);
        continue;
      }
      const position = block.position + offset;
      for (const entry of message.entries) {
        if (places === undefined || places.queue !== entry.queue)
          places = this.#index.queues.get(entry.queue);
        if (places === undefined) continue;
        this.#index.push(places, block.segment, entry.offset, position, lengths[i] ?? 0);
      }
      message.orderKey = append.orderKey;
      if (inbound !== undefined) {
        this.#open.end(inbound);
        this.#inbound.stored(inbound.clientId, inbound.epoch, inbound.packetId);
      }
    }
    if (failure === undefined && block.bytes > 0) this.#reader.written(block);
  }

  #answerFailed(append: Append, failure: JournalFailure): void {
    append.reasonCode = failure.reasonCode;
    append.orderKey = undefined;
    for (const { queue, offset } of append.message.entries) {
      const places = this.#index.queues.get(queue);
      // The offset of the message stays a hole.
      if (places !== undefined) places.stored = Math.max(places.stored, offset + 1);
    }
    append.message.entries = noEntries;
    if (append.inbound !== undefined) this.#open.fail(append.inbound);
  }

  #replay(body: Buffer, place: Place): void {
    const { inbound, entries } = decodeHead(body);
    if (inbound !== undefined && !place.covered) {
      this.#inbound.stored(inbound.clientId, inbound.epoch, inbound.packetId);
    }
    if (place.indexed && place.covered) return;
    for (let i = 0; i < entries.length; i += 2) {
      const queue = entries[i] ?? 0;
      const offset = entries[i + 1] ?? 0;
      if (this.#index.dropped.has(queue)) continue;
      const places = this.#index.places(queue);
      // An index has no runs of what was trimmed before it was made; offsets never go back.
      if (place.indexed) this.#index.given(places, offset);
      else this.#index.push(places, place.segment, offset, place.position, body.length);
      if (!place.covered) this.#entries.changed(queueId(queue));
    }
  }
}
