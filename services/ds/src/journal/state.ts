import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { open, type Database, type RootDatabase } from 'lmdb';
import type { EntryKey } from './participant.ts';
import { fileMode } from './permissions.ts';
import { proveRoom } from './room.ts';
import { withoutSum, withSum } from './state-file/entry-sum.ts';
import { ownTable, tablePrefix } from './state-file/state-report.ts';

/** The checkpoint's note of the log position. */
export interface CheckpointMark {
  /** Records from here on are to be replayed over the entries. */
  readonly segment: number;
  readonly position: number;
  readonly sequence: number;
  readonly order: number;
  readonly brokerTimeMs: number;
  /** The entries were damaged: all of the log that is left is replayed, whatever is missing. */
  readonly rebuilds?: true;
}

/** The text of a mark: its sum, then JSON. */
function markText(mark: CheckpointMark): string {
  const json = JSON.stringify(mark);
  return `${crc32(json).toString(16)} ${json}`;
}

/** Undefined: damaged. Before format 2 there was no sum. */
export function markOf(text: string): CheckpointMark | undefined {
  const start = text.indexOf('{');
  const json = text.slice(start);
  if (start < 0 || (start > 0 && text !== `${crc32(json).toString(16)} ${json}`)) return undefined;
  return JSON.parse(json) as CheckpointMark;
}

export interface Change {
  readonly table: string;
  readonly key: EntryKey;
  /** Undefined: removed. */
  readonly value: Buffer | undefined;
}

/** An option of lmdb that its types do not have. */
const fileModes = { permissionsMode: fileMode };

/** 1: entries without sums; they get them with the next checkpoint. */
export const formats: readonly string[] = ['1', '2'];
const format = '2';

/** lmdb gives the cause of a failed commit as a promise that rejects. */
async function settled(commit: Promise<unknown>): Promise<void> {
  try {
    await commit;
  } catch (error) {
    if (error instanceof Error && 'commitError' in error) await error.commitError;
    throw error;
  }
}

const leastBytes = 128 << 10;
const bytesForEach = 128;

/**
 * About how much a file grows by such a transaction; changes far apart from each other need more.
 * A commit that finds no room makes lmdb 3.5.6 write its message past a buffer, which may end the
 * process; so it is to find none as seldom as possible.
 */
function needOf(changes: readonly Change[]): number {
  let bytes = leastBytes + changes.length * bytesForEach;
  for (const { value } of changes) bytes += 2 * (value?.length ?? 0);
  return bytes;
}

/** The transaction as a whole tells of it. */
const ignored = (): undefined => undefined;

/** The entries of the checkpoints: an lmdb environment with a table for each participant. */
export class CheckpointState {
  readonly #file: string;
  readonly #root: RootDatabase<Buffer, EntryKey>;
  readonly #mark: Database<string, string>;
  readonly #tables = new Map<string, Database<Buffer, EntryKey>>();
  /** Tables that have entries without sums. */
  readonly #plain = new Map<string, Database<Buffer, EntryKey>>();

  /** The file was checked: see state-opening.ts. `plain` names tables of format 1 that it has. */
  constructor(directory: string, plain: readonly string[]) {
    const path = join(directory, 'state');
    this.#file = join(path, 'data.mdb');
    // Only we use the folder: what another run, or damage, has left there says nothing.
    rmSync(join(path, 'lock.mdb'), { force: true });
    this.#root = open<Buffer, EntryKey>({
      ...fileModes,
      path,
      encoding: 'binary',
      maxDbs: 64,
      // Otherwise `flushed` never settles after a commit that failed.
      overlappingSync: false,
      // The library makes a promise of its own for what one turn writes, which nobody can catch.
      eventTurnBatching: false,
    });
    this.#mark = this.#root.openDB<string, string>(ownTable, { encoding: 'string' });
    for (const table of plain) {
      const name = tablePrefix.plain + table;
      this.#plain.set(table, this.#root.openDB<Buffer, EntryKey>(name, { encoding: 'binary' }));
    }
  }

  mark(): CheckpointMark | undefined {
    const text = this.#mark.get('mark');
    return text === undefined ? undefined : markOf(text);
  }

  /** Answers with the keys of entries that are to be written again: those without sums. */
  load(table: string, each: (key: EntryKey, value: Buffer) => void): EntryKey[] {
    const again: EntryKey[] = [];
    for (const { key, value } of this.#plain.get(table)?.getRange() ?? []) {
      each(key, value);
      again.push(key);
    }
    for (const { key, value } of this.#table(table).getRange()) each(key, withoutSum(value));
    return again;
  }

  /** All or nothing. Durable when it resolves. */
  async write(changes: readonly Change[], mark: CheckpointMark | undefined): Promise<void> {
    await proveRoom(this.#file, needOf(changes));
    // Opened before the transaction begins.
    for (const { table } of changes) this.#table(table);
    const batch = this.#root.batch(() => {
      for (const change of changes) this.#put(change);
      this.#mark.put('format', format).catch(ignored);
      if (mark !== undefined) this.#mark.put('mark', markText(mark)).catch(ignored);
    });
    await Promise.all([settled(batch), settled(this.#root.flushed)]);
  }

  async close(): Promise<void> {
    await this.#root.close();
  }

  #put({ table, key, value }: Change): void {
    const database = this.#table(table);
    const done =
      value === undefined ? database.remove(key) : database.put(key, withSum(table, key, value));
    done.catch(ignored);
    this.#plain.get(table)?.remove(key).catch(ignored);
  }

  #table(name: string): Database<Buffer, EntryKey> {
    let table = this.#tables.get(name);
    if (table === undefined) {
      const summed = tablePrefix.summed + name;
      table = this.#root.openDB<Buffer, EntryKey>(summed, { encoding: 'binary' });
      this.#tables.set(name, table);
    }
    return table;
  }
}
