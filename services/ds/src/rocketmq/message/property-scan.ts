// Properties of a stored message, `name U+0001 value U+0002 …`, found by walking the bytes: their places are kept, and only
// what is needed is decoded. The broker writes them in an order of its own.
import { backEnd, java, own, rocket } from './property-names.ts';

const nameEnd = 1;
const valueEnd = 2;

/** Properties that are looked for in every message. */
const scanned: readonly string[] = [
  rocket.lmqNames,
  rocket.lmqOffsets,
  java.topic,
  java.qos,
  java.empty,
  java.more,
  java.payloadFormatIndicator,
  java.messageExpiryInterval,
  java.contentType,
  java.responseTopic,
  java.correlationData,
  java.userProperty,
  own.publisher,
  own.retain,
  own.expiresAt,
  own.layout,
  own.again,
  backEnd.topic,
  backEnd.client,
  backEnd.retain,
];

interface Wanted {
  readonly bytes: Uint8Array;
  readonly field: number;
}

/** By length of the name. */
const wanted: (Wanted[] | undefined)[] = [];
for (const [field, name] of scanned.entries()) {
  const bytes = Buffer.from(name);
  while (wanted.length <= bytes.length) wanted.push(undefined);
  (wanted[bytes.length] ??= []).push({ bytes, field });
}

/** The number under which a scan keeps it; −1: it is not looked for. */
export function fieldOf(name: string): number {
  return scanned.indexOf(name);
}

/** Places of the values; start −1: not there. Used again for the next message. */
export class PropertyScan {
  readonly starts: Int32Array = new Int32Array(scanned.length);
  readonly ends: Int32Array = new Int32Array(scanned.length);

  scan(buffer: Buffer, start: number, end: number): void {
    const { starts, ends } = this;
    starts.fill(-1);
    let at = start;
    while (at < end) {
      const nameStart = at;
      let byte = buffer[at]!;
      while (byte !== nameEnd && byte !== valueEnd) {
        at += 1;
        if (at === end) return;
        byte = buffer[at]!;
      }
      const nameStop = at;
      at += 1;
      // A piece without a name's end is passed over, as RocketMQ does.
      if (byte === valueEnd) continue;
      const valueStart = at;
      while (at < end && buffer[at] !== valueEnd) at += 1;
      const candidates = wanted[nameStop - nameStart];
      if (candidates !== undefined) {
        for (const candidate of candidates) {
          if (!isSame(candidate.bytes, buffer, nameStart)) continue;
          starts[candidate.field] = valueStart;
          ends[candidate.field] = at;
          break;
        }
      }
      at += 1;
    }
  }

  has(index: number): boolean {
    return this.starts[index]! >= 0;
  }

  text(buffer: Buffer, index: number): string | undefined {
    const start = this.starts[index]!;
    return start < 0 ? undefined : buffer.toString('utf8', start, this.ends[index]);
  }

  /** A whole number that is not negative, in decimal; −1: not there, or anything else. */
  number(buffer: Buffer, index: number): number {
    const start = this.starts[index]!;
    return start < 0 ? -1 : decimal(buffer, start, this.ends[index]!);
  }

  /** Whether the value is these ASCII characters. */
  is(buffer: Buffer, index: number, text: string): boolean {
    const start = this.starts[index]!;
    if (start < 0 || this.ends[index]! - start !== text.length) return false;
    for (let at = 0; at < text.length; at += 1) {
      if (buffer[start + at] !== text.charCodeAt(at)) return false;
    }
    return true;
  }
}

function isSame(bytes: Uint8Array, buffer: Buffer, start: number): boolean {
  for (let at = bytes.length - 1; at >= 0; at -= 1) {
    if (bytes[at] !== buffer[start + at]) return false;
  }
  return true;
}

/** −1: it is no whole number, or beyond what a number holds exactly. */
export function decimal(buffer: Buffer, start: number, end: number): number {
  if (start >= end || end - start > 16) return -1;
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const digit = buffer[at]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return Number.isSafeInteger(value) ? value : -1;
}

/** Any property by name, for what is rare. */
export function findProperty(
  buffer: Buffer,
  start: number,
  end: number,
  name: string,
): string | undefined {
  for (const piece of buffer.toString('utf8', start, end).split('\u0002')) {
    const at = piece.indexOf('\u0001');
    if (at >= 0 && piece.slice(0, at) === name) return piece.slice(at + 1);
  }
  return undefined;
}
