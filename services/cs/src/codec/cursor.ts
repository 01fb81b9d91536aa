import { malformed, protocolError } from './malformed-packet.ts';
import { decodeString } from './utf8.ts';

/** Reads the fields of one packet in their order; throws where the packet ends too early. */
export class ByteCursor {
  readonly buffer: Buffer;
  at: number;
  readonly end: number;

  constructor(buffer: Buffer, at: number, end: number) {
    this.buffer = buffer;
    this.at = at;
    this.end = end;
  }

  get left(): number {
    return this.end - this.at;
  }

  /** Passes over so many bytes and gives where they begin. */
  take(byteCount: number, what: string): number {
    const start = this.at;
    if (byteCount > this.end - start) malformed(`${what}: packet too short`);
    this.at = start + byteCount;
    return start;
  }

  byte(what: string): number {
    return this.buffer[this.take(1, what)]!;
  }

  u16(what: string): number {
    return this.buffer.readUInt16BE(this.take(2, what));
  }

  u32(what: string): number {
    return this.buffer.readUInt32BE(this.take(4, what));
  }

  /** Variable byte integer, section 1.5.5. */
  varint(what: string): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte(what);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        // [MQTT-1.5.5-1] the minimum number of bytes.
        if (byte === 0 && shift > 0) malformed(`${what}: longer than needed`);
        return value;
      }
    }
    return malformed(`${what}: more than four bytes`);
  }

  string(what: string): string {
    const length = this.u16(what);
    const start = this.take(length, what);
    return decodeString(this.buffer, start, start + length, what);
  }

  /** Binary data, section 1.5.6: a copy, so that it may be kept. */
  binary(what: string): Buffer {
    const length = this.u16(what);
    const start = this.take(length, what);
    return Buffer.from(this.buffer.subarray(start, start + length));
  }

  /** [MQTT-2.2.1-3] */
  packetIdentifier(): number {
    const packetId = this.u16('packet identifier');
    if (packetId === 0) protocolError('packet identifier: 0');
    return packetId;
  }

  /** Nothing may follow the last field. */
  done(): void {
    if (this.at !== this.end) malformed(`${this.end - this.at} bytes after the last field`);
  }
}
