// `lmqtt brokers` with a real Redis and a RocketMQ that is scripted.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { flagsOf, ServerProcess } from '../harness/process.ts';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis } from '../harness/require.ts';
import { ScriptedRocketmq } from './scripted-rocketmq.ts';

const commandMs = 60_000;

void describe('lmqtt brokers', requireRedis(), () => {
  const rocketmq = new ScriptedRocketmq('broker-a', 'broker-b');
  let redis: RedisServer;

  before(async () => {
    redis = await startRedis();
    await rocketmq.start();
  });
  after(async () => {
    await rocketmq.stop();
    await redis.close();
  });

  async function brokers(...args: string[]): Promise<{ code: number | null; text: string }> {
    const process = new ServerProcess('brokers');
    const settings = { REDIS_URL: redis.url, NAMESRV_ADDR: rocketmq.namesrv.address };
    process.spawn(['brokers', ...args, ...flagsOf({ ...settings, CLUSTER_ID: 'listed' })]);
    await process.exited;
    return { text: process.logs(), code: await process.end('SIGTERM', commandMs) };
  }

  function record(kind: string, key: string, value: string): Promise<string> {
    return redis.command('hset', `lmqtt:listed:{reg}:r:${kind}`, key, value);
  }

  void test('lists what the cluster knows; only a broker that is away is forgotten', async () => {
    assert.match((await brokers()).text, /has met no broker yet/);
    await record('rocketmq-broker', 'broker-a', '0');
    await record('rocketmq-broker', 'broker-b', '1');
    const queues = { 'broker-a': 4, 'broker-b': 4 };
    await record('rocketmq-placement', '0', JSON.stringify({ topic: 'lmqtt', queues, fromMs: 0 }));
    await redis.command('hset', 'lmqtt:listed:{reg}:stored-sessions', 'device', 'user');
    const listed = await brokers();
    assert.equal(listed.code, 0, listed.text);
    assert.match(listed.text, /^broker-a +0 +there +127\.0\.0\.1:\d+ +lmqtt$/m);

    const there = await brokers('forget', 'broker-b');
    assert.equal(there.code, 1, there.text);
    assert.match(there.text, /broker-b is there/);
    assert.equal((await brokers('forget', 'broker-x')).code, 1);

    await rocketmq.kill('broker-b');
    assert.match((await brokers()).text, /^broker-b +1 +away +- +lmqtt$/m);
    const forgotten = await brokers('forget', 'broker-b');
    assert.equal(forgotten.code, 0, forgotten.text);
    assert.match(forgotten.text, /Lost to devices/);
    assert.match(forgotten.text, /of 1 stored sessions/);
    assert.match((await brokers()).text, /^broker-b +1 +forgotten 20/m);
    const again = await brokers('forget', 'broker-b');
    assert.equal(again.code, 1);
    assert.match(again.text, /forgotten already/);
  });

  void test('without name servers nothing is forgotten', async () => {
    await rocketmq.namesrv.stop();
    const listed = await brokers();
    assert.match(listed.text, /no name server answers/);
    assert.match(listed.text, /^broker-a +0 +unknown/m);
    const refused = await brokers('forget', 'broker-a');
    assert.equal(refused.code, 1);
    assert.match(refused.text, /no name server says whether broker-a is there/);
    await rocketmq.namesrv.start();
  });

  void test('wrong commands and settings: exit code 2', async () => {
    assert.equal((await brokers('drop')).code, 2);
    assert.equal((await brokers('forget')).code, 2);
    assert.equal((await brokers('--help')).code, 0);
  });
});
