/** A text and its bytes. */
export interface KnownText {
  readonly text: string;
  /** A copy: it holds no chunk or frame in memory. */
  readonly bytes: Uint8Array;
}

export const noText: KnownText = { text: '', bytes: new Uint8Array(0) };

/** A power of two. */
const slotCount = 8192;
/** Longer texts are decoded each time. */
const bytesMax = 192;

/** True where the bytes from `start` to `end` are those of the text. */
export function isText(known: KnownText, buffer: Buffer, start: number, end: number): boolean {
  const { bytes } = known;
  const { length } = bytes;
  if (length !== end - start) return false;
  // Topics that differ do so at their end more often than at their beginning.
  for (let index = length - 1; index >= 0; index -= 1) {
    if (bytes[index] !== buffer[start + index]) return false;
  }
  return true;
}

/**
 * Texts that come again and again, such as topics and client identifiers: their strings are kept
 * for as many as there are slots, found by a hash of the bytes; another text with the same slot
 * takes it. Equal texts are mostly one string, so comparing them costs nothing. A loop over the
 * bytes is quicker than any native call for texts of usual length.
 */
export class TextCache {
  readonly #slots: KnownText[] = Array.from({ length: slotCount }, () => noText);
  readonly #decode: (buffer: Buffer, start: number, end: number) => string;

  /** `decode` throws where the bytes are not legal: what is kept is proved to be. */
  constructor(decode: (buffer: Buffer, start: number, end: number) => string) {
    this.#decode = decode;
  }

  of(buffer: Buffer, start: number, end: number): KnownText {
    if (end - start > bytesMax) return this.#make(buffer, start, end);
    let sum = end - start;
    for (let at = start; at < end; at += 1) sum = Math.imul(sum ^ buffer[at]!, 0x01000193);
    const slot = (sum ^ (sum >>> 15)) & (slotCount - 1);
    const known = this.#slots[slot]!;
    if (isText(known, buffer, start, end)) return known;
    const made = this.#make(buffer, start, end);
    this.#slots[slot] = made;
    return made;
  }

  #make(buffer: Buffer, start: number, end: number): KnownText {
    const text = this.#decode(buffer, start, end);
    return { text, bytes: new Uint8Array(buffer.subarray(start, end)) };
  }
}
