import type { ClientId, QueueId, SessionHandle } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { ReadRights } from '@lmqtt/common/read-rights';
import type { Receipts, SentReceipt } from '@lmqtt/common/receipt';
import type { ReadAnswer, ReadRequest, RetainedAnswer, RetainedRequest } from '@lmqtt/proto/link';
import type { QueueFeed } from '../queue/feed.ts';
import type { SessionCursor, Subscription } from './cursor.ts';
import type { SessionJournal } from './journal.ts';
import type { Outlet } from './outlet.ts';
import type { SessionEvents } from './session-events.ts';
import type { UndeliveredReports } from './undelivered-reports.ts';
import type { Window } from './window.ts';

/** The node as a session needs it. */
export interface SessionNode {
  readonly journal: SessionJournal;
  readonly events: SessionEvents;
  /** Where dead letters are kept; undefined: they are not. */
  readonly undelivered?: UndeliveredReports | undefined;
  /** As of this turn. */
  readonly time: { readonly wallMs: number };
  feed(queue: QueueId, partition: number): QueueFeed;
  releaseFeed(feed: QueueFeed): void;
  /** The partitions of the queue that somebody at this node reads. */
  partitionsOf(queue: QueueId): number[];
  readRetained(request: RetainedRequest): Promise<RetainedAnswer>;
  readQueue(request: ReadRequest): Promise<ReadAnswer>;
  /** Calls the session's `pump` before the turn ends. */
  schedule(session: OutboundSession): void;
  /** Writes the cursor's position: this turn, or with the next slow round where not stored. */
  positionMoved(session: OutboundSession, cursor: SessionCursor): void;
  /** Asks ds to publish a receipt. */
  sendReceipt(session: OutboundSession, receipt: SentReceipt): void;
  /** Tells ds how many messages of its groups the session takes, when the turn ends. */
  credit(session: OutboundSession): void;
}

/** A session as its parts and its node know it. */
export interface OutboundSession {
  readonly handle: SessionHandle;
  readonly clientId: ClientId;
  readonly persistent: boolean;
  /** Prefix of the topics of its client; '': none. */
  readonly mount: string;
  readonly closed: boolean;
  readonly window: Window;
  readonly node: SessionNode;
  readonly outlet: Outlet;
  readonly subscriptions: ReadonlyMap<string, Subscription>;
  /** Rights of the client to read; undefined: everything. */
  readonly rights: ReadRights | undefined;
  /** Messages in flight that ask for a receipt; undefined: none has. */
  receipts: Receipts | undefined;
  /** In the list of those that the turn pumps. */
  scheduled: boolean;
  /** How many messages of groups it takes in all; undefined where ds knows. */
  takeCredit(): number | undefined;
  cursorOf(queue: QueueId, partition: number): SessionCursor | undefined;
  /** Sends all that may be sent now. */
  pump(): void;
  /** A message in flight is done with: there is room for another. */
  completed(): void;
  /** A live message is on its way: older retained ones of its topic are left out. */
  wentOut(message: Message): void;
  /** A live message that is not older has left since the retained one was put in flight. */
  isOutrun(retained: Message): boolean;
}
