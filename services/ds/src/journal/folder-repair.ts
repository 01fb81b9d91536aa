import { existsSync } from 'node:fs';
import { copyFile, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { blockHeaderBytes, encodeSegmentHeader, sealBlock, segmentHeaderBytes } from './block.ts';
import type { DamagedRange } from './block-list.ts';
import type { CheckedSegment, FolderReport } from './folder-check.ts';
import { findingsOf } from './state-opening.ts';
import { readState } from './state-file/state-report.ts';
import { CheckpointState, type Change, type CheckpointMark } from './state.ts';

const portion = 5000;

/**
 * Makes a folder one that can be opened, with all that can be read: a damaged state is written anew
 * from its entries that are whole, and damaged bytes of the log become blocks without a record. The
 * damaged files stay beside the new ones, as `….damaged`. Answers with the steps taken, a line
 * each.
 */
export async function repairFolder(directory: string, report: FolderReport): Promise<string[]> {
  const done: string[] = [];
  for (const segment of report.segments) {
    if (segment.damage.length === 0 && !segment.head.isRebuilt) continue;
    const kept = freeName(segment.path);
    await copyFile(segment.path, kept);
    await mend(segment);
    done.push(`${segment.path}: damaged blocks are empty now; as it was: ${kept}`);
  }
  if (needsState(report)) done.push(await rewriteState(directory, report));
  return done;
}

function needsState({ state, mark, segments }: FolderReport): boolean {
  const isCut = mark === undefined && (segments[0]?.head.previous ?? -1) >= 0;
  return isCut || findingsOf(state).length > 0;
}

/** A name beside the file that is not in use, for keeping it. */
function freeName(path: string): string {
  for (let i = 1; ; i++) {
    const name = `${path}.damaged${i === 1 ? '' : `-${i}`}`;
    if (!existsSync(name)) return name;
  }
}

async function mend({ path, head, damage }: CheckedSegment): Promise<void> {
  const file = await open(path, 'r+');
  try {
    if (head.isRebuilt) await file.write(encodeSegmentHeader(head), 0, segmentHeaderBytes, 0);
    for (const range of damage) {
      const blank = blankBlocks(head.salt, range);
      await file.write(blank, 0, blank.length, range.from);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Blocks without records in place of those that were there, so that the sequence goes on. */
function blankBlocks(salt: number, { from, to, sequence, blocks = 1 }: DamagedRange): Buffer {
  const bytes = Buffer.alloc(to - from);
  const count = Math.max(1, Math.min(blocks, Math.floor(bytes.length / blockHeaderBytes)));
  if (bytes.length < blockHeaderBytes) return bytes;
  for (let i = 0; i < count; i++) {
    const start = i * blockHeaderBytes;
    sealBlock(bytes, start, salt, {
      bytes: i === count - 1 ? bytes.length - start : blockHeaderBytes,
      records: 0,
      sequence: sequence + i,
      wallTimeMs: 0,
      brokerTimeMs: 0,
      order: 0,
    });
  }
  return bytes;
}

async function rewriteState(directory: string, report: FolderReport): Promise<string> {
  const file = join(directory, 'state', 'data.mdb');
  const entries: Change[] = [];
  if (!report.state.isEmpty) {
    readState(file, (table, key, value) => {
      entries.push({ table, key, value: Buffer.from(value) });
    });
  }
  const kept = freeName(file);
  if (existsSync(file)) await rename(file, kept);
  const state = new CheckpointState(directory, []);
  try {
    for (let from = 0; from < entries.length; from += portion) {
      await state.write(entries.slice(from, from + portion), undefined);
    }
    const mark = markFor(report, entries.length > 0);
    await state.write([], mark);
  } finally {
    await state.close();
  }
  return `${file}: written anew with ${entries.length} entries; as it was: ${kept}`;
}

/**
 * From where the log is to be replayed over the entries. Segments are removed only when a
 * checkpoint covers them, so entries hold what is before the last gap; without entries, all that is
 * left of the log is better than nothing.
 */
function markFor({ mark, segments }: FolderReport, hasEntries: boolean): CheckpointMark {
  let start = 0;
  if (hasEntries) {
    for (let i = 1; i < segments.length; i++) {
      if (segments[i]?.head.previous !== segments[i - 1]?.head.number) start = i;
    }
  }
  const first = segments[start];
  const number = first?.head.number ?? 0;
  const sequence = first?.head.firstSequence ?? mark?.sequence ?? 0;
  const order = mark?.order ?? 0;
  const brokerTimeMs = mark?.brokerTimeMs ?? 0;
  // The mark's position in the log holds, whether or not the entries are whole.
  if (mark !== undefined && mark.segment >= number) return mark;
  const from = { segment: number, position: segmentHeaderBytes, sequence };
  return { ...from, order, brokerTimeMs, ...(hasEntries ? {} : { rebuilds: true as const }) };
}
