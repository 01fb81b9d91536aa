import { blockHeaderBytes, recordHeaderBytes } from './block.ts';
import type { CommitCallback } from './journal.ts';

/** Records that are written together, in `buffer[start … start + bytes)`, header included. */
export interface Gathered {
  readonly buffer: Buffer;
  readonly start: number;
  readonly bytes: number;
  /** 0: there is nothing to write, but the callbacks wait for their turn. */
  readonly records: number;
  readonly callbacks: CommitCallback[];
}

const chunkBytes = 1 << 20;

/**
 * Records that gather until they are written. Blocks lie one after the other in a large buffer, so
 * that there is no allocation for a record or a block, and a buffer is never used twice: messages
 * in memory keep pointing into it. A block that does not fit moves to the next buffer (its old
 * bytes stay as they were).
 */
export class PendingRecords {
  buffer: Buffer = Buffer.allocUnsafeSlow(chunkBytes);
  blockStart = 0;
  records = 0;
  callbacks: CommitCallback[] = [];
  #at = blockHeaderBytes;

  /** Bytes of the open block. */
  get bytes(): number {
    return this.records === 0 ? 0 : this.#at - this.blockStart;
  }

  reserve(type: number, bodyBytes: number): number {
    const needed = recordHeaderBytes + bodyBytes;
    if (this.#at + needed > this.buffer.length) this.#grow(needed);
    const { buffer } = this;
    const at = this.#at;
    buffer[at] = bodyBytes;
    buffer[at + 1] = bodyBytes >>> 8;
    buffer[at + 2] = bodyBytes >>> 16;
    buffer[at + 3] = bodyBytes >>> 24;
    buffer[at + 4] = type;
    this.#at = at + needed;
    this.records++;
    return at + recordHeaderBytes;
  }

  /** Closes the open block and begins the next. */
  take(): Gathered {
    const gathered = {
      buffer: this.buffer,
      start: this.blockStart,
      bytes: this.bytes,
      records: this.records,
      callbacks: this.callbacks,
    };
    if (this.records > 0) this.blockStart = this.#at;
    this.#at = this.blockStart + blockHeaderBytes;
    this.records = 0;
    this.callbacks = [];
    return gathered;
  }

  #grow(needed: number): void {
    const used = this.#at - this.blockStart;
    const buffer = Buffer.allocUnsafeSlow(Math.max(chunkBytes, Math.ceil((used + needed) * 1.5)));
    if (this.records > 0) this.buffer.copy(buffer, 0, this.blockStart, this.#at);
    this.buffer = buffer;
    this.blockStart = 0;
    this.#at = used;
  }
}
