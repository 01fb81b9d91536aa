import { systemClock } from '@lmqtt/common/clock';
import { EmbeddedSessionStore } from '@lmqtt/ds/session-store/embedded/embedded-session-store';
import { noSessionsMax, type SessionsMax } from '@lmqtt/ds/session-store/session-counts';
import { onJournal, type OnJournal } from './embedded-journal.ts';
import type { MakeSessionStore } from './session-store.ts';
import { sessionStoreContract } from './session-store.ts';
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
