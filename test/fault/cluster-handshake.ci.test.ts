// QoS 2 over `kill -9` of a cs and of ds at every step of the handshake, in both directions, and
// what was in flight at QoS 1.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import { closeAllClients, connected, type RawClient } from '../harness/wire.ts';
import {
  endsWith,
  fields,
  inboundSteps,
  outboundSteps,
  type Row,
  type Step,
} from './handshake-steps.ts';

const versions = [4, 5] as const;

let cluster: Cluster;
before(async () => {
  cluster = await startCluster({ settings: { LEASE_MS: '4000' } });
});
afterEach(closeAllClients);
after(async () => {
  assert.equal(await cluster.stop(), 0);
});

const port = (number: number): number => cluster.node(number).port('mqtt');

interface Prepared {
  readonly row: Row;
  readonly step: Step;
  readonly client: RawClient;
  /** The client to which a publisher's messages go. */
  readonly watcher?: RawClient;
}

/** Each row at its step, at cs-1; `clean`: its session ends with its connection. */
async function prepare(
  fault: string,
  steps: readonly Step[],
  side: 'publisher' | 'subscriber',
  clean: boolean,
): Promise<Prepared[]> {
  const prepared: Prepared[] = [];
  const feeder = await connected(port(2));
  for (const version of versions) {
    for (const step of steps) {
      const session = clean ? 'clean' : 'persistent';
      const name = `${fault}, ${side}, ${session}, ${version}: ${step.name}`;
      const row = { name, version, topic: name };
      const own = clean ? { version, clientId: name } : fields(row, side);
      const client = await connected(port(1), own);
      if (side === 'subscriber') {
        await client.subscribe(row.topic, 2);
        await feeder.publish(row.topic, 'once', { qos: 2 });
        prepared.push({ row, step, client });
      } else {
        const watcher = await connected(port(2), { version });
        await watcher.subscribe(row.topic, 2);
        prepared.push({ row, step, client, watcher });
      }
    }
  }
  await Promise.all(prepared.map(({ step, client, row }) => step.before(client, row)));
  return prepared;
}

/** The session goes on, and what was published before came once. */
async function finishPublisher({ row, step, watcher }: Prepared, client: RawClient): Promise<void> {
  await client.publish(row.topic, 'last', { qos: 2, packetId: 8 });
  assert.ok(watcher);
  await watcher.receive({ payload: 'once' });
  if (step.name.startsWith('PUBCOMP')) await watcher.receive({ payload: 'second' });
  await watcher.receive({ payload: 'last' });
  await watcher.expectNothing();
}

async function finishSubscriber({ row }: Prepared, client: RawClient): Promise<void> {
  const feeder = await connected(port(2));
  await feeder.publish(row.topic, 'last', { qos: 1 });
  await endsWith(client, 'last');
}

void test('QoS 2: a cs is killed after each step, and the other one goes on', async () => {
  const publishers = await prepare('cs', inboundSteps, 'publisher', false);
  const subscribers = await prepare('cs', outboundSteps, 'subscriber', false);
  await cluster.node(1).kill();
  for (const each of publishers) {
    const again = { ...fields(each.row, 'publisher'), sessionPresent: true };
    const client = await connected(port(2), again);
    await each.step.after(client, each.row);
    await finishPublisher(each, client);
  }
  for (const each of subscribers) {
    const again = { ...fields(each.row, 'subscriber'), sessionPresent: true };
    const client = await connected(port(2), again);
    await each.step.after(client, each.row);
    await finishSubscriber(each, client);
  }
  await cluster.node(1).start();
});

void test('QoS 2: ds is killed after each step, and connections go on', async () => {
  const publishers: Prepared[] = [];
  const subscribers: Prepared[] = [];
  for (const clean of [true, false]) {
    publishers.push(...(await prepare('ds', inboundSteps, 'publisher', clean)));
    subscribers.push(...(await prepare('ds', outboundSteps, 'subscriber', clean)));
  }
  await cluster.ds.kill();
  await cluster.ds.start();
  await cluster.untilReady();
  for (const each of [...publishers, ...subscribers]) {
    const { row, step, client } = each;
    await (step.stay ?? step.after)(client, row);
    if (each.watcher) await finishPublisher(each, client);
    else await finishSubscriber(each, client);
  }
});

const inFlight = ['1', '2', '3', '4', '5'];

/** A client with more in flight at QoS 1 than it acknowledges; messages in flight are stored. */
async function holder(version: 4 | 5, name: string): Promise<{ client: RawClient; ids: number[] }> {
  const fieldsOfIt = fields({ name, version, topic: name }, 'subscriber');
  const client = await connected(port(1), fieldsOfIt);
  await client.subscribe(name, 1);
  const feeder = await connected(port(2));
  for (const payload of inFlight) await feeder.publish(name, payload, { qos: 1 });
  const ids: number[] = [];
  for (const payload of inFlight) {
    ids.push((await client.expect('publish', { payload, dup: false })).packetId);
  }
  // Its acknowledgement is behind what was written before.
  await client.publish(`${name}/other`, 'x', { qos: 1 });
  return { client, ids };
}

void test('QoS 1: a cs is killed, and what was in flight comes again as it was', async () => {
  const holders = await Promise.all(
    versions.map(async (version) => ({ version, ...(await holder(version, `cs ${version}`)) })),
  );
  await cluster.node(1).kill();
  for (const { version, ids } of holders) {
    const name = `cs ${version}`;
    const own = fields({ name, version, topic: name }, 'subscriber');
    const client = await connected(port(2), { ...own, sessionPresent: true });
    for (const [index, packetId] of ids.entries()) {
      await client.expect('publish', { payload: inFlight[index] ?? '', packetId, dup: true });
      client.sendAck('puback', packetId);
    }
    await client.expectNothing();
  }
  await cluster.node(1).start();
});

void test('QoS 1: ds is killed, and what is in flight does not come again', async () => {
  for (const version of versions) {
    const name = `ds ${version}`;
    const { client, ids } = await holder(version, name);
    await cluster.ds.kill();
    const [early = 0, ...later] = ids;
    client.sendAck('puback', early);
    await cluster.ds.start();
    await cluster.untilReady();
    for (const packetId of later) client.sendAck('puback', packetId);
    const feeder = await connected(port(2));
    await feeder.publish(name, 'next', { qos: 1 });
    await client.receive({ payload: 'next', dup: false });
    await client.disconnect();
    const own = fields({ name, version, topic: name }, 'subscriber');
    const again = await connected(port(2), { ...own, sessionPresent: true });
    await again.expectNothing();
  }
});
