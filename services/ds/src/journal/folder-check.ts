import { join } from 'node:path';
import { formatVersion, segmentHeaderBytes, type SegmentHeader } from './block.ts';
import { listBlocks, type DamagedRange } from './block-list.ts';
import { DiskFiles } from './files.ts';
import { loadIndex } from './recovery.ts';
import { readSegmentHead, type SegmentHead } from './segment-head.ts';
import { segmentName, segmentNumber } from './segment.ts';
import { findingsOf, lossText } from './state-opening.ts';
import { readState, type StateReport } from './state-file/state-report.ts';
import { formats, markOf, type CheckpointMark } from './state.ts';

export interface CheckedSegment {
  readonly path: string;
  readonly head: SegmentHead;
  readonly blocks: number;
  readonly records: number;
  readonly bytes: number;
  readonly end: number;
  readonly damage: readonly DamagedRange[];
}

export interface FolderReport {
  readonly segments: readonly CheckedSegment[];
  readonly state: StateReport;
  readonly mark: CheckpointMark | undefined;
  /** Contents of the folder, a line each. */
  readonly facts: readonly string[];
  /** Damage that was found, a line each. */
  readonly findings: readonly string[];
}

/** Reads every byte of a folder that nobody uses. Changes nothing. */
export async function checkFolder(directory: string): Promise<FolderReport> {
  const facts: string[] = [];
  const findings: string[] = [];
  const stateFile = join(directory, 'state', 'data.mdb');
  const state = readState(stateFile);
  const mark = state.mark === undefined ? undefined : markOf(state.mark);
  const wrong = findingsOf(state).map((finding) => `${stateFile}: ${finding}`);
  findings.push(...wrong);
  if (wrong.length > 0) findings.push(`${stateFile}: ${lossText(state)}`);
  const { format } = state;
  if (format !== undefined && !formats.includes(format)) {
    findings.push(`${stateFile}: format ${format}, which is not known`);
  }
  const entries = state.tables.reduce((sum, { read }) => sum + read, 0);
  facts.push(
    state.isEmpty
      ? `${stateFile}: there is none, or nothing in it`
      : `${stateFile}: format ${format ?? 'unknown'}, ${entries} entries`,
  );
  const segments = await checkSegments(join(directory, 'log'), mark, facts, findings);
  if (mark === undefined && (segments[0]?.head.previous ?? -1) >= 0) {
    findings.push(`${stateFile}: no checkpoint, and the log does not reach back to its beginning`);
  }
  return { segments, state, mark, facts, findings };
}

async function checkSegments(
  log: string,
  mark: CheckpointMark | undefined,
  facts: string[],
  findings: string[],
): Promise<CheckedSegment[]> {
  const files = new DiskFiles();
  const names = await files.list(log).catch(() => []);
  const numbers = names.map(segmentNumber).filter((number) => number !== undefined);
  numbers.sort((a, b) => a - b);
  const segments: CheckedSegment[] = [];
  const heads = await readHeads(files, log, numbers);
  for (const [i, number] of numbers.entries()) {
    const path = join(log, segmentName(number));
    const head = heads[i];
    if (head === undefined || head.isRebuilt) findings.push(`${path}: its head is damaged`);
    if (head === undefined) continue;
    if (head.version !== formatVersion) {
      findings.push(`${path}: format version ${head.version}, which is not known`);
      continue;
    }
    const segment = await checkSegment(files, path, head, endOf(heads[i + 1], number, head.end));
    segments.push(segment);
    for (const { from, to, blocks } of segment.damage) {
      const what = blocks === undefined ? 'all blocks' : `${blocks} blocks`;
      findings.push(`${path}: damaged from byte ${from} to ${to}: ${what} there are lost`);
    }
    const before = numbers[i - 1];
    const isNeeded = mark === undefined ? i > 0 : number > mark.segment;
    if (isNeeded && head.previous >= 0 && head.previous !== before) {
      findings.push(`${join(log, segmentName(head.previous))}: missing`);
    }
    if (number === mark?.segment && segment.end < mark.position) {
      findings.push(`${path}: ends before the checkpoint of the state`);
    }
  }
  if (mark !== undefined && !numbers.includes(mark.segment)) {
    findings.push(`${join(log, segmentName(mark.segment))}: missing`);
  }
  const sum = (of: (segment: CheckedSegment) => number): number =>
    segments.reduce((total, segment) => total + of(segment), 0);
  const blocks = sum((segment) => segment.blocks);
  const records = sum((segment) => segment.records);
  const bytes = sum((segment) => segment.bytes);
  facts.push(
    `${log}: format ${formatVersion}, ${segments.length} segments, ${blocks} blocks, ` +
      `${records} records, ${bytes} bytes`,
  );
  return segments;
}

interface FoundHead extends SegmentHead {
  /** The end of the blocks according to the index beside the segment. */
  readonly end: number | undefined;
}

/** The end of a segment's blocks, according to the next segment or to the index. */
function endOf(
  next: SegmentHeader | undefined,
  number: number,
  indexed: number | undefined,
): number | undefined {
  return next?.previous === number && next.previousEnd > 0 ? next.previousEnd : indexed;
}

async function readHeads(
  files: DiskFiles,
  log: string,
  numbers: readonly number[],
): Promise<(FoundHead | undefined)[]> {
  const heads: (FoundHead | undefined)[] = [];
  let before: { number: number; end: number } | undefined;
  for (const number of numbers) {
    const file = await files.open(join(log, segmentName(number)), 'read');
    try {
      const head = await readSegmentHead(file, number, before);
      const end = (await loadIndex(files, log, number))?.end;
      heads.push(head === undefined ? undefined : { ...head, end });
      before = { number, end: end ?? 0 };
    } finally {
      await file.close();
    }
  }
  return heads;
}

async function checkSegment(
  files: DiskFiles,
  path: string,
  head: SegmentHead,
  end: number | undefined,
): Promise<CheckedSegment> {
  const file = await files.open(path, 'read');
  const damage: DamagedRange[] = [];
  const sums = { blocks: 0, records: 0, end: segmentHeaderBytes };
  try {
    const size = await file.size();
    await listBlocks({
      file,
      salt: head.salt,
      from: segmentHeaderBytes,
      end: end ?? size,
      sequence: head.firstSequence,
      checks: true,
      onBlock: (block) => {
        sums.blocks++;
        sums.records += block.records;
        sums.end = block.position + block.bytes;
      },
      onDamage: (range) => damage.push(range),
    });
    // Behind the last block of the last segment a crash may have left anything.
    if (end === undefined && damage.at(-1)?.blocks === undefined) damage.pop();
    return { head, path, ...sums, bytes: end ?? sums.end, damage };
  } finally {
    await file.close();
  }
}
