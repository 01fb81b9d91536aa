import type { ClientId, QueueId, SessionHandle } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type {
  Place,
  ReadAnswer,
  ReadRequest,
  RetainedAnswer,
  RetainedRequest,
} from '@lmqtt/proto/link';
import type { QueueFeed } from '../queue/feed.ts';
import type { Cursor, Subscription } from './cursor.ts';
import type { SessionJournal } from './journal.ts';
import type { Outlet } from './outlet.ts';
import type { SessionEvents } from './session-events.ts';
import type { Inflight, Origin, Window } from './window.ts';

/** What a session needs of its node. */
export interface SessionNode {
  readonly journal: SessionJournal;
  readonly events: SessionEvents;
  /** Wall clock in ms, as of this turn. */
  nowMs(): number;
  feed(queue: QueueId, partition: number): QueueFeed;
  releaseFeed(feed: QueueFeed): void;
  readRetained(request: RetainedRequest): Promise<RetainedAnswer>;
  readQueue(request: ReadRequest): Promise<ReadAnswer>;
  /** Calls the session's `pump` before the turn ends. */
  schedule(session: OutboundSession): void;
  /** Writes the cursor's position: this turn, or with the next slow round where not stored. */
  positionMoved(session: OutboundSession, cursor: Cursor): void;
  /** Tells ds how many messages of its groups the session takes, when the turn ends. */
  credit(session: OutboundSession): void;
}

/** A session as its parts and its node know it. */
export interface OutboundSession {
  readonly handle: SessionHandle;
  readonly clientId: ClientId;
  readonly persistent: boolean;
  readonly closed: boolean;
  /** Whether one more message may be in flight; where it may not, that is counted. */
  readonly hasRoom: boolean;
  readonly window: Window;
  readonly node: SessionNode;
  readonly outlet: Outlet;
  readonly subscriptions: ReadonlyMap<string, Subscription>;
  /** In the list of those that the turn pumps. */
  scheduled: boolean;
  /** How many messages of groups it takes in all; undefined where ds knows. */
  takeCredit(): number | undefined;
  cursorOf(queue: QueueId, partition: number): Cursor | undefined;
  /** Sends all that may be sent now. */
  pump(): void;
  expired(message: Message): boolean;
  sendQos0(message: Message, retain: boolean, identifiers: readonly number[] | undefined): void;
  /** Takes a packet identifier for a message; only where the window has room. */
  take(
    qos: 1 | 2,
    place: Place | undefined,
    offset: number,
    origin: Origin | undefined,
    filter: string,
  ): Inflight;
  /** Stores the identifier and sends; at QoS 2 in this order, at QoS 1 without waiting. */
  send(
    inflight: Inflight,
    message: Message,
    retain: boolean,
    identifiers: readonly number[] | undefined,
  ): void;
  /** Sends again, under its identifier and with DUP, what was sent before a reconnect. */
  resend(
    inflight: Inflight,
    message: Message,
    retain: boolean,
    identifiers: readonly number[] | undefined,
  ): void;
  /** The message is done with: its identifier is free and its positions may move. */
  complete(inflight: Inflight, failed: boolean): void;
}
