import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { queueName } from '@lmqtt/common/ids';
import { TopicTrie } from '@lmqtt/common/topic-trie';
import { namesBytesMax } from '@lmqtt/ds/rocketmq/message/stored-properties';
import { clusterLmqName } from '@lmqtt/ds/rocketmq/names/cluster-names';
import { isBucketName, wildcardBucketName } from '@lmqtt/ds/rocketmq/names/lmq-name';
import { startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis } from '../harness/require.ts';
import { registryUnderTest } from './redis-registry.ts';
import { eventually, type TestDs } from './registry-ds.ts';
import { routeLogContract } from './route-log.ts';

const levels = ['home', 'floor', 'room', 'wall', 'lamp', 'light', 'is', 'on', 'or', 'off'];

/** All match one topic, and have their wildcards in different levels. */
const filters = Array.from({ length: 600 }, (_, number) => {
  const bits = number + 1;
  return levels.map((level, at) => ((bits >> at) & 1 ? '+' : level)).join('/');
});

if (requireRedis().skip === false) {
  const redis = await startRedis();
  after(() => redis.close());
  routeLogContract('redis', (t) => registryUnderTest(t, redis));

  for (const clusterId of ['lmqtt', 'c'.repeat(64)]) {
    const name = `the names of all queues that a topic matches have room in a message: ${clusterId}`;
    void test(name, async (t) => {
      const under = registryUnderTest(t, redis);
      const all: TestDs[] = [];
      for (const id of ['a', 'b', 'c']) all.push(await (await under.ds(id)).start());
      await eventually(() => all.every((ds) => ds.registry.nodes.ds.length === 3), 'all');
      const open = async (filter: string, ds: TestDs): Promise<void> => {
        const queue = queueName(filter);
        const place = clusterLmqName(clusterId, queue);
        const sharedPlace = wildcardBucketName(clusterId, filter);
        const holder = 'client' as never;
        await ds.registry.routeLog.open([
          { name: queue, place, sharedPlace, holder, node: undefined },
        ]);
      };
      const places = (): string[] => {
        const last = all[0]!.told.findLastIndex(({ kind }) => kind === 'reset');
        const trie = new TopicTrie<string>();
        for (const change of all[0]!.told.slice(last + 1))
          if (change.kind === 'open') trie.add(change.name, change.place);
        return [...new Set(trie.match(levels.join('/')))];
      };
      /** A ds that loads its routes anew is told of all of them once more. */
      const isOwn = (filter: string): boolean => {
        const change = all[0]!.told.findLast(
          (each) => each.kind === 'open' && each.name === queueName(filter),
        );
        return change?.kind === 'open' && !isBucketName(change.place);
      };
      const bytesOf = (some: string[]): number =>
        some.reduce((sum, place) => sum + Buffer.byteLength(place) + 15, 0);

      // At the same time at all ds, so that none knows of what the others open.
      await Promise.all(filters.map((filter, index) => open(filter, all[index % 3]!)));
      await open(levels.join('/'), all[0]!);
      assert.ok(bytesOf(places()) <= namesBytesMax, `${bytesOf(places())}`);
      const own = places().filter((place) => !isBucketName(place));
      assert.ok(own.length > 5, 'the first have names of their own');

      // A filter with its wildcards where another has them needs no more room.
      const named = filters.find((filter) => filter.includes('floor') && isOwn(filter));
      const other = named!.replace('floor', 'roof');
      await open(other, all[1]!);
      assert.ok(isOwn(other));

      // Those that end give their room back.
      for (const ds of all) await ds.registry.routeLog.settled();
      for (const [id, filter] of all[0]!.queues)
        if (filter !== levels.join('/')) all[0]!.registry.routeLog.release(id, 'client' as never);
      await all[0]!.registry.routeLog.settled();
      for (;;) {
        const swept = await all[0]!.registry.routeLog.sweep(0, 1000);
        if (swept.length === 0) break;
        await all[0]!.registry.routeLog.swept(swept.map(({ queue }) => queue));
      }
      await open(filters.at(-1)!, all[2]!);
      assert.ok(isOwn(filters.at(-1)!));
    });
  }
}
