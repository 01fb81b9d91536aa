import { systemClock } from '@lmqtt/common/clock';
import { EmbeddedBanStore } from '@lmqtt/ds/ban-store/embedded/embedded-ban-store';
import { banStoreContract, type BanStoreUnderTest } from './ban-store.ts';
import { onJournal, type OnJournal } from './embedded-journal.ts';

const limits = { bansMax: 3 };

function under(on: OnJournal<EmbeddedBanStore>): BanStoreUnderTest {
  return {
    store: on.store,
    crash: async () => under(await on.crash()),
    close: () => on.close(),
  };
}

banStoreContract('embedded', async (t) =>
  under(await onJournal(t, (journal) => new EmbeddedBanStore(journal, systemClock, limits))),
);
