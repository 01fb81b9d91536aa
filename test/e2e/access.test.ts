// Access and rights as a person sets them up: the passwd command, files that are changed while the
// broker runs, and the login of RocketMQ's nodes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Broker } from '../harness/broker.ts';
import { isCluster, startBroker } from '../harness/shape.ts';
import { connect, publish } from '../harness/packets.ts';
import { closeAllClients, connected, connectRaw, type RawClient, unique } from '../harness/wire.ts';

const main = join(import.meta.dirname, '../../../services/standalone/dist/src/main.js');
const changeMs = 10_000;
const secretKey = 'a secret key';

const folder = mkdtempSync(join(tmpdir(), 'lmqtt-access-'));
const passwordFile = join(folder, 'passwords');
const aclFile = join(folder, 'acl');
after(() => rmSync(folder, { recursive: true, force: true }));

/** `lmqtt passwd`; its standard output. */
function passwd(command: readonly string[], password?: string): string {
  const stdin = password === undefined ? [] : ['--stdin'];
  const args = [main, 'passwd', '--file', passwordFile, ...stdin, ...command];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    input: `${password ?? ''}\n`,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  return stdout;
}

async function eventually(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + changeMs;
  // Each ds reads the files by itself, and each client may come to another one.
  for (let times = 0; times < (isCluster ? 10 : 1); times += 1) {
    while (!(await isSo())) {
      assert.ok(performance.now() < end, what);
      times = 0;
      await delay(50);
    }
  }
}

void describe('access', () => {
  let broker: Broker;

  before(async () => {
    passwd(['add', 'ann'], 'the password of ann');
    writeFileSync(
      aclFile,
      ['allow user=ann all ann/#', 'allow user=* subscribe news/#', 'allow user=nodes all #'].join(
        '\n',
      ),
    );
    broker = await startBroker({
      settings: {
        PASSWORD_FILE: passwordFile,
        ACL_FILE: aclFile,
        HMAC_USERNAME: 'nodes',
        HMAC_SECRET_KEY: secretKey,
      },
    });
  });
  after(async () => {
    closeAllClients();
    await broker.stop();
  });

  const ann = (fields: object = {}): Promise<RawClient> =>
    connected(broker.mqttPort, {
      version: 5,
      clientId: unique('c'),
      username: 'ann',
      password: 'the password of ann',
      ...fields,
    });

  /** The CONNACK's code. */
  const login = async (
    username: string,
    password: string,
    clientId = unique('c'),
  ): Promise<number> => {
    const client = await connectRaw(broker.mqttPort, { version: 5 });
    client.send(connect({ version: 5, clientId, username, password }));
    const { reason } = await client.expect('connack');
    client.destroy();
    return reason;
  };

  void test('the password file holds no password, and only its owner reads it', () => {
    assert.doesNotMatch(readFileSync(passwordFile, 'utf8'), /the password/);
    assert.equal(statSync(passwordFile).mode & 0o077, 0);
    assert.match(passwd(['list']), /^ann$/m);
  });

  void test('the right password, a wrong one, nobody, and none', async () => {
    assert.equal(await login('ann', 'the password of ann'), 0);
    assert.equal(await login('ann', 'another'), 0x86);
    assert.equal(await login('ben', 'the password of ann'), 0x86);
    const nobody = await connectRaw(broker.mqttPort, { version: 5 });
    nobody.send(connect({ version: 5 }));
    const { reason } = await nobody.expect('connack');
    assert.ok(reason === 0x86 || reason === 0x87, `CONNACK ${reason}`);
    const old = await connectRaw(broker.mqttPort);
    await old.connect({ username: 'ann', password: 'another', reason: 4 });
    assert.doesNotMatch(broker.logs(), /the password of ann|another/);
  });

  void test('a refused publish says why, to a client that wants to know and has room for it', async () => {
    for (const [properties, isTold] of [
      [{}, true],
      [{ requestProblemInformation: 0 }, false],
      [{ maximumPacketSize: 20 }, false],
    ] as const) {
      const client = await ann({ properties });
      for (const [qos, answer] of [
        [1, 'puback'],
        [2, 'pubrec'],
      ] as const) {
        client.send(publish({ version: 5, topic: 'news/x', qos, packetId: qos }));
        const { reason, properties: said } = await client.expect(answer, { packetId: qos });
        assert.equal(reason, 0x87);
        assert.equal(/permitted/.test(said.reasonString ?? ''), isTold, JSON.stringify(properties));
      }
      client.destroy();
    }
  });

  void test('a user that is added comes in, one whose password changed or who is gone does not', async () => {
    const stays = await ann();
    passwd(['add', 'ben'], 'of ben');
    await eventually('ben comes in', async () => (await login('ben', 'of ben')) === 0);
    passwd(['add', 'ben'], 'new of ben');
    await eventually('the new password', async () => (await login('ben', 'new of ben')) === 0);
    assert.equal(await login('ben', 'of ben'), 0x86);
    passwd(['delete', 'ben']);
    await eventually('ben is gone', async () => (await login('ben', 'new of ben')) === 0x86);
    await stays.ping();
  });

  void test('HmacSHA1 of the client id', async () => {
    const clientId = unique('node');
    const password = createHmac('sha1', secretKey).update(clientId).digest('base64');
    assert.equal(await login('nodes', password, clientId), 0);
    assert.equal(await login('nodes', password, `${clientId}x`), 0x86);
    assert.doesNotMatch(broker.logs(), new RegExp(secretKey));
  });

  void test('rules, and rules that change under a connection', async () => {
    const client = await ann();
    await client.subscribe(['ann/1', 'news/#', 'ben/1', 'ben/#'], 1, {
      reasons: [1, 1, 0x87, 0x87],
    });
    await client.publish('ann/1', 'own', { qos: 1 });
    await client.receive({ topic: 'ann/1', payload: 'own' });
    client.sendPublish({ topic: 'news/1', qos: 1, packetId: 70 });
    await client.expect('puback', { packetId: 70, reason: 0x87 });
    client.sendPublish({ topic: 'news/1', qos: 2, packetId: 71 });
    await client.expect('pubrec', { packetId: 71, reason: 0x87 });
    const old = await ann({ version: 4 });
    await old.subscribe(['ann/1', 'ben/1'], 0, { reasons: [0, 0x80] });
    // 3.1.1 has no way to refuse: acknowledged, dropped and counted.
    await old.publish('news/1', 'dropped', { qos: 1 });
    await client.expectNothing();
    const metrics = await broker.metrics();
    assert.ok((metrics.get('lmqtt_ds_dropped_total{reason="not authorized"}') ?? 0) >= 3);

    writeFileSync(aclFile, 'allow user=ann all news/#\n');
    await eventually('the new rules', async () => {
      const packetId = client.nextPacketId();
      client.sendPublish({ topic: 'news/1', payload: 'allowed', qos: 1, packetId });
      return (await client.find('puback', { packetId })).reason < 0x80;
    });
    await client.find('publish', { topic: 'news/1', payload: 'allowed' });
    client.sendPublish({ topic: 'ann/1', qos: 1, packetId: 900 });
    await client.find('puback', { packetId: 900, reason: 0x87 });

    // A mistake in the file leaves the rules as they were.
    writeFileSync(aclFile, 'allow everybody everything\n');
    await eventually('the mistake is logged', () =>
      Promise.resolve(/"level":"error"[^\n]*acl/.test(broker.logs())),
    );
    await client.publish('news/1', 'still allowed', { qos: 1 });
  });
});
