// A damaged state/data.mdb: noticed before lmdb maps it, said in one line, repaired on demand.
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { open } from 'lmdb';
import { checkDataFolder } from '../src/check-folder.ts';
import { JournalRefusal } from '../src/journal/failure.ts';
import type { JournalEvent } from '../src/journal/journal.ts';
import { openJournal, scratchDirectory } from './journal-ledger.ts';

const pageBytes = 4096;
const names = 3000;

/** A folder after a clean stop, with a state of some hundred pages. */
async function made(directory: string): Promise<Buffer> {
  const { journal, store } = await openJournal({ directory });
  for (let i = 0; i < names; i++) store.set(`name ${i}`, i);
  await journal.durable();
  await journal.checkpoint();
  for (let i = 0; i < names; i += 10) store.remove(`name ${i}`);
  await journal.close();
  return readFileSync(join(directory, 'state', 'data.mdb'));
}

/** Number of the first page of this kind that the last transaction has written. */
function pageOf(state: Buffer, flags: number, nodes = 1): number {
  const last = Math.max(...[0, 1].map((i) => Number(state.readBigUInt64LE(i * pageBytes + 152))));
  for (let at = 2 * pageBytes; at < state.length; at += pageBytes) {
    const isLast = Number(state.readBigUInt64LE(at + 8)) >= last - 1;
    const hasNodes = state.readUInt16LE(at + 20) / 2 >= nodes;
    if (isLast && hasNodes && state.readUInt16LE(at + 18) === flags) return at / pageBytes;
  }
  throw new Error('there is no such page');
}

function flip(bytes: Buffer, at: number): Buffer {
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  return bytes;
}

const kinds: readonly (readonly [what: string, damage: (state: Buffer) => Buffer])[] = [
  ['cut off in the middle', (state) => state.subarray(0, state.length >> 1)],
  ['cut off behind the first page', (state) => state.subarray(0, pageBytes)],
  ['a few bytes', (state) => state.subarray(0, 100)],
  ['zeros', (state) => state.fill(0)],
  ['its first page is zeros', (state) => state.fill(0, 0, pageBytes)],
  ['its second page is zeros', (state) => state.fill(0, pageBytes, 2 * pageBytes)],
  [
    'a page of entries is zeros',
    (state) => {
      const at = pageOf(state, 2) * pageBytes;
      return state.fill(0, at, at + pageBytes);
    },
  ],
  ['another magic in the first page', (state) => flip(state, 24)],
  ['another magic in the second page', (state) => flip(state, pageBytes + 24)],
  ['another version', (state) => flip(state, 28)],
  ['another size of pages', (state) => flip(state, 49)],
  ['another root', (state) => flip(flip(state, 136), pageBytes + 136)],
  ['another number of entries', (state) => flip(flip(state, 128), pageBytes + 128)],
  ['a flag of a tree', (state) => flip(flip(state, 100), pageBytes + 100)],
  [
    'a branch points elsewhere',
    (state) => {
      const at = pageOf(state, 1) * pageBytes;
      return flip(state, at + 24 + state.readUInt16LE(at + 24));
    },
  ],
  ['the list of nodes', (state) => flip(state, pageOf(state, 2) * pageBytes + 25)],
  [
    'the last byte of a page of entries',
    (state) => flip(state, (pageOf(state, 2) + 1) * pageBytes - 1),
  ],
  ['the transaction of a page', (state) => flip(state, pageOf(state, 2) * pageBytes + 13)],
  ['a file of another program', () => Buffer.from('SQLite format 3\0'.repeat(2000))],
];

async function refusalOf(directory: string): Promise<JournalRefusal> {
  try {
    const { journal } = await openJournal({ directory });
    await journal.close();
  } catch (error) {
    assert.ok(error instanceof JournalRefusal, String(error));
    return error;
  }
  throw new Error('it was opened');
}

for (const [what, damage] of kinds) {
  void test(`damaged state: ${what}`, async (t) => {
    const directory = scratchDirectory(t);
    const file = join(directory, 'state', 'data.mdb');
    const state = await made(directory);
    writeFileSync(file, damage(Buffer.from(state)));
    const refusal = await refusalOf(directory);
    assert.equal(refusal.why, 'damaged');
    assert.equal(refusal.exitCode, 65);
    assert.match(refusal.message, /data\.mdb is damaged .*check --data-dir .* --repair$/);
    assert.doesNotMatch(refusal.message, /\n/);

    const lines: string[] = [];
    assert.equal(await checkDataFolder(directory, false, (line) => lines.push(line)), false);
    assert.ok(
      lines.some((line) => line.startsWith('wrong: ')),
      lines.join('\n'),
    );
    assert.equal(await checkDataFolder(directory, true, (line) => lines.push(line)), true);
    assert.ok(existsSync(`${file}.damaged`), lines.join('\n'));
    const again = await openJournal({ directory });
    // Entries that were read are those that were stored, and the log goes on behind them.
    for (const [name, value] of again.store.content()) {
      assert.equal(value, Number(name.split(' ')[1]));
    }
    again.store.set('name 7', 7);
    await again.journal.close();
  });
}

void test('damaged state: one page of entries costs no more than its entries', async (t) => {
  const directory = scratchDirectory(t);
  const file = join(directory, 'state', 'data.mdb');
  const state = await made(directory);
  const at = pageOf(state, 2, 20) * pageBytes;
  writeFileSync(file, state.fill(0, at, at + pageBytes));
  const { message } = await refusalOf(directory);
  const told = /(\d+) of (\d+) entries of ledger/.exec(message);
  const missing = Number(told?.[1]);
  assert.ok(missing > 0 && missing < 300, message);
  await checkDataFolder(directory, true, () => undefined);
  const { journal, store } = await openJournal({ directory });
  assert.equal(store.content().size, names - names / 10 - missing);
  await journal.close();
});

void test('damaged state: nothing of what the log still has is lost', async (t) => {
  const directory = scratchDirectory(t);
  const { journal, store } = await openJournal({ directory });
  for (let i = 0; i < 100; i++) store.set(`name ${i}`, i);
  await journal.durable();
  await journal.checkpoint();
  store.set('late', 1);
  await journal.durable();
  await journal.abandon();
  const file = join(directory, 'state', 'data.mdb');
  writeFileSync(file, readFileSync(file).fill(0, 0, 3 * pageBytes));
  await refusalOf(directory);
  await checkDataFolder(directory, true, () => undefined);
  const again = await openJournal({ directory });
  assert.deepEqual(again.store.content(), store.content());
  await again.journal.close();
});

void test('damaged state: an empty file is as good as none where the log has everything', async (t) => {
  const directory = scratchDirectory(t);
  const { journal, store } = await openJournal({ directory });
  for (let i = 0; i < 100; i++) store.set(`name ${i}`, i);
  await journal.durable();
  await journal.abandon();
  writeFileSync(join(directory, 'state', 'data.mdb'), '');
  const again = await openJournal({ directory });
  assert.deepEqual(again.store.content(), store.content());
  await again.journal.close();
});

void test('damaged state: an empty file is said where the log no longer reaches back', async (t) => {
  const directory = scratchDirectory(t);
  await made(directory);
  const first = await openJournal({ directory });
  await first.journal.close();
  rmSync(join(directory, 'log', '0000000001.seg'));
  writeFileSync(join(directory, 'state', 'data.mdb'), '');
  assert.match((await refusalOf(directory)).message, /missing or empty.*--repair$/);
  assert.equal(await checkDataFolder(directory, true, () => undefined), true);
  const { journal } = await openJournal({ directory });
  await journal.close();
});

void test('a damaged lock file of lmdb is no matter', async (t) => {
  const directory = scratchDirectory(t);
  await made(directory);
  const file = join(directory, 'state', 'lock.mdb');
  for (const content of [Buffer.alloc(8192, 0xff), Buffer.alloc(3), Buffer.alloc(8192)]) {
    writeFileSync(file, content);
    const { journal } = await openJournal({ directory });
    await journal.close();
  }
});

void test('a process that died while it opened the state leaves a word of it', async (t) => {
  const directory = scratchDirectory(t);
  await made(directory);
  const marker = join(directory, 'state', 'opening');
  writeFileSync(marker, '1\n');
  const events: JournalEvent[] = [];
  const { journal } = await openJournal({ directory, onEvent: (event) => events.push(event) });
  assert.ok(events.some(({ kind }) => kind === 'opened again'));
  assert.equal(existsSync(marker), false);
  await journal.close();
});

void test('a state without sums is read, and gets them with the next checkpoint', async (t) => {
  const directory = scratchDirectory(t);
  await made(directory);
  const old = join(directory, 'old');
  cpSync(join(directory, 'log'), join(old, 'log'), { recursive: true });
  const source = open<Buffer, string>({
    path: join(directory, 'state'),
    encoding: 'binary',
    overlappingSync: false,
  });
  const mark = source.openDB<string, string>('journal', { encoding: 'string' }).get('mark') ?? '';
  await source.close();
  const target = open<Buffer, string>({
    path: join(old, 'state'),
    encoding: 'binary',
    overlappingSync: false,
  });
  const own = target.openDB<string, string>('journal', { encoding: 'string' });
  await own.put('format', '1');
  await own.put('mark', mark.slice(mark.indexOf('{')));
  const value = Buffer.alloc(8);
  value.writeDoubleLE(5);
  await target.openDB<Buffer, string>('t:ledger', { encoding: 'binary' }).put('name 5', value);
  await target.close();
  for (let i = 0; i < 2; i++) {
    const { journal, store } = await openJournal({ directory: old });
    assert.equal(store.get('name 5'), 5);
    await journal.close();
  }
  const lines: string[] = [];
  assert.equal(await checkDataFolder(old, false, (line) => lines.push(line)), true);
  assert.ok(
    lines.some((line) => /format 2, 1 entries/.test(line)),
    lines.join('\n'),
  );
});
