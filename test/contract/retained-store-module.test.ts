// Retained messages that a module keeps beside the journal: all that any store promises, and what
// the module is told.
import { systemClock } from '@lmqtt/common/clock';
import { MetaModule } from '@lmqtt/ds/meta/meta-module';
import { WrittenRetained } from '@lmqtt/ds/meta/written-retained';
import { EmbeddedRetainedStore } from '@lmqtt/ds/retained-store/embedded/embedded-retained-store';
import { onJournal, type OnJournal } from './embedded-journal.ts';
import { retainedStoreContract, type RetainedStoreUnderTest } from './retained-store.ts';

const limits = { messagesMax: 3, bytesMax: 1000 };

function under(on: OnJournal<EmbeddedRetainedStore>): RetainedStoreUnderTest {
  const functions = { listRetained: () => [], putRetained() {}, async deleteRetained() {} };
  const module = new MetaModule(functions, { timeoutMs: 60_000, failed: () => {} });
  const store = new WrittenRetained(on.store, module, { passesFailures: false, unwrittenMax: 10 });
  return {
    store,
    async crash() {
      store.close();
      return under(await on.crash());
    },
    close: () => on.close(),
  };
}

retainedStoreContract('with a module', async (t) =>
  under(await onJournal(t, (journal) => new EmbeddedRetainedStore(journal, systemClock, limits))),
);
