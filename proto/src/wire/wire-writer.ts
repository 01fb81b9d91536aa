const slabBytes = 256 << 10;
const largeBytes = 8 << 20;
/** A frame begins in a new slab where the old one has less. */
const slabBytesLeftMin = 4 << 10;
const none: Buffer = Buffer.alloc(0);

/** Bytes of a length that is written before it is known: a varint padded to five bytes. */
export const paddedLengthBytes = 5;

/**
 * The bytes of one protobuf message after another, at the end of a buffer that grows. Whoever
 * writes reserves first; the methods that write check nothing. Buffers are cut from slabs, so that
 * a small frame costs no allocation of its own.
 */
export class WireWriter {
  buffer: Buffer = none;
  /** Position of the next byte. */
  at = 0;
  #slab: Buffer = none;
  #slabAt = 0;

  /** Begins a new message; what was written before stays as it is. */
  begin(): void {
    if (this.#slab.length - this.#slabAt < slabBytesLeftMin) this.#newSlab(slabBytes);
    this.buffer = this.#slab;
    this.at = this.#slabAt;
  }

  /** Start of the message in `buffer`. */
  get start(): number {
    return this.#slabAt;
  }

  get length(): number {
    return this.at - this.#slabAt;
  }

  /** Ends the message: its bytes, never written again. */
  take(): Buffer {
    const bytes = this.buffer.subarray(this.#slabAt, this.at);
    this.#slabAt = this.at;
    return bytes;
  }

  /** Takes the begun message back. */
  drop(): void {
    this.at = this.#slabAt;
  }

  /** Makes room. `buffer` and `at` may be others afterwards. */
  reserve(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    const written = this.buffer.subarray(this.#slabAt, this.at);
    const wanted = written.length + bytes;
    // An item much longer than a slab has nearly its whole length here, so little is added.
    this.#newSlab(wanted > largeBytes ? wanted + (wanted >>> 2) : Math.max(slabBytes, wanted * 2));
    written.copy(this.#slab, 0);
    this.buffer = this.#slab;
    this.at = written.length;
  }

  #newSlab(bytes: number): void {
    this.#slab = Buffer.allocUnsafeSlow(bytes);
    this.#slabAt = 0;
  }

  /** 0 to 2^53 − 1: at most 8 bytes. */
  varint(value: number): void {
    const { buffer } = this;
    let { at } = this;
    let rest = value;
    while (rest > 0x7f_ffff_ff) {
      buffer[at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest > 0x7f) {
      buffer[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[at++] = rest;
    this.at = at;
  }

  /** A field of a number; left out where it is 0, as protobuf has it. */
  number(tag: number, value: number): void {
    if (value === 0) return;
    this.buffer[this.at++] = tag;
    this.varint(value);
  }

  flag(tag: number, value: boolean): void {
    if (!value) return;
    this.buffer[this.at++] = tag;
    this.buffer[this.at++] = 1;
  }

  fixed64(tag: number, value: number): void {
    const { buffer } = this;
    buffer[this.at] = tag;
    buffer.writeUInt32LE(value >>> 0, this.at + 1);
    buffer.writeUInt32LE(Math.floor(value / 0x1_0000_0000), this.at + 5);
    this.at += 9;
  }

  /** A field of bytes; reserves for itself. */
  bytes(tag: number, value: Uint8Array): void {
    this.reserve(value.length + 16);
    this.buffer[this.at++] = tag;
    this.varint(value.length);
    this.buffer.set(value, this.at);
    this.at += value.length;
  }

  /** A field of text, left out where it is empty; reserves for itself. */
  text(tag: number, value: string): void {
    if (value === '') return;
    this.writtenText(tag, value);
  }

  /** A field of text that is there even where it is empty. */
  writtenText(tag: number, value: string): void {
    const bytesMax = value.length * 3;
    this.reserve(bytesMax + 16);
    const { buffer } = this;
    buffer[this.at++] = tag;
    const bytes = bytesMax < 0x80 ? writeShort(buffer, this.at + 1, value) : -1;
    if (bytes >= 0) {
      buffer[this.at] = bytes;
      this.at += 1 + bytes;
      return;
    }
    const length = buffer.write(value, this.at + paddedLengthBytes, 'utf8');
    this.#paddedLength(this.at, length);
    this.at += paddedLengthBytes + length;
  }

  /** Opens a message within the message; answers what `close` wants. */
  open(tag: number): number {
    this.buffer[this.at] = tag;
    this.at += 1 + paddedLengthBytes;
    return this.at - this.#slabAt;
  }

  close(opened: number): void {
    const start = this.#slabAt + opened;
    this.#paddedLength(start - paddedLengthBytes, this.at - start);
  }

  #paddedLength(at: number, length: number): void {
    const { buffer } = this;
    buffer[at] = (length & 0x7f) | 0x80;
    buffer[at + 1] = ((length >>> 7) & 0x7f) | 0x80;
    buffer[at + 2] = ((length >>> 14) & 0x7f) | 0x80;
    buffer[at + 3] = ((length >>> 21) & 0x7f) | 0x80;
    buffer[at + 4] = length >>> 28;
  }
}

/** ASCII of usual length, without a native call; −1: it is something else, and nothing counts. */
function writeShort(buffer: Buffer, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return -1;
    buffer[at + index] = code;
  }
  return text.length;
}
