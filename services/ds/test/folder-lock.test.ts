// At most one process holds a folder, whatever is in its PATH, and however the process before has
// ended.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { JournalRefusal } from '../src/journal/failure.ts';
import { FolderLock } from '../src/journal/lock.ts';
import { scratchDirectory } from './journal-ledger.ts';

const taker = join(import.meta.dirname, 'lock-taker.js');

interface Taker {
  readonly child: ChildProcess;
  readonly said: string;
}

async function take(t: TestContext, directory: string): Promise<Taker> {
  const child = spawn(process.execPath, [taker, directory], {
    env: {},
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, said: said.toString().trim() };
}

async function kill({ child }: Taker): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

void test('folder lock: an empty PATH, and kill -9 of the holder', async (t) => {
  const directory = scratchDirectory(t);
  let holder = await take(t, directory);
  assert.equal(holder.said, 'taken');
  for (let i = 0; i < 3; i++) {
    const other = await take(t, directory);
    const pid = holder.child.pid ?? 0;
    assert.equal(other.said, `${directory} is in use by another broker (process ${pid})`);
    await kill(holder);
    holder = await take(t, directory);
    assert.equal(holder.said, 'taken');
  }
  // A process that is stopped has it still.
  holder.child.kill('SIGSTOP');
  assert.match((await take(t, directory)).said, /is in use/);
});

void test('folder lock: of many that come at once one has it', async (t) => {
  const directory = scratchDirectory(t);
  for (let round = 0; round < 4; round++) {
    const takers = await Promise.all(Array.from({ length: 6 }, () => take(t, directory)));
    const holders = takers.filter(({ said }) => said === 'taken');
    assert.ok(holders.length <= 1, `${holders.length} have it`);
    assert.ok(takers.every(({ said }) => said === 'taken' || said.includes('is in use')));
    for (const each of holders) await kill(each);
  }
  assert.equal((await take(t, directory)).said, 'taken');
  assert.equal(readdirSync(join(directory, 'holders')).length, 1);
});

void test('folder lock: a folder with a long path', async (t) => {
  const directory = join(scratchDirectory(t), 'd'.repeat(100), 'e'.repeat(100));
  mkdirSync(directory, { recursive: true });
  const holder = await take(t, directory);
  assert.equal(holder.said, 'taken');
  assert.match((await take(t, directory)).said, /is in use/);
  await kill(holder);
  const lock = await FolderLock.take(directory);
  await lock.free();
});

void test('folder lock: a holder on another machine is known by its touch', async (t) => {
  const directory = scratchDirectory(t);
  mkdirSync(join(directory, 'holders'));
  const entry = join(directory, 'holders', '0123456789ab-0123456789ab.sock');
  writeFileSync(entry, '');
  let seconds = 1_700_000_000;
  const touching = setInterval(() => {
    seconds += 1;
    utimesSync(entry, seconds, seconds);
  }, 500);
  t.after(() => {
    clearInterval(touching);
  });
  await assert.rejects(FolderLock.take(directory), (error) => {
    assert.ok(error instanceof JournalRefusal);
    assert.equal(error.exitCode, 1);
    return true;
  });
  clearInterval(touching);
  const lock = await FolderLock.take(directory);
  assert.equal(readdirSync(join(directory, 'holders')).length, 1);
  await lock.free();
  assert.deepEqual(readdirSync(join(directory, 'holders')), []);
});
