import { EmbeddedRetryQueue } from '@lmqtt/ds/retry-queue/embedded/embedded-retry-queue';
import { onJournal, type OnJournal } from './embedded-journal.ts';
import { lettersMax, retryQueueContract, type RetryQueueUnderTest } from './retry-queue.ts';

function under(on: OnJournal<EmbeddedRetryQueue>): RetryQueueUnderTest {
  return {
    queue: on.store,
    lateMsMax: 1000,
    delayMs: 300,
    crash: async () => under(await on.crash()),
    close: () => on.close(),
  };
}

retryQueueContract('embedded', async (t) =>
  under(
    await onJournal(
      t,
      (journal) => new EmbeddedRetryQueue(journal, { lettersMax, bytesMax: 1 << 20 }),
    ),
  ),
);
