/** A power of two. */
const slotCount = 8192;
/** Longer texts are decoded each time. */
const bytesMax = 192;

interface Known {
  readonly text: string;
  /** A copy: it holds no frame in memory. */
  readonly bytes: Uint8Array;
}

const nothing: Known = { text: '', bytes: new Uint8Array(0) };
const slots: Known[] = Array.from({ length: slotCount }, () => nothing);

/**
 * Texts that come again and again, such as topics and client identifiers: their strings are kept,
 * found by a hash of the bytes; another text with the same slot takes it. Equal texts are mostly
 * one string, so comparing them costs nothing.
 */
export function textOf(buffer: Buffer, start: number, end: number): string {
  const length = end - start;
  if (length > bytesMax) return buffer.toString('utf8', start, end);
  let sum = length;
  for (let at = start; at < end; at++) sum = Math.imul(sum ^ buffer[at]!, 0x01000193);
  const slot = (sum ^ (sum >>> 15)) & (slotCount - 1);
  const known = slots[slot]!;
  if (known.bytes.length === length && isSame(known.bytes, buffer, start)) return known.text;
  const text = buffer.toString('utf8', start, end);
  slots[slot] = { text, bytes: new Uint8Array(buffer.subarray(start, end)) };
  return text;
}

function isSame(bytes: Uint8Array, buffer: Buffer, start: number): boolean {
  for (let index = bytes.length - 1; index >= 0; index--)
    if (bytes[index] !== buffer[start + index]) return false;
  return true;
}
