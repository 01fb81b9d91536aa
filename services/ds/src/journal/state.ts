import { join } from 'node:path';
import { open, type Database, type RootDatabase } from 'lmdb';
import { JournalRefusal } from './failure.ts';
import type { EntryKey } from './participant.ts';
import { proveRoom } from './room.ts';

/** What a checkpoint says of the log. */
export interface CheckpointMark {
  /** Records from here on are to be replayed over the entries. */
  readonly segment: number;
  readonly position: number;
  readonly sequence: number;
  readonly order: number;
  readonly brokerTimeMs: number;
}

export interface Change {
  readonly table: string;
  readonly key: EntryKey;
  /** Undefined: removed. */
  readonly value: Buffer | undefined;
}

const format = 1;

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

  constructor(directory: string) {
    const path = join(directory, 'state');
    this.#file = join(path, 'data.mdb');
    this.#root = open<Buffer, EntryKey>({
      path,
      encoding: 'binary',
      maxDbs: 64,
      // Otherwise `flushed` never settles after a commit that failed.
      overlappingSync: false,
      // It makes a promise of its own for what one turn writes, which nobody can catch.
      eventTurnBatching: false,
    });
    this.#mark = this.#root.openDB<string, string>('journal', { encoding: 'string' });
    const found = this.#mark.get('format');
    if (found !== undefined && found !== String(format)) {
      throw new JournalRefusal(
        'version',
        `${directory}/state has format ${found}; this broker reads ${format}`,
      );
    }
  }

  mark(): CheckpointMark | undefined {
    const text = this.#mark.get('mark');
    return text === undefined ? undefined : (JSON.parse(text) as CheckpointMark);
  }

  load(table: string, each: (key: EntryKey, value: Buffer) => void): number {
    let count = 0;
    for (const { key, value } of this.#table(table).getRange()) {
      each(key, value);
      count++;
    }
    return count;
  }

  /** All or nothing. Durable when it resolves. */
  async write(changes: readonly Change[], mark: CheckpointMark | undefined): Promise<void> {
    await proveRoom(this.#file, needOf(changes));
    const tables = new Map<string, Database<Buffer, EntryKey>>();
    for (const { table } of changes) {
      if (!tables.has(table)) tables.set(table, this.#table(table));
    }
    const batch = this.#root.batch(() => {
      for (const { table, key, value } of changes) {
        const database = tables.get(table);
        const done = value === undefined ? database?.remove(key) : database?.put(key, value);
        done?.catch(ignored);
      }
      if (mark !== undefined) {
        this.#mark.put('format', String(format)).catch(ignored);
        this.#mark.put('mark', JSON.stringify(mark)).catch(ignored);
      }
    });
    await Promise.all([settled(batch), settled(this.#root.flushed)]);
  }

  async close(): Promise<void> {
    await this.#root.close();
  }

  #table(name: string): Database<Buffer, EntryKey> {
    let table = this.#tables.get(name);
    if (table === undefined) {
      table = this.#root.openDB<Buffer, EntryKey>(`t:${name}`, { encoding: 'binary' });
      this.#tables.set(name, table);
    }
    return table;
  }
}
