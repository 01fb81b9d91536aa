import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { JournalRefusal } from '../src/journal/failure.ts';
import { openJournal, scratchDirectory } from './journal-ledger.ts';

const writer = join(import.meta.dirname, 'journal-writer.js');

/** Runs the writer and kills it after some time; gives the numbers that it said were durable. */
function runAndKill(
  directory: string,
  first: number,
  afterMs: number,
  started: () => void = () => undefined,
): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [writer, directory, '10000000', '100', String(first)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const said: number[] = [];
    let rest = '';
    let timer: NodeJS.Timeout | undefined;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) said.push(Number(line.slice(3)));
      if (timer !== undefined) return;
      timer = setTimeout(() => child.kill('SIGKILL'), afterMs);
      started();
    });
    child.on('error', reject);
    child.on('close', (_code, signal) => {
      if (signal === 'SIGKILL') resolve(said);
      else reject(new Error('the writer ended by itself'));
    });
  });
}

void test('kill -9 at random instants loses nothing that was acknowledged', async (t) => {
  const directory = scratchDirectory(t);
  const all: number[] = [];
  for (let round = 0; round < 6; round++) {
    const said = await runAndKill(directory, all.length, Math.random() * 400);
    all.push(...said);
    const { journal, store } = await openJournal({ directory });
    for (const number of all) assert.equal(store.get(`key ${number}`), number, `round ${round}`);
    if (round % 2 === 0) await journal.abandon();
    else await journal.close();
  }
  assert.ok(all.length > 100);
});

void test('a folder is refused while its holder lives, and free when that was killed', async (t) => {
  const directory = scratchDirectory(t);
  let running: Promise<number[]> | undefined;
  await new Promise<void>((resolve) => {
    running = runAndKill(directory, 0, 1000, resolve);
  });
  const refusal = await openJournal({ directory }).then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(refusal instanceof JournalRefusal);
  assert.equal(refusal.why, 'in use');
  await running;
  const { journal } = await openJournal({ directory });
  await journal.close();
});
