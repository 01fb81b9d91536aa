// QoS 2 where ds has done what it was asked for and dies before cs hears of it, or has not even
// heard of it: the next ds is told what is open, and everything happens once.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import type { ConnectFields, Version } from '../harness/packets.ts';
import type { Address } from '../harness/process.ts';
import { TcpProxy, type Way } from '../harness/tcp-proxy.ts';
import { closeAllClients, connected, type RawClient } from '../harness/wire.ts';

/** More than what happens while the link stalls takes. */
const leaseMs = 3000;
const onTheWayMs = 200;

let cluster: Cluster<TcpProxy>;
before(async () => {
  cluster = await startCluster({
    between: (target: Address) => TcpProxy.start(target),
    settings: { LEASE_MS: String(leaseMs) },
  });
});
afterEach(closeAllClients);
after(async () => {
  assert.equal(await cluster.stop(), 0);
});

const port = (number: number): number => cluster.node(number).port('mqtt');

interface Row {
  readonly clientId: string;
  readonly topic: string;
  readonly client: RawClient;
  readonly fields: ConnectFields;
}

/** Sessions of each kind, at cs-1. */
async function rowsOf(stem: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const version of [4, 5] satisfies Version[]) {
    for (const clean of [true, false]) {
      const clientId = `${stem}, ${version}, ${clean ? 'clean' : 'persistent'}`;
      const properties = { sessionExpiryInterval: 3600 };
      const isLong = version === 5 && !clean;
      const fields = { version, clientId, clean, ...(isLong ? { properties } : {}) };
      rows.push({ clientId, topic: clientId, client: await connected(port(1), fields), fields });
    }
  }
  return rows;
}

/** Bytes on the link of cs-1 stop one way, `during` happens, and ds dies with all that waited. */
async function unheard(way: Way, during: () => Promise<void>): Promise<void> {
  const proxy = cluster.proxy(1);
  proxy.stall(way);
  await during();
  await cluster.ds.kill();
  proxy.close();
  proxy.flow(way);
  await cluster.ds.start();
  await cluster.untilReady();
}

void test('a publish is stored, and its answer is lost', async () => {
  const rows = await rowsOf('publish');
  const watcher = await connected(port(2), { version: 5 });
  for (const { topic } of rows) await watcher.subscribe(topic, 2);
  const packetId = 7;
  await unheard('down', async () => {
    for (const { client, topic } of rows) {
      client.sendPublish({ topic, payload: 'once', qos: 2, packetId });
      await watcher.receive({ topic, payload: 'once' });
    }
  });
  for (const { client, topic } of rows) {
    await client.expect('pubrec', { packetId, reason: 0 });
    client.sendAck('pubrel', packetId);
    await client.expect('pubcomp', { packetId });
    await client.publish(topic, 'next', { qos: 2, packetId });
    await watcher.receive({ topic, payload: 'next' });
  }
  await watcher.expectNothing();
});

void test('a publish is stored, its answer is lost, and its client comes elsewhere', async () => {
  const rows = (await rowsOf('elsewhere')).filter(({ fields }) => fields.clean === false);
  const watcher = await connected(port(2), { version: 5 });
  for (const { topic } of rows) await watcher.subscribe(topic, 2);
  const packetId = 7;
  await unheard('down', async () => {
    for (const { client, topic } of rows) {
      client.sendPublish({ topic, payload: 'once', qos: 2, packetId });
      await watcher.receive({ topic, payload: 'once' });
    }
  });
  for (const { fields, topic } of rows) {
    const again = await connected(port(2), { ...fields, sessionPresent: true });
    again.sendPublish({ topic, payload: 'once', qos: 2, packetId, dup: true });
    await again.expect('pubrec', { packetId });
    again.sendAck('pubrel', packetId);
    await again.expect('pubcomp', { packetId });
  }
  await watcher.expectNothing();
});

void test('a release is stored, and its answer is lost', async () => {
  const rows = await rowsOf('release');
  const watcher = await connected(port(2), { version: 5 });
  for (const { topic } of rows) await watcher.subscribe(topic, 2);
  const packetId = 7;
  for (const { client, topic } of rows) {
    client.sendPublish({ topic, payload: 'once', qos: 2, packetId });
    await client.expect('pubrec', { packetId });
    await watcher.receive({ topic, payload: 'once' });
  }
  await unheard('down', async () => {
    for (const { client } of rows) client.sendAck('pubrel', packetId);
    await delay(onTheWayMs);
  });
  for (const { client, topic } of rows) {
    await client.expect('pubcomp', { packetId });
    await client.publish(topic, 'next', { qos: 2, packetId });
    await watcher.receive({ topic, payload: 'next' });
  }
  await watcher.expectNothing();
});

void test('ds does not hear of an identifier, nor of what the client answered', async () => {
  const rows = await rowsOf('subscriber');
  for (const { client, topic } of rows) await client.subscribe(topic, 2);
  const elsewhere = await connected(port(2));
  await unheard('up', async () => {
    for (const { topic } of rows) await elsewhere.publish(topic, 'first', { qos: 2 });
    await delay(onTheWayMs);
  });
  const ids = new Map<Row, number>();
  for (const row of rows) {
    const { packetId } = await row.client.expect('publish', { payload: 'first', dup: false });
    ids.set(row, packetId);
  }
  await unheard('up', async () => {
    for (const [{ client }, packetId] of ids) client.sendAck('pubrec', packetId);
    await delay(onTheWayMs);
  });
  for (const [{ client }, packetId] of ids) await client.expect('pubrel', { packetId });
  await unheard('up', async () => {
    for (const [{ client }, packetId] of ids) client.sendAck('pubcomp', packetId);
    await delay(onTheWayMs);
  });
  const other = await connected(port(2));
  for (const { client, topic, fields } of rows) {
    await other.publish(topic, 'last', { qos: 2 });
    await client.receive({ payload: 'last' });
    await client.expectNothing();
    if (fields.clean === true) continue;
    await client.disconnect();
    const again = await connected(port(2), { ...fields, sessionPresent: true });
    await again.expectNothing();
  }
});
