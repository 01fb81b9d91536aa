import assert from 'node:assert/strict';
import { test } from 'node:test';
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

void test('bans come from a checkpoint, with names of any length', async (t) => {
  const first = await onJournal(t, (journal) => new EmbeddedBanStore(journal, systemClock, limits));
  const names = ['short', 'with \0', 'x'.repeat(65_535)];
  for (const who of names) {
    const ban = {
      kind: 'user',
      who,
      reason: '',
      by: 'test',
      createdAtMs: 1,
      endsAtMs: null,
    } as const;
    assert.equal(await first.store.put(ban, 'replace'), 'put');
  }
  await first.journal.checkpoint();
  await first.store.remove('user', names[0]!);
  await first.journal.checkpoint();
  const second = await first.crash();
  const found = names.map((who) => second.store.list.find('user', who, 0)?.who);
  assert.deepEqual(found, [undefined, ...names.slice(1)]);
  await second.close();
});
