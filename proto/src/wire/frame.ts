// A frame's head, and the pulses that it may carry: link.proto, Frame.
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
import { WireReader } from './wire-reader.ts';
import type { WireWriter } from './wire-writer.ts';

const sequenceTag = 0x09;
const acknowledgedTag = 0x11;
const sentTag = 0x19;
const welcomeTag = 0x22;
const renewTag = 0x2a;
const renewedTag = 0x32;
export const itemsTag = 0x3a;
const totalTag = 0x40;
const controlTag = 0x48;
const partTag = 0x52;

/** Bytes of a head: three fields of a tag and eight bytes. */
export const headerBytes = 27;
const sequenceAt = 1;
const acknowledgedAt = 10;
const sentAt = 19;
const partHeadBytes = 24;

/** Begins a frame: its numbers are set when it leaves. */
export function beginFrame(writer: WireWriter): void {
  writer.begin();
  writer.reserve(headerBytes);
  writer.fixed64(sequenceTag, 0);
  writer.fixed64(acknowledgedTag, 0);
  writer.fixed64(sentTag, 0);
}

function setNumber(frame: Buffer, at: number, value: number): void {
  frame.writeUInt32LE(value >>> 0, at);
  frame.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
}

export function setSequence(frame: Buffer, sequence: number): void {
  setNumber(frame, sequenceAt, sequence);
}

export function setAcknowledged(frame: Buffer, acknowledged: number): void {
  setNumber(frame, acknowledgedAt, acknowledged);
}

export function setSent(frame: Buffer, sent: number): void {
  setNumber(frame, sentAt, sent);
}

/** A frame that carries no items. */
export function pulseFrame(writer: WireWriter, pulse: Pulse): Buffer {
  beginFrame(writer);
  if (pulse.welcome !== undefined) writeWelcome(writer, welcomeTag, pulse.welcome);
  if (pulse.renew !== undefined) writeRenew(writer, renewTag, pulse.renew);
  if (pulse.renewed !== undefined) writeRenewed(writer, renewedTag, pulse.renewed);
  return writer.take();
}

/** A part of a frame's items. `total`: bytes of all items with the first part, otherwise 0. */
export function partFrame(
  writer: WireWriter,
  control: boolean,
  total: number,
  part: Buffer,
): Buffer {
  beginFrame(writer);
  writer.reserve(partHeadBytes);
  writer.number(totalTag, total);
  writer.flag(controlTag, control);
  writer.bytes(partTag, part);
  return writer.take();
}

/** A frame up to its items, where the reader stands when it is made. */
export class FrameHead {
  sequence = 0;
  acknowledged = 0;
  sent = 0;
  welcome: Welcome | undefined = undefined;
  renew: Renew | undefined = undefined;
  renewed: Renewed | undefined = undefined;
  total = 0;
  control = false;
  part: Buffer | undefined = undefined;
  hasItems = false;

  /** Throws {@link WireError} where it is none. */
  constructor(reader: WireReader) {
    while (reader.at < reader.limit) {
      const { at } = reader;
      const tag = reader.varint();
      if (tag === sequenceTag) this.sequence = reader.fixed64();
      else if (tag === acknowledgedTag) this.acknowledged = reader.fixed64();
      else if (tag === sentTag) this.sent = reader.fixed64();
      else if (tag === welcomeTag) this.welcome = readWelcome(reader);
      else if (tag === renewTag) this.renew = readRenew(reader);
      else if (tag === renewedTag) this.renewed = readRenewed(reader);
      else if (tag === totalTag) this.total = reader.varint();
      else if (tag === controlTag) this.control = reader.varint() !== 0;
      else if (tag === partTag) this.part = reader.bytes();
      else if (tag === itemsTag) {
        reader.at = at;
        this.hasItems = true;
        return;
      } else reader.skip(tag);
    }
  }
}

/** Reads a frame without items; throws {@link WireError} where the frame is none. */
export function readPulse(frame: Buffer): Pulse {
  return new FrameHead(new WireReader(frame));
}

/** Reader of items: takes the field number of `Item` and reads the item up to `end`. */
interface ItemTaker {
  item(reader: WireReader, field: number, end: number): void;
}

/** The items from where the reader stands. */
export function takeItems(reader: WireReader, taker: ItemTaker): void {
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
      taker.item(reader, field >>> 3, end);
      reader.at = end;
    }
    reader.leave(outer);
  }
}
