import { execFile, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { JournalRefusal } from './failure.ts';

/**
 * One process on a folder. The lock belongs to an open file, not to a process or to content: the
 * `flock` command takes it on a descriptor that it inherits from us, and exits; the kernel frees
 * it when our descriptor goes, however we end. Nothing is left to clean up, and a process that
 * has our old number is not mistaken for us. The content only names the holder.
 *
 * Where there is no such command, the content decides: the process id together with its time of
 * start.
 */
export class FolderLock {
  readonly #handle: fs.promises.FileHandle;
  readonly #path: string;

  private constructor(handle: fs.promises.FileHandle, path: string) {
    this.#handle = handle;
    this.#path = path;
  }

  /** Throws JournalRefusal where another holds it. */
  static async take(directory: string): Promise<FolderLock> {
    const path = join(directory, 'lock');
    const handle = await fs.promises.open(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o640);
    try {
      const holder = (await handle.readFile('utf8')).trim();
      const taken = await flock(handle.fd);
      const free = taken ?? !(await runs(holder));
      if (!free) {
        const whose = holder === '' ? '' : ` (process ${holder.split(' ')[0] ?? ''})`;
        throw new JournalRefusal('in use', `${directory} is in use by another broker${whose}`);
      }
      await handle.truncate(0);
      const start = taken === undefined ? ` ${await startOf(process.pid)}` : '';
      await handle.write(`${process.pid}${start}\n`, 0);
      return new FolderLock(handle, path);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async free(): Promise<void> {
    await fs.promises.truncate(this.#path, 0).catch(() => undefined);
    await this.#handle.close();
  }
}

/** Undefined: there is no such command, or no such lock on this file system. */
function flock(fd: number): Promise<boolean | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
    child.once('error', (error) => {
      if ('code' in error && error.code === 'ENOENT') resolve(undefined);
      else reject(error);
    });
    child.once('exit', (code) => {
      // 1: another has it. Anything else: the file system has no such locks.
      resolve(code === 0 ? true : code === 1 ? false : undefined);
    });
  });
}

async function runs(holder: string): Promise<boolean> {
  const space = holder.indexOf(' ');
  const pid = Number.parseInt(holder, 10);
  if (space < 0 || Number.isNaN(pid)) return false;
  return (await startOf(pid)) === holder.slice(space + 1);
}

/** Text that another process with the same id does not have; empty where there is none. */
function startOf(pid: number): Promise<string> {
  return new Promise((resolve) => {
    execFile('ps', ['-o', 'lstart=', '-p', String(pid)], (error, stdout) => {
      resolve(error === null ? stdout.trim() : '');
    });
  });
}
