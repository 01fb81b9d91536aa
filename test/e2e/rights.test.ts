// Rights to read are judged message by message: a subscription is granted where something of it may
// be read, and the rest is passed over, on every way on which a message comes.
import { spawnSync } from 'node:child_process';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { ConnectFields, Qos, Version } from '../harness/packets.ts';
import { Suite } from '../harness/suite.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const main = join(import.meta.dirname, '../../../services/standalone/dist/src/main.js');
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-rights-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const passwordFile = join(folder, 'passwords');
const aclFile = join(folder, 'rules');
for (const user of ['half', 'narrow']) {
  const args = [main, 'passwd', '--file', passwordFile, '--stdin', 'add', user];
  const { status, stderr } = spawnSync(process.execPath, args, { input: `${user}\n` });
  assert.equal(status, 0, stderr.toString());
}
writeFileSync(
  aclFile,
  [
    'deny all subscribe test/nosubscribe',
    'deny all subscribe hidden/#',
    'deny user=half subscribe +/closed',
    'allow user=narrow subscribe +/%u/#',
    'deny user=narrow subscribe #',
    'allow all all #',
  ].join('\n'),
);
const suite = new Suite({
  settings: { ACL_FILE: aclFile, PASSWORD_FILE: passwordFile, ALLOW_ANONYMOUS: 'true' },
});
const versions: readonly Version[] = [3, 4, 5];
const levels: readonly Qos[] = [0, 1, 2];

type Fields = ConnectFields & { readonly sessionPresent?: boolean };
const as = (user: string, fields: Fields = {}): Promise<RawClient> =>
  suite.client({ username: user, password: user, ...fields });
const durable = (version: Version): ConnectFields => ({
  version,
  clean: false,
  ...(version === 5 ? { properties: { sessionExpiryInterval: 300 } } : {}),
});

void describe('rights to read', () => {
  for (const version of versions)
    void test(`version ${version}: a wildcard is granted, and what is denied in it is passed over`, async () => {
      const stem = unique();
      const subscriber = await suite.client({ version });
      await subscriber.subscribe(['#', `+/${stem}/+`, 'test/+'], 2);
      const publisher = await suite.client({ version: 4 });
      for (const qos of levels) {
        await publisher.publish(`hidden/${stem}/a`, 'hidden', { qos });
        await publisher.publish('test/nosubscribe', 'hidden', { qos });
        await publisher.publish(`open/${stem}/a`, `open ${qos}`, { qos });
        await subscriber.receive({ topic: `open/${stem}/a`, payload: `open ${qos}`, qos });
      }
      await subscriber.expectNothing();
    });

  for (const version of versions)
    void test(`version ${version}: a subscription that can match nothing readable is refused`, async () => {
      const refused = version === 5 ? 0x87 : 0x80;
      const client = await suite.client({ version });
      const filters = ['hidden/#', 'hidden', 'hidden/+/x', 'test/nosubscribe', '$share/g/hidden/#'];
      await client.subscribe([...filters, 'test/+'], 1, {
        reasons: [...filters.map(() => refused), 1],
      });
      const narrow = await as('narrow', { version });
      await narrow.subscribe(['other/wide/#', '+/narrow', '#', '+/+/x'], 1, {
        reasons: [refused, 1, 1, 1],
      });
    });

  void test('names of users are put into what may be read', async () => {
    const stem = unique();
    const narrow = await as('narrow');
    await narrow.subscribe(['#', `${stem}/+`], 1);
    const publisher = await suite.client();
    await publisher.publish(`${stem}/wide`, 'no', { qos: 1 });
    await publisher.publish(`${stem}/narrow`, 'yes', { qos: 1 });
    await publisher.publish(`${stem}/narrow/b`, 'yes, too', { qos: 1 });
    await narrow.receive({ topic: `${stem}/narrow`, payload: 'yes' });
    await narrow.receive({ topic: `${stem}/narrow/b`, payload: 'yes, too' });
    await narrow.expectNothing();
  });

  void test('retained messages that may not be read are passed over', async () => {
    const stem = unique();
    const publisher = await suite.client();
    for (const topic of [`${stem}/closed`, `${stem}/open`, 'hidden/retained'])
      await publisher.publish(topic, 'kept', { qos: 1, retain: true });
    const half = await as('half', { version: 5 });
    await half.subscribe(`${stem}/#`, 2);
    await half.receive({ topic: `${stem}/open`, retain: true });
    await half.expectNothing();
    await half.subscribe(`${stem}/+/#`, 0);
    await half.receive({ topic: `${stem}/open`, retain: true });
    await half.expectNothing();
    await publisher.publish('hidden/retained', '', { qos: 1, retain: true });
  });

  for (const version of [4, 5] as const)
    void test(`version ${version}: what was stored for an absent client is judged when it is back`, async () => {
      const stem = unique();
      const clientId = unique('half');
      const half = await as('half', { ...durable(version), clientId });
      await half.subscribe(`${stem}/#`, 2);
      await half.disconnect();
      const publisher = await suite.client();
      for (const qos of [1, 2] as const)
        for (const last of ['closed', 'open', 'closed'])
          await publisher.publish(`${stem}/${last}`, `${last} ${qos}`, { qos });
      const back = await as('half', { ...durable(version), clientId, sessionPresent: true });
      for (const qos of [1, 2] as const)
        await back.receive({ topic: `${stem}/open`, payload: `open ${qos}`, qos });
      await back.expectNothing();
      await back.disconnect();
      const again = await as('half', { ...durable(version), clientId, sessionPresent: true });
      await again.expectNothing();
      await publisher.publish(`${stem}/open`, 'last', { qos: 1 });
      await again.receive({ topic: `${stem}/open`, payload: 'last' });
    });

  void test('a will is delivered to those who may read it', async () => {
    const stem = unique();
    const half = await as('half');
    const all = await suite.client();
    for (const client of [half, all]) await client.subscribe(`${stem}/+`, 1);
    for (const last of ['closed', 'open']) {
      const dying = await suite.client({
        will: { topic: `${stem}/${last}`, payload: last, qos: 1 },
      });
      dying.destroy();
      await all.receive({ topic: `${stem}/${last}` });
    }
    await half.receive({ topic: `${stem}/open` });
    await half.expectNothing();
  });

  for (const qos of levels)
    void test(`a shared group at QoS ${qos}: a message goes to a member who may read it`, async () => {
      const stem = unique();
      const filter = `$share/g/${stem}/#`;
      const half = await as('half', { version: 5 });
      const all = await suite.client({ version: 5 });
      for (const client of [half, all]) await client.subscribe(filter, qos);
      const publisher = await suite.client();
      for (let number = 0; number < 6; number += 1)
        await publisher.publish(`${stem}/closed`, `${number}`, { qos });
      for (let number = 0; number < 6; number += 1)
        await all.receive({ topic: `${stem}/closed`, payload: `${number}` });
      await half.expectNothing();
    });

  void test('a shared group passes over what no member may read, and goes on', async () => {
    const stem = unique();
    const filter = `$share/g/${stem}/#`;
    const halves = [await as('half', { version: 5 }), await as('half', { version: 4 })];
    for (const client of halves) await client.subscribe(filter, 1);
    const publisher = await suite.client();
    for (let number = 0; number < 300; number += 1)
      publisher.sendPublish({
        topic: `${stem}/closed`,
        payload: 'x',
        qos: 1,
        packetId: number + 1,
      });
    for (let number = 0; number < 300; number += 1) await publisher.find('puback');
    await publisher.publish(`${stem}/open`, 'last', { qos: 1 });
    const got = await Promise.any(halves.map((client) => client.receive()));
    assert.equal(got.payload.toString(), 'last');
  });

  void test('a shared group keeps for an absent member what only that one may read', async () => {
    const stem = unique();
    const filter = `$share/g/${stem}/#`;
    const clientId = unique('all');
    const all = await suite.client({ ...durable(5), clientId });
    await all.subscribe(filter, 1);
    await all.disconnect();
    const half = await as('half', { version: 5 });
    await half.subscribe(filter, 1);
    const publisher = await suite.client();
    await publisher.publish(`${stem}/closed`, 'for all', { qos: 1 });
    await publisher.publish(`${stem}/open`, 'for anybody', { qos: 1 });
    await half.receive({ payload: 'for anybody' });
    const back = await suite.client({ ...durable(5), clientId, sessionPresent: true });
    await back.receive({ topic: `${stem}/closed`, payload: 'for all' });
    await half.expectNothing();
  });
});
