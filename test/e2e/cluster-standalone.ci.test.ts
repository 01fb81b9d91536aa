// One process on RocketMQ and Redis: what it acknowledged survives its death, nothing is stored in
// a folder of its own, and another process of the same cluster is the same broker.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { ServerProcess } from '../harness/process.ts';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { closeAllClients, connected, unique } from '../harness/wire.ts';

const skip = requireRedis().skip || requireRocketmq().skip;
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-one-process-'));
const lasting = {
  version: 5,
  clean: false,
  properties: { sessionExpiryInterval: 600 },
} as const;

let redis: RedisServer;
let rocketmq: RocketmqCluster;

interface Running {
  readonly program: ServerProcess;
  readonly port: number;
  readonly opsPort: number;
}

async function start(t: TestContext, clusterId: string): Promise<Running> {
  const program = new ServerProcess('standalone', {
    cwd: folder,
    env: { NAMESRV_ADDR: rocketmq.namesrv.address, REDIS_URL: redis.url },
  });
  t.after(() => program.kill());
  const ports = ['--mqtt-port', '0', '--ws-port', '0', '--ops-port', '0', '--rpc-port', '0'];
  program.spawn(['standalone', ...ports, '--cluster-id', clusterId]);
  await program.printed(/^ready /m, 60_000);
  const addresses = await program.ready();
  return {
    program,
    port: addresses.get('mqtt')?.port ?? 0,
    opsPort: addresses.get('ops')?.port ?? 0,
  };
}

void describe('one process on RocketMQ and Redis', { skip }, () => {
  before(async () => {
    [redis, rocketmq] = await Promise.all([
      startRedis(),
      startRocketmq({ brokers: [{ sendThreads: 1 }] }),
    ]);
  });
  after(async () => {
    closeAllClients();
    await Promise.all([redis?.close(), rocketmq?.close()]);
    rmSync(folder, { recursive: true, force: true });
  });

  void test('sessions and messages survive kill -9, and no folder is made', async (t) => {
    const clusterId = unique('one');
    const first = await start(t, clusterId);
    const fields = { ...lasting, clientId: unique() };
    const subscriber = await connected(first.port, fields);
    await subscriber.subscribe('one/#', 2);
    await subscriber.disconnect();
    const publisher = await connected(first.port);
    for (const qos of [1, 2] as const) await publisher.publish('one/x', `at ${qos}`, { qos });
    await publisher.publish('one/kept', 'retained', { qos: 1, retain: true });
    await first.program.kill();
    const second = await start(t, clusterId);
    const again = await connected(second.port, { ...fields, sessionPresent: true });
    for (const payload of ['at 1', 'at 2', 'retained']) await again.receive({ payload });
    const newcomer = await connected(second.port);
    await newcomer.subscribe('one/kept', 1);
    await newcomer.receive({ payload: 'retained', retain: true });
    assert.equal(existsSync(join(folder, 'data')), false);
    assert.equal(await second.program.end('SIGTERM'), 0);
  });

  void test('two of one cluster are one broker', async (t) => {
    const clusterId = unique('two');
    const [one, other] = [await start(t, clusterId), await start(t, clusterId)];
    const subscriber = await connected(one.port);
    await subscriber.subscribe('both/#', 1);
    const publisher = await connected(other.port);
    await publisher.publish('both/x', 'over there', { qos: 1 });
    await subscriber.receive({ payload: 'over there' });
    const answer = await fetch(`http://127.0.0.1:${other.opsPort}/api/v1/nodes`);
    const { nodes } = (await answer.json()) as { nodes: { role: string }[] };
    assert.deepEqual(nodes.map(({ role }) => role).toSorted(), ['cs', 'cs', 'ds', 'ds']);
  });
});
