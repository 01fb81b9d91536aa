import type { Message } from '@lmqtt/common/message';
import { unmountedMessage } from '@lmqtt/common/mounted-message';
import type { Qos } from '@lmqtt/common/qos';
import { ReasonCode } from '@lmqtt/common/reason-code';
import {
  acknowledgementBytesMax,
  pingrespBytes,
  writePingresp,
  writePuback,
  writePubcomp,
  writePubrec,
  writePubrel,
} from '../codec/acknowledgement-writer.ts';
import type { ByteStream } from '../transport/transport.ts';
import type { Flushed } from '../turn.ts';
import type { Acknowledgement, Client, ClientOutbox, ColdPacket } from './client.ts';
import { Outbox } from './outbox.ts';
import { PendingPings } from './pending-pings.ts';
import type { PublishWriter } from './publish-writer.ts';

const writeAcknowledgement: Record<Acknowledgement, typeof writePuback> = {
  puback: writePuback,
  pubrec: writePubrec,
  pubrel: writePubrel,
  pubcomp: writePubcomp,
};

/** How long the close after a DISCONNECT waits for the session to be stored. */
const closeWaitMs = 1000;

/**
 * The packets that go to one client, and when their bytes may leave: with the turn, past the lease
 * not at all, and before the stream is closed.
 *
 * Invariants
 * - Bytes leave once a turn, in the order in which packets were written.
 * - After the connection's end nothing is written any more; past the lease what was written before
 *   its farewell (DISCONNECT, a refusal) is dropped.
 */
export class PacketOutbox extends Outbox implements ClientOutbox, Flushed {
  /** From CONNACK on. */
  publishWriter: PublishWriter | undefined = undefined;
  readonly #client: Client;
  readonly #waitingBytesMax: number;
  #pings: PendingPings | undefined = undefined;
  #flushing = false;
  #closeWhenFlushed = false;
  /**
   * Bytes that waited when the last PUBLISH was written. Only answers can have added to them since.
   */
  #deliveryBytes = 0;

  constructor(stream: ByteStream, client: Client) {
    super(stream);
    this.#client = client;
    this.#waitingBytesMax = client.node.config.writeBufferMax;
  }

  // Packets

  get writable(): boolean {
    const { node, ended } = this.#client;
    if (ended || node.leaseGate.frozen) return false;
    return this.waitsBelow(this.#waitingBytesMax);
  }

  sendPublish(
    message: Message,
    qos: Qos,
    dup: boolean,
    retain: boolean,
    packetId: number,
    subscriptionIdentifiers: readonly number[] | undefined,
  ): boolean {
    const { publishWriter: writer } = this;
    if (writer === undefined) throw new Error('a PUBLISH before CONNACK');
    const { node, mount } = this.#client;
    const bytes = writer.write(
      this,
      mount === '' ? message : unmountedMessage(mount, message),
      qos,
      dup,
      retain,
      packetId,
      subscriptionIdentifiers,
      node.time,
    );
    if (bytes === 0) return false;
    node.counters.publishSent(qos, bytes);
    this.publishEnd = this.at;
    if (!this.#flushing) this.flushLater();
    return true;
  }

  sendPubrel(packetId: number): void {
    this.acknowledge('pubrel', packetId, ReasonCode.success);
  }

  acknowledge(type: Acknowledgement, packetId: number, reasonCode: number): void {
    const { ended, version, node } = this.#client;
    if (ended || version === 0) return;
    this.reserve(acknowledgementBytesMax);
    const before = this.at;
    if (type === 'puback') {
      this.at = writePuback(this.buffer, before, packetId, reasonCode, version);
      node.counters.pubackSent(this.at - before);
    } else {
      const write = writeAcknowledgement[type];
      this.at = write(this.buffer, before, packetId, reasonCode, version);
      node.counters.sent(type, this.at - before);
    }
    if (!this.#flushing) this.flushLater();
  }

  /** Writes a packet of a size that the client takes. */
  sendPacket(type: ColdPacket, bytes: Uint8Array): void {
    this.append(bytes);
    this.#client.node.counters.sent(type, bytes.length);
    this.flushLater();
  }

  ping(): void {
    this.#pings ??= new PendingPings(() => this.flushLater());
    this.#pings.add();
    this.flushLater();
  }

  #answerPings(): void {
    for (let left = this.#pings?.take() ?? 0; left > 0 && !this.#client.ended; left--) {
      this.reserve(pingrespBytes);
      this.at = writePingresp(this.buffer, this.at);
      this.#client.node.counters.sent('pingresp', pingrespBytes);
    }
  }

  // When bytes leave

  flushLater(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#client.node.turn.output(this);
  }

  flush(): void {
    this.#flushing = false;
    const { node, session, inbound } = this.#client;
    if (node.leaseGate.frozen && session !== undefined && this.#isHeldBack()) return;
    if (this.#pings !== undefined && this.#pings.due(inbound.unanswered)) this.#answerPings();
    const wasFull = this.full;
    if (this.publishEnd > 0) this.#deliveryBytes = this.waitingBytes - (this.at - this.publishEnd);
    node.counters.bytesSent += this.writeOut(this.#client.ended);
    if (this.waitingBytes === 0) {
      this.#deliveryBytes = 0;
      // Bytes that the kernel took at once cause no drain event later.
      if (wasFull) session?.wake();
    }
    this.#client.resumeReading();
    if (this.#closeWhenFlushed) this.#client.stream.end();
  }

  /** The stream has taken all that it was handed. */
  drained(): void {
    if (this.gatheredBytes > 0) this.flushLater();
  }

  /** Without a lease nothing leaves but the farewell of a connection that has ended. */
  #isHeldBack(): boolean {
    const client = this.#client;
    if (client.ended) {
      this.dropBefore(this.farewellAt);
      this.farewellAt = 0;
      return false;
    }
    client.node.leaseGate.hold(this);
    if (this.full) client.pauseReading();
    return true;
  }

  thaw(): void {
    const client = this.#client;
    if (client.ended) return;
    this.flushLater();
    client.resumeReading();
  }

  /** Whether as many bytes as may wait do so, for the turn, the stream or the lease. */
  get full(): boolean {
    return this.gatheredBytes >= this.#waitingBytesMax;
  }

  /**
   * The client takes its answers so slowly that it is not read for now. Deliveries alone never
   * come so far: a slow subscriber goes on to be read.
   */
  get crowded(): boolean {
    const bytesMax = this.#waitingBytesMax;
    if (this.#pings === undefined && this.waitsBelow(bytesMax)) return false;
    return this.#owedBytes >= Math.max(bytesMax, this.#deliveryBytes + bytesMax / 4);
  }

  /** Whether the client took so many answers that it may be read again. */
  get roomy(): boolean {
    const bytesMax = this.#waitingBytesMax;
    return this.#owedBytes < Math.max(bytesMax / 2, this.#deliveryBytes + bytesMax / 8);
  }

  get #owedBytes(): number {
    return this.waitingBytes + (this.#pings?.waiting ?? 0) * pingrespBytes;
  }

  // The end

  /** The packets that are written from here on are the last. */
  beginFarewell(): void {
    this.farewellAt = this.at;
  }

  /** Drops the packets that wait: they are no longer this node's to send. */
  drop(): void {
    this.dropBefore(this.at);
  }

  /** Nothing follows; what was written leaves. */
  end(): void {
    this.#pings?.cancel();
  }

  closeStream(): void {
    this.#closeWhenFlushed = true;
    this.flushLater();
  }

  /** As `closeStreamAfter`, with a last packet. Resolves when it is on its way. */
  leaveAfter(
    stored: Promise<void>,
    last: () => Uint8Array | undefined,
    storeMs: number = closeWaitMs,
  ): Promise<void> {
    return new Promise((resolve) => {
      const leave = (): void => {
        if (this.#closeWhenFlushed) return;
        clearTimeout(timer);
        this.beginFarewell();
        const bytes = last();
        if (bytes !== undefined) this.sendPacket('disconnect', bytes);
        this.closeStream();
        resolve();
      };
      const timer = setTimeout(leave, storeMs);
      stored.then(leave, leave);
    });
  }

  /**
   * A client may take the close for "my session is stored"; it does not wait long for a slow store.
   */
  closeStreamAfter(stored: Promise<void>): void {
    const close = (): void => {
      clearTimeout(timer);
      if (!this.#closeWhenFlushed) this.closeStream();
    };
    const timer = setTimeout(close, closeWaitMs);
    stored.then(close, close);
  }
}
