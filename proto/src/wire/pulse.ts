import { WireError } from './wire-error.ts';
import type { WireReader } from './wire-reader.ts';
import type { WireWriter } from './wire-writer.ts';

/** Content of a frame without a sequence; each may be lost. */
export interface Pulse {
  readonly welcome?: Welcome | undefined;
  readonly renew?: Renew | undefined;
  readonly renewed?: Renewed | undefined;
}

/** The first frame from ds. */
export interface Welcome {
  readonly attachment: string;
  /** The attachment that was asked for goes on. */
  readonly resumed: boolean;
  /** The last sequence that has arrived from cs. */
  readonly received: number;
  readonly leaseMs: number;
}

/** From cs, each third of a lease. */
export interface Renew {
  readonly number: number;
  /** Figures since the start, by the rest of their `$SYS` topic. */
  readonly counters: Readonly<Record<string, number>>;
  readonly connections: number;
  /** The node sends its clients away and takes no others. */
  readonly draining: boolean;
}

export interface Renewed {
  /** Number of the Renew that it answers. */
  readonly number: number;
  /** The wall clock of ds. */
  readonly timeMs: number;
  /** ds is there, but could not ask the registry: the lease does not go on. */
  readonly unconfirmed: boolean;
  /** More than what is under way waits for the link: pushes come late. */
  readonly pushesWait: boolean;
  /**
   * Wish of an operator, repeated until a Renew says so: the node is to drain, or no more;
   * undefined: none.
   */
  readonly drain: boolean | undefined;
}

const doubleBytes = 8;
const fieldBytesMax = 16;
const countersMax = 1000;

export function writeWelcome(writer: WireWriter, tag: number, welcome: Welcome): void {
  writer.reserve(fieldBytesMax * 4 + welcome.attachment.length * 3);
  const opened = writer.open(tag);
  writer.text(0x0a, welcome.attachment);
  writer.reserve(fieldBytesMax * 3);
  writer.flag(0x10, welcome.resumed);
  writer.fixed64(0x19, welcome.received);
  writer.number(0x20, welcome.leaseMs);
  writer.close(opened);
}

export function readWelcome(reader: WireReader): Welcome {
  let attachment = '';
  let resumed = false;
  let received = 0;
  let leaseMs = 0;
  const outer = reader.enter(reader.end());
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    if (tag === 0x0a) attachment = reader.text();
    else if (tag === 0x10) resumed = reader.varint() !== 0;
    else if (tag === 0x19) received = reader.fixed64();
    else if (tag === 0x20) leaseMs = reader.uint32();
    else reader.skip(tag);
  }
  reader.leave(outer);
  return { attachment, resumed, received, leaseMs };
}

export function writeRenew(writer: WireWriter, tag: number, renew: Renew): void {
  writer.reserve(fieldBytesMax * 3);
  const opened = writer.open(tag);
  writer.number(0x08, renew.number);
  for (const [name, value] of Object.entries(renew.counters)) {
    writer.reserve(fieldBytesMax * 2 + name.length * 3);
    const entry = writer.open(0x12);
    writer.text(0x0a, name);
    writer.buffer[writer.at] = 0x11;
    writer.buffer.writeDoubleLE(value, writer.at + 1);
    writer.at += 1 + doubleBytes;
    writer.close(entry);
  }
  writer.reserve(fieldBytesMax * 2);
  writer.number(0x18, renew.connections);
  writer.flag(0x20, renew.draining);
  writer.close(opened);
}

export function readRenew(reader: WireReader): Renew {
  let number = 0;
  let connections = 0;
  let draining = false;
  const counters: [string, number][] = [];
  const outer = reader.enter(reader.end());
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    if (tag === 0x08) number = reader.uint32();
    else if (tag === 0x12) counters.push(readCounter(reader));
    else if (tag === 0x18) connections = reader.uint32();
    else if (tag === 0x20) draining = reader.varint() !== 0;
    else reader.skip(tag);
    if (counters.length > countersMax) throw new WireError('too many counters');
  }
  reader.leave(outer);
  return { number, connections, draining, counters: Object.fromEntries(counters) };
}

function readCounter(reader: WireReader): [string, number] {
  let name = '';
  let value = 0;
  const outer = reader.enter(reader.end());
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    if (tag === 0x0a) name = reader.text();
    else if (tag === 0x11) value = reader.double();
    else reader.skip(tag);
  }
  reader.leave(outer);
  return [name, value];
}

export function writeRenewed(writer: WireWriter, tag: number, renewed: Renewed): void {
  writer.reserve(fieldBytesMax * 4);
  const opened = writer.open(tag);
  writer.number(0x08, renewed.number);
  writer.buffer[writer.at] = 0x11;
  writer.buffer.writeDoubleLE(renewed.timeMs, writer.at + 1);
  writer.at += 1 + doubleBytes;
  writer.flag(0x18, renewed.unconfirmed);
  writer.flag(0x20, renewed.pushesWait);
  if (renewed.drain !== undefined) {
    writer.buffer[writer.at++] = 0x28;
    writer.varint(renewed.drain ? 1 : 0);
  }
  writer.close(opened);
}

export function readRenewed(reader: WireReader): Renewed {
  let number = 0;
  let timeMs = 0;
  let unconfirmed = false;
  let pushesWait = false;
  let drain: boolean | undefined;
  const outer = reader.enter(reader.end());
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    if (tag === 0x08) number = reader.uint32();
    else if (tag === 0x11) timeMs = reader.double();
    else if (tag === 0x18) unconfirmed = reader.varint() !== 0;
    else if (tag === 0x20) pushesWait = reader.varint() !== 0;
    else if (tag === 0x28) drain = reader.varint() !== 0;
    else reader.skip(tag);
  }
  reader.leave(outer);
  return { number, timeMs, unconfirmed, pushesWait, drain };
}
