import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClientId, Epoch, QueueId } from '@lmqtt/common/ids';
import { messageOf } from '@lmqtt/common/message';
import { DiskJournal } from '@lmqtt/ds/journal/disk-journal';
import { DiskFiles, type Files, type OpenFile } from '@lmqtt/ds/journal/files';
import { EmbeddedQueueStore } from '@lmqtt/ds/queue-store/embedded/embedded-queue-store';
import type { InboundIds } from '@lmqtt/ds/queue-store/queue-store';
import { queueStoreContract, type StoreUnderTest } from './queue-store.ts';

class SetOfIds implements InboundIds {
  readonly #ids = new Set<string>();

  storing(): void {}

  stored(clientId: ClientId, epoch: Epoch, packetId: number): void {
    this.#ids.add(`${packetId} ${epoch} ${clientId}`);
  }

  has(clientId: ClientId, epoch: Epoch, packetId: number): boolean {
    return this.#ids.has(`${packetId} ${epoch} ${clientId}`);
  }
}

/** The disk, with writes that fail when told. */
class FailingFiles extends DiskFiles {
  failures = 0;

  override async open(path: string, mode: 'read' | 'write' | 'create'): Promise<OpenFile> {
    const file = await super.open(path, mode);
    const write = file.write.bind(file);
    file.write = (buffer, start, bytes, position, done) => {
      if (this.failures === 0) {
        write(buffer, start, bytes, position, done);
        return;
      }
      this.failures--;
      setImmediate(() => {
        done(Object.assign(new Error('no space left'), { code: 'ENOSPC' }));
      });
    };
    return file;
  }
}

async function start(directory: string, segmentBytes: number): Promise<StoreUnderTest> {
  const files = new FailingFiles();
  const journal = new DiskJournal({ directory, segmentBytes }, files satisfies Files);
  const limits = { retentionBytes: 400_000, everyMs: 20 };
  const store = new EmbeddedQueueStore(journal, new SetOfIds(), limits);
  await journal.open();
  return {
    store,
    failNext: () => {
      files.failures = 1;
    },
    restart: async () => {
      await store.close();
      await journal.abandon();
      return start(directory, segmentBytes);
    },
    overflow: async (queue: QueueId) => {
      for (let i = 0; i < 40; i++) {
        const message = messageOf({
          topic: `filler/${i}`,
          qos: 1,
          retain: false,
          payload: Buffer.alloc(20_000),
        });
        const append = {
          message,
          queues: [queue],
          lane: 'filler',
          inbound: undefined,
          reasonCode: -1,
          orderKey: undefined,
        };
        await new Promise((done) => {
          store.append([append], done);
        });
      }
    },
    close: async () => {
      await store.close();
      await journal.close();
    },
  };
}

for (const segmentBytes of [64 << 10, 64 << 20]) {
  queueStoreContract(`embedded, segments of ${segmentBytes} bytes`, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'lmqtt-'));
    t.after(() => {
      rmSync(directory, { recursive: true, force: true });
    });
    const under = await start(directory, segmentBytes);
    if (segmentBytes < 1 << 20) return under;
    // All of it stays in the open segment, which never goes.
    const { overflow: _, ...rest } = under;
    return rest;
  });
}
