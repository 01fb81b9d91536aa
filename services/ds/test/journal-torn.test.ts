import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { JournalRefusal } from '../src/journal/failure.ts';
import type { JournalEvent } from '../src/journal/journal.ts';
import { openJournal, scratchDirectory } from './journal-ledger.ts';

interface Crashed {
  readonly directory: string;
  readonly segment: string;
  /** Start of each block in the segment, and the end of the last. */
  readonly starts: number[];
  readonly contents: Map<string, number>[];
}

/** A folder as `kill -9` leaves it, with a few blocks in its last segment. */
async function crash(directory: string, blocks: number): Promise<Crashed> {
  const { journal, store } = await openJournal({ directory });
  await journal.checkpoint();
  const starts = [64];
  const contents = [store.content()];
  for (let i = 0; i < blocks; i++) {
    store.set(`k${i}`, i);
    store.set('all', i);
    await new Promise<void>((resolve) => {
      journal.commit((_failure, { position, bytes }) => {
        starts.push(position + bytes);
        resolve();
      });
    });
    contents.push(store.content());
  }
  await journal.abandon();
  const names = readdirSync(join(directory, 'log')).filter((name) => name.endsWith('.seg'));
  return { directory, segment: names.sort().at(-1) ?? '', starts, contents };
}

/** A copy whose last segment was changed. */
function changed(crashed: Crashed, into: string, change: (bytes: Buffer) => Buffer): string {
  rmSync(into, { recursive: true, force: true });
  cpSync(crashed.directory, into, { recursive: true });
  const path = join(into, 'log', crashed.segment);
  writeFileSync(path, change(readFileSync(path)));
  return into;
}

void test('a block that is incomplete from any byte on is cut off, and nothing else', async (t) => {
  const scratch = scratchDirectory(t);
  const crashed = await crash(join(scratch, 'made'), 3);
  const [, , start = 0, end = 0] = crashed.starts;
  for (let cut = start; cut <= end; cut++) {
    // Past the cut: the end of the file, zeros, or what was there before.
    const directory = changed(crashed, join(scratch, 'cut'), (bytes) => {
      if (cut % 3 === 0) return bytes.subarray(0, cut);
      bytes.fill(cut % 3 === 1 ? 0 : 0xaa, cut, end);
      return bytes;
    });
    const events: JournalEvent[] = [];
    const { journal, store } = await openJournal({
      directory,
      onEvent: (event) => {
        events.push(event);
      },
    });
    assert.deepEqual(store.content(), crashed.contents[cut === end ? 3 : 2], `cut at ${cut}`);
    if (cut > start + 4 && cut < end) {
      assert.ok(
        events.some((event) => event.kind === 'repaired' && event.position === start),
        `said at ${cut}`,
      );
    }
    store.set('after', cut);
    await journal.durable();
    await journal.abandon();
    if (cut % 8 !== 0) continue;
    const again = await openJournal({ directory });
    assert.equal(again.store.get('after'), cut);
    assert.equal(again.store.get('k1'), 1);
    await again.journal.abandon();
  }
});

void test('a block whose first pages are missing is cut off', async (t) => {
  const scratch = scratchDirectory(t);
  const crashed = await crash(join(scratch, 'made'), 3);
  const [, , start = 0, end = 0] = crashed.starts;
  const directory = changed(crashed, join(scratch, 'cut'), (bytes) =>
    bytes.fill(0, start, end - 9),
  );
  const { journal, store } = await openJournal({ directory });
  assert.deepEqual(store.content(), crashed.contents[2]);
  await journal.close();
});

void test('a bit that flipped in front of a good block is said, not repaired', async (t) => {
  const scratch = scratchDirectory(t);
  const crashed = await crash(join(scratch, 'made'), 4);
  const [, start = 0, end = 0] = crashed.starts;
  for (let at = start; at < end; at += 5) {
    const directory = changed(crashed, join(scratch, 'flip'), (bytes) => {
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
      return bytes;
    });
    await assert.rejects(openJournal({ directory }), (error) => {
      assert.ok(error instanceof JournalRefusal, String(error));
      assert.equal(error.why, 'damaged');
      assert.ok(error.message.includes(crashed.segment));
      return true;
    });
  }
});

void test('a damaged block of a sealed segment that is needed is said', async (t) => {
  const directory = scratchDirectory(t);
  const { journal, store } = await openJournal({ directory, segmentBytes: 600 });
  for (let i = 0; i < 20; i++) {
    store.set(`key ${i}`, i);
    await journal.durable();
  }
  await journal.abandon();
  const log = join(directory, 'log');
  const [, second = ''] = readdirSync(log)
    .filter((name) => name.endsWith('.seg'))
    .sort();
  const bytes = readFileSync(join(log, second));
  bytes[200] = (bytes[200] ?? 0) ^ 4;
  writeFileSync(join(log, second), bytes);
  await assert.rejects(
    openJournal({ directory }),
    (error) => error instanceof JournalRefusal && error.why === 'damaged',
  );
  rmSync(join(log, second));
  await assert.rejects(
    openJournal({ directory }),
    (error) => error instanceof JournalRefusal && /is missing/.test(error.message),
  );
});

void test('a payload that looks like a block is not taken for one', async (t) => {
  const scratch = scratchDirectory(t);
  const made = join(scratch, 'made');
  const first = await openJournal({ directory: made });
  first.store.set('a', 1);
  await first.journal.durable();
  const log = join(made, 'log');
  const name = readdirSync(log).find((file) => file.endsWith('.seg')) ?? '';
  // The publisher knows the format and has a block of another segment at hand, but no salt.
  const other = await openJournal({ directory: join(scratch, 'other') });
  for (let i = 0; i < 5; i++) {
    other.store.set('evil', i);
    await other.journal.durable();
  }
  const otherLog = join(scratch, 'other', 'log');
  const evil = readFileSync(
    join(otherLog, readdirSync(otherLog).find((f) => f.endsWith('.seg')) ?? ''),
  );
  first.journal.add(100, Buffer.concat([Buffer.alloc(8), evil.subarray(64, 600)]));
  let at = 0;
  await new Promise<void>((resolve) => {
    first.journal.commit((_failure, { position }) => {
      at = position;
      resolve();
    });
  });
  await first.journal.abandon();
  await other.journal.abandon();
  const bytes = readFileSync(join(log, name));
  bytes.fill(0, at, at + 20);
  writeFileSync(join(log, name), bytes);
  const { journal, store } = await openJournal({ directory: made });
  assert.deepEqual([...store.content()], [['a', 1]]);
  await journal.close();
});

void test('another format version is refused with words', async (t) => {
  const scratch = scratchDirectory(t);
  const crashed = await crash(join(scratch, 'made'), 1);
  const directory = changed(crashed, join(scratch, 'new'), (bytes) => {
    bytes.writeUInt32LE(7, 8);
    return bytes;
  });
  await assert.rejects(openJournal({ directory }), (error) => {
    assert.ok(error instanceof JournalRefusal);
    assert.equal(error.why, 'version');
    assert.match(error.message, /format version 7; this broker reads 1/);
    return true;
  });
});

void test('a segment that a crash left without a head is removed; a damaged head is said', async (t) => {
  const scratch = scratchDirectory(t);
  const crashed = await crash(join(scratch, 'made'), 2);
  const blank = changed(crashed, join(scratch, 'blank'), (bytes) => bytes);
  writeFileSync(join(blank, 'log', '0000000099.seg'), Buffer.alloc(5000));
  const { journal, store } = await openJournal({ directory: blank });
  assert.deepEqual(store.content(), crashed.contents[2]);
  await journal.close();
  const directory = changed(crashed, join(scratch, 'head'), (bytes) => {
    bytes[30] = 0xff;
    return bytes;
  });
  await assert.rejects(
    openJournal({ directory }),
    (error) => error instanceof JournalRefusal && error.why === 'damaged',
  );
});
