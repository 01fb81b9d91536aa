import { systemClock } from '@lmqtt/common/clock';
import { EmbeddedRegistry } from '@lmqtt/ds/registry/embedded/embedded-registry';
import { onJournal, type OnJournal } from './embedded-journal.ts';
import { registryContract, type RegistryUnderTest } from './registry.ts';

let passedMs = 0;
const clock = { nowMs: () => systemClock.nowMs(), monotonicMs: () => passedMs };

function under(on: OnJournal<EmbeddedRegistry>): RegistryUnderTest {
  return {
    registry: on.store,
    passMs: (ms) => {
      passedMs += ms;
    },
    use: () => on.journal.durable(),
    crash: async () => under(await on.crash()),
    close: () => on.close(),
  };
}

registryContract('embedded', async (t) =>
  under(
    await onJournal(
      t,
      (journal) => new EmbeddedRegistry(journal, clock, { leaseMs: 3000, csOutlives: true }),
      (registry) => registry.start(),
    ),
  ),
);
