import { systemClock } from '@lmqtt/common/clock';
import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as net from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { pause } from '@lmqtt/common/pause';

/**
 * An entry in `holders/`: one process that wants the folder, or has it. Its name is never used
 * again, so whoever finds it dead may remove it. Two kinds:
 *
 *     BOOT-RANDOM.sock                  a socket on which its process listens
 *     BOOT-SPACE-PID-START-RANDOM.file  where the file system has no sockets
 *
 * BOOT is of the running kernel, SPACE of the process ids' name space. An entry of this kernel is
 * judged at once: the kernel closes the socket however its process ends, and a socket is reached
 * from every container that has the folder. For all others each process touches its entry every
 * few seconds, and an entry that nobody touches for some time is dead.
 */
const touchedEveryMs = 2000;
const untouchedMs = 7000;
const lookMs = 250;
/** The longest path of a socket, with some room. */
const pathBytesMax = 100;
/**
 * Prefix, and age past which it is removed, of a file that a process leaves when it dies while it
 * announces itself.
 */
const passing = '.passing-';
const passingMsMax = 60_000;

const noSockets = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'ENAMETOOLONG', 'ENOSYS']);

function readText(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

function bootOf(): string {
  const text = readText('/proc/sys/kernel/random/boot_id') || hostname();
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

function spaceOf(): string {
  try {
    return fs.readlinkSync('/proc/self/ns/pid').replaceAll(/\D/g, '');
  } catch {
    return '0';
  }
}

/** Text that another process with the same id does not have; empty: there is none. */
function startOf(pid: string): string {
  const stat = readText(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** A path by which a socket in the folder can be named, however long the folder's own is. */
async function withShortPath<T>(
  folder: string,
  name: string,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const path = join(folder, name);
  if (Buffer.byteLength(path) <= pathBytesMax) return use(path);
  const handle = await fs.promises.open(folder, 'r');
  try {
    return await use(`/proc/self/fd/${handle.fd}/${name}`);
  } finally {
    await handle.close();
  }
}

export class Holder {
  readonly name: string;
  readonly #path: string;
  readonly #server: net.Server | undefined;
  readonly #timer: NodeJS.Timeout;

  private constructor(folder: string, name: string, server: net.Server | undefined) {
    this.name = name;
    this.#path = join(folder, name);
    this.#server = server;
    this.#timer = setInterval(() => {
      const now = new Date();
      fs.promises.utimes(this.#path, now, now).catch(() => undefined);
    }, touchedEveryMs);
    this.#timer.unref();
  }

  /** From when it resolves on, whoever looks finds it alive. */
  static async announce(folder: string): Promise<Holder> {
    const random = randomBytes(6).toString('hex');
    const before = `${passing}${random}`;
    const server = net.createServer((socket) => socket.destroy());
    server.unref();
    try {
      await withShortPath(folder, before, async (path) => listen(server, path));
      const name = `${bootOf()}-${random}.sock`;
      // Listening first: a socket on which nobody listens yet looks like one whose process died.
      await fs.promises.rename(join(folder, before), join(folder, name));
      return new Holder(folder, name, server);
    } catch (error) {
      server.close();
      if (!noSockets.has(codeOf(error))) throw error;
    }
    const start = startOf('self') || '0';
    const name = [bootOf(), spaceOf(), process.pid, start, random].join('-') + '.file';
    await fs.promises.writeFile(join(folder, name), '', { mode: 0o640 });
    return new Holder(folder, name, undefined);
  }

  async withdraw(): Promise<void> {
    clearInterval(this.#timer);
    await fs.promises.rm(this.#path, { force: true });
    this.#server?.close();
  }
}

function listen(server: net.Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path }, () => {
      server.removeListener('error', reject);
      server.on('error', () => undefined);
      resolve();
    });
  });
}

/** Whether anybody else has an entry and is alive; removes those that are dead. */
export async function hasOthers(folder: string, own: string | undefined): Promise<boolean> {
  for (const name of await fs.promises.readdir(folder)) {
    if (name === own) continue;
    if (name.startsWith(passing)) {
      await removePassed(join(folder, name));
      continue;
    }
    if (await isAlive(folder, name)) return true;
    await fs.promises.rm(join(folder, name), { force: true });
  }
  return false;
}

async function removePassed(path: string): Promise<void> {
  const stat = await fs.promises.stat(path).catch(() => undefined);
  if (stat === undefined || systemClock.nowMs() - stat.mtimeMs < passingMsMax) return;
  await fs.promises.rm(path, { force: true });
}

async function isAlive(folder: string, name: string): Promise<boolean> {
  const [boot, space, pid = '', start] = name.split('-');
  const isOfThisKernel = boot === bootOf();
  if (isOfThisKernel && name.endsWith('.file') && space === spaceOf()) {
    return startOf(pid) === start;
  }
  if (isOfThisKernel && name.endsWith('.sock')) {
    const answers = await withShortPath(folder, name, isListening).catch(() => undefined);
    if (answers !== undefined) return answers;
  }
  return isTouched(join(folder, name));
}

/** Whether a process listens on the socket; undefined: it cannot be told. */
function isListening(path: string): Promise<boolean | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      const code = codeOf(error);
      // A full queue means that somebody listens.
      if (code === 'EAGAIN') resolve(true);
      else resolve(code === 'ECONNREFUSED' || code === 'ENOENT' ? false : undefined);
    });
  });
}

async function isTouched(path: string): Promise<boolean> {
  const touchedMs = async (): Promise<number | undefined> =>
    (await fs.promises.stat(path).catch(() => undefined))?.mtimeMs;
  const first = await touchedMs();
  if (first === undefined) return false;
  for (let waitedMs = 0; waitedMs < untouchedMs; waitedMs += lookMs) {
    await pause(lookMs);
    const now = await touchedMs();
    if (now === undefined) return false;
    if (now !== first) return true;
  }
  return false;
}
