import type { ClientId, Epoch, GroupId, NodeId, QueueId, SessionHandle } from '@lmqtt/common/ids';
import type { Message, OrderKey } from '@lmqtt/common/message';
import type { Assignment, GroupFence } from './assignment.ts';
import type {
  PartitionOffset,
  Place,
  SessionState,
  SubscriptionOptions,
  SubscriptionState,
} from './session-state.ts';
import type { UndeliveredMessage } from './undelivered.ts';

/**
 * The link between a connection node (cs) and a dispatch node (ds): cs calls {@link Link}, ds
 * calls {@link Downstream}. In one process both are plain calls; between processes one
 * bidirectional stream carries the batches and the control calls ride on it (link.proto).
 *
 * Promises
 * - Calls of one direction arrive each once, also over a stream that breaks and is taken up again
 *   within the lease. Those of one session arrive in the order in which they were made, publishes
 *   among themselves and writes among themselves as well; calls of others may overtake publishes,
 *   answers may overtake pushes. Only pushes may be lost: `behind` then says how far the queue has
 *   come.
 * - `published` comes after the store has said durable; the answers of one session come in the
 *   order of its publishes.
 * - A `durable` callback comes after every write of its batch, and every write handed over
 *   before it, is durable. It does not come where all sessions of the batch were fenced.
 * - A push for a queue may come before the answer to the `subscribe` or `connect` that names it, and
 *   what was stored in between can be read. After a CONNECT with clean start, positions of a session
 *   that is new are ends that were read after pushes for its queues had begun.
 * - Batches are handed over whole: the receiver owns the array and its objects.
 * - Past the lease calls of `connect`, `continueConnect`, `subscriptionsOf` and `reauthenticate` that wait
 *   are rejected with LinkLost; all else waits for the next ds. Reads are rejected when ds is another one.
 * - Another ds is asked to go on with the sessions of this node, whole ({@link LinkedNode.present});
 *   what waited reaches it afterwards, in its order. Writes of session state do not: what is
 *   presented has them, so their `durable` callbacks come when it is stored.
 */
export interface Link {
  /** The end of the node's lease by the monotonic clock, ms; Infinity in one process. */
  readonly leaseEndsMs: number;
  /** Calls reach ds at once. Where not, new clients wait. */
  readonly up: boolean;
  /**
   * Bytes of publishes that the link takes soon, besides those that wait for it. Below 0 publishers
   * are not read. Absent in one process.
   */
  readonly roomBytes?: number;
  /** Pushes wait for the link: what does not come is late, and not lost. */
  readonly pushesWait?: boolean;
  /** Authenticates and claims the session. CONNECT, 3.1 of the specification. */
  connect(request: ConnectRequest): Promise<ConnectAnswer>;
  /** The next step of enhanced authentication before CONNACK. */
  continueConnect(
    session: SessionHandle,
    authenticationData: Buffer | undefined,
  ): Promise<ConnectAnswer>;
  /**
   * Subscriptions of a session whose CONNECT was accepted, before CONNACK: a portion of them, from that
   * many on, as they are now; empty where there are no more. Rejects where ds does not know the session,
   * and as `connect` does: until there is nothing more to ask for, nothing else is called for it.
   */
  subscriptionsOf(session: SessionHandle, from: number): Promise<SubscriptionState[]>;
  /** Re-authentication of a live session; `method` must be that of its CONNECT. */
  reauthenticate(
    session: SessionHandle,
    authenticationData: Buffer | undefined,
    start: boolean,
  ): Promise<ReauthenticateAnswer>;
  /** The connection ended; everything the session wrote before is flushed first. */
  disconnect(session: SessionHandle, end: ConnectionEnd, clientId?: ClientId): Promise<void>;
  /** Answers when routes are live and positions stored. */
  subscribe(session: SessionHandle, subscriptions: SubscribeEntry[]): Promise<SubscribeAnswer[]>;
  /** Answers one reason code for each filter, when stored. */
  unsubscribe(session: SessionHandle, filters: string[]): Promise<number[]>;
  /** Answers when what it published at QoS 0 with RETAIN before is retained, or has failed. */
  settle(session: SessionHandle): Promise<void>;
  /**
   * Stored messages that the session could not deliver. Answers when they are kept as dead letters, or
   * ds has decided not to keep them.
   */
  undelivered(session: SessionHandle, messages: readonly UndeliveredMessage[]): Promise<void>;
  /** Stored messages of a queue from an offset on, in order. */
  read(request: ReadRequest): Promise<ReadAnswer>;
  /** One page of the retained messages that match a subscription of the session. */
  readRetained(request: RetainedRequest): Promise<RetainedAnswer>;
  /** Hands over publishes; the answers come by {@link Downstream.published}. */
  publish(batch: Publish[]): void;
  /**
   * Writes session state. Without `durable` the write may wait for others (lazy). False: no
   * session of the batch is known, and `durable` does not come.
   */
  write(batch: SessionWrite[], durable?: () => void): boolean;
  /**
   * Splits a batch, for a link to several ds, by the ds at which its sessions live. Written one by
   * one, none waits for a ds that is not its own, and each session hears of its writes in their
   * order.
   */
  split?(batch: SessionWrite[]): SessionWrite[][];
  /**
   * How many stored messages of shared groups the session takes, counted since it was claimed or
   * presented: those that it was given and how many more it takes now. Never less than before.
   */
  credit(session: SessionHandle, messagesTotal: number): void;
}

/**
 * `broken`: there is no stream to the node now, so that its words may still be on their way.
 * `closed`: nothing reaches it any more, and it has given up what it asked.
 */
export type Reach = 'open' | 'broken' | 'closed';

/** Calls of ds on a cs node. */
export interface Downstream {
  readonly node: NodeId;
  /** Absent: in this process. */
  readonly reach?: Reach;
  /** Publishes at QoS 1 and 2 with their `reasonCode` set. */
  published(batch: Publish[]): void;
  /** A publish of the session at QoS 0 was refused; nothing tells which. */
  refused(session: SessionHandle, reasonCode: number): void;
  /** Live messages, each with its places in every queue that matches. */
  push(batch: Message[]): void;
  /** Messages that the owner of a shared group gives to a session of this node. */
  assign(batch: Assignment[]): void;
  /** In the order of the group's assignments to the session. */
  fence(fence: GroupFence): void;
  /** The session is claimed elsewhere, expired or removed: close with the reason code (5.0). */
  kick(session: SessionHandle, reasonCode: number): void;
  /** The rights to read that the session has from now on, in the form that the claim gives them. */
  rights(session: SessionHandle, rights: string | undefined): void;
  /** Pushes of these queues were dropped: what lies below `end` may have to be read. */
  behind(places: QueueEnd[]): void;
}

/** A cs node and what its link asks of it. In one process ds is never another one. */
export interface LinkedNode extends Downstream {
  /**
   * Every session of this node, for a ds that does not know them; with `of` only those of which it
   * is true: the others live at another ds, and are left as they are.
   */
  present(of?: (session: SessionHandle) => boolean): SessionsToPresent;
  /** The answer, for those sessions: these are closed with the reason code (5.0), all others go on. */
  presented(refusals: Refusal[], of?: (session: SessionHandle) => boolean): void;
  /** `up` has changed, or the lease has ended or begun again. */
  linkChanged(): void;
}

/** How a cs finds its ds: attaches itself and gets the link. */
export interface LinkServer {
  attach(node: LinkedNode): Link;
  /** A planned stop: sessions end as after a lost connection, but wills wait for their clients. */
  detach(node: NodeId): Promise<void>;
}

export interface QueueEnd {
  readonly queue: QueueId;
  readonly partition: number;
  /** Past the last offset. */
  readonly end: number;
}

/**
 * Sessions on their way to another ds. Each is taken once, as it is at that moment: all that it wrote
 * before is in it, and what it writes afterwards follows.
 */
export interface SessionsToPresent extends Iterable<PresentedSession> {
  readonly length: number;
}

/** A session that a cs holds, for a ds that takes over. */
export interface PresentedSession {
  readonly session: SessionHandle;
  readonly clientId: ClientId;
  readonly epoch: Epoch;
  readonly protocolVersion: number;
  readonly keepAliveS: number;
  readonly peer: Peer;
  /** As the accepting ds gave it. */
  readonly principal: string;
  readonly authenticationMethod: string | undefined;
  /** As granted. 0: the session ends with its connection, and ds may not know it. */
  readonly sessionExpiryS: number;
  /**
   * Subscriptions with their positions (and `done` above them), all that is in flight with what is
   * stored of it (of sessions that end with their connection: groups only), inbound identifiers
   * whose PUBREC was due or sent.
   */
  readonly state: SessionState;
  /** Inbound identifiers of QoS 2 publishes that were handed over and not answered. */
  readonly storing: number[];
  /** The connection has ended since. */
  readonly end: ConnectionEnd | undefined;
}

export interface Refusal {
  readonly session: SessionHandle;
  readonly reasonCode: number;
}

export interface Peer {
  readonly address: string;
  readonly port: number;
  readonly tls: boolean;
  readonly certificateSubject?: string | undefined;
  /** The user name that a verified certificate gives, by the settings of its cs. */
  readonly certificateUser?: string | undefined;
  /** Name of the listener that the client came by. */
  readonly listener?: string | undefined;
  /** Sources of users that count there, with commas between them; undefined: all. */
  readonly authentication?: string | undefined;
  /** Template of the namespace of its clients; undefined: they have none. */
  readonly mount?: string | undefined;
}

export interface Will {
  readonly message: Message;
  /** Seconds, 0: at once. */
  readonly delayS: number;
  /** Message expiry interval in seconds from the moment it is sent; undefined: never. */
  readonly messageExpiryS: number | undefined;
}

export interface ConnectRequest {
  readonly session: SessionHandle;
  /** 3, 4 or 5. */
  readonly protocolVersion: number;
  readonly clientId: ClientId;
  /** Whether the server chose the client identifier at random, so that nobody else can name it. */
  readonly randomClientId: boolean;
  /** Clean session (3.1.1) or clean start (5.0). */
  readonly cleanStart: boolean;
  /** Seconds; 0xffffffff: never expires. 3.1.1: 0 with clean session, else the maximum. */
  readonly sessionExpiryS: number;
  /** Seconds, 0: none. For operators. */
  readonly keepAliveS: number;
  readonly userName: string | undefined;
  readonly password: Buffer | undefined;
  readonly authenticationMethod: string | undefined;
  readonly authenticationData: Buffer | undefined;
  readonly will: Will | undefined;
  readonly peer: Peer;
}

export type ConnectAnswer =
  | { readonly kind: 'continue'; readonly authenticationData: Buffer | undefined }
  | { readonly kind: 'refused'; readonly reasonCode: number; readonly reason: string }
  | {
      readonly kind: 'accepted';
      readonly epoch: Epoch;
      readonly sessionPresent: boolean;
      /** Stored state of the session; empty lists if the session is new. */
      readonly state: SessionState;
      /**
       * Number of subscriptions besides those of the state, read by {@link Link.subscriptionsOf}: many
       * of them are worked on in portions.
       */
      readonly subscriptionsLeft: number;
      /** As granted: the request's, at most the server's maximum. Seconds. */
      readonly sessionExpiryS: number;
      /**
       * The verified identity of the client, presented with its session; '': an anonymous client.
       * JSON with the verified name as `user`, which cs writes to its log.
       */
      readonly principal: string;
      /**
       * Rights of the session to read, as a text of `common/read-rights`; undefined: everything.
       */
      readonly rights: string | undefined;
      /** The largest packet that the store behind ds takes; undefined: any. */
      readonly packetBytesMax: number | undefined;
      readonly authenticationData: Buffer | undefined;
    };

export type ReauthenticateAnswer =
  | { readonly kind: 'continue'; readonly authenticationData: Buffer | undefined }
  | { readonly kind: 'success'; readonly authenticationData: Buffer | undefined }
  | { readonly kind: 'refused'; readonly reasonCode: number };

export interface ConnectionEnd {
  /** false: by a DISCONNECT with reason 0x00, which removes the will. */
  readonly publishWill: boolean;
  /** Session expiry interval of the DISCONNECT, if it had one. Seconds. */
  readonly sessionExpiryS: number | undefined;
  /** For the log and the metrics, such as `client`, `keep alive`, `taken over`, `protocol error`. */
  readonly reason: string;
  /** The node sent the client away as planned: its will waits for it, as at a planned stop. */
  readonly planned?: boolean | undefined;
}

export interface SubscribeEntry {
  /** As sent by the client, `$share/{group}/{filter}` included. */
  readonly filter: string;
  readonly options: SubscriptionOptions;
}

export type SubscribeAnswer =
  | { readonly kind: 'refused'; readonly reasonCode: number }
  | {
      readonly kind: 'granted';
      readonly subscription: SubscriptionState;
      /** Retained messages are to be read and sent (retain handling has been applied). */
      readonly retained: boolean;
      /** Offsets at which other options were replaced: messages stored below go out by those. */
      readonly replacedAt: readonly PartitionOffset[];
      /** Something that the client may want to know, in words. */
      readonly note?: string;
    };

/** One publish on its way to the store, and its answer. */
export interface Publish {
  readonly session: SessionHandle;
  /** 0 at QoS 0. At QoS 2 it is stored with the message, in one record. */
  readonly packetId: number;
  readonly message: Message;
  /** Set by ds: 0x00, 0x10, or a failure (3.4.2.1). */
  reasonCode: number;
}

/** Every write is fenced by the epoch of the session's claim. */
export type SessionWrite =
  /** An outbound packet identifier is about to be used. */
  | {
      readonly kind: 'sent';
      readonly session: SessionHandle;
      readonly packetId: number;
      readonly qos: 1 | 2;
      readonly sequence: number;
      readonly place: Place;
      readonly filter: string;
    }
  /** PUBREC was received. */
  | { readonly kind: 'released'; readonly session: SessionHandle; readonly packetId: number }
  /**
   * PUBACK or PUBCOMP was received, or a failure: the identifier is free and its place is done.
   * `failed`: a PUBACK or PUBREC with an error (final, counted).
   */
  | {
      readonly kind: 'done';
      readonly session: SessionHandle;
      readonly packetId: number;
      readonly failed: boolean;
    }
  /** Everything of the queue below the position is done with. */
  | {
      readonly kind: 'position';
      readonly session: SessionHandle;
      readonly queue: QueueId;
      readonly partition: number;
      readonly position: number;
    }
  /** A message of a group that was not sent at all (expired, too large), or sent at QoS 0. */
  | {
      readonly kind: 'assigned-done';
      readonly session: SessionHandle;
      readonly group: GroupId;
      readonly partition: number;
      readonly offset: number;
    }
  /** The answer to a {@link GroupFence}, behind the session's writes so far. */
  | {
      readonly kind: 'fenced';
      readonly session: SessionHandle;
      readonly group: GroupId;
      readonly number: number;
      /** How many stored messages the session let go of. */
      readonly letGo: number;
    }
  /** PUBREL was received: the inbound identifier is free. */
  | { readonly kind: 'inbound-done'; readonly session: SessionHandle; readonly packetId: number }
  /** Retained messages of a subscription were sent up to this topic; undefined: all. */
  | {
      readonly kind: 'retained-cursor';
      readonly session: SessionHandle;
      readonly filter: string;
      readonly after: string | undefined;
    };

export interface ReadRequest {
  readonly queue: QueueId;
  readonly partition: number;
  /** An offset, or a time (`positionSince`). */
  readonly from: number;
  readonly messagesMax: number;
  readonly bytesMax: number;
}

export interface ReadAnswer {
  /** In order, each with all its places. Offsets may have holes. */
  readonly messages: Message[];
  /** Offset from which to read on: past the last one, and past a hole at its end. */
  readonly next: number;
  /** The queue's end at the time of reading. */
  readonly end: number;
}

export interface RetainedRequest {
  readonly session: SessionHandle;
  /** Filter as subscribed. */
  readonly filter: string;
  /** The last topic of the page before; '' for the first page. */
  readonly after: string;
  readonly messagesMax: number;
  readonly bytesMax: number;
  /** One certain version (redelivery of one in flight) instead of a page. */
  readonly version?: { readonly topic: string; readonly orderKey: OrderKey } | undefined;
}

export interface RetainedAnswer {
  /** Each with its order key. */
  readonly messages: Message[];
  /** Pass as `after` for the next page; undefined: that was all. */
  readonly next: string | undefined;
  /**
   * Ends of the subscription's queue after the page was read: a version of the page that was stored
   * in the queue lies below.
   */
  readonly ends: readonly PartitionOffset[];
}
