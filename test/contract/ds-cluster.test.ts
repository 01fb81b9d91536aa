// Two ds on one Redis, over a queue store in memory that makes use of all that its port does not
// promise, and two cs with a lane to each.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '@lmqtt/common/clock';
import { clientId, laneNode, nodeId, type SessionHandle } from '@lmqtt/common/ids';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import { readSettings } from '@lmqtt/common/settings/read';
import { type Message, messageOf } from '@lmqtt/common/message';
import { type ClusterDsService, startClusterDs } from '@lmqtt/ds/cluster-service';
import { RedisBanStore } from '@lmqtt/ds/ban-store/redis/redis-ban-store';
import { RedisDelayedStore } from '@lmqtt/ds/delayed-store/redis/redis-delayed-store';
import { DsEvents } from '@lmqtt/ds/events';
import { openRedis } from '@lmqtt/ds/redis/connection';
import { RedisKeys } from '@lmqtt/ds/redis/keys';
import { openRedisRegistry } from '@lmqtt/ds/registry/redis/registry';
import { RegistryEvents } from '@lmqtt/ds/registry/redis/registry-events';
import { RedisRetainedStore } from '@lmqtt/ds/retained-store/redis/redis-retained-store';
import { RpcEvents } from '@lmqtt/ds/rpc/rpc-events';
import { type RpcServer, startRpc } from '@lmqtt/ds/rpc/rpc-server';
import { RedisSessionStore } from '@lmqtt/ds/session-store/redis/redis-session-store';
import { startCsProcess } from '@lmqtt/standalone/cs-process';
import type { RunningProgram } from '@lmqtt/standalone/program';
import { connectAsync, type MqttClient } from 'mqtt';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis } from '../harness/require.ts';
import { within } from '../harness/within.ts';
import { AwkwardQueueStore } from './awkward-queue-store.ts';
import { takingClient } from './taking-client.ts';
import { noRetries } from './no-retries.ts';

interface Ds {
  readonly service: ClusterDsService;
  readonly rpc: RpcServer;
  /** It knows its routes. */
  readonly joined: Promise<void>;
  stop(): Promise<void>;
}

const leaseMs = 3000;

/** The same object, but for these members. */
function overriding<T extends object>(object: T, members: Partial<T>): T {
  return new Proxy(object, {
    get: (target, name) => {
      if (name in members) return members[name as keyof T];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

void describe('two ds and two cs', requireRedis(), () => {
  let redis: RedisServer;
  const store = new AwkwardQueueStore(7);
  const listeners: ((messages: Message[]) => void)[] = [];
  store.onArrivals((messages) => listeners[0]?.(messages));
  let nodes: Ds[] = [];
  let cs: RunningProgram[] = [];
  const clients: MqttClient[] = [];

  /** `mayLoad`: when it is given its routes. */
  async function startDs(id: string, mayLoad = Promise.resolve()): Promise<Ds> {
    const args = ['--node-id', id, '--lease-ms', String(leaseMs), '--sys-interval-s', '0'];
    const more = ['--allow-anonymous', 'true', '--rpc-port', '0'];
    const environment = { REDIS_URL: redis.url, NAMESRV_ADDR: 'none:1' };
    const settings = readSettings({ args: [...args, ...more], environment }, 'ds');
    const logs = silentLogs();
    const metrics = new Metrics();
    const service = await startClusterDs({
      settings,
      events: new DsEvents(logs, metrics),
      metrics,
      version: 'test',
      openStores: async () => {
        const connection = await openRedis({ url: redis.url });
        const keys = new RedisKeys('cluster');
        const events = new RegistryEvents(logs, metrics);
        const clock = systemClock;
        const registry = await openRedisRegistry({
          redis: connection,
          keys,
          clock,
          leaseMs,
          events,
          detoursMax: 100,
        });
        const sessionStore = new RedisSessionStore({
          redis: connection,
          keys,
          ds: nodeId(id),
          inbox: registry.inbox,
        });
        const limits = { messagesMax: 1000, bytesMax: 1e7 };
        const routeLog = overriding(registry.routeLog, {
          start: async (listener) => {
            await mayLoad;
            await registry.routeLog.start(listener);
          },
        });
        return {
          registry: overriding(registry, { routeLog }),
          sessionStore,
          retained: await RedisRetainedStore.open(connection, keys, limits),
          retryQueue: noRetries,
          delayed: new RedisDelayedStore({
            ...{ redis: connection, keys, intents: sessionStore.intents, limits },
            takenMs: 2 * leaseMs,
          }),
          banStore: await RedisBanStore.open(connection, keys, { bansMax: 100 }),
          queueStore: Object.assign(Object.create(store) as AwkwardQueueStore, {
            append: store.append.bind(store),
            read: store.read.bind(store),
            ends: store.ends.bind(store),
            partitions: store.partitions.bind(store),
            drop: store.drop.bind(store),
            outcome: store.outcome.bind(store),
            onLost: () => {},
            trim: () => {},
            onArrivals: (listener: (messages: Message[]) => void) => listeners.push(listener),
          }),
          placeOf: (name) => ({ own: name }),
          start: () => Promise.resolve(),
          dropPlace: () => Promise.resolve(),
          sweepRetained: () => Promise.resolve(),
          groups: () => ({
            count: 0,
            owned: () => [],
            open: () => Promise.reject(new Error('none')),
            unpin: () => {},
            has: () => false,
            join: () => {},
            restoreOut: () => {},
            disconnect: () => {},
            leave: () => {},
            write: () => {},
            credit: () => {},
            stop: () => Promise.resolve(),
            handOver: () => Promise.resolve(0),
            keep: () => {},
            rightsChanged: () => {},
            behindWrites: (durable) => durable,
          }),
          failure: null,
          gatherMs: 0,
          close: () => {
            registry.close();
            connection.close();
            return Promise.resolve();
          },
        };
      },
    });
    const rpcEvents = new RpcEvents(logs, metrics, systemClock);
    const rpc = await startRpc({
      settings,
      admission: service.admission,
      events: rpcEvents,
      clock: systemClock,
    });
    return {
      service,
      rpc,
      joined: service.join(`127.0.0.1:${rpc.port}`),
      stop: async () => {
        await rpc.stop();
        await service.stop();
      },
    };
  }

  before(async () => {
    redis = await startRedis();
    nodes = [await startDs('ds-1'), await startDs('ds-2')];
    for (const { joined } of nodes) await joined;
    cs = [await startCs('cs-1', nodes), await startCs('cs-2', nodes)];
  });

  function startCs(id: string, reached: readonly Ds[]): Promise<RunningProgram> {
    const ds = reached.map(({ rpc }) => `127.0.0.1:${rpc.port}`).join(',');
    const args = ['--node-id', id, '--ds', ds, '--mqtt-port', '0', '--ws-port', 'off'];
    const rest = ['--ops-port', 'off', '--log-level', 'fatal'];
    return startCsProcess(readSettings({ args: [...args, ...rest], environment: {} }, 'cs'));
  }

  after(async () => {
    for (const client of clients) client.end(true);
    for (const program of cs) await program.stop();
    for (const node of nodes) await node.stop();
    await redis.close();
  });

  async function connected(
    node: number,
    clientId: string,
    clean = true,
    willTopic?: string,
  ): Promise<MqttClient> {
    const will = { topic: willTopic ?? '', payload: Buffer.from('Offline'), qos: 1, retain: true };
    const client = await connectAsync(`mqtt://127.0.0.1:${cs[node]?.ports.mqtt}`, {
      clientId,
      clean,
      protocolVersion: 5,
      reconnectPeriod: 0,
      properties: { sessionExpiryInterval: clean ? 0 : 3600 },
      ...(willTopic === undefined ? {} : { will: { ...will, qos: 1 as const } }),
    });
    client.on('error', () => undefined);
    clients.push(client);
    return client;
  }

  void test('messages go from every client to every other', async () => {
    const ids = Array.from({ length: 8 }, (_, index) => `client-${index}`);
    const all = await Promise.all(ids.map((id, index) => connected(index % 2, id)));
    const came = new Map<string, string[]>(ids.map((id) => [id, []]));
    for (const [index, client] of all.entries()) {
      client.on('message', (_topic, payload) => came.get(ids[index]!)!.push(payload.toString()));
      await client.subscribeAsync('all/+', { qos: 1 });
    }
    const shares = nodes.map(({ service }) => service.sessionCount);
    assert.equal(shares[0]! + shares[1]!, ids.length);
    assert.ok(
      shares.every((count) => count > 0),
      `one ds has all: ${shares.join()}`,
    );
    for (const qos of [0, 1, 2] as const)
      await Promise.all(
        all.map((client, index) => client.publishAsync(`all/${index}`, `${index} ${qos}`, { qos })),
      );
    const wanted = ids.flatMap((_, index) => [0, 1, 2].map((qos) => `${index} ${qos}`)).sort();
    await eventually(() => {
      for (const messages of came.values()) assert.deepEqual([...messages].sort(), wanted);
    });
  });

  void test('a client that comes by another cs takes its session over', async () => {
    const first = await connected(0, 'wanderer', false);
    await first.subscribeAsync('wanderer/in', { qos: 1 });
    const gone = closed(first);
    const second = await connected(1, 'wanderer', false);
    await gone;
    const came: string[] = [];
    second.on('message', (_topic, payload) => came.push(payload.toString()));
    const publisher = await connected(0, 'publisher');
    await publisher.publishAsync('wanderer/in', 'hello', { qos: 1 });
    await eventually(() => assert.deepEqual(came, ['hello']));
  });

  void test('a session is taken over from a cs that only the other ds reaches', async () => {
    cs.push(await startCs('cs-3', nodes.slice(1)));
    const ids = Array.from({ length: 8 }, (_, index) => `apart-${index}`);
    for (const id of ids) {
      const first = await connected(2, id, false);
      const gone = closed(first);
      await connected(0, id, false);
      await gone;
    }
    for (const id of ids) await connected(2, id, false);
  });

  void test('a will is before its successor where the connections are at different ds', async () => {
    const watcher = await connected(1, 'will-watcher');
    const came = new Map<string, string[]>();
    watcher.on('message', (topic, payload) => {
      came.set(topic, [...(came.get(topic) ?? []), payload.toString()]);
    });
    await watcher.subscribeAsync('state/+', { qos: 1 });
    const ids = Array.from({ length: 8 }, (_, index) => `will-${index}`);
    for (const [index, id] of ids.entries()) {
      const topic = `state/${id}`;
      const ways = [2, 0] as const;
      const from = ways[index % 2]!;
      await connected(from, id, false, topic);
      const next = await connected(2 - from, id, false);
      await next.publishAsync(topic, 'Online', { qos: 1, retain: true });
    }
    await eventually(() => {
      for (const id of ids) assert.deepEqual(came.get(`state/${id}`), ['Offline', 'Online']);
    });
    const late = await connected(0, 'late-watcher');
    const kept: string[] = [];
    late.on('message', (_topic, payload) => kept.push(payload.toString()));
    await late.subscribeAsync('state/+', { qos: 1 });
    await eventually(() =>
      assert.deepEqual(
        kept,
        ids.map(() => 'Online'),
      ),
    );
  });

  void test('a ds takes nobody in before it knows the routes', async () => {
    let load: () => void = () => {};
    const ds = await startDs('ds-3', new Promise((resolve) => (load = resolve)));
    const subscriber = await connected(0, 'early');
    const came: string[] = [];
    subscriber.on('message', (_topic, payload) => came.push(payload.toString()));
    await subscriber.subscribeAsync('early/in', { qos: 1 });
    let published = false;
    const late = startCs('cs-4', [ds]).then(async (program) => {
      cs.push(program);
      for (;;) {
        const publisher = await connected(cs.length - 1, 'late').catch(() => undefined);
        if (publisher === undefined) continue;
        await publisher.publishAsync('early/in', 'hello', { qos: 1 });
        published = true;
        return;
      }
    });
    // It is a member: only the routes are missing.
    await eventually(async () => {
      const lines = await nodes[0]!.service.nodes();
      assert.ok(lines.some(({ id }) => id === 'ds-3'));
    });
    await Promise.race([late, new Promise((resolve) => setTimeout(resolve, 1000))]);
    assert.equal(published, false);
    load();
    await ds.joined;
    await late;
    await eventually(() => assert.deepEqual(came, ['hello']));
    await cs.pop()!.stop();
    await ds.stop();
  });

  void test('what comes while a session is away waits for it', async () => {
    const first = await connected(0, 'sleeper', false);
    await first.subscribeAsync('sleeper/in', { qos: 2 });
    await first.endAsync();
    const publisher = await connected(1, 'waker');
    for (let n = 0; n < 20; n += 1)
      await publisher.publishAsync('sleeper/in', `${n}`, { qos: n % 2 === 0 ? 1 : 2 });
    const came: string[] = [];
    const second = await takingClient(
      `mqtt://127.0.0.1:${cs[1]?.ports.mqtt}`,
      { clientId: 'sleeper', clean: false, protocolVersion: 4, reconnectPeriod: 0 },
      (payload) => came.push(payload),
    );
    clients.push(second);
    await eventually(() => assert.equal(came.length, 20));
  });

  void test('a connection that died with its ds before anybody knew of it keeps nobody out', async () => {
    const connection = await openRedis({ url: redis.url });
    const payload = Buffer.from('Offline');
    const will = messageOf({ topic: 'locked-out', qos: 1, retain: false, payload });
    const store = new RedisSessionStore({
      redis: connection,
      keys: new RedisKeys('cluster'),
      ds: nodeId('ds-9'),
      inbox: { send: () => {}, onMessage: () => {} },
    });
    const claim = await store.claim({
      clientId: clientId('locked-out'),
      node: laneNode(nodeId('cs-1'), 'ds-9'),
      handle: 4_000_000 as SessionHandle,
      user: null,
      userChange: 'replace',
      cleanStart: false,
      sessionExpiryS: 3600,
      will: {
        clientId: clientId('locked-out'),
        will: { message: will, delayS: 0, messageExpiryS: undefined },
        principal: { principal: { user: undefined }, address: '127.0.0.1' },
      },
    });
    assert.equal(claim.kind, 'claimed');
    const came: string[] = [];
    const watcher = await connected(0, 'will-of-the-dead');
    watcher.on('message', (_topic, payload) => came.push(payload.toString()));
    await watcher.subscribeAsync('locked-out', { qos: 1 });
    const client = await connected(1, 'locked-out', false);
    await client.publishAsync('locked-out', 'Online', { qos: 1 });
    await eventually(() => assert.deepEqual(came, ['Offline', 'Online']));
    connection.close();
  });

  void test('sessions of a ds that stops go on at the other', async () => {
    const ids = Array.from({ length: 8 }, (_, index) => `moved-${index}`);
    const all = await Promise.all(ids.map((id, index) => connected(index % 2, id, index < 4)));
    const came: string[] = [];
    for (const client of all) {
      client.on('close', () => came.push('closed'));
      client.on('message', (_topic, payload) => came.push(payload.toString()));
      await client.subscribeAsync('moved/+', { qos: 2 });
    }
    const first = nodes.shift()!;
    await first.stop();
    const publishes = all.map((client, index) =>
      client.publishAsync(`moved/${index}`, `${index}`, {
        qos: index % 2 === 0 ? 1 : 2,
      }),
    );
    await Promise.all(publishes);
    await eventually(() => assert.equal(came.length, ids.length ** 2));
    assert.deepEqual(
      came.toSorted(),
      ids.flatMap((_, index) => ids.map(() => `${index}`)),
    );
  });
});

/** Told or not: a cs whose lease has just ended says nothing. */
function closed(client: MqttClient): Promise<void> {
  const close = new Promise<void>((resolve) => client.once('close', () => resolve()));
  return within(close, 30_000, () => `${client.options.clientId} is not displaced`);
}

async function eventually(check: () => void | Promise<void>): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await check();
      return;
    } catch (error) {
      if (tries > 400) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}
