import { systemClock } from '@lmqtt/common/clock';
import { EmbeddedRetainedStore } from '@lmqtt/ds/retained-store/embedded/embedded-retained-store';
import { onJournal, type OnJournal } from './embedded-journal.ts';
import { retainedStoreContract, type RetainedStoreUnderTest } from './retained-store.ts';

const limits = { messagesMax: 3, bytesMax: 1000 };

function under(on: OnJournal<EmbeddedRetainedStore>): RetainedStoreUnderTest {
  return {
    store: on.store,
    crash: async () => under(await on.crash()),
    close: () => on.close(),
  };
}

retainedStoreContract('embedded', async (t) =>
  under(await onJournal(t, (journal) => new EmbeddedRetainedStore(journal, systemClock, limits))),
);
