import type { ByteStream } from '../transport/transport.ts';

/**
 * The bytes that a connection sends, gathered in one buffer and handed over once a turn. While the
 * stream still has some of them, the rest gathers here: a client that does not read costs its bytes
 * and not a write for each turn. Buffers come from a pool and go back as soon as the kernel has
 * taken them; an idle connection holds none.
 */

const sizes = [512, 4 << 10, 16 << 10, 64 << 10, 256 << 10];
/** Maximum bytes of pooled buffers of each size. */
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

/**
 * Size of the pieces in which bytes are handed over, so that it shows whether a slow client takes
 * anything at all.
 */
const pieceBytes = 64 << 10;
/** The stream gets further pieces while it has less than this. */
const aheadBytes = 256 << 10;

export class Outbox {
  readonly #stream: ByteStream;
  buffer: Buffer = none;
  at = 0;
  /** Bytes of the buffer before this place were handed over. */
  #from = 0;
  /** The place in the buffer where the farewell begins, once the connection has ended. */
  protected farewellAt = 0;
  /** The end of the last PUBLISH in the buffer; 0: there is none. */
  protected publishEnd = 0;
  /** Bytes that were handed over since the connection began. */
  #handedOver = 0;
  /** A packet was handed over in part and its rest let go: nothing may follow it. */
  #torn = false;
  /**
   * Bytes that the stream still had when it was last asked. It takes them by itself, so that there
   * may be fewer by now.
   */
  #bufferedMost = 0;
  /**
   * The kernel took at once all that was handed over, so that the next bytes need no pieces. No
   * byte of the buffer was handed over then.
   */
  #quick = true;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /** Makes room; the caller writes at `at` of `buffer` and moves `at`. */
  reserve(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    const from = this.#from;
    const kept = this.at - from;
    const larger = take(Math.max(kept + bytes, kept * 2));
    if (kept > 0) this.buffer.copy(larger, 0, from, this.at);
    // The stream may still read bytes of the old buffer that it was handed.
    if (this.buffer !== none && (from === 0 || this.#bufferedBytes === 0)) {
      giveBack(this.buffer);
    }
    this.buffer = larger;
    this.at = kept;
    this.#from = 0;
    this.farewellAt = Math.max(0, this.farewellAt - from);
    this.publishEnd = Math.max(0, this.publishEnd - from);
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** Lets go of whole packets that were to leave: those before a place in the buffer. */
  dropBefore(at: number): void {
    if (this.#from > 0) {
      this.#torn = true;
      this.#quick = false;
      this.at = this.#from;
    } else {
      const dropped = Math.min(at, this.at);
      this.buffer.copyWithin(0, dropped, this.at);
      this.at -= dropped;
    }
    this.publishEnd = 0;
    if (this.at === this.#from) this.#emptied();
  }

  /** Bytes that the stream still has. */
  get #bufferedBytes(): number {
    if (this.#bufferedMost > 0) this.#bufferedMost = this.#stream.bufferedBytes;
    return this.#bufferedMost;
  }

  /** Bytes that the client has not taken. */
  get waitingBytes(): number {
    return this.at - this.#from + this.#bufferedBytes;
  }

  /** Whether fewer bytes than that wait for the client. */
  waitsBelow(bytesMax: number): boolean {
    return this.at - this.#from + this.#bufferedMost < bytesMax || this.waitingBytes < bytesMax;
  }

  /** Bytes that wait here for the turn, the lease or the stream. */
  get gatheredBytes(): number {
    return this.at - this.#from;
  }

  /** Bytes that the client's side of the kernel has taken since the connection began. */
  get takenBytes(): number {
    return this.#handedOver - this.#bufferedBytes;
  }

  /**
   * Hands bytes over to the stream: all that wait, or as many as it takes now. Answers their
   * number.
   */
  writeOut(all: boolean): number {
    const { buffer, at } = this;
    if (at === 0) return 0;
    if (!this.#quick || at > aheadBytes) return this.#writePieces(all);
    this.#handOver(buffer.subarray(0, at));
    this.#emptied();
    return at;
  }

  #writePieces(all: boolean): number {
    const { buffer, at } = this;
    const before = this.#handedOver;
    if (this.#torn) this.at = this.#from;
    while (this.#from < this.at) {
      const left = at - this.#from;
      const waiting = this.#bufferedBytes;
      if (!all && waiting > 0 && (left < pieceBytes || waiting >= aheadBytes)) break;
      const bytes = all ? left : Math.min(left, pieceBytes);
      this.#handOver(buffer.subarray(this.#from, this.#from + bytes));
      this.#from += bytes;
    }
    if (this.#from === this.at) this.#emptied();
    return this.#handedOver - before;
  }

  #handOver(bytes: Buffer): void {
    const stream = this.#stream;
    stream.write(bytes);
    this.#handedOver += bytes.length;
    this.#bufferedMost = stream.bufferedBytes;
    this.#quick = this.#bufferedMost === 0;
  }

  #emptied(): void {
    const { buffer } = this;
    this.at = 0;
    this.#from = 0;
    this.publishEnd = 0;
    if (buffer === none) return;
    this.buffer = none;
    if (this.#bufferedBytes === 0) giveBack(buffer);
  }
}
