// Users and rights where `access.test.ts` ends: SCRAM with what the passwd command wrote, anonymous
// clients beside users, names within rules, refusal by closing.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { auth, connect } from '../harness/packets.ts';
import type { PropertiesToSend } from '../harness/properties.ts';
import { ScramClient } from '../harness/scram.ts';
import { isCluster } from '../harness/shape.ts';
import { Suite } from '../harness/suite.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const main = join(import.meta.dirname, '../../../services/standalone/dist/src/main.js');
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-users-'));
const passwordFile = join(folder, 'users');
const aclFile = join(folder, 'rules');
after(() => rmSync(folder, { recursive: true, force: true }));

function passwd(password: string, ...command: string[]): void {
  const args = [main, 'passwd', '--file', passwordFile, '--stdin', ...command];
  const { status, stderr } = spawnSync(process.execPath, args, {
    input: `${password}\n`,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
}

/** How often the broker has read this file, or refused to. */
function readings(suite: Suite, path: string): number {
  const lines = suite.broker.logs().split('\n');
  return lines.filter((line) => line.includes(`"path":"${path}"`)).length;
}

/** Makes the change and waits until each ds of the broker has told that it read the file. */
async function reread(suite: Suite, path: string, change: () => void): Promise<void> {
  const before = readings(suite, path);
  change();
  const endMs = performance.now() + 10_000;
  while (readings(suite, path) < before + (isCluster ? 2 : 1)) {
    assert.ok(performance.now() < endMs, `${path} was not read again`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** CONNECT with SCRAM-SHA-256; the CONNACK's code, after the server has proved itself. */
async function scramLogin(client: RawClient, user: string, password: string): Promise<number> {
  const saying = (text: string): PropertiesToSend => ({
    authenticationMethod: 'SCRAM-SHA-256',
    authenticationData: Buffer.from(text),
  });
  const scram = new ScramClient(user, password);
  client.send(connect({ version: 5, clientId: unique(), properties: saying(scram.first) }));
  const { properties } = await client.expect('auth', { reason: 0x18 });
  const final = scram.final(String(properties.authenticationData));
  client.send(auth({ reason: 0x18, properties: saying(final.message) }));
  const connack = await client.expect('connack');
  if (connack.reason === 0) {
    assert.equal(String(connack.properties.authenticationData), final.verifier);
  }
  return connack.reason;
}

passwd('of ann', 'add', 'ann');
passwd('of ben', 'add', 'ben');
writeFileSync(aclFile, '');

void describe('users', () => {
  const suite = new Suite({ settings: { PASSWORD_FILE: passwordFile, ALLOW_ANONYMOUS: 'false' } });
  const open = async (): Promise<RawClient> => {
    const client = await suite.open();
    client.version = 5;
    return client;
  };

  void test('SCRAM-SHA-256 with what passwd wrote, and after it has changed', async () => {
    const first = await open();
    assert.equal(await scramLogin(first, 'ann', 'of ann'), 0);
    assert.equal(await scramLogin(await open(), 'ann', 'of ben'), 0x87);
    await reread(suite, passwordFile, () => passwd('newer', 'add', 'ann'));
    assert.equal(await scramLogin(await open(), 'ann', 'of ann'), 0x87);
    assert.equal(await scramLogin(await open(), 'ann', 'newer'), 0);
    await first.ping();
  });

  void test('by password in each version; who is refused is closed', async () => {
    for (const version of [3, 4, 5] as const) {
      const fields = { version, clientId: unique(), username: 'ben' };
      await suite.client({ ...fields, password: 'of ben' });
      const wrong = await suite.open();
      await wrong.connect({ ...fields, password: 'x', reason: version === 5 ? 0x86 : 4 });
      await wrong.expectClose();
      const nobody = await suite.open();
      await nobody.connect({ version, clientId: unique(), reason: version === 5 ? 0x87 : 5 });
      await nobody.expectClose();
    }
  });

  void test('a damaged file changes nothing', async () => {
    await reread(suite, passwordFile, () => writeFileSync(passwordFile, 'ann:not a hash\n'));
    await suite.client({ clientId: unique(), username: 'ben', password: 'of ben' });
    assert.match(suite.broker.logs(), /"level":"error"[^\n]*line 1/);
    assert.doesNotMatch(suite.broker.logs(), /not a hash/);
    await reread(suite, passwordFile, () => {
      rmSync(passwordFile);
      passwd('of ann', 'add', 'ann');
    });
  });
});

void describe('rights', () => {
  const suite = new Suite({
    settings: {
      PASSWORD_FILE: passwordFile,
      ALLOW_ANONYMOUS: 'true',
      ACL_FILE: aclFile,
      ACL_DENY_PUBLISH: 'close',
    },
  });
  const ann = (fields: object = {}): Promise<RawClient> =>
    suite.client({
      version: 5,
      clientId: unique(),
      username: 'ann',
      password: 'of ann',
      ...fields,
    });
  const rules = (...lines: string[]): Promise<void> =>
    reread(suite, aclFile, () => writeFileSync(aclFile, `${lines.join('\n')}\n`));

  void test('%u and %c stand for the verified user and the client id', async () => {
    await rules('allow all all of/%u/#', 'allow all all at/%c/#');
    const clientId = unique();
    const client = await ann({ clientId });
    const reasons = [0, 0, 0x87, 0, 0x87, 0];
    await client.subscribe(
      ['of/ann/#', `at/${clientId}/+`, 'of/ben/#', 'of/+/x', 'of/ben', '$share/g/of/ann/1'],
      0,
      { reasons },
    );
    // A name that would be a wildcard widens nothing, and a name that nobody verified is none.
    const wild = await suite.client({ version: 5, clientId: '#' });
    await wild.subscribe(['at/#', 'at/1/2', 'of/ann/#'], 0, { reasons: [0x87, 0x87, 0x87] });
    const claimed = await suite.open();
    await claimed.connect({ clientId: unique(), username: 'ann', password: 'x', reason: 4 });
  });

  void test('the first rule that fits counts: deny, address, all', async () => {
    await rules(
      'deny  all               all       keys/#',
      'deny  user=ann          publish   read/#',
      'allow address=127.0.0.0/8 all     keys/x',
      'allow address=127.0.0.0/8 all     read/#',
      'allow address=10.0.0.0/8 all      #',
    );
    const client = await ann();
    await client.subscribe(['keys/x', 'read/1', 'other'], 1, { reasons: [0x87, 1, 0x87] });
    client.sendPublish({ topic: 'read/1', qos: 1, packetId: 900 });
    await client.expect('puback', { packetId: 900, reason: 0x87 });
    const anonymous = await suite.client({ version: 5 });
    await anonymous.publish('read/1', 'x', { qos: 1 });
    await client.receive({ topic: 'read/1' });
  });

  void test('new rules count at once for connected clients: publish, subscribe, wills', async () => {
    await rules('allow all all #');
    const client = await ann();
    const watcher = await suite.client({ version: 5 });
    await watcher.subscribe('will/#', 1);
    const leaver = await ann({ will: { topic: 'will/1', payload: 'x', qos: 1 } });
    await client.publish('news', 'x', { qos: 1 });
    await client.subscribe(['news', 'other'], 1);
    await rules('deny user=ann publish #', 'deny user=ann subscribe news', 'allow all all #');
    for (const qos of [1, 2]) {
      client.sendPublish({ topic: 'news', qos, packetId: 900 });
      await client.expect(qos === 1 ? 'puback' : 'pubrec', { packetId: 900, reason: 0x87 });
    }
    await client.subscribe(['news', 'other'], 1, { reasons: [0x87, 1] });
    leaver.destroy();
    const publisher = await suite.client({ version: 5 });
    for (;;) {
      const metrics = await suite.broker.metrics();
      if ((metrics.get('lmqtt_ds_dropped_total{reason="will not sent"}') ?? 0) > 0) break;
    }
    await publisher.publish('will/2', 'y', { qos: 1 });
    await watcher.receive({ topic: 'will/2' });
  });

  void test('ACL_DENY_PUBLISH=close: a 3.1.1 client is closed, nothing is delivered', async () => {
    await rules('allow all all #');
    const watcher = await suite.client({ version: 5 });
    await watcher.subscribe('#', 1);
    await rules('deny user=ann publish denied', 'allow all all #');
    for (const qos of [0, 1, 2]) {
      const old = await ann({ version: 4 });
      old.sendPublish({ topic: 'denied', qos });
      await old.expectClose();
    }
    // Version 5 can be told.
    const client = await ann();
    client.sendPublish({ topic: 'denied', qos: 1, packetId: 900 });
    await client.expect('puback', { packetId: 900, reason: 0x87 });
    await client.publish('allowed', 'x', { qos: 1 });
    await watcher.receive({ topic: 'allowed' });
  });
});
