// Small pieces of writing into a caller's buffer. Each returns where the next one begins.

/** Below this a loop is quicker than the native copy. */
const loopBytesMax = 48;
/** Limit of what is remembered: larger bytes would be held until something else is copied. */
const rememberedBytesMax = 64 << 10;

/** The bytes that were copied last: a message goes to many clients one after another. */
let lastSource: Buffer = Buffer.alloc(0);
let lastStart = 0;
let lastEnd = 0;
let lastBytes: Uint8Array = lastSource;

export function copyBytes(
  target: Buffer,
  at: number,
  source: Buffer,
  start: number,
  end: number,
): number {
  const length = end - start;
  if (length > rememberedBytesMax) {
    source.copy(target, at, start, end);
    return at + length;
  }
  if (length > loopBytesMax) {
    if (source !== lastSource || start !== lastStart || end !== lastEnd) {
      lastBytes = new Uint8Array(source.buffer, source.byteOffset + start, length);
      lastSource = source;
      lastStart = start;
      lastEnd = end;
    }
    target.set(lastBytes, at);
    return at + length;
  }
  for (let index = 0; index < length; index += 1) target[at + index] = source[start + index]!;
  return at + length;
}

export function putU16(target: Buffer, at: number, value: number): number {
  target[at] = value >> 8;
  target[at + 1] = value;
  return at + 2;
}

export function putU32(target: Buffer, at: number, value: number): number {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
  return at + 4;
}

/** Variable byte integer, section 1.5.5; below 268,435,456. */
export function putVarint(target: Buffer, at: number, value: number): number {
  let rest = value;
  let end = at;
  while (rest > 0x7f) {
    target[end] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
    end += 1;
  }
  target[end] = rest;
  return end + 1;
}

export function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  return value < 0x20_0000 ? 3 : 4;
}
