import {
  FrameHead,
  headerBytes,
  partFrame,
  pulseFrame,
  setAcknowledged,
  setSent,
  setSequence,
  takeItems,
} from './frame.ts';
import { FrameParts } from './frame-parts.ts';
import { FrameQueue } from './frame-queue.ts';
import type { Pulse } from './pulse.ts';
import { delayMsFor, SendWindow } from './send-window.ts';
import { WireError } from './wire-error.ts';
import { WireReader } from './wire-reader.ts';
import { WireWriter } from './wire-writer.ts';

/** How long an acknowledgement waits for a frame that takes it along. */
const acknowledgeMs = 5;
/** Bytes of bulk up to which control goes into the same frame, behind it. */
const mixedBytesMax = 64 << 10;
/** Bytes from which an item begins a frame, so that no earlier item waits for its end. */
const largeItemBytes = 64 << 10;
/** A frame that is longer than a part by no more than half of one is not cut. */
const uncutFactor = 1.5;
const leaseMsAtFirst = 3000;
const windowBytesUnlessTold = 8 << 20;
/** Minimum bytes that may wait on any link, and number of its windows that may. */
const roomBytesMin = 1 << 20;
const roomWindows = 4;

/**
 * How an item waits. `control` may leave before `bulk` that was written earlier; within a channel
 * items leave in their order.
 */
export type Channel = 'control' | 'bulk';

export interface ExchangeLimits {
  /** Frames that are sent ahead of their acknowledgement; full ones only count in bytes. */
  readonly windowFrames: number;
  /** Bytes that are sent ahead of their acknowledgement, whatever the link takes. */
  readonly windowBytesMax?: number;
  /** A frame that has so much takes no further item. */
  readonly frameBytesMax: number;
  /** Maximum bytes of a frame that comes in parts. */
  readonly receivedBytesMax?: number;
  /** How long a frame may wait for more now: nobody gets on sooner by what it says. */
  readonly gatherMs?: () => number;
}

/** A frame, or a part of one, that was sent and is not acknowledged. */
interface SentFrame {
  readonly frame: Buffer;
  /** Whether this is the last part of a frame, or a whole frame. */
  readonly ends: boolean;
  sentMs: number;
}

/** Receiver of the frames that arrive. */
export interface FrameTaker {
  pulse(pulse: Pulse): void;
  /** Reads the item: the field of `Item` that it is, up to `end`. */
  item(reader: WireReader, field: number, end: number): void;
}

/**
 * One end of a conversation that outlives its streams. Items go out in frames, each turn one, and
 * arrive at the other end once and in the order of their channel, whatever streams break, lose or
 * repeat meanwhile: frames are numbered, kept until they are acknowledged, and sent again over the
 * next stream.
 *
 * Invariants
 * - No more bytes than the window that is measured and one part are sent and not acknowledged, and
 *   at most `windowFrames` frames but for full ones. What is written beyond that gathers in larger
 *   frames, so a busy link sends few, and a narrow one has little in it that others wait behind.
 * - A frame that is large for the link leaves in parts, and control between them.
 * - A frame has at most `frameEntriesMax` messages, and calls and the like besides.
 * - Between `bind` and `resume` only pulses leave: how far the other end has come is not known. And
 *   only a welcome is taken: without it, what comes may belong to another conversation.
 * - An arrived frame is taken whole or, where it is one too many or came before, not at all.
 */
export class Exchange {
  readonly #limits: ExchangeLimits;
  readonly #taker: FrameTaker;
  readonly #control: FrameQueue = new FrameQueue();
  readonly #bulk: FrameQueue = new FrameQueue();
  /** The queue of the item that is being written. */
  #opened: FrameQueue = this.#bulk;
  /** Frames of bulk that leave before further control does: the last one holds control. */
  #mixedMark = 0;
  readonly #pulses: WireWriter = new WireWriter();
  readonly #window: SendWindow;
  #delayMs: number = delayMsFor(leaseMsAtFirst);
  #send: ((frame: Buffer) => void) | undefined = undefined;
  #resumed = false;
  /** Frames that are not acknowledged; the last one has the sequence `lastSent`. */
  #unacknowledged: SentFrame[] = [];
  /** Number of unacknowledged frames that went over this stream. */
  #sentHere = 0;
  #bytesUnderWay = 0;
  #framesUnderWay = 0;
  #lastSent = 0;
  #flushing = false;
  #lastReceived = 0;
  #lastAcknowledged = 0;
  readonly #controlParts: FrameParts;
  readonly #bulkParts: FrameParts;
  #timer: NodeJS.Timeout | undefined = undefined;
  readonly #flushNow: () => void;

  constructor(limits: ExchangeLimits, taker: FrameTaker) {
    this.#limits = limits;
    this.#taker = taker;
    this.#window = new SendWindow(limits.windowBytesMax ?? windowBytesUnlessTold);
    this.#controlParts = new FrameParts(limits.receivedBytesMax ?? Infinity);
    this.#bulkParts = new FrameParts(limits.receivedBytesMax ?? Infinity);
    this.#flushNow = () => {
      this.#flushing = false;
      this.#flush();
    };
  }

  /** The lease, of which bytes under way may wait for a small part. */
  set leaseMs(leaseMs: number) {
    this.#delayMs = delayMsFor(leaseMs);
  }

  /** A stream carries it. */
  get bound(): boolean {
    return this.#send !== undefined;
  }

  /** The last sequence that arrived in order. */
  get received(): number {
    return this.#lastReceived;
  }

  /** Bytes of items that no stream has taken yet. */
  get waitingBytes(): number {
    return this.#control.bytes + this.#bulk.bytes;
  }

  /**
   * Bytes that may be written in bulk before more waits than the link takes within some delays;
   * below 0: more does. A large frame that has begun to leave does not count.
   */
  get roomBytes(): number {
    const takes = Math.max(roomBytesMin, this.#window.bytes * roomWindows);
    return takes - this.#bulk.bytesBehindCut;
  }

  /** Bytes that may be under way, as the link was measured. */
  get windowBytes(): number {
    return this.#window.bytes;
  }

  /** Frames that are sent and not acknowledged. */
  get unacknowledgedFrames(): number {
    return this.#framesUnderWay;
  }

  /** Marks what has been written in bulk so far, for {@link hasLeft}. */
  get bulkMark(): number {
    return this.#bulk.written;
  }

  /** All that was written in bulk up to the mark has left, before all that is written now. */
  hasLeft(mark: number): boolean {
    return mark <= this.#bulk.taken;
  }

  /** A stream is there. */
  bind(send: (frame: Buffer) => void): void {
    this.#send = send;
    this.#resumed = false;
  }

  /** The other end has all up to `received`: the rest goes out again, then what is new. */
  resume(received: number): void {
    this.#acknowledge(received);
    this.#resumed = true;
    this.#lastAcknowledged = this.#lastReceived;
    this.#flush();
  }

  /** The stream is gone. */
  unbind(): void {
    this.#send = undefined;
    this.#resumed = false;
    this.#sentHere = 0;
    this.#bytesUnderWay = 0;
    this.#window.reset();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Begins anew with another end: what was not acknowledged is forgotten. */
  reset(): void {
    this.#resumed = false;
    this.#unacknowledged = [];
    this.#sentHere = 0;
    this.#bytesUnderWay = 0;
    this.#framesUnderWay = 0;
    this.#control.clear();
    this.#bulk.clear();
    this.#controlParts.clear();
    this.#bulkParts.clear();
    this.#lastSent = 0;
    this.#lastReceived = 0;
    this.#lastAcknowledged = 0;
  }

  // Writing

  /** Whether a batch goes on in another item, and so in another frame. */
  fullFor(bytes: number): boolean {
    const opened = this.#opened;
    if (opened.hasAllEntries || bytes >= largeItemBytes) return true;
    return opened.openBytes >= this.#frameBytesMax;
  }

  /** A further message, or the like, is written into the open item. */
  countEntry(): void {
    this.#opened.countEntry();
  }

  /** On a narrow link frames are small: what is in one is taken when all of it has come. */
  get #frameBytesMax(): number {
    return Math.min(this.#limits.frameBytesMax, this.#window.partBytes);
  }

  /** Before a large item of bulk: ends the frame, so that earlier items do not wait for it. */
  beginLarge(bytes: number): void {
    if (bytes >= largeItemBytes) this.#bulk.endFrame();
  }

  /** Begins an item: its field in `Item`. `close` ends it; the writer is good until then. */
  open(field: number, channel: Channel = 'bulk'): WireWriter {
    const control = this.#control;
    const bulk = this.#bulk;
    const apart = channel === 'control' && !(control.isEmpty && bulk.bytes < mixedBytesMax);
    this.#opened = apart ? control : bulk;
    const writer = this.#opened.open(field);
    if (channel === 'control' && !apart) this.#mixedMark = bulk.written;
    return writer;
  }

  close(): void {
    this.#opened.close(this.#frameBytesMax);
    if (this.#flushing) return;
    this.#flushing = true;
    const waitMs = this.#limits.gatherMs?.() ?? 0;
    if (waitMs > 0) setTimeout(this.#flushNow, waitMs);
    else process.nextTick(this.#flushNow);
  }

  /** Sends the items that gather now, for nothing comes after them. */
  hurry(): void {
    if (this.#flushing) this.#flush();
  }

  /** Leaves at once; where there is no stream, not at all. */
  pulse(pulse: Pulse): void {
    if (this.#send === undefined) return;
    const frame = pulseFrame(this.#pulses, pulse);
    setAcknowledged(frame, this.#lastReceived);
    if (this.#resumed) {
      setSent(frame, this.#lastSentHere);
      this.#acknowledgementLeft();
    }
    this.#send(frame);
  }

  /**
   * Sequence of the last frame that went over this stream, so that the other end misses no later
   * one.
   */
  get #lastSentHere(): number {
    return this.#lastSent - (this.#unacknowledged.length - this.#sentHere);
  }

  #flush(): void {
    if (!this.#resumed) return;
    const nowMs = performance.now();
    if (this.#bytesUnderWay === 0) this.#window.begin(nowMs);
    while (this.#bytesUnderWay < this.#window.bytes) {
      if (this.#sentHere < this.#unacknowledged.length) {
        this.#sendAgain(this.#unacknowledged[this.#sentHere]!, nowMs);
        continue;
      }
      const overtakes = !this.#control.isEmpty && this.hasLeft(this.#mixedMark);
      const queue = overtakes ? this.#control : this.#bulk;
      if (this.#framesUnderWay >= this.#limits.windowFrames && !this.#isFull(queue)) break;
      const frame = queue.head();
      if (frame === undefined) break;
      this.#sendNext(queue, frame, nowMs);
    }
    this.#acknowledgeSoon();
  }

  /** Whether the queue has enough that gathering more would gain nothing. */
  #isFull(queue: FrameQueue): boolean {
    if (queue.isCut || queue.nextHasAllEntries) return true;
    return queue.nextBytes >= this.#window.partBytes;
  }

  #sendNext(queue: FrameQueue, frame: Buffer, nowMs: number): void {
    const { partBytes } = this.#window;
    if (!queue.isCut) this.#framesUnderWay += 1;
    if (!queue.isCut && frame.length <= partBytes * uncutFactor) {
      queue.take();
      this.#sendFrame(frame, true, nowMs);
      return;
    }
    const total = queue.isCut ? 0 : frame.length - headerBytes;
    const part = queue.takePart(partBytes);
    const sent = partFrame(this.#pulses, queue === this.#control, total, part);
    this.#sendFrame(sent, !queue.isCut, nowMs);
  }

  #sendFrame(frame: Buffer, ends: boolean, sentMs: number): void {
    this.#lastSent += 1;
    setSequence(frame, this.#lastSent);
    const sent = { frame, ends, sentMs };
    this.#unacknowledged.push(sent);
    this.#sendAgain(sent, sentMs);
  }

  #sendAgain(sent: SentFrame, nowMs: number): void {
    const { frame } = sent;
    sent.sentMs = nowMs;
    this.#sentHere += 1;
    this.#bytesUnderWay += frame.length;
    setAcknowledged(frame, this.#lastReceived);
    this.#acknowledgementLeft();
    this.#send?.(frame);
  }

  // Acknowledging

  #acknowledge(sequence: number): void {
    if (sequence > this.#lastSent) throw new WireError('an acknowledgement of what was not sent');
    const count = this.#unacknowledged.length - (this.#lastSent - sequence);
    if (count <= 0) return;
    const bytesUnderWay = this.#bytesUnderWay;
    let bytes = 0;
    let sentMs = 0;
    for (let index = 0; index < count; index++) {
      const sent = this.#unacknowledged[index]!;
      if (sent.ends) this.#framesUnderWay -= 1;
      if (index >= this.#sentHere) continue;
      bytes += sent.frame.length;
      ({ sentMs } = sent);
    }
    this.#unacknowledged = this.#unacknowledged.slice(count);
    this.#sentHere = Math.max(0, this.#sentHere - count);
    this.#bytesUnderWay -= bytes;
    if (bytes === 0) return;
    this.#window.acknowledged(bytes, bytesUnderWay, sentMs, performance.now(), this.#delayMs);
  }

  /** Half a window of frames is worth a frame of its own; fewer wait for one to take them along. */
  #acknowledgeSoon(): void {
    const due = this.#lastReceived - this.#lastAcknowledged;
    if (due === 0 || !this.#resumed) return;
    if (due * 2 >= this.#limits.windowFrames) this.pulse({});
    else this.#timer ??= setTimeout(() => this.#acknowledgeLate(), acknowledgeMs);
  }

  #acknowledgeLate(): void {
    this.#timer = undefined;
    if (this.#resumed && this.#lastReceived > this.#lastAcknowledged) this.pulse({});
  }

  #acknowledgementLeft(): void {
    this.#lastAcknowledged = this.#lastReceived;
  }

  // Reading

  /**
   * Takes a frame. False: one before it is missing, and the stream is to be broken, so that it is
   * sent again. Throws {@link WireError} where it is no frame.
   */
  receive(frame: Buffer): boolean {
    const reader = new WireReader(frame);
    const head = new FrameHead(reader);
    const { sequence, welcome, renew, renewed } = head;
    if (this.#send !== undefined && !this.#resumed && welcome === undefined) return false;
    this.#acknowledge(head.acknowledged);
    if (sequence > this.#lastReceived + 1) return false;
    if (sequence === this.#lastReceived + 1) {
      this.#lastReceived = sequence;
      if (head.part !== undefined) this.#takePart(head, head.part);
      if (head.hasItems) takeItems(reader, this.#taker);
    } else if (sequence === 0 && (head.hasItems || head.part !== undefined)) {
      throw new WireError('items in a frame without a sequence');
    }
    if (welcome !== undefined || renew !== undefined || renewed !== undefined)
      this.#taker.pulse({ welcome, renew, renewed });
    if (head.sent > this.#lastReceived) return false;
    if (!this.#flushing && this.#resumed) {
      this.#flushing = true;
      process.nextTick(this.#flushNow);
    }
    return true;
  }

  #takePart({ control, total }: FrameHead, part: Buffer): void {
    const parts = control ? this.#controlParts : this.#bulkParts;
    const items = parts.add(part, total);
    if (items !== undefined) takeItems(new WireReader(items), this.#taker);
  }
}
