// CLIENT_ID_RULE: a user names no client identifier but those of the rule, so that `client=` and
// `%c` in access rules can be believed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { auth, connect } from '../harness/packets.ts';
import type { PropertiesToSend } from '../harness/properties.ts';
import { ScramClient } from '../harness/scram.ts';
import { Suite } from '../harness/suite.ts';
import type { RawClient } from '../harness/wire.ts';

const main = join(import.meta.dirname, '../../../services/standalone/dist/src/main.js');
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-client-id-'));
const passwordFile = join(folder, 'users');
const aclFile = join(folder, 'rules');
after(() => rmSync(folder, { recursive: true, force: true }));

for (const user of ['ann', 'ben']) {
  const args = [main, 'passwd', '--file', passwordFile, '--stdin', 'add', user];
  const { status, stderr } = spawnSync(process.execPath, args, { input: `of ${user}\n` });
  assert.equal(status, 0, String(stderr));
}
writeFileSync(aclFile, 'allow all all devices/%c/#\n');
const settings = {
  PASSWORD_FILE: passwordFile,
  ACL_FILE: aclFile,
  ALLOW_ANONYMOUS: 'true',
} as const;
const lasting = { sessionExpiryInterval: 600 };

async function refused(suite: Suite, user: string | undefined, clientId: string): Promise<void> {
  for (const version of [3, 4, 5] as const) {
    const client = await suite.open();
    const reason = version === 5 ? 0x85 : 2;
    const who = user === undefined ? {} : { username: user, password: `of ${user}` };
    await client.connect({ version, clientId, ...who, reason });
    await client.expectClose();
  }
}

async function allowed(suite: Suite, user: string, clientId: string): Promise<void> {
  for (const version of [3, 4, 5] as const) {
    const client = await suite.client({
      version,
      clientId,
      username: user,
      password: `of ${user}`,
    });
    await client.subscribe(`devices/${clientId}/x`, 1);
    await client.publish(`devices/${clientId}/x`, 'own', { qos: 1 });
    await client.receive({ payload: 'own' });
    await client.disconnect();
  }
}

interface Assigned {
  readonly client: RawClient;
  readonly id: string;
  readonly sessionExpiryS: number | undefined;
}

/** A client of version 5 that leaves its identifier to the broker. */
async function assigned(suite: Suite, user: string | undefined): Promise<Assigned> {
  const client = await suite.open();
  const who = user === undefined ? {} : { username: user, password: `of ${user}` };
  const { properties } = await client.connect({
    version: 5,
    clientId: '',
    clean: false,
    properties: lasting,
    ...who,
  });
  const { assignedClientIdentifier: id, sessionExpiryInterval: sessionExpiryS } = properties;
  assert.equal(typeof id, 'string');
  return { client, id: String(id), sessionExpiryS };
}

async function scramLogin(suite: Suite, user: string, clientId: string): Promise<RawClient> {
  const client = await suite.open();
  client.version = 5;
  const saying = (text: string): PropertiesToSend => ({
    ...lasting,
    authenticationMethod: 'SCRAM-SHA-256',
    authenticationData: Buffer.from(text),
  });
  const scram = new ScramClient(user, `of ${user}`);
  // The name of CONNECT is not the one that is proved.
  const fields = { version: 5, clientId, username: 'ben', clean: false } as const;
  client.send(connect({ ...fields, properties: saying(scram.first) }));
  const { properties } = await client.expect('auth', { reason: 0x18 });
  const { message } = scram.final(String(properties.authenticationData));
  const answer = {
    authenticationMethod: 'SCRAM-SHA-256',
    authenticationData: Buffer.from(message),
  };
  client.send(auth({ reason: 0x18, properties: answer }));
  return client;
}

void describe('CLIENT_ID_RULE=%u-*', () => {
  const suite = new Suite({ settings: { ...settings, CLIENT_ID_RULE: '%u-*' } });

  void test('a user names those of the rule, and no others', async () => {
    await allowed(suite, 'ann', 'ann-1');
    await allowed(suite, 'ben', 'ben-ann-1');
    for (const id of ['ben-1', 'ann', 'annx-1', 'x', '%u-1']) await refused(suite, 'ann', id);
    for (const id of ['ann-1', 'x', '-1', 'undefined-1']) await refused(suite, undefined, id);
  });

  void test('who is refused takes nothing over', async () => {
    const who = { version: 5, username: 'ann', password: 'of ann' } as const;
    const first = await suite.client({ ...who, clientId: 'ann-2' });
    await refused(suite, 'ben', 'ann-2');
    await first.ping();
    await first.expectNothing();
  });

  void test('an assigned identifier fits, and its client may come back with it', async () => {
    const { client, id, sessionExpiryS } = await assigned(suite, 'ann');
    assert.match(id, /^ann-.{20}/);
    assert.equal(sessionExpiryS, undefined);
    await client.disconnect();
    const who = { version: 5, username: 'ann', password: 'of ann' } as const;
    await suite.client({ ...who, clientId: id, clean: false, sessionPresent: true });
    await refused(suite, 'ben', id);
    // Before 5.0 the broker keeps its name for itself.
    await suite.client({ version: 4, clientId: '', username: 'ann', password: 'of ann' });
  });

  void test('one of no user is random, and its session ends with its connection', async () => {
    const { client, id, sessionExpiryS } = await assigned(suite, undefined);
    assert.doesNotMatch(id, /^(ann|ben|undefined)/);
    assert.equal(sessionExpiryS, 0);
    await client.ping();
    await client.disconnect();
    await refused(suite, undefined, id);
    await suite.client({ version: 4, clientId: '' });
  });

  void test('it is the user who was proved that counts, not the one that CONNECT names', async () => {
    const own = await scramLogin(suite, 'ann', 'ann-3');
    await own.expect('connack', { reason: 0 });
    for (const id of ['ben-3', '']) {
      const other = await scramLogin(suite, 'ann', id);
      await other.expect('connack', { reason: 0x85 });
      await other.expectClose();
    }
  });
});

void describe('CLIENT_ID_RULE=%u', () => {
  const suite = new Suite({ settings: { ...settings, CLIENT_ID_RULE: '%u' } });

  void test('a user has the one identifier of that name', async () => {
    await allowed(suite, 'ann', 'ann');
    await refused(suite, 'ann', 'ben');
    await refused(suite, 'ben', 'ann');
    await refused(suite, undefined, 'ann');
  });

  void test('whoever leaves it to the broker gets a random one that ends with the connection', async () => {
    const first = await assigned(suite, 'ann');
    const second = await assigned(suite, 'ann');
    assert.notEqual(first.id, second.id);
    assert.equal(first.sessionExpiryS, 0);
    await first.client.ping();
    await first.client.disconnect();
    await refused(suite, 'ann', first.id);
  });
});
