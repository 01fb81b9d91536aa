import { systemClock } from '@lmqtt/common/clock';
import { EmbeddedSessionStore } from '@lmqtt/ds/session-store/embedded';
import { onJournal, type OnJournal } from './embedded-journal.ts';
import { sessionStoreContract, type SessionStoreUnderTest } from './session-store.ts';

function under(on: OnJournal<EmbeddedSessionStore>): SessionStoreUnderTest {
  return {
    store: on.store,
    crash: async () => under(await on.crash()),
    close: () => on.close(),
  };
}

sessionStoreContract('embedded', async (t) =>
  under(
    await onJournal(
      t,
      (journal) => new EmbeddedSessionStore(journal, systemClock),
      (store) => {
        store.start();
      },
    ),
  ),
);
