import { dirname } from 'node:path';
import {
  decodeBlock,
  isBlank,
  magicOf,
  recordHeaderBytes,
  blockHeaderBytes,
  type BlockHeader,
} from './block.ts';
import { JournalRefusal, remedy } from './failure.ts';
import type { OpenFile } from './files.ts';

const windowBytes = 4 << 20;

interface ScanRequest {
  readonly file: OpenFile;
  readonly name: string;
  readonly salt: number;
  readonly from: number;
  /** Sequence of the block at `from`. */
  readonly sequence: number;
  /** End of the blocks; undefined: wherever a crash has left them (the last segment). */
  readonly end: number | undefined;
  readonly onBlock: (header: BlockHeader, buffer: Buffer, start: number, position: number) => void;
}

interface ScanAnswer {
  readonly end: number;
  /** Something stood behind the end that was not zeros: what a crash had left incomplete. */
  readonly torn: boolean;
}

/**
 * Reads the blocks of one segment in order. Only the end of the last segment may be bad: blocks
 * are written one at a time, each after the one before is durable, so nothing can stand behind an
 * incomplete one. Where something does, what was acknowledged has been damaged: JournalRefusal.
 */
export async function scanSegment(request: ScanRequest): Promise<ScanAnswer> {
  const { file, salt } = request;
  const fileBytes = await file.size();
  const limit = request.end ?? fileBytes;
  let buffer = Buffer.allocUnsafeSlow(windowBytes);
  let base = request.from;
  let count = 0;
  let at = 0;
  let expected = request.sequence;
  while (base + at < limit) {
    const block = decodeBlock(buffer, at, count - at, salt);
    if (typeof block === 'number') {
      if (base + at + block > Math.min(limit, fileBytes) || block <= count - at) break;
      const rest = count - at;
      const next = block > buffer.length ? Buffer.allocUnsafeSlow(block * 2) : buffer;
      buffer.copy(next, 0, at, count);
      buffer = next;
      base += at;
      at = 0;
      const room = Math.min(buffer.length - rest, limit - base - rest);
      count = rest + (await file.read(buffer, rest, room, base + rest));
      if (count === rest) break;
      continue;
    }
    if (block === undefined || block.sequence !== expected) break;
    request.onBlock(block, buffer, at, base + at);
    expected++;
    at += block.bytes;
  }
  const end = base + at;
  if (end === request.end) return { end, torn: false };
  if (request.end !== undefined) throw damaged(request.name, end);
  return { end, torn: await judgeTail(request, end, fileBytes) };
}

export function eachRecord(
  buffer: Buffer,
  start: number,
  header: BlockHeader,
  each: (type: number, bodyStart: number, bodyBytes: number) => void,
): void {
  let at = start + blockHeaderBytes;
  for (let i = 0; i < header.records; i++) {
    const bytes = buffer.readUInt32LE(at);
    const type = buffer[at + 4] ?? 0;
    each(type, at + recordHeaderBytes, bytes);
    at += recordHeaderBytes + bytes;
  }
}

/** True: torn; false: clean. Refuses where a whole block follows. */
async function judgeTail(request: ScanRequest, end: number, fileBytes: number): Promise<boolean> {
  const tail = Buffer.alloc(fileBytes - end);
  const bytes = await request.file.read(tail, 0, tail.length, end);
  const magic = magicOf(request.salt);
  for (let at = tail.indexOf(magic, 0); at >= 0; at = tail.indexOf(magic, at + 1)) {
    const block = decodeBlock(tail, at, bytes - at, request.salt);
    if (typeof block === 'object' && block.sequence > request.sequence) {
      throw damaged(request.name, end);
    }
  }
  return !isBlank(tail.subarray(0, bytes));
}

function damaged(name: string, position: number): JournalRefusal {
  return new JournalRefusal(
    'damaged',
    `${name} is damaged at byte ${position}: a block that was complete once cannot be read. ` +
      remedy(dirname(dirname(name))),
  );
}
