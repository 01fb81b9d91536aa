// Figures agree with what was on the wire: metrics, the REST interface, topics below $SYS.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { Socket } from 'node:net';
import { beforeEach, describe, test } from 'node:test';
import { isCluster, standaloneOnly } from '../harness/shape.ts';
import { Suite } from '../harness/suite.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const suite = new Suite({ settings: { SYS_INTERVAL_S: '1' } });

// Until the connections of the test before have ended: figures are of the whole broker.
beforeEach(async () => {
  const names = ['lmqtt_connections', 'lmqtt_sessions_connected'];
  for (;;) {
    const metrics = await suite.broker.metrics();
    if (names.every((name) => metrics.get(name) === 0)) return;
  }
});

const address = (path: string): string => `http://127.0.0.1:${suite.broker.opsPort}${path}`;

interface ClientBody {
  readonly clientId: string;
  readonly connection: { readonly protocolLevel: number; readonly address: string } | null;
  readonly subscriptions: number;
  readonly queued: number;
  readonly inflight: number;
  readonly sessionExpiryS: number;
}

interface PageBody {
  readonly clients: ClientBody[];
  readonly next: string | null;
}

async function rest<T>(path: string): Promise<T> {
  const answer = await fetch(address(`/api/v1/${path}`));
  assert.equal(answer.status, 200, path);
  return (await answer.json()) as T;
}

const clientOf = (id: string): Promise<ClientBody> => rest(`clients/${encodeURIComponent(id)}`);

function bytesWritten(client: RawClient): number {
  assert.ok(client.stream instanceof Socket);
  return client.stream.bytesWritten;
}

/** Differences of the broker's counters between the making of this and `by`. */
class Differences {
  readonly #before: ReadonlyMap<string, number>;
  #after: ReadonlyMap<string, number> = new Map();

  private constructor(before: ReadonlyMap<string, number>) {
    this.#before = before;
  }

  static async begin(): Promise<Differences> {
    return new Differences(await suite.broker.metrics());
  }

  async end(): Promise<void> {
    this.#after = await suite.broker.metrics();
  }

  by(name: string): number {
    const after = this.#after.get(name);
    assert.notEqual(after, undefined, `no metric ${name}`);
    return (after ?? 0) - (this.#before.get(name) ?? 0);
  }

  /** By the values of its one label; without those that did not change. */
  byLabel(family: string): Record<string, number> {
    const found: Record<string, number> = {};
    for (const name of this.#after.keys()) {
      const label = name.startsWith(`${family}{`) ? /="([^"]*)"/.exec(name)?.[1] : undefined;
      if (label !== undefined && this.by(name) !== 0) found[label] = this.by(name);
    }
    return found;
  }
}

const sum = (counts: Record<string, number>): number =>
  Object.values(counts).reduce((all, count) => all + count, 0);

void describe('/metrics', () => {
  void test('is Prometheus text in which each family has its help and type once', async () => {
    const answer = await fetch(address('/metrics'));
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    const text = await answer.text();
    const helped = [...text.matchAll(/^# HELP (\S+) \S/gm)].map(([, name]) => name);
    const typed = [...text.matchAll(/^# TYPE (\S+) (?:counter|gauge|histogram|summary)$/gm)];
    assert.deepEqual(
      typed.map(([, name]) => name),
      helped,
    );
    assert.equal(new Set(helped).size, helped.length);
    for (const line of text.split('\n')) {
      assert.match(
        line,
        /^$|^#|^[a-z_][a-z\d_]*(?:\{(?:[a-z_]+="[^"]*",?)+\})? (?:NaN|[+-]?(?:Inf|[\d.]+(?:e[+-]?\d+)?))$/i,
      );
    }
  });

  void test('counts packets, bytes, publishes and deliveries as they were on the wire', async () => {
    const counted = await Differences.begin();
    const client = await suite.client({ version: 5 });
    const topic = unique();
    await client.subscribe(topic, 2);
    for (const qos of [0, 1, 2] as const) {
      await client.publish(topic, 'x'.repeat(10 ** qos), { qos });
      await client.find('publish', { qos }).then(async ({ packetId }) => {
        if (qos === 1) client.sendAck('puback', packetId);
        if (qos !== 2) return;
        client.sendAck('pubrec', packetId);
        await client.find('pubrel', { packetId });
        client.sendAck('pubcomp', packetId);
      });
    }
    await client.unsubscribe(topic);
    await client.ping();
    await counted.end();
    assert.equal(counted.by('lmqtt_connections'), 1);
    assert.equal(counted.by('lmqtt_connections_accepted_total'), 1);
    assert.equal(counted.by('lmqtt_sessions_connected'), 1);
    assert.deepEqual(counted.byLabel('lmqtt_publishes_received_total'), { 0: 1, 1: 1, 2: 1 });
    assert.deepEqual(counted.byLabel('lmqtt_deliveries_total'), { 0: 1, 1: 1, 2: 1 });
    const both = { publish: 3, puback: 1, pubrec: 1, pubrel: 1, pubcomp: 1 };
    assert.deepEqual(counted.byLabel('lmqtt_packets_received_total'), {
      ...both,
      ...{ connect: 1, subscribe: 1, unsubscribe: 1, pingreq: 1 },
    });
    assert.deepEqual(counted.byLabel('lmqtt_packets_sent_total'), {
      ...both,
      ...{ connack: 1, suback: 1, unsuback: 1, pingresp: 1 },
    });
    assert.equal(counted.by('lmqtt_bytes_received_total'), bytesWritten(client));
    assert.equal(counted.by('lmqtt_bytes_sent_total'), client.received.length);
    const bytesByType = counted.byLabel('lmqtt_received_bytes_total');
    assert.equal(sum(bytesByType), bytesWritten(client));
    assert.equal(bytesByType['pingreq'], 2);
    const sentByType = counted.byLabel('lmqtt_sent_bytes_total');
    assert.equal(sum(sentByType), client.received.length);
    assert.equal(sentByType['pingresp'], 2);
  });

  void test('messages in flight, the time of the store, the delay of the event loop', async () => {
    const counted = await Differences.begin();
    const client = await suite.client();
    const topic = unique();
    await client.subscribe(topic, 1);
    await client.publish(topic, 'x', { qos: 1 });
    const { packetId } = await client.find('publish');
    await counted.end();
    assert.equal(counted.by('lmqtt_inflight'), 1);
    const stored = isCluster ? 'lmqtt_rocketmq_send_seconds' : 'lmqtt_store_commit_seconds';
    assert.ok(counted.by(`${stored}_count`) > 0);
    assert.ok(counted.by(`${stored}_sum`) > 0);
    assert.equal(counted.by(`${stored}_bucket{le="+Inf"}`), counted.by(`${stored}_count`));
    client.sendAck('puback', packetId);
    await client.ping();
    await counted.end();
    assert.equal(counted.by('lmqtt_inflight'), 0);
    const metrics = await suite.broker.metrics();
    assert.ok((metrics.get('nodejs_eventloop_lag_p99_seconds') ?? 0) > 0);
    assert.ok((metrics.get('process_resident_memory_bytes') ?? 0) > 0);
  });

  void test('drops by reason, refusals and ends', async () => {
    const counted = await Differences.begin();
    const small = await suite.client({ version: 5, properties: { maximumPacketSize: 100 } });
    const topic = unique();
    await small.subscribe(topic, 1);
    await small.publish(topic, 'x'.repeat(200), { qos: 1 });
    await small.publish(topic, 'fits', { qos: 1 });
    await small.find('publish', { payload: 'fits' });
    await small.disconnect();
    await suite.refuses(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    const nameless = await suite.open();
    await nameless.connect({ clientId: '', clean: false, reason: 2 });
    await nameless.expectClose();
    await counted.end();
    assert.deepEqual(counted.byLabel('lmqtt_dropped_total'), { too_large: 1 });
    assert.equal(counted.by('lmqtt_connection_ended_total{reason="client"}'), 1);
    assert.equal(counted.by('lmqtt_malformed_total'), 1);
    const refusals = { '0x82': 1, '0x85': 1 };
    assert.deepEqual(counted.byLabel('lmqtt_connect_refused_total'), refusals);
  });
});

void describe('REST', () => {
  void test('nodes', standaloneOnly('nodes.test.ts has those of a cluster'), async () => {
    await suite.client();
    const { nodes } = await rest<{ nodes: Record<string, unknown>[] }>('nodes');
    assert.equal(nodes.length, 1);
    const { id, role, state, version, startedAtMs, connections } = nodes[0] ?? {};
    assert.deepEqual([id, role, state], ['standalone', 'standalone', 'alive']);
    assert.match(String(version), /^\d+\.\d+\.\d+$/);
    assert.ok(Number(startedAtMs) <= Date.now() && Number(startedAtMs) > Date.now() - 600_000);
    assert.equal(connections, 1);
  });

  void test('pages of clients, in order, connected or not', async () => {
    const stem = unique('page');
    const ids = ['a', 'b', 'c', 'd', 'e'].map((letter) => `${stem}-${letter}`);
    for (const clientId of ids) await suite.client({ clientId, clean: false });
    const away = await suite.client({ clientId: `${stem}-f`, clean: false });
    await away.disconnect();
    const seen: string[] = [];
    let after = encodeURIComponent(stem);
    for (;;) {
      const page = await rest<PageBody>(`clients?limit=2&after=${after}`);
      assert.ok(page.clients.length <= 2);
      seen.push(...page.clients.map(({ clientId }) => clientId));
      if (page.next === null) break;
      after = encodeURIComponent(page.next);
    }
    assert.deepEqual(
      seen.filter((id) => id.startsWith(stem)),
      [...ids, `${stem}-f`],
    );
    for (const query of ['limit=0', 'limit=x', 'limit=1001']) {
      assert.equal((await fetch(address(`/api/v1/clients?${query}`))).status, 400, query);
    }
  });

  void test('one client, whatever its id, with what waits for it', async () => {
    const clientId = `${unique()}/ü %2F?#&`;
    const topic = unique();
    const fields = { clientId, version: 5, properties: { sessionExpiryInterval: 600 } } as const;
    const client = await suite.client(fields);
    await client.subscribe([`${topic}/1`, `${topic}/2`], 1);
    const here = await clientOf(clientId);
    assert.equal(here.clientId, clientId);
    assert.equal(here.connection?.protocolLevel, 5);
    assert.equal(here.connection?.address, '127.0.0.1');
    assert.equal(here.subscriptions, 2);
    assert.equal(here.sessionExpiryS, 600);
    await client.publish(`${topic}/1`, 'x', { qos: 1 });
    // A cs tells what is in flight in its own time.
    const endMs = performance.now() + 60_000;
    while ((await clientOf(clientId)).inflight !== 1) assert.ok(performance.now() < endMs);
    await client.disconnect();
    const other = await suite.client();
    for (let count = 0; count < 3; count += 1) await other.publish(`${topic}/2`, '', { qos: 1 });
    const away = await clientOf(clientId);
    assert.equal(away.connection, null);
    assert.deepEqual([away.inflight, away.queued], [1, 3]);
  });

  void test('DELETE tells a version 5 client (0x98), closes others, and keeps sessions', async () => {
    const remove = async (id: string): Promise<number> => {
      const answer = await fetch(address(`/api/v1/clients/${id}`), { method: 'DELETE' });
      return answer.status;
    };
    const clientId = unique();
    const fields = { clientId, version: 5, properties: { sessionExpiryInterval: 600 } } as const;
    const client = await suite.client(fields);
    assert.equal(await remove(clientId), 204);
    await client.expectDisconnect(0x98);
    const oldId = unique('old');
    const old = await suite.client({ clientId: oldId });
    assert.equal(await remove(oldId), 204);
    await old.expectClose();
    assert.equal(await remove(unique()), 404);
    await suite.client({ ...fields, clean: false, sessionPresent: true });
  });

  void test('a page in a browser cannot reach it under a name of its own', async () => {
    const { opsPort: port } = suite.broker;
    const headers = { host: `rebound.example:${port}` };
    const call = request({ host: '127.0.0.1', port, path: '/api/v1/clients', headers }).end();
    const [answer] = (await once(call, 'response')) as [{ statusCode: number; resume(): void }];
    answer.resume();
    assert.equal(answer.statusCode, 401);
  });
});

void describe('$SYS/broker', () => {
  const value = async (client: RawClient, topic: string): Promise<string> =>
    String((await client.find('publish', { topic: `$SYS/broker/${topic}` })).payload);

  void test('the names that people know, at once and then on an interval', async () => {
    const client = await suite.client();
    await client.subscribe('$SYS/#');
    // Several nodes know of each other's clients a little later.
    const payload = '1';
    await client.find('publish', { topic: '$SYS/broker/clients/connected', payload });
    assert.match(await value(client, 'version'), /^lmqtt \d+\.\d+\.\d+$/);
    const uptimeS = Number.parseInt(await value(client, 'uptime'), 10);
    const received = Number(await value(client, 'messages/received'));
    const bytes = Number(await value(client, 'bytes/received'));
    client.discard();
    await suite.client();
    await client.find('publish', { topic: '$SYS/broker/clients/connected', payload: '2' });
    assert.match(await value(client, 'uptime'), /^\d+ seconds$/);
    client.discard();
    assert.ok(Number.parseInt(await value(client, 'uptime'), 10) > uptimeS);
    client.discard();
    assert.ok(Number(await value(client, 'messages/received')) > received);
    client.discard();
    assert.ok(Number(await value(client, 'bytes/received')) > bytes);
  });

  void test('only to who subscribes to it, and no longer than that', async () => {
    const all = await suite.client();
    await all.subscribe('#');
    const past = await suite.client();
    await past.subscribe('$SYS/broker/uptime');
    await value(past, 'uptime');
    await past.unsubscribe('$SYS/broker/uptime');
    past.discard();
    const current = await suite.client();
    await current.subscribe('$SYS/broker/uptime');
    for (let count = 0; count < 3; count += 1) await value(current, 'uptime');
    await past.expectNothing();
    await all.expectNothing();
  });
});
