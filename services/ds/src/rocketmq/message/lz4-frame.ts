// LZ4 frames, as clients of RocketMQ write them (version 1.6.3 of the format's description):
//
//     u32 magic | u8 flags | u8 block size | [u64 content size] | [u32 dictionary] | u8 checksum
//     blocks: u32 length, its highest bit for one that is not compressed | bytes | [u32 checksum]
//     u32 0 | [u32 checksum of the content]
//
// with numbers in little endian. A block is sequences: u8 token (literals, match), further bytes of
// the number of literals, the literals, u16 distance, further bytes of the match's length. The last
// one ends with its literals. Checksums are not looked at: the broker has checked the body's CRC.

const magic = 0x184d2204;
const skippableMagic = 0x184d2a50;
const flag = { version: 0xc0, blockChecksum: 0x10, contentSize: 0x08, contentChecksum: 0x04 };
const version1 = 0x40;
const dictionaryFlag = 0x01;
const notCompressed = 0x8000_0000;
const matchBytesMin = 4;

interface Block {
  readonly start: number;
  readonly end: number;
  readonly isCompressed: boolean;
}

/** undefined: it is no such frame, or holds more than `bytesMax`. */
export function decompressLz4(bytes: Buffer, bytesMax: number): Buffer | undefined {
  const blocks: Block[] = [];
  if (!findBlocks(bytes, blocks)) return undefined;
  let size = 0;
  for (const block of blocks) {
    const blockSize = block.isCompressed ? sizeOf(bytes, block) : block.end - block.start;
    if (blockSize < 0) return undefined;
    size += blockSize;
    if (size > bytesMax) return undefined;
  }
  const content = Buffer.allocUnsafe(size);
  let at = 0;
  for (const block of blocks) {
    if (block.isCompressed) at = decode(bytes, block, content, at);
    else at += bytes.copy(content, at, block.start, block.end);
    if (at < 0) return undefined;
  }
  return content;
}

/** Frames may stand behind one another. False: the bytes are none. */
function findBlocks(bytes: Buffer, blocks: Block[]): boolean {
  let at = 0;
  while (at < bytes.length) {
    if (at + 7 > bytes.length) return false;
    const found = bytes.readUInt32LE(at);
    if ((found & 0xffff_fff0) >>> 0 === skippableMagic) at += 8 + safeU32(bytes, at + 4);
    else if (found === magic) at = frame(bytes, at, blocks);
    else return false;
    if (at < 0) return false;
  }
  return at === bytes.length && at > 0;
}

/** The end of the frame; −1: it is none. */
function frame(bytes: Buffer, start: number, blocks: Block[]): number {
  const flags = bytes[start + 4]!;
  if ((flags & flag.version) !== version1 || (flags & dictionaryFlag) !== 0) return -1;
  const checksumBytes = (flags & flag.blockChecksum) === 0 ? 0 : 4;
  let at = start + 7 + ((flags & flag.contentSize) === 0 ? 0 : 8);
  for (;;) {
    if (at + 4 > bytes.length) return -1;
    const length = bytes.readUInt32LE(at);
    at += 4;
    if (length === 0) break;
    const isCompressed = (length & notCompressed) === 0;
    const end = at + (length & 0x7fff_ffff);
    if (end > bytes.length) return -1;
    blocks.push({ start: at, end, isCompressed });
    at = end + checksumBytes;
  }
  return at + ((flags & flag.contentChecksum) === 0 ? 0 : 4);
}

function safeU32(bytes: Buffer, at: number): number {
  return at + 4 > bytes.length ? bytes.length : bytes.readUInt32LE(at);
}

/** Sum of the further bytes of a length; all but the last of them are 255. */
function furtherLength(bytes: Buffer, from: number, end: number): number {
  let sum = 0;
  let more = 255;
  for (let at = from; more === 255 && at < end; at += 1) {
    more = bytes[at]!;
    sum += more;
  }
  return sum;
}

/** Number of the bytes that make that sum; one too many where they end with the block. */
function furtherBytes(sum: number): number {
  return Math.floor(sum / 255) + 1;
}

/** Size of the block when it is decompressed; −1: it is no block. */
function sizeOf(bytes: Buffer, { start, end }: Block): number {
  let at = start;
  let size = 0;
  while (at < end) {
    const token = bytes[at]!;
    at += 1;
    let literals = token >>> 4;
    if (literals === 15) {
      const further = furtherLength(bytes, at, end);
      at += furtherBytes(further);
      literals += further;
    }
    at += literals;
    size += literals;
    if (at === end) return size;
    at += 2;
    let match = token & 15;
    if (match === 15) {
      const further = furtherLength(bytes, at, end);
      at += furtherBytes(further);
      match += further;
    }
    size += match + matchBytesMin;
  }
  // Bytes that end with a match, or behind the block's end, are no block.
  return -1;
}

/**
 * Position at which the content goes on behind the block; −1: it is no block. `sizeOf` has walked
 * over it.
 */
function decode(bytes: Buffer, { start, end }: Block, content: Buffer, from: number): number {
  let at = start;
  let to = from;
  for (;;) {
    const token = bytes[at]!;
    at += 1;
    let literals = token >>> 4;
    if (literals === 15) {
      const further = furtherLength(bytes, at, end);
      at += furtherBytes(further);
      literals += further;
    }
    to += bytes.copy(content, to, at, at + literals);
    at += literals;
    if (at === end) return to;
    const distance = bytes[at]! | (bytes[at + 1]! << 8);
    at += 2;
    let match = (token & 15) + matchBytesMin;
    if ((token & 15) === 15) {
      const further = furtherLength(bytes, at, end);
      at += furtherBytes(further);
      match += further;
    }
    if (distance === 0 || distance > to) return -1;
    // Byte by byte: what is copied may be what this copy writes.
    for (let left = match; left > 0; left -= 1) {
      content[to] = content[to - distance]!;
      to += 1;
    }
  }
}
