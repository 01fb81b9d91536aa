// `lmqtt doctor` against a real RocketMQ and a real Redis: what it finds, what it says to change,
// and its exit code; and a ds that does not begin on servers that are not fit.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../harness/free-port.ts';
import { flagsOf, ServerProcess } from '../harness/process.ts';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { remotingRequest } from '../harness/rocketmq/remoting-request.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { StoreCluster } from '../harness/store-cluster.ts';

const doctorMs = 30_000;
/** UPDATE_BROKER_CONFIG. */
const updateBrokerConfigCode = 25;
const requirement = {
  skip: [requireRedis().skip, requireRocketmq().skip].find((skip) => skip !== false) ?? false,
};

interface Said {
  readonly code: number | null;
  readonly text: string;
  /** The rest of the line that begins with that check. */
  row(check: string): string;
}

async function doctor(
  settings: Readonly<Record<string, string>>,
  { args = [], env = {} }: { args?: readonly string[]; env?: Record<string, string> } = {},
): Promise<Said> {
  const process = new ServerProcess('doctor', { env });
  process.spawn(['doctor', ...flagsOf(settings), ...args]);
  await process.exited;
  const text = process.logs();
  const code = await process.end('SIGTERM', doctorMs);
  return {
    code,
    text,
    row(check) {
      const line = text.split('\n').find((each) => each.startsWith(`${check}  `));
      assert.ok(line !== undefined, `no line for ${check}:\n${text}`);
      return line.slice(check.length).trim();
    },
  };
}

void test('nothing is set: exit code 1, and what to set', async () => {
  const said = await doctor({});
  assert.equal(said.code, 1, said.text);
  assert.match(said.row('NAMESRV_ADDR'), /^wrong .*set NAMESRV_ADDR/);
  assert.match(said.row('REDIS_URL'), /^wrong .*set REDIS_URL/);
});

void test('only one of the two is set: the other is named', async () => {
  const said = await doctor({}, { env: { NAMESRV_ADDR: '127.0.0.1:1' } });
  assert.equal(said.code, 1, said.text);
  assert.match(said.row('REDIS_URL'), /^wrong /);
  assert.match(said.row('name server 127.0.0.1:1'), /^wrong .*ECONNREFUSED/);
});

void test('settings that cannot be read: one line, exit code 2', async () => {
  const said = await doctor({ RPC_PORT: 'x' });
  assert.equal(said.code, 2);
  assert.match(said.text, /^lmqtt: --rpc-port must be [^\n]*\n$/);
});

void test('nobody is there: a line for each, and no password', async () => {
  const port = await freePort();
  const said = await doctor({
    NAMESRV_ADDR: `127.0.0.1:${port}`,
    REDIS_URL: `redis://me:hidden-word@127.0.0.1:${port}`,
    ROCKETMQ_PROXY: `127.0.0.1:${port}`,
    RPC_ADVERTISE: 'nowhere.invalid:7010',
  });
  assert.equal(said.code, 1, said.text);
  for (const check of [`name server 127.0.0.1:${port}`, 'redis', 'ROCKETMQ_PROXY', 'RPC_ADVERTISE'])
    assert.match(said.row(check), /^wrong /);
  assert.doesNotMatch(said.text, /hidden-word/);
});

void describe('real servers', requirement, () => {
  let redis: RedisServer;
  let rocketmq: RocketmqCluster;
  let servers: Record<string, string> = {};
  const folder = mkdtempSync(join(tmpdir(), 'lmqtt-doctor-'));

  before(async () => {
    const password = 'a-password';
    [redis, rocketmq] = await Promise.all([
      startRedis({ password }),
      startRocketmq({ brokers: [{ sendThreads: 1 }] }),
    ]);
    servers = { NAMESRV_ADDR: rocketmq.namesrv.address, REDIS_URL: redis.url };
  });

  after(async () => {
    await Promise.all([redis.close(), rocketmq.close()]);
    rmSync(folder, { recursive: true, force: true });
  });

  async function setBroker(settings: string): Promise<void> {
    const { port } = rocketmq.broker();
    const { code } = await remotingRequest(port, updateBrokerConfigCode, {}, settings);
    assert.equal(code, 0);
  }

  void test('all is as it should be: exit code 0', async () => {
    const said = await doctor({}, { env: servers });
    assert.equal(said.code, 0, said.text);
    assert.match(said.row('appendonly'), /^ok /);
    assert.match(said.row('clock'), /^ok /);
    assert.match(said.row('broker-a release'), new RegExp(`^ok +${rocketmq.version} `));
    assert.match(said.row('broker-a enableLmq'), /^ok +true/);
    assert.match(said.row('broker-a light queue'), /^ok +stored and read back/);
    assert.match(said.row('ROCKETMQ_PROXY'), /^warn /);
    assert.match(said.text, /\nNothing must be changed; /);
    assert.doesNotMatch(said.text, /a-password|[^ \n] +wrong /);
  });

  void test('the files of a Java installation: what is not used is one line, the rest is theirs', async () => {
    const service = join(folder, 'service.conf');
    const { address } = rocketmq.namesrv;
    writeFileSync(
      service,
      `username=u\nsecretKey=k\nNAMESRV_ADDR=${address}\nmetaAddr=127.0.0.1:25000\n`,
    );
    const said = await doctor(
      {},
      {
        args: ['--config', service],
        env: { LMQTT_REDIS_URL: redis.url },
      },
    );
    assert.equal(said.code, 0, said.text);
    assert.match(said.text, /^note: .*service\.conf line 4: metaAddr is not used/);
    assert.match(said.row('NAMESRV_ADDR'), new RegExp(`^ok +${address}`));
  });

  void test('a Redis that forgets: exit code 1, and the line for redis.conf', async () => {
    await redis.command('config', 'set', 'appendonly', 'no');
    try {
      const said = await doctor(servers);
      assert.equal(said.code, 1, said.text);
      assert.match(said.row('appendonly'), /^wrong +no +yes +set `appendonly yes` in redis\.conf/);
      const relaxed = await doctor({ ...servers, REDIS_DURABILITY: 'relaxed' });
      assert.equal(relaxed.code, 0, relaxed.text);
    } finally {
      await redis.command('config', 'set', 'appendonly', 'yes');
    }
  });

  void test('a wrong password of Redis', async () => {
    const said = await doctor({ ...servers, REDIS_URL: `redis://:no@${redis.address}` });
    assert.equal(said.code, 1, said.text);
    assert.match(said.row('redis'), /^wrong .*WRONGPASS/);
  });

  void test('a broker without light queues: exit code 1; a ds does not begin, and says why', async () => {
    await setBroker('enableLmq=false\n');
    try {
      const said = await doctor(servers);
      assert.equal(said.code, 1, said.text);
      assert.match(said.row('broker-a enableLmq'), /^wrong +false +true +set enableLmq=true/);
      const ds = new ServerProcess('ds');
      ds.spawn(['ds', ...flagsOf({ ...servers, RPC_PORT: '0', OPS_PORT: '0' })]);
      await ds.exited;
      assert.match(
        ds.stderr,
        /^lmqtt: RocketMQ is not fit for MQTT: broker-a enableLmq is false: /m,
      );
      assert.equal(await ds.end(), 2);
    } finally {
      await setBroker('enableLmq=true\n');
    }
  });

  void test('the nodes that are alive', async () => {
    const cluster = new StoreCluster({
      redisUrl: redis.url,
      namesrv: rocketmq.namesrv.address,
      ds: 1,
      cs: 1,
    });
    try {
      await cluster.start();
      const said = await doctor({ ...servers, CLUSTER_ID: cluster.clusterId });
      assert.equal(said.code, 0, said.text);
      assert.match(
        said.row('node ds-1 (ds)'),
        /^ok +alive, \d+\.\d+\.\d+, 127\.0\.0\.1:\d+, renewed/,
      );
      assert.match(said.row('node cs-1 (cs)'), /^ok +alive, /);
      assert.match(said.row('way to ds-1'), /^ok /);
      assert.match(said.row('versions of nodes'), /^ok /);
    } finally {
      await cluster.stop();
    }
  });
});
