import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { DiskJournal } from '@lmqtt/ds/journal/disk-journal';

/** A journal on the disk with the stores that a test puts on it; knows how to crash. */
export interface OnJournal<Store> {
  readonly store: Store;
  readonly journal: DiskJournal;
  /** Goes on with what the files hold at this moment. */
  crash(): Promise<OnJournal<Store>>;
  close(): Promise<void>;
}

export async function onJournal<Store>(
  t: TestContext,
  make: (journal: DiskJournal) => Store,
  started: (store: Store) => void | Promise<void> = () => undefined,
  directory?: string,
): Promise<OnJournal<Store>> {
  const folder = directory ?? (await mkdtemp(join(tmpdir(), 'lmqtt-contract-')));
  // A journal that is not closed yet may write a file meanwhile.
  t.after(() => rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }));
  const journal = new DiskJournal({ directory: folder });
  const store = make(journal);
  await journal.open();
  await started(store);
  return {
    store,
    journal,
    async crash() {
      await journal.abandon();
      return onJournal(t, make, started, folder);
    },
    close: () => journal.close(),
  };
}
