import {
  type Pulse,
  readRenew,
  readRenewed,
  readWelcome,
  type Renew,
  type Renewed,
  type Welcome,
  writeRenew,
  writeRenewed,
  writeWelcome,
} from './pulse.ts';
import { WireError } from './wire-error.ts';
import { WireReader } from './wire-reader.ts';
import { WireWriter } from './wire-writer.ts';

const sequenceTag = 0x09;
const acknowledgedTag = 0x11;
const sentTag = 0x19;
const welcomeTag = 0x22;
const renewTag = 0x2a;
const renewedTag = 0x32;
const itemsTag = 0x3a;

/** Three fields of a tag and eight bytes. */
const headerBytes = 27;
const acknowledgedAt = 10;
const sentAt = 19;
/** Two tags of at most two bytes, two padded lengths. */
const itemHeadBytes = 16;
/** How long an acknowledgement waits for a frame that takes it along. */
const acknowledgeMs = 5;

export interface ExchangeLimits {
  /** Frames that are sent ahead of their acknowledgement. */
  readonly windowFrames: number;
  /** A frame that has so much takes no further item. */
  readonly frameBytesMax: number;
  /** How long a frame may wait for more now: nobody gets on sooner by what it says. */
  readonly gatherMs?: () => number;
}

/** Who gets what arrives. */
export interface FrameTaker {
  pulse(pulse: Pulse): void;
  /** Reads the item: the field of `Item` that it is, up to `end`. */
  item(reader: WireReader, field: number, end: number): void;
}

/**
 * One end of a conversation that outlives its streams. Items go out in frames, each turn one, and
 * arrive at the other end once and in order, whatever streams break, lose or repeat meanwhile:
 * frames are numbered, kept until they are acknowledged, and sent again over the next stream.
 *
 * Invariants
 * - At most `windowFrames` frames are sent and not acknowledged; what is written beyond that
 *   gathers in larger frames, so a busy link sends few frames and a slow one is not flooded.
 * - Between `bind` and `resume` only pulses leave: how far the other end has come is not known. And
 *   only a welcome is taken: without it, what comes may belong to another conversation.
 * - An arrived frame is taken whole or, where it is one too many or came before, not at all.
 */
export class Exchange {
  private readonly limits: ExchangeLimits;
  private readonly taker: FrameTaker;
  private readonly writer: WireWriter = new WireWriter();
  private readonly pulses: WireWriter = new WireWriter();
  private send: ((frame: Buffer) => void) | undefined = undefined;
  private resumed = false;
  /** Sent, not acknowledged; the last has the sequence `lastSent`. */
  private unacknowledged: Buffer[] = [];
  private lastSent = 0;
  /** Full, not sent. */
  private ready: Buffer[] = [];
  private readyBytes = 0;
  /** A frame is being written, and has items. */
  private writing = false;
  private itemOpened = 0;
  private fieldOpened = 0;
  private flushing = false;
  private lastReceived = 0;
  private lastAcknowledged = 0;
  private timer: NodeJS.Timeout | undefined = undefined;
  private readonly flushNow: () => void;

  constructor(limits: ExchangeLimits, taker: FrameTaker) {
    this.limits = limits;
    this.taker = taker;
    this.flushNow = () => {
      this.flushing = false;
      this.flush();
    };
  }

  /** The last sequence that arrived in order. */
  get received(): number {
    return this.lastReceived;
  }

  /** Of items that no stream has taken yet. */
  get waitingBytes(): number {
    return this.readyBytes + (this.writing ? this.writer.length : 0);
  }

  /** Frames that are sent and not acknowledged. */
  get unacknowledgedFrames(): number {
    return this.unacknowledged.length;
  }

  /** A stream is there. */
  bind(send: (frame: Buffer) => void): void {
    this.send = send;
    this.resumed = false;
  }

  /** The other end has all up to `received`: the rest goes out again, then what is new. */
  resume(received: number): void {
    this.acknowledge(received);
    this.resumed = true;
    this.lastAcknowledged = this.lastReceived;
    for (const frame of this.unacknowledged) this.sendFrame(frame);
    this.flush();
  }

  /** The stream is gone. */
  unbind(): void {
    this.send = undefined;
    this.resumed = false;
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** Begins anew with another end: what was not acknowledged is forgotten. */
  reset(): void {
    this.resumed = false;
    this.unacknowledged = [];
    this.ready = [];
    this.readyBytes = 0;
    if (this.writing) this.writer.take();
    this.writing = false;
    this.lastSent = 0;
    this.lastReceived = 0;
    this.lastAcknowledged = 0;
  }

  // Writing

  /** The frame being written has all that it takes: a batch goes on in another item. */
  get full(): boolean {
    return this.writing && this.writer.length >= this.limits.frameBytesMax;
  }

  /** Begins an item: its field in `Item`. `close` ends it; the writer is good until then. */
  open(field: number): WireWriter {
    const { writer } = this;
    if (!this.writing) this.beginFrame();
    writer.reserve(itemHeadBytes);
    this.itemOpened = writer.open(itemsTag);
    const tag = (field << 3) | 2;
    if (tag > 0x7f) {
      writer.buffer[writer.at++] = (tag & 0x7f) | 0x80;
      this.fieldOpened = writer.open(tag >>> 7);
    } else {
      this.fieldOpened = writer.open(tag);
    }
    return writer;
  }

  close(): void {
    const { writer } = this;
    writer.close(this.fieldOpened);
    writer.close(this.itemOpened);
    if (writer.length >= this.limits.frameBytesMax) this.endFrame();
    if (this.flushing) return;
    this.flushing = true;
    const waitMs = this.limits.gatherMs?.() ?? 0;
    if (waitMs > 0) setTimeout(this.flushNow, waitMs);
    else process.nextTick(this.flushNow);
  }

  /** What gathers leaves now, for nothing comes after it. */
  hurry(): void {
    if (this.flushing) this.flush();
  }

  /** Leaves at once; where there is no stream, not at all. */
  pulse(pulse: Pulse): void {
    if (this.send === undefined) return;
    const { pulses: writer } = this;
    writer.begin();
    this.writeHeader(writer);
    if (pulse.welcome !== undefined) writeWelcome(writer, welcomeTag, pulse.welcome);
    if (pulse.renew !== undefined) writeRenew(writer, renewTag, pulse.renew);
    if (pulse.renewed !== undefined) writeRenewed(writer, renewedTag, pulse.renewed);
    const frame = writer.take();
    this.setNumber(frame, acknowledgedAt, this.lastReceived);
    if (this.resumed) {
      this.setNumber(frame, sentAt, this.lastSent);
      this.acknowledgementLeft();
    }
    this.send(frame);
  }

  private beginFrame(): void {
    const { writer } = this;
    writer.begin();
    this.writeHeader(writer);
    this.writing = true;
  }

  private writeHeader(writer: WireWriter): void {
    writer.reserve(headerBytes);
    writer.fixed64(sequenceTag, 0);
    writer.fixed64(acknowledgedTag, 0);
    writer.fixed64(sentTag, 0);
  }

  private endFrame(): void {
    const frame = this.writer.take();
    this.writing = false;
    this.ready.push(frame);
    this.readyBytes += frame.length;
  }

  private setNumber(frame: Buffer, at: number, value: number): void {
    frame.writeUInt32LE(value >>> 0, at);
    frame.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
  }

  private flush(): void {
    if (!this.resumed) return;
    while (this.unacknowledged.length < this.limits.windowFrames) {
      if (this.ready.length === 0) {
        if (!this.writing) break;
        this.endFrame();
      }
      const frame = this.ready.shift()!;
      this.readyBytes -= frame.length;
      this.lastSent += 1;
      this.setNumber(frame, 1, this.lastSent);
      this.unacknowledged.push(frame);
      this.sendFrame(frame);
    }
    this.acknowledgeSoon();
  }

  private sendFrame(frame: Buffer): void {
    this.setNumber(frame, acknowledgedAt, this.lastReceived);
    this.acknowledgementLeft();
    this.send?.(frame);
  }

  // Acknowledging

  private acknowledge(sequence: number): void {
    if (sequence > this.lastSent) throw new WireError('an acknowledgement of what was not sent');
    const left = this.lastSent - sequence;
    if (left >= this.unacknowledged.length) return;
    this.unacknowledged = this.unacknowledged.slice(this.unacknowledged.length - left);
  }

  /** Half a window of frames is worth a frame of its own; fewer wait for one to take them along. */
  private acknowledgeSoon(): void {
    const due = this.lastReceived - this.lastAcknowledged;
    if (due === 0 || !this.resumed) return;
    if (due * 2 >= this.limits.windowFrames) this.pulse({});
    else this.timer ??= setTimeout(() => this.acknowledgeLate(), acknowledgeMs);
  }

  private acknowledgeLate(): void {
    this.timer = undefined;
    if (this.resumed && this.lastReceived > this.lastAcknowledged) this.pulse({});
  }

  private acknowledgementLeft(): void {
    this.lastAcknowledged = this.lastReceived;
  }

  // Reading

  /**
   * Takes a frame. False: one before it is missing, and the stream is to be broken, so that it is
   * sent again. Throws {@link WireError} where it is no frame.
   */
  receive(frame: Buffer): boolean {
    const reader = new WireReader(frame);
    let sequence = 0;
    let acknowledged = 0;
    let sent = 0;
    let welcome: Welcome | undefined;
    let renew: Renew | undefined;
    let renewed: Renewed | undefined;
    let itemsAt = -1;
    while (reader.at < reader.limit && itemsAt < 0) {
      const at = reader.at;
      const tag = reader.varint();
      if (tag === sequenceTag) sequence = reader.fixed64();
      else if (tag === acknowledgedTag) acknowledged = reader.fixed64();
      else if (tag === sentTag) sent = reader.fixed64();
      else if (tag === welcomeTag) welcome = readWelcome(reader);
      else if (tag === renewTag) renew = readRenew(reader);
      else if (tag === renewedTag) renewed = readRenewed(reader);
      else if (tag === itemsTag) itemsAt = at;
      else reader.skip(tag);
    }
    if (this.send !== undefined && !this.resumed && welcome === undefined) return false;
    this.acknowledge(acknowledged);
    if (sequence > this.lastReceived + 1) return false;
    if (sequence === this.lastReceived + 1) {
      this.lastReceived = sequence;
      reader.at = itemsAt < 0 ? reader.limit : itemsAt;
      this.takeItems(reader);
    } else if (sequence === 0 && itemsAt >= 0) {
      throw new WireError('items in a frame without a sequence');
    }
    if (welcome !== undefined || renew !== undefined || renewed !== undefined)
      this.taker.pulse({ welcome, renew, renewed });
    if (sent > this.lastReceived) return false;
    if (!this.flushing && this.resumed) {
      this.flushing = true;
      process.nextTick(this.flushNow);
    }
    return true;
  }

  private takeItems(reader: WireReader): void {
    while (reader.at < reader.limit) {
      const tag = reader.varint();
      if (tag !== itemsTag) {
        reader.skip(tag);
        continue;
      }
      const outer = reader.enter(reader.end());
      while (reader.at < reader.limit) {
        const field = reader.varint();
        if ((field & 7) !== 2) {
          reader.skip(field);
          continue;
        }
        const end = reader.end();
        this.taker.item(reader, field >>> 3, end);
        reader.at = end;
      }
      reader.leave(outer);
    }
  }
}
