// Sessions belong to their users: another user who names a client identifier gets nothing of its
// session, stored or connected, whatever cs and ds he comes to.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { auth, connect } from '../harness/packets.ts';
import type { Version } from '../harness/packets.ts';
import { ScramClient } from '../harness/scram.ts';
import type { Broker } from '../harness/broker.ts';
import { isSplit } from '../harness/shape.ts';
import { SplitBroker } from '../harness/split-broker.ts';
import { StoreCluster } from '../harness/store-cluster.ts';
import { Suite } from '../harness/suite.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const main = join(import.meta.dirname, '../../../services/standalone/dist/src/main.js');
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-session-users-'));
const passwordFile = join(folder, 'users');
const aclFile = join(folder, 'rules');
after(() => rmSync(folder, { recursive: true, force: true }));

for (const user of ['ann', 'ben']) {
  const args = [main, 'passwd', '--file', passwordFile, '--stdin', 'add', user];
  const { status, stderr } = spawnSync(process.execPath, args, { input: `of ${user}\n` });
  assert.equal(status, 0, String(stderr));
}
const rules = [
  'allow user=ann all secret/#',
  'allow user=ben all public/#',
  'deny all all secret/#',
];
writeFileSync(aclFile, `${rules.join('\n')}\n`);
const settings = {
  PASSWORD_FILE: passwordFile,
  ACL_FILE: aclFile,
  ALLOW_ANONYMOUS: 'true',
} as const;

type User = 'ann' | 'ben' | undefined;
type Fields = Parameters<Suite['client']>[0];

function fieldsOf(user: User): object {
  return user === undefined ? {} : { username: user, password: `of ${user}` };
}

/** A session that outlives its connection, in the words of each version. */
function lasting(version: Version, clientId: string, user: User): Fields & object {
  const properties = { sessionExpiryInterval: 600 };
  const more = version === 5 ? { properties } : {};
  return { version, clientId, clean: false, ...more, ...fieldsOf(user) };
}

/** Ann's session with a message that waits for it. */
async function owed(suite: Suite, version: Version, id: string): Promise<void> {
  const first = await suite.client(lasting(version, id, 'ann'));
  await first.subscribe(`secret/${id}/#`, 1);
  await first.disconnect();
  const publisher = await suite.client({ clientId: unique(), ...fieldsOf('ann') });
  await publisher.publish(`secret/${id}/x`, 'stored', { qos: 1 });
}

async function scram(client: RawClient, user: string, clientId: string): Promise<void> {
  const exchange = new ScramClient(user, `of ${user}`);
  const saying = (text: string): object => ({
    authenticationMethod: 'SCRAM-SHA-256',
    authenticationData: Buffer.from(text),
  });
  client.send(connect({ version: 5, clientId, properties: saying(exchange.first) }));
  const { properties } = await client.expect('auth', { reason: 0x18 });
  const final = exchange.final(String(properties.authenticationData));
  client.send(auth({ reason: 0x18, properties: saying(final.message) }));
  await client.expect('connack', { reason: 0 });
}

/** Kills the ds of some sessions at least; all others are where they were. */
async function anotherDs(broker: Broker): Promise<void> {
  const again = { ...settings, SESSION_USER_CHANGE: 'refuse' };
  if (broker instanceof StoreCluster) {
    await broker.ds[0]!.kill();
    await broker.ds[0]!.start(again);
    return;
  }
  assert.ok(broker instanceof SplitBroker);
  await broker.cluster.ds.kill();
  await broker.cluster.ds.start(again);
}

void describe('a session of another user', () => {
  const suite = new Suite({ settings });

  for (const version of [3, 4, 5] as const) {
    void test(`stored, version ${version}: it ends, and nothing of it comes`, async () => {
      const id = unique('d');
      await owed(suite, version, id);
      // 3.1 has no flag of a session that goes on.
      const other = await suite.client({ ...lasting(version, id, 'ben'), sessionPresent: false });
      const publisher = await suite.client({ clientId: unique(), ...fieldsOf('ann') });
      await publisher.publish(`secret/${id}/x`, 'later', { qos: 1 });
      const denied = version === 5 ? 0x87 : version === 4 ? 0x80 : undefined;
      if (denied !== undefined) await other.subscribe(`secret/${id}/#`, 1, { reasons: [denied] });
      await other.subscribe(`public/${id}`, 1);
      await other.publish(`public/${id}`, 'own', { qos: 1 });
      await other.receive({ payload: 'own' });
      await other.expectNothing();
      await other.disconnect();
      const again = await suite.client({ ...lasting(version, id, 'ann'), sessionPresent: false });
      await again.expectNothing();
    });
  }

  for (const clean of [true, false]) {
    void test(`connected, clean ${clean}: it is taken over without what it has`, async () => {
      const id = unique('d');
      const fields = clean ? { version: 5 as const, clientId: id } : lasting(5, id, 'ann');
      const first = await suite.client({ ...fields, ...fieldsOf('ann') });
      await first.subscribe(`secret/${id}`, 1);
      const other = await suite.client({ ...lasting(5, id, 'ben'), sessionPresent: false });
      await first.expectDisconnect(0x8e);
      const publisher = await suite.client({ clientId: unique(), ...fieldsOf('ann') });
      await publisher.publish(`secret/${id}`, 'not for ben', { qos: 1 });
      await other.expectNothing();
    });
  }

  void test('its will goes out, however long its delay', async () => {
    const id = unique('d');
    const watcher = await suite.client({ clientId: unique(), ...fieldsOf('ann') });
    await watcher.subscribe(`secret/will/${id}`, 1);
    const properties = { willDelayInterval: 500 };
    const will = { topic: `secret/will/${id}`, payload: 'gone', qos: 1, properties } as const;
    const first = await suite.client({ ...lasting(5, id, 'ann'), will });
    first.destroy();
    await suite.client({ ...lasting(5, id, 'ben'), sessionPresent: false });
    await watcher.receive({ payload: 'gone' });
  });

  void test('its place in a shared group is another member’s', async () => {
    const id = unique('d');
    const filter = `$share/g-${id}/secret/${id}`;
    const first = await suite.client(lasting(5, id, 'ann'));
    await first.subscribe(filter, 1);
    first.destroy();
    const member = await suite.client({ version: 5, ...fieldsOf('ann') });
    await member.subscribe(filter, 1);
    await suite.client({ ...lasting(5, id, 'ben'), sessionPresent: false });
    for (let number = 0; number < 5; number += 1) {
      await member.publish(`secret/${id}`, String(number), { qos: 1 });
      await member.receive({ payload: String(number) });
    }
  });

  void test('clients without a user name are one user', async () => {
    const id = unique('d');
    await (await suite.client(lasting(5, id, undefined))).disconnect();
    await (await suite.client({ ...lasting(5, id, undefined), sessionPresent: true })).disconnect();
    await (await suite.client({ ...lasting(5, id, 'ann'), sessionPresent: false })).disconnect();
    await suite.client({ ...lasting(5, id, undefined), sessionPresent: false });
  });

  void test('re-authentication as another user is refused', async () => {
    const id = unique('d');
    const client = await suite.open();
    client.version = 5;
    await scram(client, 'ann', id);
    const exchange = new ScramClient('ben', 'of ben');
    const saying = (text: string): object => ({
      authenticationMethod: 'SCRAM-SHA-256',
      authenticationData: Buffer.from(text),
    });
    client.send(auth({ reason: 0x19, properties: saying(exchange.first) }));
    const { properties } = await client.expect('auth', { reason: 0x18 });
    const final = exchange.final(String(properties.authenticationData));
    client.send(auth({ reason: 0x18, properties: saying(final.message) }));
    await client.expectDisconnect(0x87);
  });

  void test('its own user goes on with it, also after a restart', async () => {
    const id = unique('d');
    await owed(suite, 5, id);
    const other = unique('d');
    await owed(suite, 4, other);
    await suite.broker.restart();
    const again = await suite.client({ ...lasting(5, id, 'ann'), sessionPresent: true });
    await again.receive({ payload: 'stored' });
    const ben = await suite.client({ ...lasting(4, other, 'ben'), sessionPresent: false });
    await ben.expectNothing();
    const figures = await suite.broker.metrics();
    const name = 'lmqtt_ds_session_user_changes_total{result="replaced"}';
    assert.equal(figures.get(name), 1);
  });
});

void describe('a session of another user, with SESSION_USER_CHANGE=refuse', () => {
  const suite = new Suite({ settings: { ...settings, SESSION_USER_CHANGE: 'refuse' } });

  /** Checks that the session is refused to all users but Ann. */
  async function refused(id: string): Promise<void> {
    for (const version of [3, 4, 5] as const) {
      for (const user of ['ben', undefined] as const) {
        for (const clean of [false, true]) {
          const client = await suite.open();
          const reason = version === 5 ? 0x87 : 5;
          await client.connect({ ...lasting(version, id, user), clean, reason });
          await client.expectClose();
        }
      }
    }
  }

  for (const version of [3, 4, 5] as const) {
    void test(`stored, version ${version}: it stays, and its user gets what it is owed`, async () => {
      const id = unique('d');
      await owed(suite, version, id);
      await refused(id);
      const again = await suite.client(lasting(version, id, 'ann'));
      await again.receive({ payload: 'stored' });
    });
  }

  for (const clean of [true, false]) {
    void test(`connected, clean ${clean}: the connection stays untouched`, async () => {
      const id = unique('d');
      const fields = clean ? { version: 5 as const, clientId: id } : lasting(5, id, 'ann');
      const first = await suite.client({ ...fields, ...fieldsOf('ann') });
      await first.subscribe(`secret/${id}`, 1);
      await refused(id);
      await first.publish(`secret/${id}`, 'still here', { qos: 1 });
      await first.receive({ payload: 'still here' });
      await first.expectNothing();
      if (!clean) return;
      // Once it has ended the identifier is free, at every cs.
      for (let times = 0; times < 10; times += 1) {
        const owner = await suite.client({ version: 5, clientId: id, ...fieldsOf('ann') });
        const other = await suite.open();
        await owner.disconnect();
        other.version = 5;
        other.send(connect({ version: 5, clientId: id, ...fieldsOf('ben') }));
        await other.expect('connack', { reason: 0, sessionPresent: false });
        await other.disconnect();
      }
    });
  }

  void test(
    'presented to another ds: it is still that of its user',
    { skip: !isSplit && 'one process' },
    async () => {
      const ids = [unique('d'), unique('d')];
      const [clean, stored] = await Promise.all([
        suite.client({ version: 5, clientId: ids[0]!, ...fieldsOf('ann') }),
        suite.client(lasting(5, ids[1]!, 'ann')),
      ]);
      for (const [index, client] of [clean, stored].entries())
        await client.subscribe(`secret/${ids[index]}`, 1);
      await anotherDs(suite.broker);
      for (const [index, client] of [clean, stored].entries()) {
        const id = ids[index]!;
        // The first answers may say that no ds has the session yet.
        const endMs = performance.now() + 60_000;
        for (let reason = -1; reason !== 0x87;) {
          assert.ok(performance.now() < endMs, `CONNACK 0x${reason.toString(16)}`);
          const other = await suite.open();
          other.version = 5;
          other.send(connect({ version: 5, clientId: id, clean: false, ...fieldsOf('ben') }));
          ({ reason } = await other.expect('connack', {}, 60_000));
          assert.notEqual(reason, 0);
          other.destroy();
        }
        await client.publish(`secret/${id}`, 'still here', { qos: 1 });
        await client.receive({ payload: 'still here' });
        await client.expectNothing();
      }
    },
  );
});
