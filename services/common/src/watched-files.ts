// Tells when any of some files changed, was replaced or appeared. Hides the two ways of finding out: the folders are watched,
// which is quick and follows a rename into place, and the files are looked at now and then, for file systems that tell
// nothing. A file counts as changed when its inode, size or time of change differs from the look before.

import { watch, type FSWatcher } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface WatchOptions {
  /** Between two looks at files whose folder reports nothing. */
  readonly pollMs?: number;
  /** From a report to the look, so that several files that are written together are read together. */
  readonly settleMs?: number;
}

export class WatchedFiles {
  readonly #paths: readonly string[];
  readonly #onChange: () => void;
  readonly #watchers: FSWatcher[] = [];
  readonly #settleMs: number;
  readonly #poll: NodeJS.Timeout;
  #settling: NodeJS.Timeout | undefined = undefined;
  #seen: string;
  #closed = false;

  /** Looks at the files first: whatever is read after this resolved is either current or followed by `onChange`. */
  static async open(
    paths: readonly string[],
    onChange: () => void,
    options: WatchOptions = {},
  ): Promise<WatchedFiles> {
    return new WatchedFiles(paths, onChange, options, await signature(paths));
  }

  private constructor(
    paths: readonly string[],
    onChange: () => void,
    options: WatchOptions,
    seen: string,
  ) {
    this.#paths = paths;
    this.#onChange = onChange;
    this.#settleMs = options.settleMs ?? 50;
    this.#seen = seen;
    for (const folder of new Set(paths.map((path) => dirname(path)))) this.#watch(folder);
    this.#poll = setInterval(() => void this.#look(), options.pollMs ?? 5000).unref();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#settling);
    for (const watcher of this.#watchers) watcher.close();
  }

  #watch(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#settle());
      // A folder that went away, or no more watches to be had: looking now and then goes on.
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
      void this.#look();
    }, this.#settleMs).unref();
  }

  async #look(): Promise<void> {
    const now = await signature(this.#paths);
    if (this.#closed || now === this.#seen) return;
    this.#seen = now;
    this.#onChange();
  }
}

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
  return parts.join(', ');
}
