// Users that are hashes in a real Redis.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { Broker } from '../harness/broker.ts';
import { connect } from '../harness/packets.ts';
import { passwordFileOf } from '../harness/password-file.ts';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis } from '../harness/require.ts';
import { startBroker } from '../harness/shape.ts';
import { closeAllClients, connectRaw, type RawClient, unique } from '../harness/wire.ts';

const password = readFileSync(passwordFileOf({ ann: 4 }), 'utf8')
  .trim()
  .slice('ann:'.length);

const entry = ['password', password];

void describe('users in Redis', requireRedis(), () => {
  let redis: RedisServer;
  let broker: Broker;

  before(async () => {
    redis = await startRedis();
    broker = await startBroker({
      settings: {
        AUTH_REDIS_PREFIX: 'users:',
        AUTH_REDIS_URL: redis.url,
        AUTH_REDIS_KEPT_S: '0',
        AUTH_FAILURES_PER_ADDRESS: '0',
      },
    });
  });
  after(async () => {
    closeAllClients();
    await broker.stop();
    await redis.close();
  });

  async function code(username: string, given: string, version: 4 | 5 = 5): Promise<number> {
    return (await tried(username, given, version))[1];
  }

  async function tried(
    username: string,
    given: string,
    version: 4 | 5 = 5,
  ): Promise<[RawClient, number]> {
    const one = await connectRaw(broker.mqttPort, { version });
    one.send(connect({ version, clientId: unique(), username, password: given }));
    return [one, (await one.expect('connack')).reason];
  }

  void test('a user comes in by his password, with his rules', async () => {
    await redis.command('hset', 'users:ann', ...entry, 'rules', 'allow all own/%u/#\ndeny all #');
    await redis.command('hset', 'users:root', ...entry, 'superuser', '1');
    await redis.command('hset', 'users:odd', ...entry, 'rules', 'everything');
    await redis.command('hset', 'users:bad', 'password', 'right');
    assert.equal(await code('ann', 'wrong'), 0x86);
    assert.equal(await code('nobody', 'right'), 0x86);
    assert.equal(await code('ann', 'wrong', 4), 4);
    for (const user of ['odd', 'bad']) {
      assert.equal(await code(user, 'right'), 0x88, user);
      assert.equal(await code(user, 'right', 4), 3, user);
    }
    const [ann, reason] = await tried('ann', 'right');
    assert.equal(reason, 0);
    await ann.subscribe(['own/ann/#', 'own/ben', '#'], 1, { reasons: [1, 0x87, 1] });
    for (const [topic, expected] of [
      ['own/ann/x', 0],
      ['own/ben', 0x87],
    ] as const) {
      const packetId = ann.nextPacketId();
      ann.sendPublish({ topic, qos: 1, packetId });
      assert.equal((await ann.find('puback', { packetId })).reason, expected);
    }
    const [root] = await tried('root', 'right');
    await root.subscribe(['#', '$SYS/#'], 1);
    await redis.command('del', 'users:ann');
    assert.equal(await code('ann', 'right'), 0x86);
  });

  void test('while Redis is away clients are told so, and are let in when it is back', async () => {
    await redis.command('hset', 'users:ann', ...entry);
    assert.equal(await code('ann', 'right'), 0);
    await redis.stop();
    assert.equal(await code('ann', 'right'), 0x88);
    assert.equal(await code('ann', 'right', 4), 3);
    await redis.start();
    const endMs = performance.now() + 60_000;
    while ((await code('ann', 'right')) !== 0) {
      assert.ok(performance.now() < endMs, 'it was never asked again');
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    assert.match(broker.logs(), /Redis does not say who users are/);
  });
});
