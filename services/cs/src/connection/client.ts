import type { ClientIdRule } from '@lmqtt/common/client-id-rule';
import type { ClientId, SessionHandle } from '@lmqtt/common/ids';
import type { ReadRightsTable } from '@lmqtt/common/read-rights';
import type { ConnectionEnd, Link, Publish } from '@lmqtt/proto/link';
import type { CsConfig } from '../config.ts';
import type { Farewell } from '../drain.ts';
import type { ReaderLimits } from '../packet/reader-limits.ts';
import type { Counters } from '../counters.ts';
import type { CsEvents } from '../events.ts';
import type { Connect } from '../packet/connect.ts';
import type { ProtocolVersion } from '../packet/packet-type.ts';
import type { UnreadQueues } from '../queue/unread-queues.ts';
import type { OutboundSession, SessionNode } from '../session/outbound-session.ts';
import type { Outlet } from '../session/outlet.ts';
import type { Session } from '../session/session.ts';
import type { ByteStream } from '../transport/transport.ts';
import type { Turn } from '../turn.ts';
import type { TurnTime } from '../turn-time.ts';
import type { HeldBack, LeaseGate } from '../lease-gate.ts';
import type { ConnectionQuota } from '../connection-quota.ts';
import type { ListenerPlace } from '../listener-place.ts';
import type { PendingConnections } from '../pending-connections.ts';
import type { Wheel } from '../wheel.ts';
import type { Inbound } from './inbound.ts';
import type { PublishRate } from './publish-rate.ts';
import type { InboundAliases } from './topic-aliases.ts';

export type Acknowledgement = 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';
export type ColdPacket = 'connack' | 'suback' | 'unsuback' | 'disconnect' | 'auth' | PublishAnswer;
/** Answers to a publish; one that refuses may have a reason string. */
export type PublishAnswer = 'puback' | 'pubrec';

/** The client owes its CONNECT or AUTH, or ds the answer to it. */
export type Awaited = 'connect' | 'answer' | 'auth';

/** A client whose CONNECT, or AUTH before CONNACK, is to be served. */
export interface Entering {
  readonly stream: ByteStream;
  /** While it waits its socket is not read. */
  holdReading(held: boolean): void;
}

/** Turns of the CONNECTs that wait to be served. */
interface EntranceTurns {
  /**
   * `name`: the user name or client identifier that the client claims, remembered for its next
   * CONNECT.
   */
  enter(client: Entering, name: string, begin: () => void): void;
  left(client: Entering, accepted?: boolean): void;
}

/** All connections of the node, as each of them knows them. */
export interface ConnectionCount {
  /** Number of connections with a session. */
  readonly sessionCount: number;
  /** Connections without a session. */
  readonly pending: PendingConnections;
  /** Connections by address and by user, where one of these may have only so many. */
  readonly ofAddresses: ConnectionQuota | undefined;
  readonly ofUsers: ConnectionQuota | undefined;
  /** One more has a session. */
  opened(client: Client): void;
  /** Another handle for the connection with this one. */
  renumber(handle: SessionHandle): SessionHandle;
}

/** Publishes of clients on their way to ds. */
interface PublishTaker {
  /** So much waits for the store that publishers are not read. */
  readonly storeBehind: boolean;
  /** The client, which is not read, is read again when there is room. */
  awaitRoom(client: Client): void;
  send(client: Client, publish: Publish): void;
}

/** Rates of publishes. */
interface RateSource {
  /** The rate of a client that connects; undefined: there are no rates. */
  of(client: Client): PublishRate | undefined;
}

/** The node as connections and their handlers need it. */
export interface ClientNode extends SessionNode {
  readonly config: CsConfig;
  /** Limits of every connection that has not been given others. */
  readonly packetLimits: ReaderLimits;
  readonly clientIdRule: ClientIdRule | undefined;
  readonly events: CsEvents;
  readonly counters: Counters;
  readonly turn: Turn;
  readonly wheel: Wheel;
  readonly link: Link;
  readonly leaseGate: LeaseGate;
  readonly rightsTable: ReadRightsTable;
  readonly time: TurnTime;
  readonly connections: ConnectionCount;
  readonly entrance: EntranceTurns;
  readonly publishes: PublishTaker;
  /** The reason told to clients while the node drains or stops; undefined: it takes clients. */
  farewell(): Farewell | undefined;
  readonly publishRates: RateSource;
  /** Whether ds can be asked for a session now. */
  readonly asksDs: boolean;
  readonly feeds: { readonly unread: UnreadQueues };
  schedule(session: OutboundSession): void;
  /** Resolves when the end is stored; never rejects. */
  closed(client: Client, end: ConnectionEnd): Promise<void>;
  disown(client: Client, end: ConnectionEnd): void;
}

/** The way of packets to a client. */
export interface ClientOutbox extends Outlet, HeldBack {
  acknowledge(type: Acknowledgement, packetId: number, reasonCode: number): void;
  /** PINGREQ: answered when what came before it is. */
  ping(): void;
  /** Once a turn: what waits, and what is due now. */
  flushLater(): void;
}

/** Parts of a refusal of CONNECT beside its reason. */
export interface RefusalMore {
  readonly serverReference?: string | undefined;
  /** The expiry of the session that ds has claimed for the client, where it is to change. */
  readonly sessionExpiryS?: number | undefined;
}

/** A connection as its packets' handlers and its node know it. */
export interface Client {
  readonly node: ClientNode;
  readonly stream: ByteStream;
  readonly handle: SessionHandle;
  readonly outbox: ClientOutbox;
  readonly inbound: Inbound;
  readonly inboundAliases: InboundAliases;
  /** 0 until CONNECT was read. */
  readonly version: ProtocolVersion | 0;
  /**
   * Whether the client is a mosquitto bridge: its subscriptions have no local and retain as
   * published, which its protocol version cannot say.
   */
  readonly isBridge: boolean;
  clientId: ClientId;
  assignedClientId: boolean;
  /** Kept until CONNACK. */
  readonly connectPacket: Connect | undefined;
  readonly keepAliveS: number;
  readonly askedSessionExpiryS: number;
  readonly receiveMaximum: number;
  readonly maximumPacketSize: number | undefined;
  readonly authenticationMethod: string | undefined;
  /** ds is at work for its CONNECT, or waits for its AUTH. */
  atDs: boolean;
  /** When ds was asked for its session, by the node's `UnreadQueues`. */
  watchedFrom: number;
  reauthenticating: boolean;
  /** ds has a step of the re-authentication: the client has its turn when that is answered. */
  stepAsked: boolean;
  /** As ds gave it. */
  principal: string;
  /** As ds granted it. */
  sessionExpiryS: number;
  /** Over the rate of new connections: refused when its CONNECT comes. */
  readonly tooFast: boolean;
  /** The listener that it came by. */
  readonly place: ListenerPlace | undefined;
  readonly session: Session | undefined;
  readonly publishRate: PublishRate | undefined;
  /** The last topic that was within the limits. */
  checkedTopic: string;
  /** Prefix of its topics that it does not see; '': none. */
  mount: string;
  /** The full name of the last topic, where there is such a prefix. */
  mountedTopic: string;
  readonly ended: boolean;
  /** The session was claimed by another connection before this one heard that it had it. */
  readonly kickedEarly: number | undefined;
  /** Rights that ds has told while the session was being made; `text` undefined: everything. */
  rightsEarly: { readonly text: string | undefined } | undefined;
  /** Bytes of the packet that is being handled. */
  readonly packetBytes: number;
  /** Bytes that are no packet; the version is known if the CONNECT got so far. */
  malformed(reasonCode: number, reason: string): void;
  sendPacket(type: ColdPacket, bytes: Uint8Array): void;
  /** Whether the client wants to be told reasons (Request Problem Information, 3.1.2.11.7). */
  readonly explains: boolean;
  /** Takes over what CONNECT says of the connection itself. */
  begin(packet: Connect, askedSessionExpiryS: number): void;
  /**
   * ds may have claimed a session for the connection, and that is undone: from now on the connection
   * has another handle, so that nothing ds still says about the claim is about it.
   */
  renumber(): void;
  /** Before CONNACK: names the side that has to act next, each with a time limit of its own. */
  await(what: Awaited): void;
  /** CONNACK is about to leave. */
  open(session: Session): void;
  /** Larger packets are refused from the next one on. */
  limitPackets(packetBytesMax: number): void;
  /** No further packet is handled until `resumePackets`. */
  stopPackets(): void;
  resumePackets(): void;
  /** No further packet is handled until `goOn`; the socket is read on while little comes. */
  rest(): void;
  goOn(): void;
  holdReading(held: boolean): void;
  pauseReading(): void;
  resumeReading(): void;
  /** The client broke the protocol or a limit: DISCONNECT with the reason in 5.0, then close. */
  fail(reasonCode: number, reason: string): void;
  /** Ends before CONNACK, or instead of it [MQTT-3.1.4-5]. */
  refuse(reasonCode: number, reason: string, more?: RefusalMore): void;
  /** ds wants the session back; CONNACK leaves first where it is on its way. */
  kick(reasonCode: number): void;
  /** Ends when what was written has left. */
  finish(end: ConnectionEnd): void;
  /** ds accepted a connection that is gone. */
  disown(): void;
  /** A call on the link failed: the client comes back to a node that works. */
  broken(error: unknown): void;
}
