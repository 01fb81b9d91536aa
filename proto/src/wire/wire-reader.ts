import { WireError } from './wire-error.ts';

/** How a field is written. */
const WireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/**
 * Reads protobuf in place. `limit` is the end of the message being read: nothing past it is
 * touched, whatever the lengths inside it say. Numbers past 2^53 are no numbers of ours.
 */
export class WireReader {
  buffer: Buffer;
  at: number;
  limit: number;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
    this.at = 0;
    this.limit = buffer.length;
  }

  varint(): number {
    const { buffer, limit } = this;
    let { at } = this;
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 8; count++) {
      if (at >= limit) throw new WireError('a number is cut off');
      const byte = buffer[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) throw new WireError('a number is too large');
        this.at = at;
        return value;
      }
      scale *= 0x80;
    }
    throw new WireError('a number is too long');
  }

  uint32(): number {
    const value = this.varint();
    if (value > 0xffff_ffff) throw new WireError('a number is too large');
    return value;
  }

  fixed64(): number {
    const { buffer, at } = this;
    if (at + 8 > this.limit) throw new WireError('a number is cut off');
    this.at = at + 8;
    const value = buffer.readUInt32LE(at) + buffer.readUInt32LE(at + 4) * 0x1_0000_0000;
    if (value > Number.MAX_SAFE_INTEGER) throw new WireError('a number is too large');
    return value;
  }

  double(): number {
    if (this.at + 8 > this.limit) throw new WireError('a number is cut off');
    this.at += 8;
    return this.buffer.readDoubleLE(this.at - 8);
  }

  /** The end of the field whose length is next; it begins at `at`. */
  end(): number {
    const end = this.varint() + this.at;
    if (end > this.limit) throw new WireError('a field is longer than its message');
    return end;
  }

  /** A view. */
  bytes(): Buffer {
    const end = this.end();
    const bytes = this.buffer.subarray(this.at, end);
    this.at = end;
    return bytes;
  }

  text(): string {
    const end = this.end();
    const text = this.buffer.toString('utf8', this.at, end);
    this.at = end;
    return text;
  }

  /** Reads what lies before `end` as a message; answers the limit to give back to `leave`. */
  enter(end: number): number {
    const { limit } = this;
    this.limit = end;
    return limit;
  }

  leave(limit: number): void {
    this.at = this.limit;
    this.limit = limit;
  }

  /** Passes over a field that this version does not know. */
  skip(tag: number): void {
    switch (tag & 7) {
      case WireType.varint:
        this.varint();
        break;
      case WireType.fixed64:
        this.at += 8;
        break;
      case WireType.bytes:
        this.at = this.end();
        break;
      case WireType.fixed32:
        this.at += 4;
        break;
      default:
        throw new WireError('a field of no known kind');
    }
    if (this.at > this.limit) throw new WireError('a field is cut off');
  }
}
