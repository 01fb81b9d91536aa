import { beginFrame, headerBytes, itemsTag } from './frame.ts';
import { WireWriter } from './wire-writer.ts';

/**
 * Maximum count of entries of a frame (items, and messages of one item): tiny ones take long to be
 * handled for their bytes, and whoever receives a frame handles all of it in one turn.
 */
export const frameEntriesMax = 512;
/** Bytes before an item: two tags of at most two bytes, two padded lengths. */
const itemHeadBytes = 16;

/**
 * Frames of one channel that have not left: complete ones, oldest first, and the one that is being
 * written. Part of the oldest may have left.
 */
export class FrameQueue {
  readonly writer: WireWriter = new WireWriter();
  /** A frame is being written, and has items. */
  #writing = false;
  /** Complete frames that have not been sent. */
  #ready: Buffer[] = [];
  /** Counts of their entries. */
  #readyEntries: number[] = [];
  #readyBytes = 0;
  /** Entries of the frame that is being written. */
  #entries = 0;
  /** How much of the oldest frame's items has left. */
  #cutAt = 0;
  #itemOpened = 0;
  #fieldOpened = 0;
  #takenCount = 0;

  /** Bytes that have not left. */
  get bytes(): number {
    return this.#readyBytes - this.#cutAt + (this.#writing ? this.writer.length : 0);
  }

  /** Bytes that wait, without those of a frame that has left in part. */
  get bytesBehindCut(): number {
    return this.#cutAt === 0 ? this.bytes : this.bytes - (this.#ready[0]!.length - this.#cutAt);
  }

  get isEmpty(): boolean {
    return !this.#writing && this.#ready.length === 0;
  }

  /** The next part goes on with a frame that has left in part. */
  get isCut(): boolean {
    return this.#cutAt > 0;
  }

  /** Frames that have left whole, since the beginning. */
  get taken(): number {
    return this.#takenCount;
  }

  /** Count of frames that must have left before everything written so far has left. */
  get written(): number {
    return this.#takenCount + this.#ready.length + (this.#writing ? 1 : 0);
  }

  /** Bytes of the frame that is being written; 0: there is none. */
  get openBytes(): number {
    return this.#writing ? this.writer.length : 0;
  }

  /** The frame that is being written takes no further entry, however few bytes it has. */
  get hasAllEntries(): boolean {
    return this.#writing && this.#entries >= frameEntriesMax;
  }

  /** The oldest frame has as many entries as it may have. */
  get nextHasAllEntries(): boolean {
    return (this.#readyEntries[0] ?? this.#entries) >= frameEntriesMax;
  }

  /** Bytes of the oldest frame. */
  get nextBytes(): number {
    return this.#ready[0]?.length ?? this.openBytes;
  }

  /** Begins an item: its field in `Item`. */
  open(field: number): WireWriter {
    const { writer } = this;
    if (!this.#writing) {
      beginFrame(writer);
      this.#writing = true;
    }
    this.#entries += 1;
    writer.reserve(itemHeadBytes);
    this.#itemOpened = writer.open(itemsTag);
    const tag = (field << 3) | 2;
    if (tag > 0x7f) {
      writer.buffer[writer.at++] = (tag & 0x7f) | 0x80;
      this.#fieldOpened = writer.open(tag >>> 7);
    } else {
      this.#fieldOpened = writer.open(tag);
    }
    return writer;
  }

  /** One more entry of the item that is being written: the item itself counts as its first. */
  countEntry(): void {
    this.#entries += 1;
  }

  close(frameBytesMax: number): void {
    const { writer } = this;
    writer.close(this.#fieldOpened);
    writer.close(this.#itemOpened);
    if (writer.length >= frameBytesMax || this.hasAllEntries) this.endFrame();
  }

  /** Ends the frame that is being written; the next item begins another one. */
  endFrame(): void {
    if (!this.#writing) return;
    const frame = this.writer.take();
    this.#writing = false;
    this.#ready.push(frame);
    this.#readyEntries.push(this.#entries);
    this.#entries = 0;
    this.#readyBytes += frame.length;
  }

  /** The oldest frame, whole; undefined: there is none. */
  head(): Buffer | undefined {
    if (this.#ready.length === 0) this.endFrame();
    return this.#ready[0];
  }

  /** The oldest frame leaves whole, or its rest does. */
  take(): void {
    const frame = this.#ready.shift()!;
    this.#readyEntries.shift();
    this.#readyBytes -= frame.length;
    this.#cutAt = 0;
    this.#takenCount += 1;
  }

  /** Takes at most `bytes` of the oldest frame's items. The last ones remove the frame. */
  takePart(bytesMax: number): Buffer {
    const frame = this.#ready[0]!;
    const from = headerBytes + this.#cutAt;
    const end = Math.min(frame.length, from + bytesMax);
    const part = frame.subarray(from, end);
    if (end === frame.length) this.take();
    else this.#cutAt += part.length;
    return part;
  }

  /** Forgets all that has not left: it counts as gone. */
  clear(): void {
    this.#takenCount += this.#ready.length + (this.#writing ? 1 : 0);
    if (this.#writing) this.writer.drop();
    this.#writing = false;
    this.#ready = [];
    this.#readyEntries = [];
    this.#entries = 0;
    this.#readyBytes = 0;
    this.#cutAt = 0;
  }
}
