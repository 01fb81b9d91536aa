import * as fs from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * All that the log asks of a file system, so that tests can delay it, make it fail, and know
 * which bytes would be left after a loss of power: exactly those whose write has called back, in
 * files whose name a `syncDirectory` (or `replace`) has covered.
 */
export interface Files {
  makeDirectory(path: string): Promise<void>;
  /** Names, in no order. */
  list(directory: string): Promise<string[]>;
  open(path: string, mode: 'read' | 'write' | 'create'): Promise<OpenFile>;
  remove(path: string): Promise<void>;
  /** Makes creations and removals in it durable. */
  syncDirectory(path: string): Promise<void>;
  /** A small file, whole; undefined where there is none. */
  load(path: string): Promise<Buffer | undefined>;
  /** Writes a small file, durable, whole or not at all. */
  replace(path: string, content: Buffer): Promise<void>;
}

export interface ReadableFile {
  /** How many bytes were read: fewer only at the end of the file. */
  read(buffer: Buffer, start: number, bytes: number, position: number): Promise<number>;
}

export interface OpenFile extends ReadableFile {
  /** Calls back when all bytes are durable, or one could not be written. */
  write(
    buffer: Buffer,
    start: number,
    bytes: number,
    position: number,
    done: (error: Error | null) => void,
  ): void;
  /** The same for what nobody waits for yet: durable with the next `sync`. */
  fill(zeros: Buffer, position: number): Promise<void>;
  sync(): Promise<void>;
  size(): Promise<number>;
  /** Cuts off what is beyond; need not be durable. */
  truncate(bytes: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * One write through O_DSYNC instead of a write and an fdatasync: one trip to the thread pool
 * instead of two. Zeros go through a second descriptor without it.
 */
class DiskFile implements OpenFile {
  readonly #handle: fs.promises.FileHandle;
  readonly #durable: fs.promises.FileHandle | undefined;

  constructor(handle: fs.promises.FileHandle, durable: fs.promises.FileHandle | undefined) {
    this.#handle = handle;
    this.#durable = durable;
  }

  write(
    buffer: Buffer,
    start: number,
    bytes: number,
    position: number,
    done: (error: Error | null) => void,
  ): void {
    const fd = (this.#durable ?? this.#handle).fd;
    fs.write(fd, buffer, start, bytes, position, (error, written) => {
      if (error !== null || written === bytes) done(error);
      else if (written === 0) done(new Error('nothing was written'));
      else this.write(buffer, start + written, bytes - written, position + written, done);
    });
  }

  async fill(zeros: Buffer, position: number): Promise<void> {
    for (let at = 0; at < zeros.length;) {
      const { bytesWritten } = await this.#handle.write(
        zeros,
        at,
        zeros.length - at,
        position + at,
      );
      at += bytesWritten;
    }
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  async read(buffer: Buffer, start: number, bytes: number, position: number): Promise<number> {
    let count = 0;
    while (count < bytes) {
      const { bytesRead } = await this.#handle.read(
        buffer,
        start + count,
        bytes - count,
        position + count,
      );
      if (bytesRead === 0) break;
      count += bytesRead;
    }
    return count;
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  truncate(bytes: number): Promise<void> {
    return this.#handle.truncate(bytes);
  }

  async close(): Promise<void> {
    await Promise.all([this.#handle.close(), this.#durable?.close()]);
  }
}

export class DiskFiles implements Files {
  async makeDirectory(path: string): Promise<void> {
    const made = await fs.promises.mkdir(path, { recursive: true, mode: 0o750 });
    if (made === undefined) return;
    // Each new folder's name is in the one above it.
    for (let folder = path; ; folder = dirname(folder)) {
      await this.syncDirectory(dirname(folder));
      if (folder === made) return;
    }
  }

  list(directory: string): Promise<string[]> {
    return fs.promises.readdir(directory);
  }

  async open(path: string, mode: 'read' | 'write' | 'create'): Promise<OpenFile> {
    if (mode === 'read') return new DiskFile(await fs.promises.open(path, 'r'), undefined);
    const { O_CREAT, O_DSYNC, O_EXCL, O_RDWR } = fs.constants;
    const flags = mode === 'create' ? O_RDWR | O_CREAT | O_EXCL : O_RDWR;
    const handle = await fs.promises.open(path, flags, 0o640);
    try {
      return new DiskFile(handle, await fs.promises.open(path, O_RDWR | O_DSYNC));
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  remove(path: string): Promise<void> {
    return fs.promises.rm(path, { force: true });
  }

  async syncDirectory(path: string): Promise<void> {
    const handle = await fs.promises.open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async load(path: string): Promise<Buffer | undefined> {
    try {
      return await fs.promises.readFile(path);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async replace(path: string, content: Buffer): Promise<void> {
    const aside = join(dirname(path), `.${Math.random().toString(36).slice(2)}.tmp`);
    const handle = await fs.promises.open(aside, 'w', 0o640);
    try {
      await handle.writeFile(content);
      await handle.sync();
      await handle.close();
      await fs.promises.rename(aside, path);
    } catch (error) {
      await handle.close().catch(() => undefined);
      await fs.promises.rm(aside, { force: true });
      throw error;
    }
    await this.syncDirectory(dirname(path));
  }
}
