import { AwkwardQueueStore } from './awkward-queue-store.ts';
import { queueStoreContract } from './queue-store.ts';

for (const seed of [1, 2, 3]) {
  queueStoreContract(`awkward ${seed}`, () => {
    const store = new AwkwardQueueStore(seed);
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
