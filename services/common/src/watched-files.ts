// Files that are read again when any of them changed, was replaced or appeared. Hides the two ways
// of finding out: the folders are watched, which is quick and follows a rename into place, and the
// files are checked now and then, for file systems that tell nothing. A file counts as changed when
// its inode, size or time of change differs from that of the reading before.
//
// A state of the files counts as known only once it was read: where that fails, because the process
// is at its limit of open files or a file is away for a moment, it is tried again until it
// succeeds, so that no change is lost.

import { watch, type FSWatcher } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface WatchOptions {
  /**
   * Between two checks of files whose folder reports nothing; also the longest wait before a
   * reading is tried again.
   */
  readonly pollMs?: number;
  /**
   * From a report to the reading, so that several files that are written together are read
   * together.
   */
  readonly settleMs?: number;
  /** From a reading that failed to the next try; doubled each time, up to `pollMs`. */
  readonly retryMs?: number;
}

/**
 * `unusable`: what is in the files was read and cannot be used, so it is tried again when they
 * change. A reading that rejects is tried again anyway.
 */
export type Reading = 'read' | 'unusable';

export interface Watched {
  /** Never called while it runs. */
  read(): Promise<Reading>;
  /** The reading failed: once for each reason until one succeeds. */
  failed(reason: string): void;
}

const unread = new Set<WatchedFiles>();

/** Number of watched files in this process that have changed and are not in force. */
export function unreadFiles(): number {
  return unread.size;
}

const open = new Set<WatchedFiles>();

/**
 * Reads all watched files of this process now, changed or not. Answers all their paths, and those
 * that were not as they were when they were last read.
 */
export async function readFilesAgain(): Promise<{
  readonly paths: readonly string[];
  readonly changed: readonly string[];
}> {
  const all = [...open];
  const changed = await Promise.all(all.map((files) => files.readAgain()));
  const distinct = (paths: readonly string[]): string[] => [...new Set(paths)];
  return { paths: distinct(all.flatMap(({ paths }) => paths)), changed: distinct(changed.flat()) };
}

export class WatchedFiles {
  readonly #paths: readonly string[];
  readonly #watched: Watched;
  readonly #watchers: FSWatcher[] = [];
  readonly #settleMs: number;
  readonly #retryMs: number;
  readonly #pollMs: number;
  readonly #poll: NodeJS.Timeout;
  #settling: NodeJS.Timeout | undefined = undefined;
  #retrying: NodeJS.Timeout | undefined = undefined;
  /** State of the files when they were last read; undefined: they are read in any case. */
  #known: string | undefined;
  #waitMs: number;
  #failure: string | undefined = undefined;
  #checking: Promise<void> | undefined = undefined;
  #again = false;
  #closed = false;

  /** Whatever is read after this resolved is either current or read again. */
  static async open(
    paths: readonly string[],
    watched: Watched,
    options: WatchOptions = {},
  ): Promise<WatchedFiles> {
    return new WatchedFiles(paths, watched, options, await signature(paths));
  }

  private constructor(
    paths: readonly string[],
    watched: Watched,
    options: WatchOptions,
    known: string,
  ) {
    this.#paths = paths;
    this.#watched = watched;
    this.#settleMs = options.settleMs ?? 50;
    this.#retryMs = options.retryMs ?? 250;
    this.#pollMs = options.pollMs ?? 5000;
    this.#waitMs = this.#retryMs;
    this.#known = known;
    for (const folder of new Set(paths.map((path) => dirname(path)))) this.#watch(folder);
    this.#poll = setInterval(() => void this.#check(), this.#pollMs).unref();
    open.add(this);
  }

  get paths(): readonly string[] {
    return this.#paths;
  }

  /** Reads them now. Answers the paths of those that have changed. */
  async readAgain(): Promise<string[]> {
    const before = this.#known?.split(between);
    const now = (await signature(this.#paths)).split(between);
    this.#known = undefined;
    await this.#check();
    return this.#paths.filter((_, index) => before?.[index] !== now[index]);
  }

  close(): void {
    this.#closed = true;
    open.delete(this);
    unread.delete(this);
    clearInterval(this.#poll);
    clearTimeout(this.#settling);
    clearTimeout(this.#retrying);
    for (const watcher of this.#watchers) watcher.close();
  }

  #watch(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#settle());
      // A folder that went away, or no more watches to be had: checking now and then goes on.
      watcher.on('error', () => watcher.close());
      this.#watchers.push(watcher);
    } catch {
      // As above.
    }
  }

  #settle(): void {
    if (this.#closed || this.#settling !== undefined) return;
    this.#settling = setTimeout(() => {
      this.#settling = undefined;
      void this.#check();
    }, this.#settleMs).unref();
  }

  #check(): Promise<void> {
    this.#again = true;
    this.#checking ??= this.#checkAll().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  async #checkAll(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false;
      await this.#readIfChanged();
    }
  }

  async #readIfChanged(): Promise<void> {
    const now = await signature(this.#paths);
    if (this.#closed || now === this.#known) return;
    try {
      const reading = await this.#watched.read();
      this.#known = now;
      this.#failure = undefined;
      this.#waitMs = this.#retryMs;
      if (reading === 'read' || this.#closed) unread.delete(this);
      else unread.add(this);
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error));
    }
  }

  #failed(reason: string): void {
    if (this.#closed) return;
    this.#known = undefined;
    unread.add(this);
    if (this.#failure !== reason) this.#watched.failed(reason);
    this.#failure = reason;
    clearTimeout(this.#retrying);
    this.#retrying = setTimeout(() => void this.#check(), this.#waitMs).unref();
    this.#waitMs = Math.min(this.#waitMs * 2, this.#pollMs);
  }
}

const between = ', ';

async function signature(paths: readonly string[]): Promise<string> {
  const parts = await Promise.all(
    paths.map(async (path) => {
      try {
        const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
        return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
      } catch {
        return 'absent';
      }
    }),
  );
  return parts.join(between);
}
