import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { JournalFailure } from '../src/journal/failure.ts';
import { DiskFiles, type OpenFile } from '../src/journal/files.ts';
import type { JournalEvent } from '../src/journal/journal.ts';
import { openJournal, scratchDirectory } from './journal-ledger.ts';

/** Writes a part, then fails, so many times. */
class FullDisk extends DiskFiles {
  code = 'ENOSPC';
  failures = 0;

  override async open(path: string, mode: 'read' | 'write' | 'create'): Promise<OpenFile> {
    if (mode === 'create' && this.failures > 0) {
      this.failures--;
      throw this.#error();
    }
    const file = await super.open(path, mode);
    const write = file.write.bind(file);
    file.write = (buffer, start, bytes, position, done) => {
      if (this.failures === 0) {
        write(buffer, start, bytes, position, done);
        return;
      }
      this.failures--;
      // All of it may be there, or half: nobody knows.
      write(buffer, start, this.failures % 2 === 0 ? bytes : bytes >> 1, position, () => {
        done(this.#error());
      });
    };
    return file;
  }

  #error(): Error {
    return Object.assign(new Error(`${this.code}: injected`), { code: this.code });
  }
}

for (const [code, reasonCode] of [
  ['ENOSPC', 0x97],
  ['EFBIG', 0x97],
  ['EDQUOT', 0x97],
  ['EIO', 0x83],
] as const) {
  void test(`${code}: everything fails at once, then it goes on by itself`, async (t) => {
    const directory = scratchDirectory(t);
    const disk = new FullDisk();
    disk.code = code;
    const events: JournalEvent[] = [];
    const options = {
      directory,
      onEvent: (event: JournalEvent) => {
        events.push(event);
      },
    };
    const { journal, store } = await openJournal(options, undefined, disk);
    store.set('before', 1);
    await journal.durable();
    disk.failures = 3;
    store.set('during', 1);
    const order: string[] = [];
    const waits = ['a', 'b', 'c'].map((name) => {
      store.set(name, 1);
      return new Promise<void>((resolve) => {
        journal.commit((failure) => {
          assert.ok(failure instanceof JournalFailure);
          assert.equal(failure.reasonCode, reasonCode);
          order.push(name);
          resolve();
        });
      });
    });
    await Promise.all(waits);
    assert.deepEqual(order, ['a', 'b', 'c']);
    assert.equal(journal.refusal, reasonCode);
    await assert.rejects(journal.durable(), JournalFailure);
    store.set('lazy', 5);
    await until(() => journal.refusal === 0);
    assert.equal(disk.failures, 0);
    assert.ok(events.some(({ kind }) => kind === 'recovered'));
    store.set('after', 1);
    await journal.durable();
    // Everything in memory is on the disk, failed records included: participant.ts.
    const content = store.content();
    assert.deepEqual([...content.keys()].sort(), [
      'a',
      'after',
      'b',
      'before',
      'c',
      'during',
      'lazy',
    ]);
    await journal.abandon();
    const again = await openJournal({ directory });
    assert.deepEqual(again.store.content(), content);
    await again.journal.close();
  });
}

void test('a crash while the disk is full leaves what was acknowledged', async (t) => {
  const directory = scratchDirectory(t);
  const disk = new FullDisk();
  const { journal, store } = await openJournal({ directory }, undefined, disk);
  store.set('before', 1);
  await journal.durable();
  disk.failures = 1e9;
  store.set('failed', 1);
  await assert.rejects(journal.durable());
  await new Promise((done) => setTimeout(done, 200));
  await journal.abandon();
  const again = await openJournal({ directory });
  assert.equal(again.store.get('before'), 1);
  again.store.set('after', 1);
  await again.journal.durable();
  await again.journal.close();
});

const writer = join(import.meta.dirname, 'journal-writer.js');
const checkpointWriter = join(import.meta.dirname, 'checkpoint-writer.js');

interface Run {
  readonly acknowledged: number[];
  readonly failures: string[];
}

/** Runs the writer; each line of it is `ok N` or `failed CODE`. */
function run(command: string, onLine: (line: string) => void): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-c', command], { stdio: ['ignore', 'pipe', 'inherit'] });
    const run: Run = { acknowledged: [], failures: [] };
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const [word, value = ''] = line.split(' ');
        if (word === 'ok') run.acknowledged.push(Number(value));
        else run.failures.push(value);
        onLine(line);
      }
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (code === 0) resolve(run);
      else reject(new Error(`the writer ended with ${code ?? signal}`));
    });
  });
}

async function check(directory: string, acknowledged: number[]): Promise<void> {
  const { journal, store } = await openJournal({ directory });
  for (const number of acknowledged) assert.equal(store.get(`key ${number}`), number);
  await journal.close();
}

void test('a limit on the size of files (ulimit -f)', async (t) => {
  const directory = scratchDirectory(t);
  // 1,000 KiB a file; 4,000 records of 1,000 bytes.
  const command = `ulimit -f 1000; exec '${process.execPath}' '${writer}' '${directory}' 4000 1000`;
  const { acknowledged, failures } = await run(command, () => undefined);
  assert.ok(failures.length > 0 && failures.every((code) => code === '151'), failures.join());
  assert.ok(acknowledged.length > 2000);
  await check(directory, acknowledged);
});

void test('a checkpoint that finds no room fails, and the log goes on', async (t) => {
  const directory = scratchDirectory(t);
  // 100 KiB a file: more than a segment, less than what the checkpoint writes.
  const command = `ulimit -f 100; exec '${process.execPath}' '${checkpointWriter}' '${directory}' 3`;
  const { acknowledged, failures } = await run(command, () => undefined);
  assert.deepEqual(acknowledged, []);
  assert.equal(failures.length, 3);
  const { journal, store } = await openJournal({ directory });
  assert.deepEqual(new Set(store.content().values()), new Set([2]));
  await journal.checkpoint();
  await journal.close();
});

void test('a small tmpfs runs full, and goes on when there is space', async (t) => {
  const directory = scratchDirectory(t);
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=10m', 'tmpfs', directory]);
  if (mount.status !== 0) {
    t.skip('mounting is not allowed here');
    return;
  }
  try {
    const filler = join(directory, 'filler');
    writeFileSync(filler, Buffer.alloc(7 << 20));
    let failed = 0;
    const command = `exec '${process.execPath}' '${writer}' '${directory}' 5000 1000`;
    const { acknowledged, failures } = await run(command, (line) => {
      if (line.startsWith('failed') && ++failed === 20) rmSync(filler);
    });
    assert.ok(failures.length >= 20 && failures.every((code) => code === '151'), failures.join());
    assert.ok(acknowledged.length > 4000, `${acknowledged.length} acknowledged`);
    await check(directory, acknowledged);
  } finally {
    spawnSync('umount', ['-l', directory]);
  }
});

async function until(reached: () => boolean): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (reached()) return;
    await new Promise((done) => setTimeout(done, 10));
  }
  assert.fail('it did not come');
}
