import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { clientId, epoch, queueId, type ClientId, type Epoch } from '@lmqtt/common/ids';
import { messageOf } from '@lmqtt/common/message';
import { DiskJournal } from '@lmqtt/ds/journal/disk-journal';
import type { Files } from '@lmqtt/ds/journal/files';
import { EmbeddedQueueStore } from '@lmqtt/ds/queue-store/embedded/embedded-queue-store';
import type { EntryKey, Participant } from '@lmqtt/ds/journal/participant';
import type { Append, InboundId, InboundIds } from '@lmqtt/ds/queue-store/queue-store';
import { ShadowFiles } from './shadow-files.ts';

const queues = 5;

interface Opened {
  readonly journal: DiskJournal;
  readonly store: EmbeddedQueueStore;
  readonly inbound: IdTable;
}

/** Keeps the inbound ids as a session store does: by the message records, and by checkpoints. */
class IdTable implements InboundIds, Participant {
  readonly name = 'ids';
  readonly ids = new Set<string>();
  #changed = new Set<EntryKey>();

  storing(): void {}

  stored(client: ClientId, ofEpoch: Epoch, packetId: number): void {
    const key = `${client} ${ofEpoch} ${packetId}`;
    this.ids.add(key);
    this.#changed.add(key);
  }

  has(client: ClientId, ofEpoch: Epoch, packetId: number): boolean {
    return this.ids.has(`${client} ${ofEpoch} ${packetId}`);
  }

  load(key: EntryKey): void {
    this.ids.add(String(key));
  }

  takeChanged(): Iterable<EntryKey> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  entry(key: EntryKey): Buffer | undefined {
    return this.ids.has(String(key)) ? Buffer.from([1]) : undefined;
  }

  putBack(keys: Iterable<EntryKey>): void {
    for (const key of keys) this.#changed.add(key);
  }
}

async function open(
  directory: string,
  files?: Files,
  flushed: () => void = () => undefined,
): Promise<Opened> {
  const inbound = new IdTable();
  const journal = new DiskJournal(
    {
      directory,
      segmentBytes: 200_000,
      checkpointBytes: 300_000,
      onEvent: ({ kind }) => {
        if (kind === 'checkpoint') flushed();
      },
    },
    files,
  );
  const store = new EmbeddedQueueStore(journal, inbound, { everyMs: 10 });
  journal.participate(inbound);
  await journal.open();
  return { journal, store, inbound };
}

function inboundOf(number: number): InboundId {
  return {
    clientId: clientId('c'),
    epoch: epoch(Math.floor(number / 65_536)),
    packetId: number % 65_536,
  };
}

function appendOf(number: number): Append {
  const size = number % 50 === 0 ? 30_000 : number % 400;
  const message = messageOf({
    topic: `t/${number % 3}`,
    qos: 2,
    retain: false,
    payload: Buffer.from(`${number} ${'x'.repeat(size)}`),
  });
  const inbound = inboundOf(number);
  return {
    message,
    queues: [queueId(1 + (number % queues))],
    lane: message.topic,
    inbound,
    reasonCode: -1,
    orderKey: undefined,
  };
}

/** Numbers of the messages that the queues hold. */
async function stored(store: EmbeddedQueueStore): Promise<Set<number>> {
  const found = new Set<number>();
  for (let queue = 1; queue <= queues; queue++) {
    let last = -1;
    for (let from = 0; ;) {
      const request = {
        queue: queueId(queue),
        partition: 0,
        from,
        messagesMax: 500,
        bytesMax: 1e6,
      };
      const { messages, next, end } = await store.read(request);
      for (const message of messages) {
        const number = Number.parseInt(message.payload.toString(), 10);
        assert.ok(number > last, 'in order, and once');
        assert.equal(1 + (number % queues), queue);
        last = number;
        found.add(number);
      }
      from = next;
      if (from >= end) break;
    }
  }
  return found;
}

void test('as of the last sync, at random instants, everything acknowledged is there', async (t) => {
  const scratch = mkdtempSync(join(tmpdir(), 'lmqtt-'));
  t.after(() => {
    rmSync(scratch, { recursive: true, force: true });
  });
  const directory = join(scratch, 'live');
  const files = new ShadowFiles();
  const live = await open(directory, files, () => {
    files.stateFlushed(directory);
  });
  const acknowledged = new Set<number>();
  const trimmed = new Map<number, number>();
  let appended = 0;
  let stop = false;

  const write = async (): Promise<void> => {
    while (!stop) {
      const count = 1 + Math.floor(Math.random() * 30);
      const batch = Array.from({ length: count }, () => appendOf(appended++));
      await new Promise<void>((resolve) => {
        live.store.append(batch, () => {
          for (const { message } of batch) {
            acknowledged.add(Number.parseInt(message.payload.toString('utf8', 0, 12), 10));
          }
          resolve();
        });
      });
      // The oldest are trimmed, so that segments go while we look.
      for (let queue = 1; appended > 3000 && queue <= queues; queue++) {
        const offset = Math.floor(appended / queues) - 500;
        trimmed.set(queue, offset);
        live.store.trim(queueId(queue), 0, offset);
      }
    }
  };

  const writing = [write(), write(), write()];
  for (let round = 0; round < 15; round++) {
    await new Promise((done) => setTimeout(done, 20 + Math.random() * 100));
    const copy = join(scratch, `copy ${round}`);
    files.restore(directory, copy);
    const owed = [...acknowledged].filter(
      (number) => Math.floor(number / queues) >= (trimmed.get(1 + (number % queues)) ?? 0),
    );
    const ids = [...acknowledged];
    const crashed = await open(copy);
    const found = await stored(crashed.store);
    for (const number of owed) assert.ok(found.has(number), `round ${round}: ${number} is lost`);
    for (const number of ids) {
      const { clientId: client, epoch: ofEpoch, packetId } = inboundOf(number);
      assert.ok(crashed.inbound.has(client, ofEpoch, packetId), `round ${round}: id ${number}`);
    }
    await crashed.store.close();
    await crashed.journal.abandon();
    rmSync(copy, { recursive: true, force: true });
  }
  stop = true;
  await Promise.all(writing);
  t.diagnostic(`${acknowledged.size} messages, ${live.journal.segments.length} segments left`);
  await live.store.close();
  await live.journal.close();
});
