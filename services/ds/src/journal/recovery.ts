import { crc32 } from 'node:zlib';
import { dirname, join } from 'node:path';
import { formatVersion, isBlank, segmentHeaderBytes } from './block.ts';
import { JournalRefusal, remedy } from './failure.ts';
import type { Files } from './files.ts';
import type { SealedSegment } from './journal.ts';
import type { RecordHandler, SegmentIndex } from './participant.ts';
import { eachRecord, scanSegment } from './scan.ts';
import { readSegmentHead, type SegmentHead } from './segment-head.ts';
import { indexName, indexNumber, segmentName, segmentNumber } from './segment.ts';
import type { CheckpointMark } from './state.ts';

export interface Recovery {
  readonly segments: SealedSegment[];
  readonly nextNumber: number;
  readonly nextSequence: number;
  readonly order: number;
  readonly brokerTimeMs: number;
  /** Wall time of the last block; 0: none was read. */
  readonly wallTimeMs: number;
  readonly replayed: number;
  readonly torn: { readonly segment: number; readonly position: number } | undefined;
}

interface Found {
  readonly number: number;
  readonly header: SegmentHead;
}

const indexMagic = 'LMQTTIDX';
const indexHeaderBytes = 64;

/** Reads the log back: indexes of sealed segments, and records from the checkpoint on. */
export async function recover(
  files: Files,
  directory: string,
  mark: CheckpointMark | undefined,
  handlers: ReadonlyMap<number, RecordHandler>,
  index: SegmentIndex | undefined,
): Promise<Recovery> {
  const { found, highest, orphans } = await findSegments(files, directory, mark);
  checkChain(found, mark, directory);
  const segments: SealedSegment[] = [];
  let torn: Recovery['torn'];
  let nextSequence = mark?.sequence ?? 0;
  let order = mark?.order ?? 0;
  let brokerTimeMs = mark?.brokerTimeMs ?? 0;
  let wallTimeMs = 0;
  let replayed = 0;
  for (const [i, { number, header }] of found.entries()) {
    const next = found[i + 1]?.header;
    while (orphans[0] !== undefined && orphans[0] < number) {
      const orphan = await loadOrphan(files, directory, orphans.shift() ?? 0, index);
      if (orphan !== undefined) segments.push(orphan);
    }
    const stored = await loadIndex(files, directory, number);
    const isEndTold = next?.previous === number && next.previousEnd > 0;
    const end = isEndTold ? next.previousEnd : stored?.end;
    const indexed =
      stored !== undefined && stored.end === end && (index?.load(number, stored.body) ?? true);
    const markHere = mark?.segment === number ? mark : undefined;
    const coveredTo =
      markHere?.position ?? (mark !== undefined && number < mark.segment ? Infinity : 0);
    if (indexed && coveredTo === Infinity) {
      segments.push({ number, end: stored.end, lastMs: lastOf(found, i), indexed });
      continue;
    }
    const place = { segment: number, position: 0, covered: false, indexed };
    let lastMs = 0;
    const skip = indexed && markHere !== undefined;
    const name = join(directory, segmentName(number));
    const file = await files.open(name, 'read');
    try {
      const scanned = await scanSegment({
        file,
        name,
        salt: header.salt,
        from: skip ? markHere.position : segmentHeaderBytes,
        sequence: skip ? markHere.sequence : header.firstSequence,
        end,
        onBlock: (block, buffer, start, position) => {
          place.covered = position < coveredTo;
          nextSequence = Math.max(nextSequence, block.sequence + 1);
          order = Math.max(order, block.order);
          wallTimeMs = Math.max(wallTimeMs, block.wallTimeMs);
          lastMs = Math.max(lastMs, block.brokerTimeMs);
          brokerTimeMs = Math.max(brokerTimeMs, block.brokerTimeMs);
          eachRecord(buffer, start, block, (type, bodyStart, bodyBytes) => {
            const handler = handlers.get(type);
            if (handler === undefined) {
              if (type === 0) return;
              throw new JournalRefusal('version', `${name} has records of unknown type ${type}`);
            }
            if (place.covered && (handler.all !== true || indexed)) return;
            place.position = position + bodyStart - start;
            handler.replay(buffer.subarray(bodyStart, bodyStart + bodyBytes), place);
            replayed++;
          });
        },
      });
      if (markHere !== undefined && scanned.end < markHere.position) {
        throw new JournalRefusal('damaged', `${name} ends before the checkpoint of the state`);
      }
      if (scanned.torn) torn = { segment: number, position: scanned.end };
      // From a checkpoint on, only the end of the segment was read.
      if (lastMs === 0) lastMs = lastOf(found, i);
      segments.push({ number, end: scanned.end, lastMs, indexed });
    } finally {
      await file.close();
    }
  }
  const rest = { nextNumber: highest + 1, nextSequence, order, brokerTimeMs, wallTimeMs };
  return { segments: withTimes(segments, brokerTimeMs), ...rest, replayed, torn };
}

/** Broker time of what came next in the log; Infinity: nothing did. */
function lastOf(found: readonly Found[], index: number): number {
  return found[index + 1]?.header.brokerTimeMs ?? Infinity;
}

/** Times never go back in the log: whatever says otherwise is damaged, or not known. */
function withTimes(segments: readonly SealedSegment[], nowMs: number): SealedSegment[] {
  let least = nowMs;
  const timed: SealedSegment[] = [];
  for (const segment of segments.toReversed()) {
    const lastMs = Math.min(least, segment.lastMs);
    least = lastMs;
    timed.push({ ...segment, lastMs });
  }
  return timed.toReversed();
}

async function findSegments(
  files: Files,
  directory: string,
  mark: CheckpointMark | undefined,
): Promise<{ found: Found[]; highest: number; orphans: number[] }> {
  const numbers: number[] = [];
  const indexed: number[] = [];
  for (const name of await files.list(directory)) {
    const number = segmentNumber(name);
    const indexOf = indexNumber(name);
    if (number !== undefined) numbers.push(number);
    else if (indexOf !== undefined) indexed.push(indexOf);
    else if (name.endsWith('.tmp')) await files.remove(join(directory, name));
  }
  numbers.sort((a, b) => a - b);
  const found: Found[] = [];
  let before: { number: number; end: number } | undefined;
  for (const number of numbers) {
    const path = join(directory, segmentName(number));
    const file = await files.open(path, 'read');
    try {
      const header = await readSegmentHead(file, number, before);
      if (header !== undefined && header.version !== formatVersion) {
        throw new JournalRefusal(
          'version',
          `${path} has format version ${header.version}; this broker reads ${formatVersion}`,
        );
      }
      // A segment that the checkpoint covers needs no more of its header than the first block says.
      const isCovered = mark !== undefined && number < mark.segment;
      if (header !== undefined && (!header.isRebuilt || isCovered)) {
        found.push({ number, header });
        before = { number, end: 0 };
      } else if (header === undefined && number === numbers.at(-1) && (await isEmpty(file))) {
        // A crash came while it was being made: nothing was ever written into it.
        await files.remove(path);
      } else {
        const what = `the head of ${path} is damaged`;
        throw new JournalRefusal('damaged', `${what}. ${remedy(dirname(directory))}`);
      }
    } finally {
      await file.close();
    }
  }
  const orphans = indexed.filter((number) => !numbers.includes(number)).sort((a, b) => a - b);
  return { found, highest: Math.max(numbers.at(-1) ?? 0, orphans.at(-1) ?? 0), orphans };
}

/**
 * The index of a segment that is gone: its messages are known, so that whoever reads them hears
 * that they are damaged. When a segment is removed, its index goes first.
 */
async function loadOrphan(
  files: Files,
  directory: string,
  number: number,
  index: SegmentIndex | undefined,
): Promise<SealedSegment | undefined> {
  const stored = await loadIndex(files, directory, number);
  if (stored === undefined || index?.load(number, stored.body) === false) return undefined;
  return { number, end: stored.end, lastMs: Infinity, indexed: true };
}

/** Nothing but zeros behind the header. */
async function isEmpty(file: Awaited<ReturnType<Files['open']>>): Promise<boolean> {
  const bytes = Math.max(0, (await file.size()) - segmentHeaderBytes);
  const content = Buffer.alloc(bytes);
  const count = await file.read(content, 0, bytes, segmentHeaderBytes);
  return isBlank(content.subarray(0, count));
}

/** All segments from the checkpoint on must be there, each after the one that its head names. */
function checkChain(found: Found[], mark: CheckpointMark | undefined, directory: string): void {
  if (mark?.rebuilds === true) return;
  const first = mark?.segment;
  const oldest = found[0];
  if (first === undefined && oldest !== undefined && oldest.header.previous >= 0) {
    throw new JournalRefusal(
      'damaged',
      `${dirname(directory)}/state/data.mdb is missing or empty, and the log begins with ` +
        `${segmentName(oldest.number)}: sessions, retained messages, wills and groups that were ` +
        `stored before would be lost. ${remedy(dirname(directory))}`,
    );
  }
  if (first !== undefined && !found.some(({ number }) => number === first)) {
    throw missing(directory, first);
  }
  for (const [i, { number, header }] of found.entries()) {
    const before = found[i - 1]?.number;
    const needed = first === undefined ? header.previous >= 0 : number > first;
    if (needed && header.previous !== before) throw missing(directory, header.previous);
  }
}

function missing(directory: string, number: number): JournalRefusal {
  const path = join(directory, segmentName(number));
  return new JournalRefusal('damaged', `${path} is missing. Restore the folder from a copy.`);
}

export async function storeIndex(
  files: Files,
  directory: string,
  number: number,
  end: number,
  body: Buffer,
): Promise<void> {
  const content = Buffer.alloc(indexHeaderBytes + body.length);
  content.write(indexMagic, 0, 'latin1');
  content.writeUInt32LE(formatVersion, 8);
  content.writeDoubleLE(number, 16);
  content.writeDoubleLE(end, 24);
  body.copy(content, indexHeaderBytes);
  content.writeUInt32LE(crc32(content.subarray(16)), 12);
  await files.replace(join(directory, indexName(number)), content);
}

/** Undefined: none, or not readable; the segment itself is read instead. */
export async function loadIndex(
  files: Files,
  directory: string,
  number: number,
): Promise<{ end: number; body: Buffer } | undefined> {
  const content = await files.load(join(directory, indexName(number)));
  if (content === undefined || content.length < indexHeaderBytes) return undefined;
  if (content.toString('latin1', 0, 8) !== indexMagic) return undefined;
  if (content.readUInt32LE(8) !== formatVersion) return undefined;
  if (crc32(content.subarray(16)) !== content.readUInt32LE(12)) return undefined;
  if (content.readDoubleLE(16) !== number) return undefined;
  return { end: content.readDoubleLE(24), body: content.subarray(indexHeaderBytes) };
}
