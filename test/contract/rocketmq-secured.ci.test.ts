// The remoting client against brokers that want signatures, and over TLS.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { RemotingError } from '@lmqtt/ds/rocketmq/remoting/errors';
import { requireRocketmq } from '../harness/require.ts';
import { wantedVersion } from '../harness/rocketmq/jars.ts';
import { startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { bodiesIn, clientOf, messageTo, pullOnce, sendOnce } from './rocketmq-client.ts';

const needed = requireRocketmq();
const topic = 'place';
const credentials = { accessKey: 'administrator', secretKey: 'known to both' };

const auth = 'org.apache.rocketmq.auth.authentication.provider';
const { accessKey: username, secretKey: password } = credentials;

/** 5.3 and later; those before have an access list in a file. */
const settings = {
  authenticationEnabled: true,
  authenticationProvider: `${auth}.DefaultAuthenticationProvider`,
  authenticationMetadataProvider: `${auth}.LocalAuthenticationMetadataProvider`,
  initAuthenticationUser: JSON.stringify({ username, password }),
  innerClientAuthenticationCredentials: JSON.stringify(credentials),
};

const accessList = `accounts:
  - accessKey: ${username}
    secretKey: '${password}'
    admin: true
`;

test('signed requests are taken, others are refused', needed, async (t) => {
  const hasAccessList = /^(4|5\.[012])\./.test(wantedVersion());
  const folder = mkdtempSync(join(tmpdir(), 'lmqtt-signed-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  if (hasAccessList) {
    mkdirSync(join(folder, 'broker-a', 'conf'), { recursive: true });
    writeFileSync(join(folder, 'broker-a', 'conf', 'plain_acl.yml'), accessList);
  }
  const conf = hasAccessList ? { aclEnable: true } : settings;
  const cluster = await startRocketmq({ folder, brokers: [{ conf }] });
  t.after(() => cluster.close());
  const { address } = cluster.broker();

  const client = clientOf(cluster, { credentials });
  t.after(() => client.close());
  const broker = client.broker(address);
  await broker.createTopic({ topic, readQueues: 1, writeQueues: 1 });
  assert.equal((await sendOnce(broker, messageTo(topic, 'signed', ['a']))).kind, 'stored');
  const found = await pullOnce(broker, '%LMQ%a', 0, { suspendMs: 5000 });
  assert.ok(found.kind === 'found');
  assert.deepEqual(bodiesIn(found.body), ['signed']);
  await broker.updateConsumerOffset('%LMQ%g', { topic, queueId: 0 }, 1);
  assert.equal(await broker.queryConsumerOffset('%LMQ%g', { topic, queueId: 0 }), 1);
  await broker.updateBrokerConfig({ waitTimeMillsInSendQueue: '4000' });
  assert.equal((await broker.brokerConfig()).get('waitTimeMillsInSendQueue'), '4000');

  const wrongKey = { accessKey: username, secretKey: 'not it' };
  for (const more of [{}, { credentials: wrongKey }]) {
    const refused = clientOf(cluster, more);
    t.after(() => refused.close());
    const other = refused.broker(address);
    await assert.rejects(other.maxOffset({ topic, queueId: 0 }), RemotingError);
    assert.equal((await sendOnce(other, messageTo(topic, 'x'))).kind, 'refused');
    const pulled = await pullOnce(other, '%LMQ%a', 0);
    assert.ok(pulled.kind === 'failed' && pulled.code !== undefined);
  }
  assert.equal(await broker.maxOffset({ topic, queueId: 0 }), 1);
});

test('the same over TLS, on the same port', needed, async (t) => {
  const cluster = await startRocketmq();
  t.after(() => cluster.close());
  const { address } = cluster.broker();
  // RocketMQ makes itself a certificate where it is given none.
  const client = clientOf(cluster, { tls: { rejectUnauthorized: false } });
  t.after(() => client.close());
  const broker = client.broker(address);
  await broker.createTopic({ topic, readQueues: 1, writeQueues: 1 });
  assert.equal((await client.clusterInfo()).brokers[0]?.master, address);
  const body = Buffer.alloc(300_000, 7);
  const request = { ...messageTo(topic, ''), body, timeoutMs: 10_000 };
  const answers = await Promise.all(Array.from({ length: 20 }, () => sendOnce(broker, request)));
  assert.ok(answers.every(({ kind }) => kind === 'stored'));
  const found = await pullOnce(broker, topic, 0);
  assert.ok(found.kind === 'found' && found.body.length > body.length);
  const waiting = pullOnce(broker, topic, 20, { suspendMs: 10_000 });
  broker.reset('the test says so');
  assert.equal((await waiting).kind, 'failed');
  assert.equal(await broker.maxOffset({ topic, queueId: 0 }), 20);

  const strict = clientOf(cluster, { tls: {}, requestTimeoutMs: 1000 });
  t.after(() => strict.close());
  await assert.rejects(strict.clusterInfo(), /certificate/);
  const timedOut = strict.broker(address).maxOffset({ topic, queueId: 0 });
  await assert.rejects(timedOut, /not written: .*certificate/);
});
