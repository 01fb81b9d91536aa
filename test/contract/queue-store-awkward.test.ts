import { AwkwardQueueStore } from './awkward-queue-store.ts';
import { queueStoreContract } from './queue-store.ts';

for (const [seed, appearAfter] of [
  [1, Infinity],
  [2, Infinity],
  [3, Infinity],
  [4, 1],
  [5, 7],
] as const) {
  queueStoreContract(`awkward ${seed}`, () => {
    const store = new AwkwardQueueStore(seed, { appearAfter });
    return Promise.resolve({
      store,
      failNext: (how) => {
        store.failNext(how);
      },
      close: () => {
        store.close();
        return Promise.resolve();
      },
    });
  });
}
