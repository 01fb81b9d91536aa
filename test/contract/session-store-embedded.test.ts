import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@lmqtt/common/clock';
import { EmbeddedSessionStore } from '@lmqtt/ds/session-store/embedded/embedded-session-store';
import { noSessionsMax, type SessionsMax } from '@lmqtt/ds/session-store/session-counts';
import { onJournal, type OnJournal } from './embedded-journal.ts';
import {
  Bench,
  type MakeSessionStore,
  sessionStoreContract,
  topicOf,
  will,
} from './session-store.ts';
import { sessionLimits, sessionLimitsContract } from './session-store-limits.ts';
import { presentedSessionsContract } from './session-store-presented.ts';
import { olderSessionsContract, sessionUsersContract } from './session-store-users.ts';

function make(csOutlives: boolean, sessionsMax: SessionsMax = noSessionsMax): MakeSessionStore {
  return async (t) => {
    let beforeStart: (store: EmbeddedSessionStore) => void | Promise<void> = () => undefined;
    const under = (on: OnJournal<EmbeddedSessionStore>): Awaited<ReturnType<MakeSessionStore>> => ({
      store: on.store,
      crash: async (before = () => undefined) => {
        beforeStart = before;
        return under(await on.crash());
      },
      close: () => on.close(),
    });
    return under(
      await onJournal(
        t,
        (journal) => new EmbeddedSessionStore(journal, systemClock, { csOutlives, sessionsMax }),
        async (store) => {
          await beforeStart(store);
          store.start();
        },
      ),
    );
  };
}

sessionStoreContract('embedded', make(false));
sessionStoreContract('embedded, nodes of their own', make(true));
presentedSessionsContract('embedded', make(true));
sessionUsersContract('embedded', make(false));
sessionUsersContract('embedded, nodes of their own', make(true));
olderSessionsContract('embedded', make(false), async (session) => {
  session.user = undefined;
});
sessionLimitsContract('embedded', make(false, sessionLimits));
sessionLimitsContract('embedded, nodes of their own', make(true, sessionLimits));

for (const csOutlives of [false, true]) {
  void test(`embedded: a will falls due in the first moment of a broker: ${csOutlives}`, async (t) => {
    t.mock.method(systemClock, 'monotonicMs', () => 1000);
    const bench = new Bench(await make(csOutlives)(t));
    await bench.claim('a', { sessionExpiryS: 0, will: will(0) });
    await bench.crash();
    assert.deepEqual((await bench.store.takeDue(10)).map(topicOf), ['will']);
    await bench.under.close();
  });
}
