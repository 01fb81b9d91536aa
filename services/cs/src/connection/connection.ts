import { clientId as asClientId } from '@lmqtt/common/ids';
import type { ClientId, SessionHandle } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { ConnectionEnd } from '@lmqtt/proto/link';
import { connack, disconnectPacket } from '../codec/cold.ts';
import { PacketReader } from '../codec/packet-reader.ts';
import type { Connect } from '../packet/connect.ts';
import type { ProtocolVersion } from '../packet/packet-type.ts';
import type { Session } from '../session/session.ts';
import type { ByteStream, StreamOwner } from '../transport/transport.ts';
import type { ListenerPlace } from '../listener-place.ts';
import type { Timed } from '../wheel.ts';
import type { Awaited, Client, ClientNode, ColdPacket, RefusalMore } from './client.ts';
import type { Farewell } from '../drain.ts';
import { hasReturnCode, kickReason } from './end-reasons.ts';
import { Inbound } from './inbound.ts';
import { isTooLong } from './keep-alive.ts';
import { Opening, type OpeningClient } from './opening.ts';
import { PacketOutbox } from './packet-outbox.ts';
import { publishWriterFor } from './publish-writer.ts';
import type { PublishRate } from './publish-rate.ts';
import { Reading } from './reading.ts';
import { InboundAliases } from './topic-aliases.ts';

/**
 * The life of one client's connection: what CONNECT agreed, its keep alive, its end. Packets go to the handlers in `packets/`, one for each type, and leave through
 * the outbox.
 *
 * Invariants
 * - The connection ends once; its session is told in the same turn, after all that it wrote.
 * - After `fail`, `refuse` or `finish` no packet of it is handled.
 */
export class Connection implements Client, OpeningClient, StreamOwner, Timed {
  readonly node: ClientNode;
  readonly stream: ByteStream;
  handle: SessionHandle;
  readonly #reader: PacketReader;
  readonly inbound: Inbound = new Inbound();
  readonly #reading: Reading;
  readonly outbox: PacketOutbox;
  dueTick = -1;
  slotIndex = 0;

  /** 0 until CONNECT was read. */
  version: ProtocolVersion | 0 = 0;
  isBridge = false;
  clientId: ClientId = asClientId('');
  assignedClientId = false;
  /** Kept until CONNACK. */
  connectPacket: Connect | undefined = undefined;
  keepAliveS = 0;
  askedSessionExpiryS = 0;
  receiveMaximum = 0xffff;
  maximumPacketSize: number | undefined = undefined;
  authenticationMethod: string | undefined = undefined;
  atDs = false;
  watchedFrom = 0;
  reauthenticating = false;
  stepAsked = false;
  principal = '';
  sessionExpiryS = 0;
  /** Over the rate of new connections: refused when its CONNECT comes. */
  tooFast = false;
  place: ListenerPlace | undefined = undefined;
  session: Session | undefined = undefined;
  publishRate: PublishRate | undefined = undefined;
  /** The last topic that was within the limits. */
  checkedTopic = '';
  mount = '';
  mountedTopic = '';
  ended = false;
  /** The session was claimed by another connection before this one heard that it had it. */
  kickedEarly: number | undefined = undefined;
  rightsEarly: { readonly text: string | undefined } | undefined = undefined;
  /** Wall clock. */
  connectedAtMs = 0;
  #aliases: InboundAliases | undefined = undefined;
  explains = true;
  /** The connection before its CONNACK; undefined once it has a session or has ended. */
  #opening: Opening | undefined;

  constructor(node: ClientNode, stream: ByteStream, handle: SessionHandle) {
    this.node = node;
    this.stream = stream;
    this.handle = handle;
    this.outbox = new PacketOutbox(stream, this);
    this.#reader = new PacketReader(node.packetLimits);
    this.#reading = new Reading(this, this.#reader);
    stream.owner = this;
    this.#opening = new Opening(this);
  }

  // Packets that arrive

  received(chunk: Buffer): void {
    if (this.ended) return;
    this.node.counters.bytesReceived += chunk.length;
    this.#opening?.grew(chunk.length);
    this.#reading.received(chunk);
  }

  /** The client, which is not read, has taken none of its answers for too long. */
  stalled(): void {
    const reason = 'write timeout';
    this.node.events.limit('WRITE_TIMEOUT_MS');
    this.node.events.failed(this, ReasonCode.unspecifiedError, 'it takes none of its answers');
    void this.#end({ publishWill: true, sessionExpiryS: undefined, reason });
    this.outbox.drop();
    this.stream.destroy();
  }

  lost(): void {
    void this.#end({ publishWill: true, sessionExpiryS: undefined, reason: 'connection lost' });
  }

  drained(): void {
    this.outbox.drained();
    if (this.session === undefined || this.ended) return;
    this.node.schedule(this.session);
    this.resumeReading();
  }

  get packetBytes(): number {
    return this.#reader.packetBytes;
  }

  /** Bytes that are no packet; the version is known if the CONNECT got so far. */
  malformed(reasonCode: number, reason: string): void {
    const { version } = this.#reader;
    if (this.version === 0) this.version = version;
    this.fail(reasonCode, reason);
  }

  get readingPaused(): boolean {
    return this.#reading.paused;
  }

  pauseReading(): void {
    this.#reading.pause();
  }

  resumeReading(): void {
    this.#reading.resume();
  }

  holdReading(held: boolean): void {
    this.#reading.hold(held);
  }

  rest(): void {
    this.#reader.stop();
  }

  goOn(): void {
    this.#reading.goOn();
  }

  stopPackets(): void {
    this.#reading.stopPackets();
  }

  resumePackets(): void {
    this.#reading.resumePackets();
  }

  sendPacket(type: ColdPacket, bytes: Uint8Array): void {
    if (this.ended) return;
    if (bytes.length > (this.maximumPacketSize ?? Number.POSITIVE_INFINITY)) {
      this.#tooLarge(type);
      return;
    }
    this.outbox.sendPacket(type, bytes);
  }

  /** [MQTT-3.1.2-24]: what the client does not take is not sent; without it, it cannot go on. */
  #tooLarge(type: ColdPacket): void {
    const reason = `${type} past the maximum packet size of the client`;
    if (type === 'auth') this.fail(ReasonCode.packetTooLarge, reason);
    else if (type === 'suback' || type === 'unsuback') {
      this.close(ReasonCode.packetTooLarge, reason);
    } else this.finish({ publishWill: true, sessionExpiryS: undefined, reason });
  }

  // Life

  /** Takes over what CONNECT says of the connection itself. */
  begin(packet: Connect, askedSessionExpiryS: number): void {
    const { config } = this.node;
    this.version = packet.protocolVersion;
    this.isBridge = packet.isBridge;
    this.connectPacket = packet;
    this.receiveMaximum = packet.receiveMaximum;
    this.maximumPacketSize = packet.maximumPacketSize;
    this.authenticationMethod = packet.authenticationMethod;
    this.explains = packet.requestProblemInformation;
    this.askedSessionExpiryS = askedSessionExpiryS;
    const maximum = config.keepAliveSMax;
    const tooLong = isTooLong(packet.keepAliveS, maximum);
    // Before 5.0 the client cannot be told of another keep alive.
    this.keepAliveS = tooLong && packet.protocolVersion === 5 ? maximum : packet.keepAliveS;
  }

  renumber(): void {
    this.handle = this.node.connections.renumber(this.handle);
  }

  await(what: Awaited): void {
    this.#opening?.await(what);
  }

  limitPackets(packetBytesMax: number): void {
    if (packetBytesMax !== this.node.packetLimits.packetBytesMax)
      this.#reader.limit({ packetBytesMax });
  }

  /** CONNACK is about to leave. */
  open(session: Session): void {
    const { node, connectPacket: connect } = this;
    this.session = session;
    this.stream.welcome();
    this.connectedAtMs = node.time.wallMs;
    this.connectPacket = undefined;
    const aliases = Math.min(connect?.topicAliasMaximum ?? 0, node.config.topicAliasMaximumOut);
    this.outbox.publishWriter = publishWriterFor(this.protocol, this.maximumPacketSize, aliases);
    this.publishRate = node.publishRates.of(this);
    this.#opening?.end();
    this.#opening = undefined;
    node.connections.opened(this);
    if (this.keepAliveS > 0) node.wheel.add(this, this.keepAliveS * 1500, node.time.monotonicMs);
  }

  get protocol(): ProtocolVersion {
    return this.version === 0 ? 4 : this.version;
  }

  get inboundAliases(): InboundAliases {
    return (this.#aliases ??= new InboundAliases());
  }

  /** The wheel came round: keep alive [MQTT-3.1.2-22]. */
  due(nowMs: number): number {
    if (this.ended) return 0;
    const leftMs = this.#reading.lastPacketMs + this.keepAliveS * 1500 - nowMs;
    if (leftMs > 0) return leftMs;
    // Packets that it sent meanwhile were not read.
    if (this.readingPaused) return this.keepAliveS * 1500;
    this.fail(ReasonCode.keepAliveTimeout, 'keep alive timeout');
    return 0;
  }

  /** Ends the connection without an answer, because it has not asked for anything. */
  sendAway(reason: string): void {
    if (this.ended) return;
    this.node.events.timedOut(this, reason);
    void this.#end({ publishWill: true, sessionExpiryS: undefined, reason });
    this.stream.destroy();
  }

  /** The client broke the protocol or a limit: DISCONNECT with the reason in 5.0, then close. */
  fail(reasonCode: number, reason: string): void {
    if (this.ended) return;
    if (this.session === undefined) {
      this.refuse(reasonCode, reason);
      return;
    }
    this.node.events.failed(this, reasonCode, reason);
    this.close(reasonCode, reason);
  }

  /** Closes from our side, with a DISCONNECT where the protocol has one. */
  close(reasonCode: number, reason: string): void {
    if (this.ended) return;
    this.outbox.beginFarewell();
    if (this.version === 5 && this.session !== undefined) {
      const packet = { reasonCode, reasonString: this.explains ? reason : undefined };
      this.sendPacket('disconnect', disconnectPacket(packet, this.maximumPacketSize));
    }
    this.#leave({ publishWill: true, sessionExpiryS: undefined, reason });
  }

  /** ds wants the session back; CONNACK leaves first where it is on its way. */
  kick(reasonCode: number): void {
    if (this.session === undefined) this.kickedEarly = reasonCode;
    else this.close(reasonCode, kickReason(reasonCode));
  }

  /** ds does not let the session go on: what waits for its client is no longer this node's. */
  fence(reasonCode: number): void {
    this.outbox.drop();
    this.kick(reasonCode);
  }

  /** The node stops: no will goes out for it, the session goes on when the client is back. */
  shutDown(): void {
    const farewell = this.node.farewell();
    if (farewell !== undefined && this.session === undefined && this.version !== 0)
      this.refuse(farewell.reasonCode, farewell.reason, farewell);
    else this.close(ReasonCode.serverShuttingDown, 'server shutting down');
  }

  /**
   * Sends the client away, because the node drains or stops. Its end is stored before it hears of
   * it: wherever it comes back, its will has waited for it. Resolves when it was told.
   */
  sendElsewhere(farewell: Farewell, storeMs: number): Promise<void> {
    if (this.ended) return Promise.resolve();
    const { reasonCode, reason, serverReference } = farewell;
    if (this.session === undefined) {
      this.refuse(reasonCode, reason, farewell);
      return Promise.resolve();
    }
    const { outbox } = this;
    outbox.beginFarewell();
    outbox.flushLater();
    const end = { publishWill: true, sessionExpiryS: undefined, reason, planned: true };
    const stored = this.#end(end);
    const last = (): Uint8Array | undefined => {
      if (this.version !== 5) return undefined;
      const sizeMax = this.maximumPacketSize ?? Infinity;
      const said = { reasonCode, reasonString: this.explains ? reason : undefined };
      const whole = disconnectPacket({ ...said, serverReference }, sizeMax);
      const packet = whole.length > sizeMax ? disconnectPacket(said, sizeMax) : whole;
      return packet.length > sizeMax ? undefined : packet;
    };
    return outbox.leaveAfter(stored, last, this.node.asksDs ? storeMs : undefined);
  }

  /** Ends before CONNACK, or instead of it [MQTT-3.1.4-5]. */
  refuse(cause: number, reason: string, more?: RefusalMore): void {
    if (this.ended) return;
    // 0x8B is for DISCONNECT alone.
    const isStop = cause === ReasonCode.serverShuttingDown;
    const reasonCode = isStop ? ReasonCode.serverUnavailable : cause;
    this.node.events.refused(this, reasonCode, reason);
    const answers = this.version !== 0 || reasonCode === ReasonCode.unsupportedProtocolVersion;
    if (answers && (this.version === 5 || hasReturnCode(reasonCode))) {
      const reasonString = this.explains ? reason : undefined;
      const { serverReference } = more ?? {};
      const packet = { sessionPresent: false, reasonCode, reasonString, serverReference };
      this.sendPacket('connack', connack(packet, this.protocol, this.maximumPacketSize));
    }
    this.finish({ publishWill: false, sessionExpiryS: more?.sessionExpiryS, reason });
  }

  /** Ends when what was written has left. */
  finish(end: ConnectionEnd): void {
    if (this.ended) return;
    this.outbox.beginFarewell();
    this.#leave(end);
  }

  #leave(end: ConnectionEnd): void {
    if (this.ended) return;
    const persistent = this.session?.persistent === true;
    this.outbox.flushLater();
    const stored = this.#end(end);
    if (persistent && end.reason === 'client') this.outbox.closeStreamAfter(stored);
    else this.outbox.closeStream();
  }

  #end(end: ConnectionEnd): Promise<void> {
    if (this.ended) return Promise.resolve();
    this.ended = true;
    this.#reading.end();
    this.publishRate?.end();
    this.outbox.end();
    this.node.wheel.remove(this);
    this.#opening?.end();
    this.#opening = undefined;
    return this.node.closed(this, end);
  }

  /** ds accepted a connection that is gone. */
  disown(): void {
    this.node.disown(this, {
      publishWill: true,
      sessionExpiryS: undefined,
      reason: 'connection lost',
    });
  }

  /** A call on the link failed: the client comes back to a node that works. */
  broken(error: unknown): void {
    if (this.ended) return;
    this.node.events.linkFailed(this, error);
    // 0x88 is for CONNACK alone.
    const opened = this.session !== undefined;
    this.fail(opened ? ReasonCode.serverBusy : ReasonCode.serverUnavailable, 'server unavailable');
  }
}
