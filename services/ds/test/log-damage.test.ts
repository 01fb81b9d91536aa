// Damaged bytes of the log: never delivered, passed over, told; what is behind them is delivered.
import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { queueId } from '@lmqtt/common/ids';
import { messageOf, type Message } from '@lmqtt/common/message';
import { checkDataFolder } from '../src/check-folder.ts';
import { DiskJournal } from '../src/journal/disk-journal.ts';
import { EmbeddedQueueStore } from '../src/queue-store/embedded/embedded-queue-store.ts';
import type { Damage } from '../src/queue-store/queue-store.ts';
import type { DamagedBlock } from '../src/queue-store/embedded/record-reader.ts';
import { scratchDirectory } from './journal-ledger.ts';

const queue = queueId(1);
const count = 900;
const segmentBytes = 65_536;

class Opened {
  readonly journal: DiskJournal;
  readonly store: EmbeddedQueueStore;
  readonly damage: Damage[] = [];
  readonly blocks: DamagedBlock[] = [];

  constructor(directory: string) {
    this.journal = new DiskJournal({ directory, segmentBytes });
    this.store = new EmbeddedQueueStore(
      this.journal,
      { storing: () => undefined, stored: () => undefined, has: () => false },
      {},
      (block) => this.blocks.push(block),
    );
    this.store.onDamaged((damage) => this.damage.push(damage));
  }

  async append(numbers: readonly number[]): Promise<void> {
    const batch = numbers.map((number) => ({
      message: message(number),
      queues: [queue],
      lane: '',
      inbound: undefined,
      reasonCode: -1,
      orderKey: undefined,
    }));
    await new Promise((done) => {
      this.store.append(batch, done);
    });
  }

  /** Numbers by offset, of all that can be read from there on. */
  async readAll(messagesMax: number, start = 0): Promise<Map<number, number>> {
    const found = new Map<number, number>();
    for (let from = start; ;) {
      const bytesMax = 1 << 20;
      const answer = await this.store.read({ queue, partition: 0, from, messagesMax, bytesMax });
      for (const each of answer.messages) found.set(each.entries[0]?.offset ?? -1, numberOf(each));
      if (answer.next >= answer.end) return found;
      assert.ok(answer.next > from);
      from = answer.next;
    }
  }

  async close(): Promise<void> {
    await this.store.close();
    await this.journal.close();
  }
}

function message(number: number): Message {
  const payload = Buffer.alloc(200 + (number % 50), `${number} `);
  return messageOf({
    topic: 'a/b',
    qos: 1,
    retain: false,
    payload,
    properties: undefined,
    expiresAtMs: 0,
    publisher: 'p',
  });
}

/** The number of a message, after a check of every byte of its payload. */
function numberOf({ buffer, payloadStart, payloadEnd }: Message): number {
  const payload = buffer.subarray(payloadStart, payloadEnd);
  const number = Number.parseInt(payload.toString('latin1', 0, 8), 10);
  assert.ok(
    payload.equals(Buffer.alloc(200 + (number % 50), `${number} `)),
    'the payload is right',
  );
  return number;
}

async function made(directory: string): Promise<void> {
  const opened = new Opened(directory);
  await opened.journal.open();
  for (let i = 0; i < count;) {
    const batch = Array.from({ length: 1 + (i % 7) }, (_, n) => i + n);
    await opened.append(batch);
    i += batch.length;
  }
  await opened.close();
}

function segmentsOf(directory: string): string[] {
  const names = readdirSync(join(directory, 'log')).filter((name) => name.endsWith('.seg'));
  return names.sort().map((name) => join(directory, 'log', name));
}

async function opened(directory: string): Promise<Opened> {
  const again = new Opened(directory);
  await again.journal.open();
  return again;
}

/** Everything but the damaged messages is read; those are told, once. */
async function checkReads(again: Opened, total: number, pages: readonly number[]): Promise<number> {
  let missing = 0;
  for (const messagesMax of pages) {
    const found = await again.readAll(messagesMax);
    const told = new Set(again.damage.flatMap(({ offsets }) => offsets));
    for (let offset = 0; offset < total; offset++) {
      if (told.has(offset)) assert.equal(found.get(offset), undefined, `${offset}`);
      else assert.equal(found.get(offset), offset);
    }
    missing = told.size;
  }
  assert.equal(again.damage.flatMap(({ offsets }) => offsets).length, missing);
  return missing;
}

void test('log damage: a flipped byte of a sealed segment costs the messages of its block', async (t) => {
  const scratch = scratchDirectory(t);
  const source = join(scratch, 'made');
  await made(source);
  const [, segment = ''] = segmentsOf(source);
  const bytes = readFileSync(segment);
  const total = count + 2;
  // The header of the segment, the header of the first block, and all over the rest.
  const places = [3, 13, 20, 33, 60, 64, 68, 72, 76, 80, 90, 110, 115];
  for (let at = 150; at < bytes.length; at += 3301) places.push(at);
  for (const [i, at] of places.entries()) {
    const directory = join(scratch, 'flipped');
    rmSync(directory, { recursive: true, force: true });
    cpSync(source, directory, { recursive: true });
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    writeFileSync(segmentsOf(directory)[1] ?? '', changed);
    const again = await opened(directory);
    const end = (await again.store.ends(queue))[0]?.end ?? 0;
    assert.ok(end >= count && end <= total + 5);
    const missing = await checkReads(again, end, i % 2 === 0 ? [100, 1] : [1, 100]);
    if (at < 64) assert.equal(missing, 0, `byte ${at}`);
    else assert.ok(missing > 0 && missing <= 7, `byte ${at}: ${missing}`);
    assert.ok(again.blocks.length <= 1);
    // Later messages come, too.
    await again.append([end]);
    assert.deepEqual([...(await again.readAll(10, end))], [[end, end]]);
    await again.close();
    const lines: string[] = [];
    assert.equal(await checkDataFolder(directory, false, (line) => lines.push(line)), false);
    assert.equal(await checkDataFolder(directory, true, (line) => lines.push(line)), true);
  }
});

void test('log damage: a byte that flips while the broker runs is noticed', async (t) => {
  const directory = scratchDirectory(t);
  await made(directory);
  const again = await opened(directory);
  const [, segment = ''] = segmentsOf(directory);
  const bytes = readFileSync(segment);
  bytes[20_000] = (bytes[20_000] ?? 0) ^ 1;
  writeFileSync(segment, bytes);
  const end = (await again.store.ends(queue))[0]?.end ?? 0;
  const missing = await checkReads(again, end, [50]);
  assert.ok(missing > 0 && missing <= 7);
  assert.equal(again.blocks.length, 1);
  await again.close();
});

void test('log damage: a segment that is cut off, or gone, costs what was in it', async (t) => {
  const directory = scratchDirectory(t);
  await made(directory);
  const [first = '', second = ''] = segmentsOf(directory);
  truncateSync(first, 30_000);
  rmSync(second);
  const again = await opened(directory);
  const end = (await again.store.ends(queue))[0]?.end ?? 0;
  const missing = await checkReads(again, end, [64, 1]);
  assert.ok(missing > 100 && missing < end - 100, `${missing} of ${end}`);
  await again.close();
});

void test('log damage: what a start needs is refused, and repaired past the damage', async (t) => {
  const directory = scratchDirectory(t);
  const first = await opened(directory);
  for (let i = 0; i < 50; i++) await first.append([i]);
  await first.journal.abandon();
  const segment = segmentsOf(directory).at(-1) ?? '';
  const bytes = readFileSync(segment);
  bytes[2000] = (bytes[2000] ?? 0) ^ 1;
  writeFileSync(segment, bytes);
  await assert.rejects(opened(directory), /is damaged at byte .* --repair$/);
  const lines: string[] = [];
  assert.equal(await checkDataFolder(directory, true, (line) => lines.push(line)), true);
  assert.ok(lines.some((line) => /damaged from byte \d+ to \d+: 1 blocks/.test(line)));
  const again = await opened(directory);
  const found = await again.readAll(10);
  assert.equal(found.size, 49);
  assert.equal(found.get(49), 49);
  await again.close();
});
