// Bans in a cluster: put at one ds, in force at all of them, also at one that starts later.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { requireRedis } from '../harness/require.ts';
import { closeAllClients, connected, connectRaw, type RawClient, unique } from '../harness/wire.ts';
import { eventually } from './group-scene.ts';
import { MemoryCluster, type MemoryDs } from './memory-cluster.ts';

type Kind = 'client' | 'user' | 'address';

void describe('bans of a cluster', requireRedis(), () => {
  let cluster: MemoryCluster;
  before(async () => {
    cluster = await MemoryCluster.start(13, ['ds-1', 'ds-2'], ['cs-1', 'cs-2']);
  });

  after(async () => {
    closeAllClients();
    await cluster.stop();
  });

  const port = (cs: number): number => cluster.cs[cs]!.ports.mqtt!;
  const bansOf = (ds: number): MemoryDs['service']['bans'] => cluster.ds[ds]!.service.bans;

  const ban = async (ds: number, kind: Kind, who: string): Promise<void> => {
    const outcome = await bansOf(ds).put({ kind, who, reason: 'a test', by: 'ann', end: null });
    assert.equal(outcome.kind, 'put');
  };

  async function isRefused(cs: number, clientId: string): Promise<boolean> {
    const client = await connectRaw(port(cs), { version: 5 });
    await client.connect({ version: 5, clientId, reason: 0x8a });
    await client.expectClose();
    return true;
  }

  void test('clients of every node are sent away and refused, whichever ds was asked', async () => {
    const names = Array.from({ length: 8 }, () => unique('c'));
    const clients: RawClient[] = [];
    for (const [index, clientId] of names.entries())
      clients.push(await connected(port(index % 2), { version: 5, clientId }));
    for (const [index, name] of names.entries())
      await ban(Math.trunc(index / 2) % 2, 'client', name);
    for (const client of clients) await client.expectDisconnect(0x98);
    for (const [index, name] of names.entries()) assert.ok(await isRefused((index + 1) % 2, name));
    assert.equal((await bansOf(1).page('', 100, 'client')).length, names.length);
    for (const name of names) assert.equal(await bansOf(1).remove('client', name), true);
    assert.deepEqual(await bansOf(0).page('', 100, 'client'), []);
  });

  void test('a ds that starts later has them, and what others remove from then on', async () => {
    const clientId = unique('c');
    await ban(0, 'client', clientId);
    await ban(0, 'address', '192.0.2.0/24');
    const later = await cluster.startDs('ds-3');
    assert.equal(later.service.bans.count, 2);
    const page = await later.service.bans.page('', 100, undefined);
    assert.deepEqual(
      page.map(({ who }) => who),
      ['192.0.2.0/24', clientId],
    );
    await bansOf(1).remove('client', clientId);
    await eventually(() => assert.equal(later.service.bans.count, 1));
  });
});
