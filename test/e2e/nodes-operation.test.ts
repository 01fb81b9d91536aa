// A cluster as its operator and the programs of others meet it: what ds shows of both nodes, nodes
// that come and go as planned, mosquitto's clients and MQTT.js over two nodes.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import { advertised } from '../harness/advertised.ts';
import { Cluster, direct, startCluster } from '../harness/cluster.ts';
import { ClusterSuite } from '../harness/cluster-suite.ts';
import { programPath } from '../harness/process.ts';
import { requirePrograms } from '../harness/require.ts';
import { closeAllClients, connected, connectRaw, type RawClient, unique } from '../harness/wire.ts';

const suite = new ClusterSuite({ settings: { SYS_INTERVAL_S: '1' } });
const lasting = { clean: false, properties: { sessionExpiryInterval: 600 } } as const;
const eventuallyMs = 60_000;

interface NodeBody {
  readonly id: string;
  readonly role: string;
  readonly state: string;
  readonly version: string;
  readonly connections: number;
  readonly sessions: number;
}

interface ClientBody {
  readonly clientId: string;
  readonly connection: { readonly nodeId: string; readonly address: string } | null;
  readonly subscriptions: number;
}

async function rest<T>(path: string): Promise<T> {
  const answer = await suite.cluster.ds.fetch(`/api/v1/${path}`);
  assert.equal(answer.status, 200, path);
  return (await answer.json()) as T;
}

async function eventually(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + eventuallyMs;
  while (!(await isSo())) {
    assert.ok(performance.now() < endMs, what);
    await delay(50);
  }
}

void describe('what ds shows', () => {
  void test('all nodes, with the connections of each', async () => {
    for (const node of [1, 2, 2]) await suite.at(node);
    const counts = async (): Promise<Record<string, number>> => {
      const { nodes } = await rest<{ nodes: NodeBody[] }>('nodes');
      return Object.fromEntries(nodes.map(({ id, connections }) => [id, connections]));
    };
    await eventually('the counts', async () => {
      const found = await counts();
      return (found['cs-2'] ?? 0) >= 2 && (found['cs-1'] ?? 0) >= 1;
    });
    const { nodes } = await rest<{ nodes: NodeBody[] }>('nodes');
    assert.deepEqual(nodes.map((node) => node.id).sort(), ['cs-1', 'cs-2', 'ds-1']);
    const { role, state } = await rest<NodeBody>('nodes/cs-1');
    assert.deepEqual([role, state], ['cs', 'alive']);
    assert.equal(nodes.find(({ id }) => id === 'ds-1')?.role, 'ds');
    assert.equal((await suite.cluster.ds.fetch('/api/v1/nodes/nobody')).status, 404);
  });

  void test('clients of both nodes, and their end by REST', async () => {
    const clients = new Map<string, RawClient>();
    for (const node of [1, 2]) {
      const clientId = unique();
      const client = await suite.at(node, { ...lasting, clientId });
      await client.subscribe(['a', 'b'], 1);
      const { connection, subscriptions } = await rest<ClientBody>(`clients/${clientId}`);
      assert.equal(connection?.nodeId, `cs-${node}`);
      assert.equal(connection?.address, '127.0.0.1');
      assert.equal(subscriptions, 2);
      clients.set(clientId, client);
    }
    const { clients: page } = await rest<{ clients: ClientBody[] }>('clients?limit=1000');
    for (const id of clients.keys()) assert.ok(page.some(({ clientId }) => clientId === id));
    for (const [id, client] of clients) {
      const path = `/api/v1/clients/${id}`;
      const answer = await suite.cluster.ds.fetch(path, { method: 'DELETE' });
      assert.equal(answer.status, 204);
      await client.expectDisconnect(0x98);
      await eventually('it is away', async () => {
        return (await rest<ClientBody>(`clients/${id}`)).connection === null;
      });
    }
  });

  void test('$SYS sums both nodes', async () => {
    closeAllClients();
    const watcher = await suite.at(1);
    await watcher.subscribe('$SYS/broker/#');
    for (const node of [1, 2, 2]) await suite.at(node);
    await watcher.find('publish', { topic: '$SYS/broker/clients/connected', payload: '4' });
    const messages = async (): Promise<number> => {
      watcher.discard();
      const topic = '$SYS/broker/messages/received';
      return Number((await watcher.find('publish', { topic })).payload);
    };
    const before = await messages();
    for (const node of [1, 2]) {
      const publisher = await suite.at(node);
      for (let count = 0; count < 50; count += 1) await publisher.publish('t', '', { qos: 1 });
    }
    await eventually('100 more', async () => (await messages()) >= before + 100);
  });

  void test('each process has metrics and health, and cs writes no file', async () => {
    for (const node of suite.cluster.nodes) {
      assert.equal((await node.fetch('/healthz')).status, 200, node.name);
      assert.equal((await node.fetch('/readyz')).status, 200, node.name);
      assert.ok((await node.metrics()).has('process_resident_memory_bytes'), node.name);
    }
    for (const node of suite.cluster.cs) assert.deepEqual(readdirSync(node.cwd), [], node.name);
    assert.ok(existsSync(suite.cluster.dataDir));
  });
});

void describe('nodes that come and go', () => {
  void test('a third cs, and a planned stop: clients are told, sessions go on elsewhere', async (t) => {
    // Longer than all of it takes: what waits for the end of the lease is seen.
    const cluster = await startCluster({ cs: 1, settings: { LEASE_MS: '60000' } });
    t.after(() => cluster.stop());
    const third = await cluster.add();
    await third.start();
    const topic = unique();
    const will = { topic: `${topic}/will`, payload: 'not sent', qos: 1 };
    const fields = { ...lasting, version: 5, clientId: unique(), will } as const;
    const stays = await connected(cluster.node(1).port('mqtt'), { version: 5 });
    await stays.subscribe(`${topic}/#`, 1);
    const goes = await connected(third.port('mqtt'), fields);
    await goes.subscribe(topic, 1);
    await stays.publish(topic, 'in flight', { qos: 1 });
    const { packetId } = await goes.expect('publish', { payload: 'in flight' });
    await stays.receive({ payload: 'in flight' });

    const ended = third.end('SIGTERM');
    await goes.expectDisconnect(0x8b);
    const began = performance.now();
    const again = await connected(cluster.node(1).port('mqtt'), {
      ...fields,
      sessionPresent: true,
    });
    assert.ok(performance.now() - began < 30_000, 'without waiting for the lease');
    assert.equal(await ended, 0);
    await again.receive({ payload: 'in flight', packetId, dup: true });
    await stays.publish(`${topic}/marker`, 'marker', { qos: 1 });
    await stays.receive({ payload: 'marker' });
    // It comes back under its name as soon as it starts.
    await third.start();
    const moved = await connected(third.port('mqtt'), { ...fields, sessionPresent: true });
    await again.expectDisconnect(0x8e);
    await moved.ping();
  });

  void test('a cs drains, asked by way of another: clients are told where to go, until it is taken back', async (t) => {
    const advertise = await advertised(2);
    const cluster = new Cluster({ between: direct });
    t.after(() => cluster.stop());
    for (const settings of Object.values(advertise)) await cluster.add(settings);
    await cluster.start();
    await cluster.untilReady();
    const [one, other] = [cluster.node(1), cluster.node(2)];
    const topic = unique();
    const will = { topic: `${topic}/will`, payload: 'not sent', qos: 1 };
    const fields = { ...lasting, version: 5, clientId: unique(), will } as const;
    const watches = await connected(other.port('mqtt'), { version: 5 });
    await watches.subscribe(`${topic}/#`, 1);
    const goes = await connected(one.port('mqtt'), fields);
    const older = { clientId: unique(), clean: true };
    const old = await connected(one.port('mqtt'), { ...older, will });
    const ask = async (action: string): Promise<number> =>
      (await other.fetch(`/api/v1/nodes/cs-1/${action}`, { method: 'POST' })).status;
    const state = async (): Promise<string> => {
      const answer = await other.fetch('/api/v1/nodes/cs-1');
      return ((await answer.json()) as NodeBody).state;
    };

    assert.equal(await ask('drain'), 202);
    const { properties } = await goes.expectDisconnect(0x9c);
    assert.equal(properties.serverReference, `127.0.0.1:${other.port('mqtt')}`);
    await old.expectClose();
    const again = await connected(other.port('mqtt'), { ...fields, sessionPresent: true });
    await connected(other.port('mqtt'), older);
    const ready = await one.fetch('/readyz');
    assert.equal(ready.status, 503);
    assert.match(await ready.text(), /this node drains/);
    await assert.rejects(connectRaw(one.port('mqtt')).then((raw) => raw.connect()));
    await eventually('the state', async () => (await state()) === 'draining');
    assert.equal((await one.metrics()).get('lmqtt_cs_draining'), 1);
    // The ds is the only one, and there is no other of that name.
    const post = { method: 'POST' };
    assert.equal((await other.fetch('/api/v1/nodes/ds-1/drain', post)).status, 409);
    assert.equal((await other.fetch('/api/v1/nodes/nobody/drain', post)).status, 404);

    assert.equal(await ask('undrain'), 202);
    await eventually('the state', async () => (await state()) === 'alive');
    await one.untilReady();
    await again.disconnect();
    const back = await connected(one.port('mqtt'), { ...fields, sessionPresent: true });
    await back.publish(`${topic}/marker`, 'marker', { qos: 1 });
    await watches.receive({ payload: 'marker' });
  });

  void test('a cs without another sends its clients away for good; a stop goes on with it', async (t) => {
    const cluster = await startCluster({ cs: 1 });
    t.after(() => cluster.stop());
    const cs = cluster.node(1);
    const client = await connected(cs.port('mqtt'), { version: 5 });
    assert.equal((await cs.fetch('/api/v1/nodes/cs-1/drain', { method: 'POST' })).status, 202);
    await client.expectDisconnect(0x9d);
    assert.equal(await cs.end('SIGTERM'), 0);
    await cs.start();
    await cs.untilReady();
    await connected(cs.port('mqtt'), { version: 5 });
  });

  void test('ds stops as planned: nobody comes in, those who are there go on with the next', async (t) => {
    const cluster = await startCluster();
    t.after(() => cluster.stop());
    const topic = unique();
    const subscriber = await connected(cluster.node(1).port('mqtt'), { version: 5 });
    await subscriber.subscribe(topic, 1);
    const publisher = await connected(cluster.node(2).port('mqtt'), { version: 5 });
    assert.equal(await cluster.ds.end('SIGTERM'), 0);
    publisher.sendPublish({ topic, payload: 'waits', qos: 1, packetId: 1 });
    await publisher.expectNothing().catch(() => undefined);
    await cluster.ds.start();
    await publisher.find('puback', { packetId: 1, reason: 0 });
    await subscriber.find('publish', { payload: 'waits' });
    const comer = await connected(cluster.node(1).port('mqtt'), { version: 5 });
    await comer.publish(topic, 'from who came', { qos: 1 });
    await subscriber.find('publish', { payload: 'from who came' });
  });

  void test('a node id in use: the second one waits, is refused with one line, exit code 1', async (t) => {
    const cluster = await startCluster({ cs: 1, settings: { LEASE_MS: '500' } });
    t.after(() => cluster.stop());
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [programPath, ...(await cluster.node(1).args({ MQTT_PORT: 'off', OPS_PORT: 'off' }))],
      { encoding: 'utf8', timeout: 60_000 },
    );
    assert.equal(status, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^lmqtt: [^\n]*cs-1[^\n]*\n$/m);
    await (await connected(cluster.node(1).port('mqtt'))).ping();
  });
});

void describe('clients of others over two nodes', () => {
  const needed = requirePrograms('mosquitto_pub', 'mosquitto_sub');

  void test('mosquitto_pub at one, mosquitto_sub at the other', needed, async () => {
    const topic = unique();
    const at = (node: number): string[] => ['-h', '127.0.0.1', '-p', String(suite.port(node))];
    const id = unique('sub');
    const args = [...at(2), '-V', 'mqttv5', '-i', id, '-t', topic, '-q', '2', '-C', '3'];
    const subscriber = spawn('mosquitto_sub', args, { timeout: eventuallyMs });
    let stdout = '';
    subscriber.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    await eventually('it has subscribed', async () => {
      const answer = await suite.cluster.ds.fetch(`/api/v1/clients/${id}`);
      return answer.ok && ((await answer.json()) as ClientBody).subscriptions > 0;
    });
    const publisher = spawn('mosquitto_pub', [...at(1), '-t', topic, '-q', '2', '-l']);
    publisher.stdin.end('one\ntwo\nthree\n');
    await once(subscriber, 'close');
    assert.equal(stdout, 'one\ntwo\nthree\n');
  });

  void test('MQTT.js goes to the other node when its own is killed, and loses nothing', async (t) => {
    const cluster = await startCluster();
    t.after(() => cluster.stop());
    const servers = [1, 2].map((node) => ({
      host: '127.0.0.1',
      port: cluster.node(node).port('mqtt'),
      protocol: 'mqtt' as const,
    }));
    const topic = unique();
    const came: string[] = [];
    const subscriber = await connectAsync({
      servers,
      clientId: unique('mqtt-js'),
      clean: false,
      protocolVersion: 5,
      properties: { sessionExpiryInterval: 600 },
      reconnectPeriod: 100,
    });
    subscriber.on('message', (_topic, payload) => came.push(payload.toString()));
    subscriber.on('error', () => undefined);
    await subscriber.subscribeAsync(topic, { qos: 2 });
    const { nodes } = (await (await cluster.ds.fetch('/api/v1/nodes')).json()) as {
      nodes: NodeBody[];
    };
    assert.equal(nodes.length, 3);
    const publisher = await connected(cluster.node(2).port('mqtt'), { version: 5 });
    const wanted = Array.from({ length: 200 }, (_, number) => String(number));
    for (const payload of wanted) {
      await publisher.publish(topic, payload, { qos: 2 });
      if (payload === '50') await cluster.node(1).kill();
    }
    await eventually('all have come', () => Promise.resolve(came.length >= wanted.length));
    await delay(100);
    assert.deepEqual(came, wanted);
    await subscriber.endAsync();
  });
});
