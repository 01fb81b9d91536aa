import { randomUUID } from 'node:crypto';
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { RedisBanStore } from '@lmqtt/ds/ban-store/redis/redis-ban-store';
import { openRedis, type RedisConnection } from '@lmqtt/ds/redis/connection';
import { RedisKeys } from '@lmqtt/ds/redis/keys';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis } from '../harness/require.ts';
import { banStoreContract, type BanStoreUnderTest } from './ban-store.ts';

const limits = { bansMax: 3 };
const needed = requireRedis();

/** One Redis for the whole file; each test has a cluster id, and so keys, of its own. */
let started: Promise<RedisServer> | undefined;
const server = (): Promise<RedisServer> => (started ??= startRedis());
after(async () => (await started)?.close());

async function under(redis: RedisServer, keys: RedisKeys): Promise<BanStoreUnderTest> {
  const connections: RedisConnection[] = [];
  const open = async (): Promise<RedisBanStore> => {
    const connection = await openRedis({ url: redis.url });
    connections.push(connection);
    return RedisBanStore.open(connection, keys, limits);
  };
  const close = (): Promise<void> => {
    for (const connection of connections) connection.close();
    return Promise.resolve();
  };
  return {
    store: await open(),
    other: open,
    async crash() {
      await close();
      await redis.kill9();
      await redis.start();
      return under(redis, keys);
    },
    close,
  };
}

if (needed.skip === false)
  banStoreContract('redis', async () => under(await server(), new RedisKeys(randomUUID())));

void test(
  'a Redis that has lost its bans is believed, and its next ones are taken',
  needed,
  async () => {
    const redis = await server();
    const keys = new RedisKeys(randomUUID());
    const connection = await openRedis({ url: redis.url });
    try {
      const [one, two] = [
        await RedisBanStore.open(connection, keys, limits),
        await RedisBanStore.open(connection, keys, limits),
      ];
      const put = (who: string): Promise<unknown> => {
        const createdAtMs = Math.trunc(one.nowMs());
        const ban = {
          kind: 'client',
          who,
          reason: '',
          by: 'test',
          createdAtMs,
          endsAtMs: null,
        } as const;
        return one.put(ban, 'replace');
      };
      await put('lost');
      await two.refresh();
      const names = ['bans', 'ends', 'log'].map((name) => keys.banned(name));
      await connection.command('DEL', ...names);
      await put('next');
      await two.refresh();
      for (const { list } of [one, two]) {
        assert.equal(list.find('client', 'lost', 0), undefined);
        assert.equal(list.find('client', 'next', 0)?.who, 'next');
      }
    } finally {
      connection.close();
    }
  },
);
