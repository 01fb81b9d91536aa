import { clientId as asClientId } from '@lmqtt/common/ids';
import type { ClientId, SessionHandle } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { ConnectionEnd } from '@lmqtt/proto/link';
import { connack, disconnectPacket } from '../codec/cold.ts';
import { PacketReader } from '../codec/packet-reader.ts';
import {
  acknowledgementBytesMax,
  pingrespBytes,
  writePingresp,
  writePuback,
  writePubcomp,
  writePubrec,
  writePubrel,
} from '../codec/acknowledgement-writer.ts';
import type { Connect } from '../packet/connect.ts';
import type { ProtocolVersion } from '../packet/packet-type.ts';
import type { Session } from '../session/session.ts';
import type { ByteStream } from '../transport/transport.ts';
import type { Timed } from '../wheel.ts';
import type { Acknowledgement, Client, ClientNode, ColdPacket } from './client.ts';
import { hasReturnCode, kickReason } from './end-reasons.ts';
import { Inbound } from './inbound.ts';
import { Outbox } from './outbox.ts';
import { PacketDispatch } from './dispatch.ts';
import { PendingPings } from './pending-pings.ts';
import { PublishWriter } from './publish-writer.ts';
import { PublishRate } from './publish-rate.ts';
import { InboundAliases } from './topic-aliases.ts';

const writeAcknowledgement: Record<Acknowledgement, typeof writePuback> = {
  puback: writePuback,
  pubrec: writePubrec,
  pubrel: writePubrel,
  pubcomp: writePubcomp,
};

/** How long the close after a DISCONNECT waits for the session to be stored. */
const closeWaitMs = 1000;

/**
 * One client's connection: its bytes, its keep alive, its end. Packets go to the handlers in
 * `packets/`, one for each type.
 *
 * Invariants
 * - Bytes leave once a turn, in the order in which packets were written.
 * - The connection ends once; its session is told in the same turn, after all that it wrote.
 * - After `fail`, `refuse` or `finish` no packet of it is handled.
 */
export class Connection implements Client, Timed {
  readonly node: ClientNode;
  readonly stream: ByteStream;
  readonly handle: SessionHandle;
  private readonly reader: PacketReader;
  readonly inbound: Inbound = new Inbound();
  private readonly packets: PacketDispatch;
  private readonly outbox: Outbox;
  private pings: PendingPings | undefined = undefined;
  dueTick = -1;
  slotIndex = 0;

  /** 0 until CONNECT was read. */
  version: ProtocolVersion | 0 = 0;
  clientId: ClientId = asClientId('');
  assignedClientId = false;
  /** Kept until CONNACK. */
  connectPacket: Connect | undefined = undefined;
  keepAliveS = 0;
  askedSessionExpiryS = 0;
  receiveMaximum = 0xffff;
  maximumPacketSize: number | undefined = undefined;
  authenticationMethod: string | undefined = undefined;
  reauthenticating = false;
  principal = '';
  sessionExpiryS = 0;
  /** Over the rate of new connections: refused when its CONNECT comes. */
  tooFast = false;
  session: Session | undefined = undefined;
  publishRate: PublishRate | undefined = undefined;
  /** The last topic that was within the limits. */
  checkedTopic = '';
  ended = false;
  /** The session was claimed by another connection before this one heard that it had it. */
  kickedEarly: number | undefined = undefined;
  /** Wall clock. */
  connectedAtMs = 0;
  private aliases: InboundAliases | undefined = undefined;
  private publishWriter: PublishWriter | undefined = undefined;
  private explains = true;
  private lastPacketMs: number;
  private readonly acceptedMs: number;
  private readingPaused = false;
  private flushing = false;
  private closeWhenFlushed = false;
  /** Where in the outbox the DISCONNECT begins, once it has ended. */
  private farewellAt = 0;

  constructor(node: ClientNode, stream: ByteStream, handle: SessionHandle) {
    this.node = node;
    this.stream = stream;
    this.handle = handle;
    this.outbox = new Outbox(stream);
    this.packets = new PacketDispatch(this);
    this.reader = new PacketReader({ packetBytesMax: node.config.maxPacketSize });
    this.lastPacketMs = node.turnMs;
    this.acceptedMs = node.turnMs;
    stream.onBytes = (chunk) => this.received(chunk);
    stream.onClose = () => this.lost();
    stream.onDrain = () => this.drained();
    node.wheel.add(this, node.config.connectTimeoutMs, node.turnMs);
  }

  // Bytes

  private received(chunk: Buffer): void {
    if (this.ended) return;
    this.lastPacketMs = this.node.turnMs;
    this.node.counters.bytesReceived += chunk.length;
    this.reader.feed(chunk, this.packets);
    if (this.reader.stopped && this.reader.waitingBytes > this.node.config.maxPacketSize) {
      this.readingPaused = true;
      this.stream.pause();
    }
  }

  private lost(): void {
    void this.end({ publishWill: true, sessionExpiryS: undefined, reason: 'connection lost' });
  }

  private drained(): void {
    if (this.session !== undefined && !this.ended) this.node.schedule(this.session);
  }

  private written(): void {
    if (this.flushing) return;
    this.flushing = true;
    this.node.turn.output(this);
  }

  flush(): void {
    this.flushing = false;
    if (this.node.leaseGate.frozen && this.session !== undefined && this.isHeldBack()) return;
    if (this.pings !== undefined && this.pings.due(this.inbound.unanswered)) this.answerPings();
    this.node.counters.bytesSent += this.outbox.flush();
    if (this.closeWhenFlushed) this.stream.end();
  }

  /** Rule 11: without a lease nothing leaves but the farewell of a connection that has ended. */
  private isHeldBack(): boolean {
    if (this.ended) {
      this.outbox.dropBefore(this.farewellAt);
      this.farewellAt = 0;
      return false;
    }
    this.node.leaseGate.hold(this);
    if (this.outbox.at >= this.node.config.writeBufferMax) this.pauseReading();
    return true;
  }

  thaw(): void {
    if (this.ended) return;
    this.written();
    this.resumeReading();
  }

  /** PINGREQ: answered when what came before it is. */
  ping(): void {
    this.pings ??= new PendingPings(() => this.written());
    this.pings.add();
    this.written();
  }

  private answerPings(): void {
    for (let left = this.pings?.take() ?? 0; left > 0 && !this.ended; left--) {
      this.outbox.reserve(pingrespBytes);
      this.outbox.at = writePingresp(this.outbox.buffer, this.outbox.at);
      this.node.counters.sent('pingresp', pingrespBytes);
    }
  }

  get packetBytes(): number {
    return this.reader.packetBytes;
  }

  /** What came is no packet; the version is known where the CONNECT got so far. */
  malformed(reasonCode: number, reason: string): void {
    const { version } = this.reader;
    if (this.version === 0) this.version = version;
    this.fail(reasonCode, reason);
  }

  /** Too many publishes of this client are on their way: its socket is not read until some left. */
  pauseReading(): void {
    if (this.readingPaused || this.ended) return;
    this.readingPaused = true;
    this.stream.pause();
  }

  resumeReading(): void {
    if (!this.readingPaused || this.ended || this.node.storeBehind) return;
    if (this.inbound.tooManyRequests) return;
    if (this.node.leaseGate.frozen && this.outbox.at >= this.node.config.writeBufferMax) return;
    if (this.inbound.unanswered * 2 > this.node.config.receiveMaximum) return;
    this.readingPaused = false;
    this.stream.resume();
  }

  // What the session sends through

  get writable(): boolean {
    if (this.ended || this.node.leaseGate.frozen) return false;
    return this.outbox.waitingBytes < this.node.config.writeBufferMax;
  }

  sendPublish(
    message: Message,
    qos: Qos,
    dup: boolean,
    retain: boolean,
    packetId: number,
    subscriptionIdentifiers: readonly number[] | undefined,
  ): boolean {
    const writer = this.publishWriter;
    if (writer === undefined) throw new Error('a PUBLISH before CONNACK');
    const { outbox } = this;
    const before = outbox.at;
    const fits = writer.write(
      outbox,
      message,
      qos,
      dup,
      retain,
      packetId,
      subscriptionIdentifiers,
      this.node.nowMs(),
    );
    if (!fits) return false;
    this.node.counters.publishSent(qos, outbox.at - before);
    if (!this.flushing) this.written();
    return true;
  }

  sendPubrel(packetId: number): void {
    this.acknowledge('pubrel', packetId, ReasonCode.success);
  }

  // What handlers send

  acknowledge(type: Acknowledgement, packetId: number, reasonCode: number): void {
    if (this.ended || this.version === 0) return;
    const { outbox } = this;
    outbox.reserve(acknowledgementBytesMax);
    const before = outbox.at;
    const write = writeAcknowledgement[type];
    outbox.at = write(outbox.buffer, before, packetId, reasonCode, this.version);
    this.node.counters.sent(type, outbox.at - before);
    if (!this.flushing) this.written();
  }

  sendPacket(type: ColdPacket, bytes: Uint8Array): void {
    if (this.ended) return;
    if (bytes.length > (this.maximumPacketSize ?? Number.POSITIVE_INFINITY)) {
      this.tooLarge(type);
      return;
    }
    this.outbox.append(bytes);
    this.node.counters.sent(type, bytes.length);
    this.written();
  }

  /** [MQTT-3.1.2-24]: what the client does not take is not sent; without it, it cannot go on. */
  private tooLarge(type: ColdPacket): void {
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
    this.connectPacket = packet;
    this.receiveMaximum = packet.receiveMaximum;
    this.maximumPacketSize = packet.maximumPacketSize;
    this.authenticationMethod = packet.authenticationMethod;
    this.explains = packet.requestProblemInformation;
    this.askedSessionExpiryS = askedSessionExpiryS;
    const maximum = config.keepAliveSMax;
    const tooLong = maximum > 0 && (packet.keepAliveS === 0 || packet.keepAliveS > maximum);
    // Before 5.0 the client cannot be told of another keep alive.
    this.keepAliveS = tooLong && packet.protocolVersion === 5 ? maximum : packet.keepAliveS;
  }

  /** CONNACK is about to leave. */
  open(session: Session): void {
    const { node, connectPacket: connect } = this;
    this.session = session;
    this.connectedAtMs = node.nowMs();
    this.connectPacket = undefined;
    const aliases = Math.min(connect?.topicAliasMaximum ?? 0, node.config.topicAliasMaximumOut);
    this.publishWriter = new PublishWriter(this.protocol, this.maximumPacketSize, aliases);
    if (node.config.maxPublishRate > 0) {
      this.publishRate = new PublishRate(node.config.maxPublishRate);
    }
    node.opened();
    node.wheel.remove(this);
    if (this.keepAliveS > 0) node.wheel.add(this, this.keepAliveS * 1500, node.turnMs);
  }

  get protocol(): ProtocolVersion {
    return this.version === 0 ? 4 : this.version;
  }

  get inboundAliases(): InboundAliases {
    return (this.aliases ??= new InboundAliases());
  }

  /** The wheel came round: keep alive [MQTT-3.1.2-22], or no CONNECT in time [MQTT-3.1.4-1]. */
  due(nowMs: number): number {
    if (this.ended) return 0;
    if (this.session === undefined) {
      const leftMs = this.acceptedMs + this.node.config.connectTimeoutMs - nowMs;
      if (leftMs > 0) return leftMs;
      this.node.events.timedOut(this, 'no CONNECT in time');
      void this.end({ publishWill: true, sessionExpiryS: undefined, reason: 'no CONNECT in time' });
      this.stream.destroy();
      return 0;
    }
    const leftMs = this.lastPacketMs + this.keepAliveS * 1500 - nowMs;
    if (leftMs > 0) return leftMs;
    // What it sent meanwhile was not read.
    if (this.readingPaused) return this.keepAliveS * 1500;
    this.fail(ReasonCode.keepAliveTimeout, 'keep alive timeout');
    return 0;
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
    this.farewellAt = this.outbox.at;
    if (this.version === 5 && this.session !== undefined) {
      const packet = { reasonCode, reasonString: this.explains ? reason : undefined };
      this.sendPacket('disconnect', disconnectPacket(packet, this.maximumPacketSize));
    }
    this.leave({ publishWill: true, sessionExpiryS: undefined, reason });
  }

  /** ds wants the session back; CONNACK leaves first where it is on its way. */
  kick(reasonCode: number): void {
    if (this.session === undefined) this.kickedEarly = reasonCode;
    else this.close(reasonCode, kickReason(reasonCode));
  }

  /** ds does not let the session go on: what waits for its client is no longer this node's. */
  fence(reasonCode: number): void {
    this.outbox.dropBefore(this.outbox.at);
    this.kick(reasonCode);
  }

  /** The node stops: no will goes out for it, the session goes on when the client is back. */
  shutDown(): void {
    this.close(ReasonCode.serverShuttingDown, 'server shutting down');
  }

  /** Ends before CONNACK, or instead of it [MQTT-3.1.4-5]. */
  refuse(reasonCode: number, reason: string): void {
    if (this.ended) return;
    this.node.events.refused(this, reasonCode, reason);
    const answers = this.version !== 0 || reasonCode === ReasonCode.unsupportedProtocolVersion;
    if (answers && (this.version === 5 || hasReturnCode(reasonCode))) {
      const reasonString = this.explains ? reason : undefined;
      const packet = { sessionPresent: false, reasonCode, reasonString };
      this.sendPacket('connack', connack(packet, this.protocol, this.maximumPacketSize));
    }
    this.finish({ publishWill: false, sessionExpiryS: undefined, reason });
  }

  stopPackets(): void {
    this.reader.stop();
  }

  resumePackets(): void {
    this.reader.resume(this.packets);
  }

  /** Ends when what was written has left. */
  finish(end: ConnectionEnd): void {
    if (this.ended) return;
    this.farewellAt = this.outbox.at;
    this.leave(end);
  }

  private leave(end: ConnectionEnd): void {
    if (this.ended) return;
    const persistent = this.session?.persistent === true;
    this.written();
    const stored = this.end(end);
    if (persistent && end.reason === 'client') this.closeAfter(stored);
    else this.closeWhenFlushed = true;
  }

  /** A client may take the close for "my session is stored"; it does not wait long for a slow store. */
  private closeAfter(stored: Promise<void>): void {
    const close = (): void => {
      clearTimeout(timer);
      if (this.closeWhenFlushed) return;
      this.closeWhenFlushed = true;
      this.written();
    };
    const timer = setTimeout(close, closeWaitMs);
    stored.then(close, close);
  }

  private end(end: ConnectionEnd): Promise<void> {
    if (this.ended) return Promise.resolve();
    this.ended = true;
    this.reader.end();
    this.pings?.cancel();
    this.node.wheel.remove(this);
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
