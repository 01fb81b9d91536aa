import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type Ban, type BanKind, banKinds } from '@lmqtt/ds/ban-store/ban';
import type { BanMode, BanStore } from '@lmqtt/ds/ban-store/ban-store';

/** A store with what the suite needs around it; it has room for 3 bans. */
export interface BanStoreUnderTest {
  readonly store: BanStore;
  /** A store of another node on the same bans; absent: there can be none. */
  readonly other?: () => Promise<BanStore>;
  crash(): Promise<BanStoreUnderTest>;
  close(): Promise<void>;
}

/** Checks each sentence of the comment of the port. */
export function banStoreContract(
  name: string,
  make: (t: TestContext) => Promise<BanStoreUnderTest>,
): void {
  const check = (promise: string, work: (bench: Bench) => Promise<void>): void => {
    void test(`${name}: ${promise}`, async (t) => {
      const bench = new Bench(await make(t));
      try {
        await work(bench);
      } finally {
        await bench.under.close();
      }
    });
  };

  check('a ban is in the list when it is put, and found by its kind alone', async (bench) => {
    for (const kind of banKinds) {
      const who = kind === 'address' ? '10.0.0.0/8' : 'c';
      assert.equal(await bench.put(kind, who), 'put');
      assert.equal(bench.find(kind, who === 'c' ? who : '10.1.2.3')?.who, who);
    }
    assert.equal(bench.find('client', 'd'), undefined);
    assert.equal(bench.find('address', '11.1.2.3'), undefined);
    assert.equal(bench.store.list.size, 3);
  });

  check('what is put is there after a crash, and what was removed is not', async (bench) => {
    await bench.put('client', 'a', { reason: 'first' });
    await bench.put('client', 'a', { reason: 'second' });
    await bench.put('client', 'b');
    await bench.put('address', '10.0.0.0/8');
    assert.equal(await bench.store.remove('client', 'b'), true);
    assert.equal(await bench.store.remove('client', 'b'), false);
    await bench.crash();
    assert.equal(bench.find('client', 'a')?.reason, 'second');
    assert.equal(bench.find('client', 'b'), undefined);
    assert.equal(bench.find('address', '10.1.1.1')?.who, '10.0.0.0/8');
    assert.equal(bench.store.list.size, 2);
  });

  check('a ban replaces one of the same kind and name, or keeps it', async (bench) => {
    await bench.put('client', 'a', { reason: 'old' });
    assert.equal(await bench.put('client', 'a', { reason: 'kept' }, 'keep'), 'kept');
    assert.equal(bench.find('client', 'a')?.reason, 'old');
    assert.equal(await bench.put('client', 'a', { reason: 'new' }), 'put');
    assert.equal(bench.find('client', 'a')?.reason, 'new');
    assert.equal(bench.store.list.size, 1);
  });

  check('a ban that replaces none is not put where the limit is reached', async (bench) => {
    for (const who of ['a', 'b', 'c']) await bench.put('client', who);
    assert.equal(await bench.put('client', 'd'), 'full');
    assert.equal(await bench.put('client', 'd', {}, 'keep'), 'full');
    assert.equal(bench.find('client', 'd'), undefined);
    assert.equal(await bench.put('client', 'c', { reason: 'again' }), 'put');
    await bench.store.remove('client', 'a');
    assert.equal(await bench.put('client', 'd', {}, 'keep'), 'full');
    assert.equal(await bench.put('client', 'd'), 'put');
    for (const who of ['b', 'c']) await bench.store.remove('client', who);
    assert.equal(await bench.put('client', 'e', {}, 'keep'), 'put');
    assert.equal(await bench.put('client', 'f', {}, 'keep'), 'full');
  });

  check('names may be as long as MQTT has room for', async (bench) => {
    const names = ['1', '2'].map((last) => `${'x'.repeat(65_534)}${last}`);
    for (const who of names) assert.equal(await bench.put('client', who), 'put');
    assert.equal(await bench.store.remove('client', names[0]!), true);
    await bench.crash();
    assert.equal(bench.find('client', names[0]!), undefined);
    assert.equal(bench.find('client', names[1]!)?.who, names[1]);
  });

  check('a ban is found until its end', async (bench) => {
    const endsAtMs = Math.trunc(bench.store.nowMs()) + 3_600_000;
    await bench.put('client', 'a', { endsAtMs });
    await bench.put('address', '10.0.0.0/8', { endsAtMs });
    const { list } = bench.store;
    for (const [kind, who] of [['client', 'a'] as const, ['address', '10.1.1.1'] as const]) {
      assert.equal(list.find(kind, who, endsAtMs - 1)?.endsAtMs, endsAtMs);
      assert.equal(list.find(kind, who, endsAtMs), undefined);
    }
  });

  check('bans that have ended are found by nobody and take no room', async (bench) => {
    // By clocks of other machines, too, which are known to some milliseconds.
    const endsAtMs = bench.store.nowMs() - 60_000;
    for (const who of ['a', 'b', 'c']) await bench.put('client', who, { endsAtMs });
    assert.equal(bench.find('client', 'a'), undefined);
    assert.equal(await bench.store.remove('client', 'a'), false);
    assert.equal(await bench.put('client', 'b', { reason: 'anew' }, 'keep'), 'put');
    assert.equal(await bench.put('client', 'd'), 'put');
    assert.equal(await bench.put('client', 'e'), 'put');
    await bench.store.refresh();
    assert.equal(bench.store.list.size, 3);
    await bench.crash();
    assert.equal(bench.find('client', 'b')?.reason, 'anew');
    await bench.store.refresh();
    assert.equal(bench.store.list.size, 3);
  });

  check('whoever wants to know hears of each ban that comes', async (bench) => {
    const heard: string[] = [];
    bench.store.onBanned(({ who }) => heard.push(who));
    await bench.put('client', 'a');
    await bench.put('client', 'b');
    await bench.store.remove('client', 'b');
    await bench.put('client', 'b');
    assert.deepEqual(heard, ['a', 'b', 'b']);
  });

  check('another node has what was put and removed, and hears of it', async (bench) => {
    const { other: open } = bench.under;
    if (open === undefined) return;
    await bench.put('client', 'before');
    const other = await open();
    const has = (kind: BanKind, who: string): boolean =>
      other.list.find(kind, who, other.nowMs()) !== undefined;
    assert.ok(has('client', 'before'));
    const heard: string[] = [];
    other.onBanned(({ who }) => heard.push(who));
    await bench.put('address', '10.0.0.0/8');
    await bench.store.remove('client', 'before');
    await other.refresh();
    assert.ok(has('address', '10.1.1.1') && !has('client', 'before'));
    assert.deepEqual(heard, ['10.0.0.0/8']);
    // More changes than a node is told one by one.
    for (let count = 0; count < 600; count += 1) {
      await bench.put('client', 'often');
      await bench.store.remove('client', 'often');
    }
    await bench.put('user', 'last');
    await bench.store.remove('address', '10.0.0.0/8');
    await other.refresh();
    assert.ok(has('user', 'last') && !has('client', 'often') && !has('address', '10.1.1.1'));
    assert.deepEqual(heard, ['10.0.0.0/8', 'last']);
    await other.put({ ...banOf(other, 'client', 'back') }, 'replace');
    await bench.store.refresh();
    assert.ok(bench.find('client', 'back'));
  });
}

function banOf(store: BanStore, kind: BanKind, who: string): Ban {
  return { kind, who, reason: '', by: 'test', createdAtMs: store.nowMs(), endsAtMs: null };
}

class Bench {
  under: BanStoreUnderTest;

  constructor(under: BanStoreUnderTest) {
    this.under = under;
  }

  get store(): BanStore {
    return this.under.store;
  }

  put(
    kind: BanKind,
    who: string,
    more: Partial<Ban> = {},
    mode: BanMode = 'replace',
  ): ReturnType<BanStore['put']> {
    return this.store.put({ ...banOf(this.store, kind, who), ...more }, mode);
  }

  find(kind: BanKind, who: string): Ban | undefined {
    return this.store.list.find(kind, who, this.store.nowMs());
  }

  async crash(): Promise<void> {
    this.under = await this.under.crash();
  }
}
