// Shared groups over several ds, when one of them is killed or cut off, or Redis restarts.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { requireRedis } from '../harness/require.ts';
import { eventually, extra, pause, range, GroupScene } from './group-scene.ts';

void describe('shared groups of a cluster, faults', requireRedis(), () => {
  const scene = new GroupScene();

  for (const which of ['owner', 'other'] as const)
    for (const clean of [false, true])
      void test(`QoS 2 once, QoS 1 at least once: the ${which} ds is killed, ${clean ? 'clean' : 'stored'} sessions`, async () => {
        const name = `kill-${which}-${clean ? 'clean' : 'stored'}`;
        const options = clean ? { clean: true, properties: { sessionExpiryInterval: 0 } } : {};
        const all = await scene.members(name, 6, 2, options);
        const sent: Promise<void>[] = [];
        const owner = await scene.ownerOf(name);
        const victim = which === 'owner' ? owner : scene.cluster.ds.find((ds) => ds !== owner)!;
        const publish = await scene.publisher(name, victim);
        for (const n of range(600)) {
          sent.push(publish(n, 2));
          if (n === 200) scene.kill(victim);
          await pause(2);
        }
        const began = performance.now();
        await Promise.all(sent);
        await eventually(() => assert.ok(new Set(all.flatMap((one) => one.came)).size === 600));
        const tookMs = performance.now() - began;
        await pause(500);
        assert.deepEqual(extra(all, 600), []);
        assert.ok(tookMs < 60_000, `${tookMs} ms`);
      });

  void test('QoS 2 once while the owner is cut off from Redis and comes back', async () => {
    const all = await scene.members('cut', 6, 2);
    const owner = await scene.ownerOf('cut');
    const publish = await scene.publisher('cut', owner);
    const sent: Promise<void>[] = [];
    for (const n of range(1000)) {
      sent.push(publish(n, 2));
      if (n === 200) owner.way.partition();
      if (n === 900) owner.way.heal();
      await pause(10);
    }
    await Promise.all(sent);
    await eventually(() => assert.equal(new Set(all.flatMap((one) => one.came)).size, 1000));
    await pause(500);
    assert.deepEqual(extra(all, 1000), []);
    assert.notEqual(await scene.ownerOf('cut'), owner);
  });

  void test('QoS 2 once while Redis restarts', async () => {
    const all = await scene.members('redis', 4, 2);
    const publish = await scene.publisher('redis');
    const sent: Promise<void>[] = [];
    for (const n of range(400)) {
      sent.push(publish(n, 2));
      if (n === 150) {
        await scene.cluster.redis.kill9();
        await scene.cluster.redis.start();
      }
      await pause(2);
    }
    await Promise.all(sent);
    await eventually(() => assert.equal(new Set(all.flatMap((one) => one.came)).size, 400));
    await pause(300);
    assert.deepEqual(extra(all, 400), []);
  });
});
