import type { ByteStream } from '../transport/transport.ts';

/**
 * The bytes that a connection sends in this turn, gathered in one buffer and handed over with one
 * write. Buffers come from a pool and go back as soon as the kernel has taken them; an idle
 * connection holds none.
 */

const sizes = [512, 4 << 10, 16 << 10, 64 << 10, 256 << 10];
/** Of each size. */
const pooledBytesMax = 1 << 20;
const pools: Buffer[][] = sizes.map(() => []);

function take(bytes: number): Buffer {
  for (let index = 0; index < sizes.length; index++) {
    const size = sizes[index] ?? 0;
    if (size < bytes) continue;
    return pools[index]?.pop() ?? Buffer.allocUnsafeSlow(size);
  }
  return Buffer.allocUnsafeSlow(bytes);
}

function giveBack(buffer: Buffer): void {
  const pool = pools[sizes.indexOf(buffer.length)];
  if (pool !== undefined && pool.length * buffer.length < pooledBytesMax) pool.push(buffer);
}

const none: Buffer = Buffer.alloc(0);

export class Outbox {
  private readonly stream: ByteStream;
  buffer: Buffer = none;
  at = 0;

  constructor(stream: ByteStream) {
    this.stream = stream;
  }

  /** Makes room; the caller writes at `at` of `buffer` and moves `at`. */
  reserve(bytes: number): void {
    const needed = this.at + bytes;
    if (needed <= this.buffer.length) return;
    const larger = take(this.at === 0 ? bytes : Math.max(needed, this.buffer.length * 2));
    if (this.at > 0) this.buffer.copy(larger, 0, 0, this.at);
    if (this.buffer !== none) giveBack(this.buffer);
    this.buffer = larger;
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** Lets go of whole packets that were to leave: those before a place in the buffer. */
  dropBefore(at: number): void {
    const dropped = Math.min(at, this.at);
    this.buffer.copyWithin(0, dropped, this.at);
    this.at -= dropped;
    if (this.at > 0 || this.buffer === none) return;
    giveBack(this.buffer);
    this.buffer = none;
  }

  /** Bytes that the client has not taken. */
  get waitingBytes(): number {
    return this.at + this.stream.bufferedBytes;
  }

  /** One write for the whole turn. Answers the bytes written. */
  writeOut(): number {
    const { buffer, at } = this;
    if (at === 0) return 0;
    this.buffer = none;
    this.at = 0;
    this.stream.write(buffer.subarray(0, at));
    if (this.stream.bufferedBytes === 0) giveBack(buffer);
    return at;
  }
}
