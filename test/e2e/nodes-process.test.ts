// cs and ds as processes: what they print, when they are ready, how they end, what operators see.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test, type TestContext } from 'node:test';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import { freePort } from '../harness/free-port.ts';
import { flagsOf, ServerProcess } from '../harness/process.ts';
import { closeAllClients, connected, connectRaw, unique } from '../harness/wire.ts';
import { within } from '../harness/within.ts';

const folder = mkdtempSync(join(tmpdir(), 'lmqtt-nodes-'));
after(() => {
  closeAllClients();
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

/** How long a cs waits for ds before it opens its listeners nevertheless. */
const firstLinkMs = 10_000;
/** How soon it goes on when ds is there: the goal is 2 s, and other tests run beside this one. */
const goOnMs = 20_000;
/** How long a process may take to start while other tests run. */
const startMs = 60_000;

type Flags = Readonly<Record<string, string>>;

const secret = 'the secret of this cluster';

function dsFlags(flags: Flags = {}): string[] {
  const dataDir = join(folder, unique('data'));
  const own = { RPC_PORT: '0', OPS_PORT: '0', DATA_DIR: dataDir, CLUSTER_SECRET: secret };
  return ['ds', ...flagsOf({ ...own, ...flags })];
}

function csFlags(rpcPort: number, flags: Flags = {}): string[] {
  const own = { MQTT_PORT: '0', WS_PORT: '0', OPS_PORT: '0', CLUSTER_SECRET: secret };
  return ['cs', ...flagsOf({ ...own, DS: `127.0.0.1:${rpcPort}`, ...flags })];
}

function newProcess(t: TestContext, name: string, cwd?: string, env: Flags = {}): ServerProcess {
  const made = new ServerProcess(name, { env, ...(cwd === undefined ? {} : { cwd }) });
  t.after(() => made.kill());
  return made;
}

async function startDs(
  t: TestContext,
  flags: Flags = {},
): Promise<{ ds: ServerProcess; rpcPort: number }> {
  const ds = newProcess(t, 'ds');
  const addresses = await ds.start(dsFlags(flags));
  return { ds, rpcPort: addresses.get('rpc')?.port ?? 0 };
}

async function twoNodes(t: TestContext, settings: Flags = {}): Promise<Cluster> {
  const cluster = await startCluster({ settings });
  t.after(() => cluster.stop());
  return cluster;
}

/** Last words and exit code of a process that cannot start. */
async function failure(t: TestContext, args: readonly string[]): Promise<string> {
  const made = newProcess(t, 'the program');
  made.spawn([...args, '--log-level', 'silent']);
  const code = await within(made.exited, 60_000, () => `it runs on\n${made.logs()}`);
  assert.equal(made.stdout, '');
  assert.match(made.stderr, /^lmqtt: [^\n]+\n$/, 'one line');
  return `${code}: ${made.stderr.trimEnd()}`;
}

const readyz = async (port: number): Promise<string> => {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
  return `${answer.status} ${(await answer.text()).trimEnd()}`;
};

async function until(what: string, ms: number, holds: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + ms;
  while (!(await holds().catch(() => false))) {
    assert.ok(performance.now() < endMs, `${what}: not within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const listener = String.raw`127\.0\.0\.1:[1-9]\d*`;

void describe('start and stop', { concurrency: 2 }, () => {
  void test('each prints one line with its ports, and ends with SIGTERM', async (t) => {
    const { ds, rpcPort } = await startDs(t);
    assert.match(ds.stdout, new RegExp(`^ready rpc=${listener} ops=${listener}\n$`));
    const cs = newProcess(t, 'cs');
    await cs.start(csFlags(rpcPort));
    assert.match(cs.stdout, new RegExp(`^ready mqtt=${listener} ws=${listener} ops=${listener}\n`));
    assert.equal(cs.stdout.match(/^ready/gm)?.length, 1);
    assert.equal(await cs.end('SIGTERM'), 0);
    assert.equal(await ds.end('SIGTERM'), 0);
  });

  void test('a cs that is there before its ds listens when it has come', async (t) => {
    const [rpcPort, opsPort] = [await freePort(), await freePort()];
    const cs = newProcess(t, 'cs');
    cs.spawn(csFlags(rpcPort, { OPS_PORT: String(opsPort) }));
    await until('starting', startMs, async () => /^503 starting: ./.test(await readyz(opsPort)));
    assert.equal(cs.stdout, '');
    await startDs(t, { RPC_PORT: String(rpcPort) });
    await cs.ready(goOnMs);
    assert.equal(await readyz(opsPort), '200 ready');
  });

  void test('a cs without a ds refuses clients after CONNECT_WAIT_MS, and goes on when ds has come', async (t) => {
    const rpcPort = await freePort();
    const cs = newProcess(t, 'cs');
    cs.spawn(csFlags(rpcPort, { CONNECT_WAIT_MS: '300' }));
    const startedMs = performance.now();
    const addresses = await cs.ready(firstLinkMs + startMs);
    assert.ok(performance.now() - startedMs > firstLinkMs);
    const port = addresses.get('mqtt')?.port ?? 0;
    const opsPort = addresses.get('ops')?.port ?? 0;
    assert.match(await readyz(opsPort), /^503 not ready: ./);
    assert.match(
      cs.stdout,
      new RegExp(`^listening mqtt=${listener} ws=${listener} ops=${listener}\n$`),
    );
    assert.match(
      cs.logs(),
      /"level":"warn"[^\n]*"reason":"no link to ds at [^\n]*"msg":"cannot serve yet; waiting"/,
    );
    assert.doesNotMatch(cs.logs(), /broker ready/);
    const five = await connectRaw(port, { version: 5 });
    await five.connect({ version: 5, reason: 0x88 });
    await five.expectClose();
    const four = await connectRaw(port);
    await four.connect({ reason: 3 });
    await four.expectClose();
    await startDs(t, { RPC_PORT: String(rpcPort) });
    await cs.printed(/^ready /m, goOnMs);
    assert.equal(await readyz(opsPort), '200 ready');
    await (await connected(port)).ping();
  });

  void test('a cs whose Redis is away says so, on /readyz and in REST', async (t) => {
    const nobody = await freePort();
    const cs = newProcess(t, 'cs');
    const flags = [
      '--redis-url',
      `redis://127.0.0.1:${nobody}`,
      '--redis-command-timeout-ms',
      '500',
    ];
    const ports = ['--mqtt-port', '0', '--ws-port', '0', '--ops-port', '0'];
    cs.spawn(['cs', ...ports, ...flags]);
    const opsPort = (await cs.ready(firstLinkMs + startMs)).get('ops')?.port ?? 0;
    assert.match(await readyz(opsPort), /^503 not ready: Redis does not answer: .*ECONNREFUSED/);
    const answer = await fetch(`http://127.0.0.1:${opsPort}/api/v1/nodes`);
    assert.equal(answer.status, 503);
    const body = (await answer.json()) as Record<string, unknown>;
    assert.match(String(body['detail']), /^not ready: Redis does not answer: .*ECONNREFUSED/);
    assert.match(
      cs.logs(),
      /"reason":"Redis does not answer: [^\n]*"msg":"cannot serve yet; waiting"/,
    );
    assert.doesNotMatch(cs.stdout, /^ready/m);
  });

  void test('SIGTERM ends a cs that waits for its first ds, and one that has lost it', async (t) => {
    const waiting = newProcess(t, 'cs');
    const opsPort = await freePort();
    waiting.spawn(csFlags(await freePort(), { OPS_PORT: String(opsPort) }));
    await until('it waits', startMs, async () => (await readyz(opsPort)) !== '');
    assert.equal(await waiting.end(), 0);

    const { ds, rpcPort } = await startDs(t);
    const left = newProcess(t, 'cs');
    const addresses = await left.start(csFlags(rpcPort, { STOP_TIMEOUT_MS: '4000' }));
    const client = await connected(addresses.get('mqtt')?.port ?? 0, { version: 5 });
    await client.ping();
    await ds.kill();
    // Past STOP_TIMEOUT_MS it would be 1.
    assert.equal(await left.end(), 0);
  });

  void test('a cs writes no file', async (t) => {
    const { rpcPort } = await startDs(t);
    const [cwd, home, temporary] = ['cwd', 'home', 'tmp'].map((name) => {
      const path = join(folder, unique(name));
      mkdirSync(path);
      return path;
    });
    assert.ok(cwd !== undefined && home !== undefined && temporary !== undefined);
    const cs = newProcess(t, 'cs', cwd, { HOME: home, TMPDIR: temporary });
    const addresses = await cs.start(csFlags(rpcPort));
    const client = await connected(addresses.get('mqtt')?.port ?? 0, { clean: false });
    await client.subscribe('t', 2);
    await client.publish('t', 'x', { qos: 2 });
    assert.equal(await cs.end(), 0);
    for (const path of [cwd, home, temporary]) assert.deepEqual(readdirSync(path), []);
  });
});

void describe('what cannot start says why in one line', { concurrency: 2 }, () => {
  void test('settings that do not fit', async (t) => {
    const open = { RPC_BIND: '0.0.0.0', ALLOW_ANONYMOUS: 'true' };
    assert.match(
      await failure(t, ['ds', ...flagsOf({ ...open, DATA_DIR: join(folder, 'none') })]),
      /^2: lmqtt: RPC_BIND 0\.0\.0\.0 .*CLUSTER_SECRET/,
    );
    assert.match(await failure(t, csFlags(1, { DS: 'nowhere' })), /^2: lmqtt: DS must be /);
  });

  void test('a port in use, with the names of its setting', async (t) => {
    const holder = createServer();
    const port = await new Promise<number>((resolve) => {
      holder.listen(0, '127.0.0.1', () => {
        const address = holder.address();
        resolve(address !== null && typeof address === 'object' ? address.port : 0);
      });
    });
    try {
      const { rpcPort } = await startDs(t);
      const attempts: readonly (readonly [string, (flags: Flags) => string[]])[] = [
        ['RPC_PORT', dsFlags],
        ['OPS_PORT', dsFlags],
        ['MQTT_PORT', (flags) => csFlags(rpcPort, flags)],
        ['OPS_PORT', (flags) => csFlags(rpcPort, flags)],
      ];
      for (const [name, flags] of attempts) {
        assert.match(
          await failure(t, flags({ [name]: String(port) })),
          new RegExp(`^1: lmqtt: cannot listen on .*:${port} \\(${name}\\): the port is in use`),
        );
      }
    } finally {
      holder.close();
    }
  });

  void test('a wrong secret, and nothing else is disturbed', async (t) => {
    const { rpcPort } = await startDs(t);
    const cs = newProcess(t, 'cs');
    const addresses = await cs.start(csFlags(rpcPort));
    const client = await connected(addresses.get('mqtt')?.port ?? 0);
    const wrong = await failure(t, csFlags(rpcPort, { CLUSTER_SECRET: 'wrong' }));
    assert.match(wrong, /^1: lmqtt: .*CLUSTER_SECRET/);
    assert.doesNotMatch(wrong, new RegExp(`${secret}|wrong`));
    await client.ping();
  });

  void test('a wrong secret for a ds that comes after the cs has started', async (t) => {
    const rpcPort = await freePort();
    const cs = newProcess(t, 'cs');
    cs.spawn(csFlags(rpcPort, { CLUSTER_SECRET: 'wrong', LOG_LEVEL: 'silent' }));
    await cs.ready(firstLinkMs + startMs);
    await startDs(t, { RPC_PORT: String(rpcPort) });
    assert.equal(await within(cs.exited, 60_000, () => 'the cs runs on'), 1);
    assert.match(cs.stderr, /^lmqtt: [^\n]*CLUSTER_SECRET[^\n]*\n$/);
  });

  void test('a node id that another one has', async (t) => {
    const { rpcPort } = await startDs(t, { LEASE_MS: '600' });
    const named = (): string[] => csFlags(rpcPort, { NODE_ID: 'edge' });
    const first = newProcess(t, 'cs');
    const addresses = await first.start(named());
    const client = await connected(addresses.get('mqtt')?.port ?? 0);
    assert.match(await failure(t, named()), /^1: lmqtt: .*edge .*NODE_ID/);
    await client.ping();
  });
});

void describe('operation', () => {
  void test('ds knows all nodes and clients, and disconnects any of them', async (t) => {
    const cluster = await twoNodes(t);
    const clients = await Promise.all(
      [1, 2].map((number) =>
        connected(cluster.node(number).port('mqtt'), {
          ...{ version: 5 as const, clientId: `client-${number}` },
          keepAliveS: 60 + number,
        }),
      ),
    );
    const get = async (path: string): Promise<unknown> =>
      (await cluster.ds.fetch(`/api/v1${path}`)).json();
    await until('the figures of both nodes', 5000, async () => {
      const { nodes } = (await get('/nodes')) as { nodes: { connections: number }[] };
      return nodes.filter((node) => node.connections === 1).length === 2;
    });
    const { nodes } = (await get('/nodes')) as { nodes: { id: string; role: string }[] };
    const names = nodes.map(({ id, role }) => `${id} ${role}`);
    assert.deepEqual(names.toSorted(), ['cs-1 cs', 'cs-2 cs', 'ds-1 ds']);
    for (const number of [1, 2]) {
      const { connection } = (await get(`/clients/client-${number}`)) as {
        connection: { nodeId: string; keepAliveS: number; connectedAtMs: number };
      };
      assert.equal(connection.nodeId, `cs-${number}`);
      assert.equal(connection.keepAliveS, 60 + number);
      assert.ok(Math.abs(connection.connectedAtMs - Date.now()) < 60_000);
    }
    const gone = await cluster.ds.fetch('/api/v1/clients/client-2', { method: 'DELETE' });
    assert.equal(gone.status, 204);
    await clients[1]?.expectDisconnect(0x98);
    await clients[0]?.ping();
    // A cs answers as ds does.
    const listed = await cluster.node(1).fetch('/api/v1/nodes');
    assert.equal(((await listed.json()) as { nodes: unknown[] }).nodes.length, 3);
    const other = await cluster.node(2).fetch('/api/v1/clients/client-1', { method: 'DELETE' });
    assert.equal(other.status, 204);
    await clients[0]?.expectDisconnect(0x98);
    for (const node of cluster.nodes) {
      assert.equal((await node.fetch('/healthz')).status, 200);
      assert.ok((await node.metrics()).size > 50);
    }
  });

  void test('$SYS counts what came to all nodes, also to one that is gone', async (t) => {
    const cluster = await twoNodes(t, { SYS_INTERVAL_S: '1' });
    const subscriber = await connected(cluster.node(1).port('mqtt'));
    await subscriber.subscribe('$SYS/broker/publish/messages/received', 0);
    const counts = async (count: number): Promise<void> => {
      for (;;) {
        const { payload } = await subscriber.receive();
        if (Number(payload.toString()) === count) return;
      }
    };
    const publisher = await connected(cluster.node(2).port('mqtt'));
    for (let number = 0; number < 10; number += 1) {
      await publisher.publish(unique(), 'x', { qos: 1 });
    }
    await counts(10);
    await cluster.node(2).end();
    const here = await connected(cluster.node(1).port('mqtt'));
    await here.publish(unique(), 'x', { qos: 1 });
    await counts(11);
  });

  void test('clients outlast a planned stop of ds', async (t) => {
    const cluster = await twoNodes(t);
    const client = await connected(cluster.node(1).port('mqtt'), { version: 5 });
    await client.subscribe('outlast', 1);
    assert.equal(await cluster.ds.end(), 0);
    const opsPort = cluster.node(1).port('ops');
    await until('not ready', 60_000, async () => /^503 not ready: ./.test(await readyz(opsPort)));
    await cluster.ds.start();
    await until('ready', goOnMs, async () => (await readyz(opsPort)) === '200 ready');
    const publisher = await connected(cluster.node(2).port('mqtt'));
    await publisher.publish('outlast', 'still there', { qos: 1 });
    await client.receive({ payload: 'still there' });
  });
});
