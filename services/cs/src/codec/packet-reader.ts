import type { PacketSink } from '../packet/packet-sink.ts';
import { PacketType } from '../packet/packet-type.ts';
import type { ProtocolVersion } from '../packet/packet-type.ts';
import type { ReaderLimits } from '../packet/reader-limits.ts';
import { readPacketIdentifier, readReasonCode } from './acknowledgement-reader.ts';
import { readConnect, readProtocolVersion } from './connect-reader.ts';
import { ByteCursor } from './cursor.ts';
import { readAuth, readDisconnect } from './disconnect-reader.ts';
import { checkFirstByte } from './first-byte.ts';
import { GatheredBytes } from './gathering.ts';
import { malformed, MalformedPacket, protocolError, tooLarge } from './malformed-packet.ts';
import { PublishReader } from './publish-reader.ts';
import { readSubscribe, readUnsubscribe } from './subscribe-reader.ts';

// Bytes of one client to packets, section 2.1:
//
//     type (4 bits), flags (4 bits) | remaining length, a variable byte integer | the rest
//
// Packets may begin and end anywhere in a chunk. One that is whole in its chunk is read where it
// is; one that is not is gathered. Nothing of what was read is wrong by itself: the first byte that
// is ends the reading for good. At most `packetBytesMax` bytes are held, besides what is fed while
// the reader is stopped.

/** The protocol name MQIsdp with its length, and the level. */
const versionBytesMax = 9;

const noBytes: Buffer = Buffer.alloc(0);

export class PacketReader {
  #limits: ReaderLimits;
  readonly #publishes = new PublishReader();
  /** The packet that is not whole yet. */
  #gathering: GatheredBytes | undefined;
  /** Bytes that are to be read when the reader goes on. */
  #waiting: Buffer[] | undefined;
  #version: ProtocolVersion | 0 = 0;
  #protocolLevel = 0;
  #stopped = false;
  #reading = false;
  #ended = false;
  /** Bytes of the header that was read last; 0: it is not whole. */
  #headerBytes = 0;
  #packetBytes = 0;

  constructor(limits: ReaderLimits) {
    this.#limits = limits;
  }

  /** Changes the limits from the next packet on; limits that are not given stay. */
  limit(limits: Partial<ReaderLimits>): void {
    this.#limits = { ...this.#limits, ...limits };
  }

  /** Known from the CONNECT's protocol level on, even where the rest of it is malformed; 0 before. */
  get version(): ProtocolVersion | 0 {
    return this.#version;
  }

  /** As the CONNECT has it, supported or not; 0 before. */
  get protocolLevel(): number {
    return this.#protocolLevel;
  }

  /** Bytes of the packet that the sink is called with, its fixed header included. */
  get packetBytes(): number {
    return this.#packetBytes;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Bytes that were fed and not read because the reader is stopped. */
  get waitingBytes(): number {
    return this.#waiting?.reduce((bytes, chunk) => bytes + chunk.length, 0) ?? 0;
  }

  /** Reads what is whole. The chunk must not be changed afterwards. */
  feed(chunk: Buffer, sink: PacketSink): void {
    if (this.#ended) return;
    if (this.#stopped || this.#reading) {
      (this.#waiting ??= []).push(chunk);
      return;
    }
    this.#run(chunk, sink);
  }

  /** No packet is handed over until `resume`; may be called from within the sink. */
  stop(): void {
    this.#stopped = true;
  }

  /** Reads what was kept; may be called from within the sink, and then goes on after it returns. */
  resume(sink: PacketSink): void {
    this.#stopped = false;
    if (!this.#reading && !this.#ended) this.#run(noBytes, sink);
  }

  /** Nothing is read any more, and nothing is held. */
  end(): void {
    this.#ended = true;
    this.#gathering = undefined;
    this.#waiting = undefined;
  }

  #run(chunk: Buffer, sink: PacketSink): void {
    this.#reading = true;
    try {
      this.#read(chunk, sink);
      while (this.#waiting !== undefined && !this.#stopped) {
        const chunks: Buffer[] = this.#waiting;
        this.#waiting = undefined;
        for (const next of chunks) {
          if (this.#stopped) (this.#waiting ??= []).push(next);
          else this.#read(next, sink);
        }
      }
    } catch (error) {
      if (!(error instanceof MalformedPacket)) throw error;
      this.end();
      sink.malformed(error.reasonCode, error.message, error.limit);
    } finally {
      this.#reading = false;
    }
  }

  #read(chunk: Buffer, sink: PacketSink): void {
    let at = this.#gathering === undefined ? 0 : this.#gather(chunk, sink);
    const end = chunk.length;
    while (at < end) {
      if (this.#stopped || this.#ended) {
        if (!this.#ended) (this.#waiting ??= []).unshift(chunk.subarray(at));
        return;
      }
      this.#header(chunk, at, end);
      const packetBytes = this.#packetBytes;
      if (packetBytes === 0 || packetBytes > end - at) {
        this.#gathering = new GatheredBytes(chunk, at, packetBytes);
        return;
      }
      this.#packet(chunk, chunk[at]!, at + this.#headerBytes, at + packetBytes, sink);
      at += packetBytes;
    }
  }

  /** Completes the packet that was begun; returns where the chunk goes on. */
  #gather(chunk: Buffer, sink: PacketSink): number {
    const gathering = this.#gathering!;
    let at = 0;
    while (this.#packetBytes === 0) {
      if (at === chunk.length) return at;
      at = gathering.add(chunk, at, gathering.filled + 1);
      this.#header(gathering.bytes, 0, gathering.filled);
    }
    at = gathering.add(chunk, at, this.#packetBytes);
    if (gathering.filled < this.#packetBytes) return at;
    this.#gathering = undefined;
    const { bytes } = gathering;
    this.#packet(bytes, bytes[0]!, this.#headerBytes, this.#packetBytes, sink);
    return at;
  }

  /** Reads the fixed header, as far as it is there. */
  #header(buffer: Buffer, start: number, end: number): void {
    this.#packetBytes = 0;
    const first = buffer[start]!;
    const isPublish = first >> 4 === PacketType.publish;
    if (!isPublish || this.#version === 0) checkFirstByte(first, this.#version);
    let remaining = 0;
    let at = start + 1;
    for (let shift = 0; ; shift += 7) {
      if (shift === 28) malformed('remaining length: more than four bytes');
      if (at === end) return;
      const byte = buffer[at]!;
      at += 1;
      remaining |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        break;
      }
    }
    this.#headerBytes = at - start;
    const packetBytes = this.#headerBytes + remaining;
    if (packetBytes > this.#limits.packetBytesMax && first >> 4 !== PacketType.connect) {
      tooLarge('MAX_PACKET_SIZE', packetBytes);
    }
    if (!isPublish) this.#checkSize(first >> 4, packetBytes, buffer, at, end);
    this.#packetBytes = packetBytes;
    if (this.#headerBytes > 2 && this.#version === 5) this.#checkHeaderBytes();
  }

  /**
   * The size against the limits of the packet's type. The version of a CONNECT that is too large is
   * read where that has come, because 5.0 is told why.
   */
  #checkSize(type: number, packetBytes: number, buffer: Buffer, at: number, end: number): void {
    const { packetBytesMax, connectBytesMax, subscribeBytesMax } = this.#limits;
    if (type === PacketType.subscribe || type === PacketType.unsubscribe) {
      const bytesMax = subscribeBytesMax ?? packetBytesMax;
      if (packetBytes > bytesMax) tooLarge('MAX_SUBSCRIBE_SIZE', packetBytes);
      return;
    }
    const isOver = packetBytes > packetBytesMax;
    if (!isOver && packetBytes <= (connectBytesMax ?? packetBytesMax)) return;
    if (type === PacketType.connect && end - at >= versionBytesMax) {
      this.#readVersion(new ByteCursor(buffer, at, end));
    }
    tooLarge(isOver ? 'MAX_PACKET_SIZE' : 'MAX_CONNECT_SIZE', packetBytes);
  }

  #readVersion(cursor: ByteCursor): ProtocolVersion {
    this.#version = readProtocolVersion(cursor, (level) => {
      this.#protocolLevel = level;
    });
    return this.#version;
  }

  /** [MQTT-1.5.5-1] the remaining length in as few bytes as possible; 3.1.1 does not demand it. */
  #checkHeaderBytes(): void {
    const headerBytes = this.#headerBytes;
    const remaining = this.#packetBytes - headerBytes;
    if (headerBytes > 2 && remaining < 1 << (7 * (headerBytes - 2))) {
      malformed('remaining length: longer than needed');
    }
  }

  #packet(buffer: Buffer, first: number, start: number, end: number, sink: PacketSink): void {
    const version = this.#version;
    const type = first >> 4;
    switch (type) {
      case PacketType.publish:
        sink.publish(this.#publishes.read(buffer, first, start, end, version));
        return;
      case PacketType.puback: {
        const packetId = readPacketIdentifier(buffer, start, end);
        sink.puback(packetId, readReasonCode(type, buffer, start + 2, end, version));
        return;
      }
      case PacketType.pubrec: {
        const packetId = readPacketIdentifier(buffer, start, end);
        sink.pubrec(packetId, readReasonCode(type, buffer, start + 2, end, version));
        return;
      }
      case PacketType.pubrel: {
        const packetId = readPacketIdentifier(buffer, start, end);
        sink.pubrel(packetId, readReasonCode(type, buffer, start + 2, end, version));
        return;
      }
      case PacketType.pubcomp: {
        const packetId = readPacketIdentifier(buffer, start, end);
        sink.pubcomp(packetId, readReasonCode(type, buffer, start + 2, end, version));
        return;
      }
      default:
        this.#coldPacket(type, new ByteCursor(buffer, start, end), sink);
    }
  }

  get #filtersMax(): number {
    return this.#limits.filtersMax ?? Number.POSITIVE_INFINITY;
  }

  #coldPacket(type: number, cursor: ByteCursor, sink: PacketSink): void {
    const version = this.#version;
    switch (type) {
      case PacketType.connect: {
        const connectVersion = this.#readVersion(cursor);
        if (connectVersion === 5) this.#checkHeaderBytes();
        sink.connect(readConnect(cursor, connectVersion, this.#protocolLevel));
        return;
      }
      case PacketType.subscribe:
        sink.subscribe(readSubscribe(cursor, version, this.#filtersMax));
        return;
      case PacketType.unsubscribe:
        sink.unsubscribe(readUnsubscribe(cursor, version, this.#filtersMax));
        return;
      case PacketType.pingreq:
        cursor.done();
        sink.pingreq();
        return;
      case PacketType.disconnect:
        sink.disconnect(readDisconnect(cursor, version));
        return;
      case PacketType.auth:
        sink.auth(readAuth(cursor, version));
        return;
      default:
        protocolError(`packet type ${type} from a client`);
    }
  }
}
