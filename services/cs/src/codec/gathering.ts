// One packet that comes in pieces. Its buffer grows by doubling up to the packet's size, so a
// client that announces a large packet costs no more memory than it has sent, and no byte is copied
// more than a few times. The buffer is new for each packet, so whoever reads the packet may keep
// it, and not of the pool, of which a slow client would hold a whole slab.

const bytesMin = 64;

export class GatheredBytes {
  #buffer: Buffer;
  #filled: number;

  /**
   * Begins with the bytes from `start` to the chunk's end, of a packet of `packetBytes` (0: not
   * known).
   */
  constructor(chunk: Buffer, start: number, packetBytes: number) {
    this.#filled = chunk.length - start;
    this.#buffer = Buffer.allocUnsafeSlow(capacity(this.#filled, packetBytes));
    chunk.copy(this.#buffer, 0, start);
  }

  get bytes(): Buffer {
    return this.#buffer;
  }

  get filled(): number {
    return this.#filled;
  }

  /** Takes what the packet lacks, at most the chunk's rest; returns where the chunk goes on. */
  add(chunk: Buffer, at: number, packetBytes: number): number {
    const end = Math.min(chunk.length, at + packetBytes - this.#filled);
    const filled = this.#filled + end - at;
    if (filled > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(capacity(filled, packetBytes));
      this.#buffer.copy(larger, 0, 0, this.#filled);
      this.#buffer = larger;
    }
    chunk.copy(this.#buffer, this.#filled, at, end);
    this.#filled = filled;
    return end;
  }
}

function capacity(filled: number, packetBytes: number): number {
  const wanted = Math.max(2 * filled, bytesMin);
  return packetBytes > 0 ? Math.max(filled, Math.min(wanted, packetBytes)) : wanted;
}
