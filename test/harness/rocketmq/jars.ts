// The jars of a RocketMQ release, in a cache outside the tree, where Maven puts them once. Test
// files start at the same time: one of them runs Maven, the others wait for it. A folder by its
// final name is complete, since it is filled under another.
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { mustFindProgram } from '../programs.ts';

const deployFolder = join(import.meta.dirname, '../../../../deploy/rocketmq');
const pollMs = 100;
const mavenMs = 10 * 60_000;

/** LMQTT_ROCKETMQ_VERSION, or the newest. */
export function wantedVersion(): string {
  return process.env['LMQTT_ROCKETMQ_VERSION'] ?? '5.5.0';
}

/** Whether the repository has the proxy of this release. */
export function hasProxy(version: string): boolean {
  return !version.startsWith('4.') && version !== '5.1.4' && version !== '5.3.2';
}

/** Files of the tree about running RocketMQ. */
export function deployFile(name: string): string {
  return join(deployFolder, name);
}

/** Holds `lib/`. */
function cacheFolder(version: string): string {
  const cache = process.env['LMQTT_CACHE_DIR'] ?? join(homedir(), '.cache/lmqtt');
  return join(cache, `rocketmq-${version}`);
}

export function jarsAreCached(version: string): boolean {
  return existsSync(join(cacheFolder(version), 'lib'));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Answers whether the lock is ours now; that of a process which has ended goes. */
function takeLock(lock: string): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    // An empty file is one that is being written.
    const holder = existsSync(lock) ? readFileSync(lock, 'utf8') : '';
    if (holder !== '' && !isRunning(Number(holder))) rmSync(lock, { force: true });
    return false;
  }
}

/** The first complaint of Maven, without its frame. */
function complaintOf(error: unknown): string {
  const { stdout = '', message = '' } = error as { stdout?: string; message?: string };
  const line = /\[ERROR\] (.+)/.exec(stdout)?.[1];
  return line ?? message.split('\n')[0] ?? 'unknown';
}

async function runMaven(version: string, lib: string): Promise<void> {
  const mvn = mustFindProgram('mvn');
  const args = [
    ...['-q', '-B', '-f', deployFile('pom.xml'), `-Drocketmq.version=${version}`],
    ...(hasProxy(version) ? ['-P', 'proxy'] : []),
    ...['dependency:copy-dependencies', `-DoutputDirectory=${lib}`],
  ];
  const running = promisify(execFile)(mvn, args, { timeout: mavenMs });
  const complaint = await running.then(() => undefined, complaintOf);
  if (complaint === undefined) return;
  throw new Error(`Maven did not fetch RocketMQ ${version}: ${complaint}`);
}

/** The folder with the jars of the release. */
export async function ensureJars(version: string = wantedVersion()): Promise<string> {
  const folder = cacheFolder(version);
  const lib = join(folder, 'lib');
  if (existsSync(lib)) return lib;
  mkdirSync(folder, { recursive: true });
  const lock = join(folder, 'lock');
  while (!takeLock(lock)) {
    await delay(pollMs);
    if (existsSync(lib)) return lib;
  }
  const filling = join(folder, `lib-${process.pid}`);
  try {
    // Somebody may have been done between the look and the lock.
    if (existsSync(lib)) return lib;
    // Folders of processes that ended over it.
    for (const name of readdirSync(folder).filter((each) => each.startsWith('lib-'))) {
      rmSync(join(folder, name), { recursive: true });
    }
    await runMaven(version, filling);
    renameSync(filling, lib);
    return lib;
  } finally {
    rmSync(filling, { recursive: true, force: true });
    rmSync(lock, { force: true });
  }
}
