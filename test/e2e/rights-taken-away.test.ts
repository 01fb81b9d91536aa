// Rights that are taken away while clients are connected, while they are absent, and users that are
// removed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type ConnectFields, connect } from '../harness/packets.ts';
import { isCluster } from '../harness/shape.ts';
import { Suite } from '../harness/suite.ts';
import { connectRaw, type RawClient, unique } from '../harness/wire.ts';

const main = join(import.meta.dirname, '../../../services/standalone/dist/src/main.js');
const changeMs = 20_000;
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-taken-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const passwordFile = join(folder, 'passwords');
const aclFile = join(folder, 'rules');

/** A user's name is its password too. */
function passwd(command: 'add' | 'delete', user: string, password = user): void {
  const args = [main, 'passwd', '--file', passwordFile, '--stdin', command, user];
  const { status, stderr } = spawnSync(process.execPath, args, { input: `${password}\n` });
  assert.equal(status, 0, stderr.toString());
}

const open = ['allow user=watcher all #'];
/** Rules by what they are about, so that tests do not take away those of others. */
const parts = new Map<string, readonly string[]>();

/** Replaces rules; resolves when every ds goes by them. */
async function rules(about: string, lines: readonly string[]): Promise<void> {
  const mark = unique('mark');
  parts.set(about, lines);
  parts.set('mark', [`allow user=marker publish ${mark}`]);
  writeFileSync(aclFile, [...open, ...[...parts.values()].flat()].join('\n'));
  await everywhere(async () => {
    const marker = await as('marker', { version: 5 });
    marker.sendPublish({ topic: mark, qos: 1, packetId: 1 });
    const { reason } = await marker.expect('puback');
    marker.destroy();
    return reason < 0x80;
  });
}

/** Each ds reads the files by itself, and each client may come to another one. */
async function everywhere(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + changeMs;
  for (let times = 0; times < (isCluster ? 10 : 1); times += 1)
    while (!(await isSo())) {
      assert.ok(performance.now() < end, 'not within the time');
      times = 0;
      await delay(20);
    }
}

for (const user of ['ann', 'bob', 'watcher', 'marker']) passwd('add', user);
writeFileSync(aclFile, open.join('\n'));
const suite = new Suite({
  settings: { ACL_FILE: aclFile, PASSWORD_FILE: passwordFile, ALLOW_ANONYMOUS: 'false' },
});

type Fields = ConnectFields & { readonly sessionPresent?: boolean };
const as = (user: string, fields: Fields = {}): Promise<RawClient> =>
  suite.client({ username: user, password: user, ...fields });
const durable = { clean: false, properties: { sessionExpiryInterval: 300 }, version: 5 } as const;

void describe('rights that are taken away', () => {
  void test('of a live subscription: what may not be read any more is passed over', async () => {
    const stem = unique();
    await rules('live', [`allow user=ann subscribe ${stem}/#`]);
    const clients = [await as('ann', { version: 4 }), await as('ann', { version: 5 })];
    for (const client of clients) await client.subscribe([`${stem}/+`, `${stem}/a/#`], 1);
    const watcher = await as('watcher');
    await watcher.publish(`${stem}/a`, 'before', { qos: 1 });
    for (const client of clients) await client.receive({ topic: `${stem}/a` });
    await rules('live', [
      `deny user=ann subscribe ${stem}/a`,
      `allow user=ann subscribe ${stem}/#`,
    ]);
    for (const qos of [0, 1, 2] as const) {
      await watcher.publish(`${stem}/a`, 'after', { qos });
      await watcher.publish(`${stem}/b`, `${qos}`, { qos });
      for (const client of clients) await client.receive({ topic: `${stem}/b`, payload: `${qos}` });
    }
    await rules('live', [`allow user=ann subscribe ${stem}/#`]);
    await watcher.publish(`${stem}/a`, 'again', { qos: 1 });
    for (const client of clients) await client.receive({ topic: `${stem}/a`, payload: 'again' });
  });

  void test('of all that a session subscribes to: DISCONNECT 0x87, before 5.0 a close', async () => {
    const stem = unique();
    await rules('all', [`allow user=ann subscribe ${stem}/#`, 'allow user=bob subscribe bob/#']);
    const old = await as('ann', { version: 4 });
    const ann = await as('ann', { version: 5 });
    const without = await as('ann', { version: 5 });
    const bob = await as('bob', { version: 5 });
    for (const client of [old, ann]) await client.subscribe([`${stem}/+`, `${stem}/a/#`], 1);
    await bob.subscribe('bob/#', 1);
    await rules('all', ['allow user=bob subscribe bob/#']);
    await ann.expectDisconnect(0x87);
    await old.expectClose();
    await without.subscribe(`${stem}/a`, 1, { reasons: [0x87] });
    await bob.expectNothing();
  });

  void test('of a session with hundreds of subscriptions, which are judged over some turns', async () => {
    const stem = unique();
    await rules('many', [`allow user=ann subscribe ${stem}/#`]);
    const ann = await as('ann', { version: 5 });
    const filters = Array.from({ length: 450 }, (_, index) => `${stem}/${index}`);
    await ann.subscribe(filters, 1);
    const watcher = await as('watcher');
    await rules('many', [
      `deny user=ann subscribe ${stem}/449`,
      `allow user=ann subscribe ${stem}/#`,
    ]);
    await watcher.publish(`${stem}/449`, 'not read', { qos: 1 });
    await watcher.publish(`${stem}/448`, 'read', { qos: 1 });
    await ann.receive({ topic: `${stem}/448`, payload: 'read' });
    await ann.expectNothing();
    await rules('many', [`allow user=ann subscribe ${stem}/449`]);
    await watcher.publish(`${stem}/449`, 'read', { qos: 1 });
    await ann.receive({ topic: `${stem}/449`, payload: 'read' });
    await rules('many', []);
    await ann.expectDisconnect(0x87);
  });

  void test('of a stored session: its backlog and what was in flight are judged when it is back', async () => {
    const stem = unique();
    const clientId = unique('ann');
    await rules('stored', [`allow user=ann subscribe ${stem}/#`]);
    const ann = await as('ann', { ...durable, clientId });
    await ann.subscribe(`${stem}/#`, 2);
    const watcher = await as('watcher');
    // In flight when it leaves: one at QoS 1 and one at QoS 2, both read and not acknowledged.
    await watcher.publish(`${stem}/a`, 'in flight', { qos: 1 });
    await watcher.publish(`${stem}/a`, 'in flight', { qos: 2 });
    await ann.expect('publish', { qos: 1 });
    const second = await ann.expect('publish', { qos: 2 });
    ann.destroy();
    for (const last of ['a', 'b', 'a']) await watcher.publish(`${stem}/${last}`, last, { qos: 1 });
    await rules('stored', [
      `deny user=ann subscribe ${stem}/a`,
      `allow user=ann subscribe ${stem}/#`,
    ]);
    const back = await as('ann', { ...durable, clientId, sessionPresent: true });
    // The identifier of the second is given up as if it had been received.
    const { packetId } = await back.find('pubrel', { packetId: second.packetId });
    back.sendAck('pubcomp', packetId);
    await back.receive({ topic: `${stem}/b`, payload: 'b' });
    await back.expectNothing();
    await rules('stored', []);
    await back.expectDisconnect(0x87);
    // The client comes in again, and has nothing to read.
    const again = await as('ann', { ...durable, clientId, sessionPresent: true });
    await watcher.publish(`${stem}/b`, 'not read', { qos: 1 });
    await again.expectNothing();
    await again.disconnect();
    await rules('stored', [`allow user=ann subscribe ${stem}/b`]);
    const last = await as('ann', { ...durable, clientId, sessionPresent: true });
    await watcher.publish(`${stem}/b`, 'read', { qos: 1 });
    await last.find('publish', { topic: `${stem}/b`, payload: 'read' });
  });

  void test('of retained messages and shared groups', async () => {
    const stem = unique();
    await rules('more', [
      `allow user=ann subscribe ${stem}/#`,
      `allow user=bob subscribe ${stem}/#`,
    ]);
    const watcher = await as('watcher');
    for (const last of ['a', 'b'])
      await watcher.publish(`${stem}/${last}`, last, { qos: 1, retain: true });
    const ann = await as('ann', { version: 5 });
    const bob = await as('bob', { version: 5 });
    for (const client of [ann, bob]) await client.subscribe(`$share/g/${stem}/#`, 1);
    await rules('more', [
      `deny user=ann subscribe ${stem}/a`,
      `allow user=ann subscribe ${stem}/#`,
      `allow user=bob subscribe ${stem}/#`,
    ]);
    await ann.subscribe(`${stem}/+`, 1);
    await ann.receive({ topic: `${stem}/b`, retain: true });
    await ann.unsubscribe(`${stem}/+`);
    for (let number = 0; number < 6; number += 1)
      await watcher.publish(`${stem}/a`, `${number}`, { qos: 1 });
    for (let number = 0; number < 6; number += 1) await bob.receive({ topic: `${stem}/a` });
    await ann.expectNothing();
  });

  void test('of publishing: the next PUBLISH is judged anew, also by alias and within open QoS 2', async () => {
    const topic = unique();
    await rules('publish', [`allow user=ann publish ${topic}`]);
    const ann = await as('ann', { version: 5 });
    const watcher = await as('watcher');
    await watcher.subscribe(topic, 2);
    const properties = { topicAlias: 1 };
    ann.sendPublish({ topic, payload: 'one', qos: 2, packetId: 1, properties });
    await ann.expect('pubrec', { packetId: 1, reason: 0 });
    await rules('publish', []);
    ann.sendPublish({ topic: '', payload: 'two', qos: 1, packetId: 2, properties });
    await ann.expect('puback', { packetId: 2, reason: 0x87 });
    ann.sendPublish({ topic: '', payload: 'two', qos: 2, packetId: 3, properties });
    await ann.expect('pubrec', { packetId: 3, reason: 0x87 });
    // The first was taken while it was allowed.
    ann.sendAck('pubrel', 1);
    await ann.expect('pubcomp', { packetId: 1, reason: 0 });
    await watcher.receive({ payload: 'one' });
    await watcher.expectNothing();
  });

  void test('while SUBSCRIBE is under way: nothing of what is taken away is read', async () => {
    const stem = unique();
    const watcher = await as('watcher');
    for (let round = 0; round < 5; round += 1) {
      await rules('race', [`allow user=ann subscribe ${stem}/#`]);
      const clients: RawClient[] = [];
      for (let count = 0; count < 8; count += 1) clients.push(await as('ann', { version: 4 }));
      const taken = rules('race', []);
      for (const [index, client] of clients.entries()) {
        client.sendSubscribe({ packetId: 1, filters: [{ filter: `${stem}/#`, qos: 1 }] });
        await delay(index);
      }
      await taken;
      await watcher.publish(`${stem}/a`, 'x', { qos: 1 });
      for (const client of clients) {
        // Refused, or granted and then closed.
        const { reasons } = await client.expect('suback');
        if (reasons[0] === 0x80) await client.expectNothing();
        else await client.expectClose();
      }
    }
  });

  void test('a user that is removed is disconnected, and whoever has the name later gets none of its session', async () => {
    passwd('add', 'carl');
    await rules('carl', ['allow user=carl all #']);
    const clientId = unique('carl');
    const topic = unique();
    let carl: RawClient | undefined;
    await everywhere(async () => {
      const client = await connectRaw(suite.port, { version: 5 });
      const fields = { ...durable, clientId, username: 'carl', password: 'carl' };
      client.send(connect(fields));
      const { reason } = await client.expect('connack');
      carl = client;
      return reason === 0;
    });
    const absent = unique('absent');
    const leaving = await as('carl', { ...durable, clientId: absent });
    await leaving.subscribe(topic, 1);
    await leaving.disconnect();
    const old = await as('carl', { version: 4 });
    const bob = await as('bob', { version: 5 });
    await carl!.subscribe(topic, 1);
    passwd('delete', 'carl');
    await carl!.expectDisconnect(0x87);
    await old.expectClose();
    const watcher = await as('watcher');
    await watcher.publish(topic, 'for the one who is gone', { qos: 1 });
    passwd('add', 'carl', 'other');
    const fields = { ...durable, username: 'carl', password: 'other' };
    await everywhere(async () => {
      const client = await connectRaw(suite.port, { version: 5 });
      client.send(
        connect({ version: 5, clientId: unique('c'), username: 'carl', password: 'other' }),
      );
      const { reason } = await client.expect('connack');
      client.destroy();
      return reason === 0;
    });
    for (const id of [clientId, absent]) {
      const later = await suite.client({ ...fields, clientId: id, sessionPresent: false });
      await later.expectNothing();
    }
    await bob.expectNothing();
  });

  void test('a changed password leaves connections, and the session, to their user', async () => {
    passwd('add', 'dora');
    await rules('dora', ['allow user=dora all #']);
    const clientId = unique('dora');
    const login = async (password: string): Promise<number> => {
      const client = await connectRaw(suite.port, { version: 5 });
      const id = unique('c');
      client.send(connect({ version: 5, clientId: id, username: 'dora', password }));
      const { reason } = await client.expect('connack');
      client.destroy();
      return reason;
    };
    await everywhere(async () => (await login('dora')) === 0);
    const dora = await as('dora', { ...durable, clientId });
    passwd('add', 'dora', 'new');
    await everywhere(async () => (await login('new')) === 0);
    assert.equal(await login('dora'), 0x86);
    await dora.expectNothing();
    dora.destroy();
    const fields = { ...durable, clientId, username: 'dora', password: 'new' };
    await suite.client({ ...fields, sessionPresent: true });
  });
});
