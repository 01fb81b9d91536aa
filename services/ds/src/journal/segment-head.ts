import {
  blockHeaderBytes,
  decodeBlock,
  decodeSegmentHeader,
  formatVersion,
  saltOf,
  segmentHeaderBytes,
  type SegmentHeader,
} from './block.ts';
import type { ReadableFile } from './files.ts';

/**
 * Maximum bytes of a block, so that no buffer of a size that a damaged header claims is allocated.
 */
const blockBytesMax = 2 ** 29;

export interface SegmentHead extends SegmentHeader {
  /** Whether the header is damaged, and this one was made from the first block. */
  readonly isRebuilt: boolean;
  /** Broker time of the first block; undefined: no block can be read. */
  readonly brokerTimeMs: number | undefined;
}

/**
 * The head of a segment; undefined: neither header nor first block can be read. `before`: the
 * previous segment.
 */
export async function readSegmentHead(
  file: ReadableFile,
  number: number,
  before: { readonly number: number; readonly end: number } | undefined,
): Promise<SegmentHead | undefined> {
  const bytes = Buffer.alloc(segmentHeaderBytes + blockHeaderBytes);
  const count = await file.read(bytes, 0, bytes.length, 0);
  const isBlockThere = count === bytes.length;
  const header = decodeSegmentHeader(bytes);
  if (header !== undefined && (header.number === number || header.version !== formatVersion)) {
    const isFirstRead = isBlockThere && saltOf(bytes, segmentHeaderBytes) === header.salt;
    const brokerTimeMs = isFirstRead ? bytes.readDoubleLE(segmentHeaderBytes + 32) : undefined;
    return { ...header, isRebuilt: false, brokerTimeMs };
  }
  if (!isBlockThere) return undefined;
  const salt = saltOf(bytes, segmentHeaderBytes);
  const length = bytes.readUInt32LE(segmentHeaderBytes + 8);
  if (length < blockHeaderBytes || length > blockBytesMax) return undefined;
  const first = Buffer.allocUnsafe(length);
  const read = await file.read(first, 0, length, segmentHeaderBytes);
  const block = decodeBlock(first, 0, read, salt);
  if (typeof block !== 'object') return undefined;
  return {
    version: formatVersion,
    salt,
    number,
    firstSequence: block.sequence,
    previous: before?.number ?? -1,
    previousEnd: before?.end ?? 0,
    wallTimeMs: block.wallTimeMs,
    isRebuilt: true,
    brokerTimeMs: block.brokerTimeMs,
  };
}
