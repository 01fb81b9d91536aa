// A RocketMQ 5.5 with ACL 2.0: `lmqtt doctor` and a ds name each right that their user has not, and
// the rules of docs/rocketmq-rights.md are enough.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { flagsOf, ServerProcess } from '../harness/process.ts';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { aclConf, type AclRule, createUser, UserRules } from '../harness/rocketmq/acl.ts';
import { wantedVersion } from '../harness/rocketmq/jars.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { publish } from '../harness/packets.ts';
import { StoreCluster } from '../harness/store-cluster.ts';
import { closeAllClients, connected, unique } from '../harness/wire.ts';

const hasNoAcl2 = /^(4|5\.[012])\./.test(wantedVersion())
  ? `${wantedVersion()} has no ACL 2.0`
  : false;
const skip = requireRedis().skip || requireRocketmq().skip || hasNoAcl2;
const credentials = { ROCKETMQ_ACCESS_KEY: 'lmqtt', ROCKETMQ_SECRET_KEY: 'a secret of lmqtt' };
const exitMs = 60_000;

/** The rules of the page, without the example of a further topic. */
function rulesOfPage(): AclRule[] {
  const page = join(import.meta.dirname, '../../../docs/rocketmq-rights.md');
  const found = readFileSync(page, 'utf8').matchAll(
    /^ {4}mqadmin createAcl .* -r (\S+) -a (\S+)$/gm,
  );
  return Array.from(found, ([, resource = '', actions = '']) => ({
    resource: resource.replaceAll("'", ''),
    actions: actions.split(','),
  }));
}

function without(rules: readonly AclRule[], resource: string, action: string): AclRule[] {
  return rules
    .map((rule) =>
      rule.resource === resource
        ? { resource, actions: rule.actions.filter((each) => each !== action) }
        : rule,
    )
    .filter(({ actions }) => actions.length > 0);
}

void describe('rights in RocketMQ', { skip }, () => {
  let redis: RedisServer;
  let rocketmq: RocketmqCluster;
  let cluster: StoreCluster | undefined;
  let rules: UserRules;
  const page = rulesOfPage();
  let servers: Readonly<Record<string, string>>;

  before(async () => {
    [redis, rocketmq] = await Promise.all([
      startRedis(),
      startRocketmq({ brokers: [{ conf: aclConf }] }),
    ]);
    const { port } = rocketmq.broker();
    const { ROCKETMQ_ACCESS_KEY: name, ROCKETMQ_SECRET_KEY: key } = credentials;
    await createUser(port, name, key);
    rules = new UserRules(port, name);
    await rules.set(page);
    servers = {
      ...credentials,
      REDIS_URL: redis.url,
      NAMESRV_ADDR: rocketmq.namesrv.address,
    };
  });
  after(async () => {
    closeAllClients();
    await cluster?.stop();
    await Promise.all([redis?.close(), rocketmq?.close()]);
  });

  async function doctor(): Promise<{ code: number | null; text: string }> {
    const said = new ServerProcess('doctor');
    said.spawn(['doctor', ...flagsOf(servers)]);
    await said.exited;
    return { text: said.logs(), code: await said.end('SIGTERM', exitMs) };
  }

  void test('the page has rules', () => {
    assert.deepEqual(
      page.map(({ resource }) => resource),
      ['Topic:lmqtt*', 'Topic:%LMQ%*', 'Group:%LMQ%*'],
    );
  });

  // First: the topics of the cluster are not there yet, and have to be made.
  void test('each right of the page is missed: by the doctor by name, and by a ds', async () => {
    for (const { resource, actions } of page) {
      for (const action of actions) {
        await rules.set(without(page, resource, action));
        const { code, text } = await doctor();
        // A topic that is published to is there only once it has been made.
        if (action === 'Pub' || (resource === 'Topic:lmqtt*' && action !== 'Create')) continue;
        assert.equal(code, 1, `without ${action} on ${resource}:\n${text}`);
        assert.match(text, new RegExp(`wrong .*${action} on `), text);
      }
    }
    await rules.set(without(page, 'Topic:%LMQ%*', 'Get'));
    const ds = new ServerProcess('ds');
    ds.spawn(['ds', ...flagsOf({ ...servers, RPC_PORT: '0', OPS_PORT: '0' })]);
    await ds.exited;
    assert.match(ds.stderr, /^lmqtt: RocketMQ is not fit .*permit Get on Topic:%LMQ%\*/m);
    assert.equal(await ds.end(), 2);
  });

  void test('with the rules of the page: the doctor has nothing to say, and clients are served', async () => {
    await rules.set(page);
    const before = await doctor();
    assert.equal(before.code, 0, before.text);
    assert.match(before.text, /rights +ok +\d+ of \d+ requests/);
    cluster = new StoreCluster({
      clusterId: 'lmqtt',
      redisUrl: redis.url,
      namesrv: rocketmq.namesrv.address,
      settings: credentials,
    });
    await cluster.start();
    const subscriber = await connected(cluster.mqttPort, { version: 5 });
    await subscriber.subscribe('a/#', 2);
    const publisher = await connected(cluster.mqttPort, { version: 5 });
    for (const qos of [0, 1, 2] as const) {
      await publisher.publish('a/b', `at ${qos}`, { qos });
      await subscriber.receive({ payload: `at ${qos}` });
    }
    const { code, text } = await doctor();
    assert.equal(code, 0, text);
  });

  void test('topics that are there: each right on them is missed by name', async () => {
    for (const action of ['Pub', 'Sub', 'Get']) {
      await rules.set(without(page, 'Topic:lmqtt*', action));
      const { code, text } = await doctor();
      assert.equal(code, 1, text);
      assert.match(text, new RegExp(`wrong .*${action} on Topic:lmqtt`), text);
    }
  });

  void test('a right that is taken away reaches clients as 0x87; 3.1.1 is not acknowledged', async () => {
    assert.ok(cluster !== undefined);
    await rules.set(without(page, 'Topic:lmqtt*', 'Pub'));
    const five = await connected(cluster.mqttPort, { version: 5 });
    five.send(publish({ version: 5, topic: unique(), qos: 1, packetId: 1 }));
    assert.equal((await five.expect('puback')).reason, 0x87);
    five.send(publish({ version: 5, topic: unique(), qos: 2, packetId: 2 }));
    assert.equal((await five.expect('pubrec')).reason, 0x87);
    const old = await connected(cluster.mqttPort, { version: 4 });
    old.send(publish({ version: 4, topic: unique(), qos: 1, packetId: 1 }));
    await old.expectClose();
    await rules.set(without(page, 'Topic:%LMQ%*', 'Get'));
    await five.subscribe('b/#', 1, { reasons: [0x87] });
    await rules.set(page);
    await five.subscribe('b/#', 1);
    await five.publish('b/c', 'again', { qos: 1 });
    await five.receive({ payload: 'again' });
  });
});
