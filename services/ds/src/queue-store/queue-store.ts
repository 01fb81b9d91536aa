import type { ClientId, Epoch, QueueId } from '@lmqtt/common/ids';
import type { Message, OrderKey } from '@lmqtt/common/message';
import type { ReadAnswer, ReadRequest } from '@lmqtt/proto/link';

/**
 * Messages, stored once each and indexed in every queue that they are for.
 *
 * Promises
 * - append: `done` is called in later turns with appends of the batch that are answered, each once,
 *   until all are; a store that commits whole batches calls it once. `reasonCode` 0: the message is durable, with its place in every queue named. Any
 *   other: the publisher must be told of a failure; the message is then not stored, or (rarely,
 *   with some stores) it is stored later. Appends of one lane are stored and answered in their
 *   order. An append that names no queue and no inbound id is not stored, but is answered in its turn.
 * - Where an append names an inbound id (QoS 2), id and message become durable together.
 * - order keys: set in every append that succeeded. Of two messages of one topic that were
 *   appended one after the other's answer, the later has the greater key.
 * - outcome: `stored` and `not stored` are final for that publish: an append that was answered
 *   with a failure may still be `unknown`. It is kept until the session says that the id is free.
 * - arrivals: every message that was stored in at least one queue is told at least once, after it
 *   is durable, with its places. They may come before or after `done`, of one queue in any order,
 *   more than once, and late. After a restart, what was stored before is not told again. A queue
 *   may get messages that nobody asked to be put there: readers filter by topic.
 *   One with `once` is told before it is answered where the store can, so that what its publisher
 *   does next at QoS 0 is behind it.
 * - An offset, once told for a queue and partition, always names the same message; offsets of
 *   later messages of one lane are greater where they are in the same partition. `previous` is
 *   below `offset`, and no message is between the two.
 * - read: all messages of that partition from `from` up to `next`, in order of offsets, each with
 *   its place in that queue; holes are left out. At least one message where one is stored at or
 *   after `from` and its arrival was told, however large; otherwise at most `messagesMax`, and
 *   not beyond about `bytesMax`. A message whose arrival was told can be read until it is trimmed
 *   or lost. From a time, as `ends` gives it: from the first message that was stored then or later.
 *   It rejects while the partition cannot be reached.
 * - partitions: those that queues have or may have, as far as is known here; one goes only where
 *   nothing of it will ever be read again. It is known
 *   here before the first message of a queue that this ds has opened is there. A partition that
 *   `ends` does not name is owed from its beginning.
 * - ends: `first` is the lowest offset that can still be read (or `end`); every message that was
 *   appended after `ends` was answered gets an offset of at least `end` in its partition, and
 *   `end` never goes back. Messages acknowledged before may be at or past `end` (it may lag). A
 *   queue that has never held a message has ends, too: they are the places to start from.
 *   A partition that cannot be reached ends at a time: what is stored there later is not before it.
 *   `without first`: `first` may be the end, which asks the store for less.
 * - trim: nobody needs offsets below; they may be gone from then on. Never undone.
 * - drop: the queue's generation is over: nothing is appended to it again, its messages are no
 *   longer read. Durable when it resolves. Dropping what is not there is no error.
 * - Messages that nobody trimmed are kept, until a limit on size or age of the store is reached:
 *   then the oldest go and `onLost` is told.
 */
export interface QueueStore {
  append(batch: Append[], done: (answered: Append[]) => void): void;
  outcome(clientId: ClientId, epoch: Epoch, packetId: number): Promise<Outcome>;
  /**
   * The client was told that its publish failed, and uses the identifier for another: nothing is
   * kept of it. Where failures leave something behind.
   */
  givenUp?(inbound: InboundId): void;
  read(request: ReadRequest): Promise<ReadAnswer>;
  ends(queue: QueueId, wanted?: EndsWanted): Promise<PartitionEnd[]>;
  /**
   * The first message of the partition that was stored at that time or later. Where the store knows
   * it without a read from a time.
   */
  since?(queue: QueueId, partition: number, timeMs: number): Promise<StoredSince>;
  /** The partitions, if more of them can appear later. */
  partitions?(): readonly number[];
  /** One listener for all queues; set before the first append. */
  onArrivals(listener: (messages: Message[]) => void): void;
  onLost(listener: (loss: Loss) => void): void;
  trim(queue: QueueId, partition: number, offset: number): void;
  drop(queue: QueueId): Promise<void>;
}

export interface StoredSince {
  /** The end where there is none. */
  readonly offset: number;
  /** A message of before that time is there, or none ever was. */
  readonly isOlder: boolean;
}

export interface Append {
  readonly message: Message;
  readonly queues: readonly QueueId[];
  /** Names what must keep its order: publisher and topic. */
  readonly lane: string;
  /** Name of the user whose client has published it, for those who read the store itself. */
  readonly user?: string | undefined;
  /** Identifier of a QoS 2 publish: stored with the message in one record. */
  readonly inbound: InboundId | undefined;
  /** The broker's own (a will): stored once, whoever tries again. */
  readonly once?: Once | undefined;
  /** Set by the store: 0, or the failure for the publisher. */
  reasonCode: number;
  /** Set by the store with a failure where the same message would fail again. */
  final?: boolean;
  /** Set by the store. */
  orderKey: OrderKey | undefined;
}

/** Only of a store that several ds share. */
export interface Once {
  /** Key of the message, unique. */
  readonly key: string;
  /** Nobody tried before, ms since 1970 by the clock of the session store. */
  readonly sinceMs: number;
  /** Somebody may have tried: it is looked for first. */
  readonly again: boolean;
}

export interface InboundId {
  readonly clientId: ClientId;
  readonly epoch: Epoch;
  readonly packetId: number;
}

export type Outcome = 'stored' | 'not stored' | 'unknown';

export type EndsWanted = 'all' | 'without first';

export interface PartitionEnd {
  readonly partition: number;
  readonly first: number;
  /**
   * The next offset to be given, or one before it that is not yet known to be taken. A time
   * (`positionSince`), as `first` is then, too: it cannot be reached now.
   */
  readonly end: number;
  /** Offset from which the partition is owed to those that have no position in it; unset: 0. */
  readonly owedFrom?: number;
}

/** Messages of a queue whose bytes are damaged: they are passed over from now on. */
export interface Damage {
  readonly queue: QueueId;
  readonly partition: number;
  readonly offsets: readonly number[];
}

export interface Loss {
  readonly queue: QueueId;
  readonly partition: number;
  /** The lowest offset that is still there. */
  readonly first: number;
  /** How many messages went that nobody had trimmed. */
  readonly messages: number;
}

/**
 * The inbound QoS 2 identifiers of sessions, as the embedded store needs them: its message record
 * is their record, too. The session store has them and puts them into its checkpoint entries.
 */
export interface InboundIds {
  /** A message with an id of this session is about to be put into the log. */
  storing(clientId: ClientId, epoch: Epoch): void;
  /** Message and id are durable (or are replayed from the log): keep until the id is free. */
  stored(clientId: ClientId, epoch: Epoch, packetId: number): void;
  /** True for an identifier that was kept, and is not free yet. */
  has(clientId: ClientId, epoch: Epoch, packetId: number): boolean;
}
