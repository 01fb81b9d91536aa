// The age of messages counts the time that the broker ran, whatever the wall clock says.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { queueId } from '@lmqtt/common/ids';
import { messageOf } from '@lmqtt/common/message';
import { DiskJournal } from '../src/journal/disk-journal.ts';
import type { JournalEvent } from '../src/journal/journal.ts';
import { EmbeddedQueueStore } from '../src/queue-store/embedded/embedded-queue-store.ts';
import { scratchDirectory } from './journal-ledger.ts';

const queue = queueId(1);
const dayMs = 86_400_000;
const count = 400;

class Opened {
  readonly journal: DiskJournal;
  readonly store: EmbeddedQueueStore;
  readonly events: JournalEvent[] = [];

  constructor(directory: string) {
    const onEvent = (event: JournalEvent): void => void this.events.push(event);
    this.journal = new DiskJournal({ directory, segmentBytes: 65_536, onEvent });
    const inbound = { storing: () => undefined, stored: () => undefined, has: () => false };
    this.store = new EmbeddedQueueStore(this.journal, inbound, { retentionAgeS: 3600 });
  }

  async append(messages: number): Promise<void> {
    for (let i = 0; i < messages; i++) {
      const payload = Buffer.alloc(1000, i);
      const rest = { qos: 1, retain: false, properties: undefined, expiresAtMs: 0 } as const;
      const message = messageOf({ ...rest, topic: 'a', payload, publisher: 'p' });
      const append = { message, queues: [queue], lane: '', inbound: undefined };
      await new Promise((done) => {
        this.store.append([{ ...append, reasonCode: -1, orderKey: undefined }], done);
      });
    }
  }

  /** After retention has looked at everything. */
  async kept(): Promise<number> {
    await this.store.retain();
    const [end] = await this.store.ends(queue);
    return (end?.end ?? 0) - (end?.first ?? 0);
  }

  async close(): Promise<void> {
    await this.store.close();
    await this.journal.close();
  }
}

function setClock(t: TestContext): (aheadMs: number) => void {
  const { now } = Date;
  let aheadMs = 0;
  t.mock.method(Date, 'now', () => now() + aheadMs);
  return (ms) => {
    aheadMs = ms;
  };
}

for (const days of [8, -8]) {
  void test(`retention age: a clock that jumps ${days} days takes nothing`, async (t) => {
    const set = setClock(t);
    const directory = scratchDirectory(t);
    const opened = new Opened(directory);
    await opened.journal.open();
    await opened.append(count);
    set(days * dayMs);
    assert.equal(await opened.kept(), count);
    await opened.append(count);
    set(2 * days * dayMs);
    assert.equal(await opened.kept(), 2 * count);
    await opened.close();
  });

  void test(`retention age: ${days} days on the clock while the broker was off`, async (t) => {
    const set = setClock(t);
    const directory = scratchDirectory(t);
    const first = new Opened(directory);
    await first.journal.open();
    await first.append(count);
    await first.close();
    for (const stop of ['close', 'abandon']) {
      set(days * dayMs);
      const again = new Opened(directory);
      await again.journal.open();
      assert.equal(await again.kept(), count);
      if (stop === 'close') await again.close();
      else await again.journal.abandon();
    }
  });
}

void test('retention age: the start says how long ago the last block was written', async (t) => {
  const set = setClock(t);
  const directory = scratchDirectory(t);
  const first = new Opened(directory);
  await first.journal.open();
  await first.append(3);
  await first.journal.abandon();
  set(-dayMs);
  const again = new Opened(directory);
  await again.journal.open();
  const opened = again.events.find((event) => event.kind === 'opened');
  assert.ok(Math.abs((opened?.sinceLastBlockS ?? 0) + 86_400) < 600, JSON.stringify(opened));
  await again.close();
});
