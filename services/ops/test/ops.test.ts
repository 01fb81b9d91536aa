// Real HTTP against a running ops server; behind it a source of clients that is held in memory.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { clientId, nodeId } from '@lmqtt/common/ids';
import { Lifecycle } from '@lmqtt/common/lifecycle';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';

import type { InnerAnswer, InnerRequest } from '../src/inner-requests.ts';
import type { ClientStatus, OpsSource } from '../src/ops-source.ts';
import { type RunningOps, startOps } from '../src/service.ts';

function status(id: string): ClientStatus {
  return {
    clientId: clientId(id),
    connection: {
      nodeId: nodeId('n1'),
      address: '127.0.0.1:5000',
      protocolLevel: 5,
      userName: null,
      keepAliveS: 60,
      connectedAtMs: 1,
    },
    user: null,
    subscriptions: 1,
    queued: 0,
    inflight: 0,
    lost: 0,
    sessionExpiryS: 0,
  };
}

const detail = {
  ...{ createdAtMs: 1, will: null, subscriptionList: [] },
  ...{ inboundQos2: 0, outboundQos1: 0, outboundQos2: 0 },
};

function sourceOf(ids: readonly string[]): OpsSource {
  const clients = new Map([...ids].toSorted().map((id) => [id, status(id)]));
  return {
    drain: (id) =>
      Promise.resolve(id === 'cs-1' ? 'asked' : id === 'only-ds' ? 'alone' : 'unknown'),
    nodes: () =>
      Promise.resolve([
        {
          id: nodeId('n1'),
          role: 'standalone',
          state: 'alive',
          version: '1.2.3',
          address: null,
          startedAtMs: 1,
          leaseAgeMs: null,
          connections: 1,
        },
      ]),
    clients: ({ after, limit }) => {
      const behind = [...clients.values()].filter((c) => after === null || c.clientId > after);
      const page = behind.slice(0, limit);
      const next = behind.length <= limit ? null : page.at(-1)!.clientId;
      return Promise.resolve({ clients: page, next });
    },
    client: (id) => {
      const known = clients.get(id);
      return id === 'broken'
        ? Promise.reject(new Error('disk'))
        : Promise.resolve(known === undefined ? null : { ...known, ...detail });
    },
    history: () => Promise.resolve([]),
    removeSession: (id) => Promise.resolve(clients.delete(id)),
    disconnect: (id) => Promise.resolve(clients.delete(id)),
    counters: () => ({}),
    subscriptions: () => Promise.resolve({ clients: [], next: null }),
    publish: (_caller, messages) =>
      Promise.resolve(
        messages.map(() => ({ reasonCode: 0, stored: null, filters: [], subscriptions: 0 })),
      ),
    retained: () => Promise.resolve({ messages: [], next: null }),
    retainedOf: () => Promise.resolve(null),
    groups: () => Promise.resolve([]),
    queues: () => Promise.resolve([]),
    queue: () => Promise.resolve(null),
    peek: () => Promise.resolve(null),
    deadLetters: {
      list: () => Promise.resolve([]),
      one: () => Promise.resolve(null),
      replay: () => Promise.resolve(false),
      purge: () => Promise.resolve(0),
    },
    bans: threeBans(),
    delayed: () => Promise.resolve([]),
    cancelDelayed: () => Promise.resolve(false),
  };
}

interface Listed {
  readonly banned: readonly { readonly kind: string; readonly who: string }[];
  readonly next: string | null;
  readonly endsAtMs: number | null;
}

/** Bans at the time 1000, with room for three. */
function threeBans(): OpsSource['bans'] {
  const bans = new Map<string, Awaited<ReturnType<OpsSource['bans']['list']>>[number]>();
  return {
    list: (after, limit, kind) =>
      Promise.resolve(
        [...bans]
          .filter(([key, ban]) => key > after && (kind ?? ban.kind) === ban.kind)
          .toSorted(([one], [other]) => (one < other ? -1 : 1))
          .slice(0, limit)
          .map(([, ban]) => ban),
      ),
    put: ({ end, ...wanted }) => {
      const endsAtMs = end === null ? null : 'atMs' in end ? end.atMs : 1000 + end.forMs;
      const key = `${wanted.kind} ${wanted.who}`;
      if (endsAtMs !== null && endsAtMs <= 1000) return Promise.resolve('over');
      if (bans.size >= 3 && !bans.has(key)) return Promise.resolve('full');
      const ban = { ...wanted, createdAtMs: 1000, endsAtMs };
      bans.set(key, ban);
      return Promise.resolve(ban);
    },
    remove: (kind, who) => Promise.resolve(bans.delete(`${kind} ${who}`)),
  };
}

const limits = { timeoutMs: 10_000, connectionsMax: 256 };

let ops: RunningOps | undefined;
afterEach(async () => {
  await ops?.close();
  ops = undefined;
});

interface Started {
  readonly url: string;
  readonly lifecycle: Lifecycle;
  readonly metrics: Metrics;
}

async function start(
  ids: readonly string[],
  token: string | null = null,
  tokensFile: string | null = null,
): Promise<Started> {
  const lifecycle = new Lifecycle(() => {});
  const metrics = new Metrics();
  ops = await startOps({
    bind: '127.0.0.1',
    port: 0,
    token,
    tokensFile,
    limits,
    readiness: lifecycle,
    metrics,
    local: { nodeId: 'n1', config: () => [], logLevel: () => 'info', setLogLevel: () => {} },
    source: sourceOf(ids),
    log: silentLogs().ops,
  });
  return { url: `http://127.0.0.1:${ops.port}`, lifecycle, metrics };
}

/** The status under another `Host` header, which `fetch` does not allow. */
function statusWithHost(url: string, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const get = request(url, { headers: { host } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    get.on('error', reject).end();
  });
}

test('readyz follows the life of the process; healthz does not', async () => {
  const { url, lifecycle } = await start([]);
  const ready = async (): Promise<string> => {
    const answer = await fetch(`${url}/readyz`);
    return `${answer.status} ${await answer.text()}`;
  };
  assert.equal(await ready(), '503 starting\n');
  lifecycle.started();
  assert.equal(await ready(), '200 ready\n');
  let missing: string | null = 'store: disk full';
  lifecycle.needs(() => missing);
  assert.equal(await ready(), '503 not ready: store: disk full\n');
  assert.equal((await fetch(`${url}/healthz`)).status, 200);
  missing = null;
  assert.equal(await ready(), '200 ready\n');
  let notice: string | null = 'away: broker-b';
  lifecycle.notes(() => notice);
  assert.equal(await ready(), '200 ready\nnote: away: broker-b\n');
  notice = null;
  assert.equal(await ready(), '200 ready\n');
  await lifecycle.stop();
  assert.equal(await ready(), '503 stopping\n');
});

test('errors have one form, whoever finds them', async () => {
  const { url, lifecycle } = await start(['a']);
  lifecycle.started();
  const error = async (path: string, init: RequestInit = {}): Promise<[number, string]> => {
    const answer = await fetch(`${url}${path}`, init);
    assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
    const body = (await answer.json()) as Record<string, unknown>;
    assert.deepEqual(Object.keys(body), ['type', 'title', 'status', 'detail'], path);
    assert.equal(body['status'], answer.status);
    return [answer.status, String(body['detail'])];
  };
  assert.deepEqual(await error('/nowhere'), [404, 'there is no such address']);
  assert.deepEqual(await error('/api/v1/nowhere'), [404, 'there is no such address']);
  assert.deepEqual(await error('/api/v1/clients/nobody'), [404, 'there is no such client']);
  assert.equal((await error('/api/v1/clients/a', { method: 'PUT' }))[0], 404);
  assert.equal((await error('/api/v1/clients/%zz'))[0], 400);
  assert.equal((await error('/api/v1/clients?limit=x'))[0], 400);
  assert.equal((await error('/api/v1/clients/broken'))[1], 'internal error');
  for (const path of ['nodes', 'nodes/n1', 'clients', 'clients/a'])
    assert.equal((await error(`/api/v1/${path}?usr=fred`))[0], 400, path);
  let missing: string | null = 'Redis does not answer';
  lifecycle.needs(() => missing);
  assert.deepEqual(await error('/api/v1/clients/broken'), [
    503,
    'not ready: Redis does not answer',
  ]);
  missing = null;
});

test('a request that is none gets an error of the same form', async () => {
  const { url } = await start([]);
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.end('no request\r\n\r\n');
  const answer = await text(socket);
  assert.match(answer, /^HTTP\/1\.1 400 /);
  assert.match(answer, /^content-type: application\/problem\+json/m);
  assert.match(answer, /\r\n\r\n\{"type":.*"status":400,"detail":"[^"]+"\}$/);
});

test('metrics gives what was counted', async () => {
  const { url, metrics } = await start([]);
  metrics.limits.MAX_CONNECTIONS += 3;
  metrics.histogram('lmqtt_x_seconds', 'x', [0.1, 1]).record(0.5);
  const answer = await fetch(`${url}/metrics`);
  const text = await answer.text();
  assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  assert.match(text, /^lmqtt_limit_total\{limit="max_connections"\} 3$/m);
  assert.match(text, /^lmqtt_x_seconds_bucket\{le="0.1"\} 0$/m);
  assert.match(text, /^lmqtt_x_seconds_bucket\{le="\+Inf"\} 1$/m);
});

test('clients come in pages', async () => {
  const { url } = await start(['a', 'b', 'c']);
  const page = async (query: string): Promise<unknown> => {
    const answer = (await (await fetch(`${url}/api/v1/clients?${query}`)).json()) as {
      clients: { clientId: string }[];
      next: string | null;
    };
    return [answer.clients.map((c) => c.clientId).join(''), answer.next];
  };
  assert.deepEqual(await page('limit=2'), ['ab', 'b']);
  assert.deepEqual(await page('limit=2&after=b'), ['c', null]);
  assert.equal((await fetch(`${url}/api/v1/clients?limit=0`)).status, 400);
  assert.equal((await fetch(`${url}/api/v1/clients?limit=1001`)).status, 400);
});

test('a client is found, disconnected and gone, whatever its id', async () => {
  const ids = ['plain', 'a/b?c#d %ü', 'x'.repeat(65_535)];
  const { url, metrics } = await start(ids);
  for (const id of ids) {
    const one = `${url}/api/v1/clients/${encodeURIComponent(id)}`;
    assert.equal(((await (await fetch(one)).json()) as ClientStatus).clientId, id);
    assert.equal((await fetch(one, { method: 'DELETE' })).status, 204);
    assert.equal((await fetch(one)).status, 404);
    assert.equal((await fetch(one, { method: 'DELETE' })).status, 404);
  }
  const counted = await metrics.registry.metrics();
  assert.match(counted, /lmqtt_ops_events_total\{event="disconnect_asked"\} 6/);
});

test('nodes are listed', async () => {
  const { url } = await start(['a']);
  const { nodes } = (await (await fetch(`${url}/api/v1/nodes`)).json()) as { nodes: unknown[] };
  assert.equal(nodes.length, 1);
  assert.deepEqual(await (await fetch(`${url}/api/v1/nodes/n1`)).json(), nodes[0]);
  assert.equal((await fetch(`${url}/api/v1/nodes/n2`)).status, 404);
});

test('a failure inside is answered without its cause', async () => {
  const { url } = await start([]);
  const answer = await fetch(`${url}/api/v1/clients/broken`);
  assert.equal(answer.status, 500);
  assert.equal(((await answer.json()) as { detail: string }).detail, 'internal error');
});

test('with a token REST wants it, and health and metrics do not', async () => {
  const { url } = await start([], 'sesame');
  const code = async (authorization: string): Promise<number> =>
    (await fetch(`${url}/api/v1/nodes`, { headers: { authorization } })).status;
  assert.equal(await code('Bearer sesame'), 200);
  assert.equal(await code('Bearer other'), 401);
  assert.equal((await fetch(`${url}/api/v1/nodes`)).status, 401);
  assert.equal((await fetch(`${url}/metrics`)).status, 200);
});

const file = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');
const line = (name: string, role: string, token: string): string =>
  `${name}:${role}:${createHash('sha256').update(token).digest('hex')}`;

test('tokens of a file have roles, and are read again', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'lmqtt-tokens-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'tokens');
  await writeFile(
    path,
    file(['# tokens', line('ann', 'viewer', 'a'), line('bob', 'operator', 'b')]),
  );
  const { url, metrics } = await start(['x'], 'sesame', path);
  const code = async (token: string, method = 'GET', route = 'clients/x'): Promise<number> => {
    const headers = { authorization: `Bearer ${token}` };
    return (await fetch(`${url}/api/v1/${route}`, { method, headers })).status;
  };
  assert.equal(await code('a'), 200);
  assert.equal(await code('a', 'DELETE'), 403);
  assert.equal(await code('b', 'DELETE'), 204);
  assert.equal(await code('sesame'), 404);
  assert.equal(await code('c'), 401);
  await writeFile(path, file([line('carl', 'viewer', 'c')]));
  while ((await code('c', 'GET', 'nodes')) !== 200) await delay(50);
  assert.equal(await code('a', 'GET', 'nodes'), 401);
  const counted = await metrics.registry.metrics();
  assert.match(counted, /lmqtt_ops_events_total\{event="acted"\} 2/);
});

test('a file of tokens that cannot be used ends the start', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'lmqtt-tokens-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'tokens');
  await writeFile(path, file([line('ann', 'queen', 'a')]));
  await assert.rejects(start([], null, path), /line 1: the role must be viewer, operator, admin/);
});

test('requests that another node has let in are answered, and a header does not let in', async () => {
  const { url } = await start(['a'], 'sesame');
  const caller = { name: 'ann', role: 'viewer', user: 'ann', address: '10.0.0.1 at cs-1' } as const;
  const ask = (method: string, path: string): Promise<InnerAnswer> | undefined =>
    ops?.answer({ caller, method, url: `/api/v1/${path}`, body: '' });
  assert.equal((await ask('GET', 'clients/a'))?.status, 200);
  assert.equal((await ask('DELETE', 'clients/a'))?.status, 403);
  const headers = { 'x-lmqtt-inner': 'x'.repeat(300) };
  assert.equal((await fetch(`${url}/api/v1/clients`, { headers })).status, 401);
});

test('a node passes on what another knows, with the caller, and answers as that one does', async (t) => {
  const passed: InnerRequest[] = [];
  const running = await startOps({
    ...{ bind: '127.0.0.1', port: 0, token: null, tokensFile: null, limits },
    readiness: new Lifecycle(() => {}),
    metrics: new Metrics(),
    local: { nodeId: 'n1', config: () => [], logLevel: () => 'info', setLogLevel: () => {} },
    source: {
      nodes: undefined,
      forward: (inner) => {
        passed.push(inner);
        return Promise.resolve({
          status: 404,
          contentType: 'application/problem+json',
          body: '{}',
        });
      },
    },
    log: silentLogs().ops,
  });
  t.after(() => running.close());
  const url = `http://127.0.0.1:${running.port}/api/v1`;
  const answer = await fetch(`${url}/clients/a%20b`, { method: 'DELETE' });
  assert.equal(answer.status, 404);
  assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
  assert.equal(await answer.text(), '{}');
  assert.equal((await fetch(`${url}/clients?user2=fred`)).status, 400);
  assert.equal((await fetch(`${url}/openapi.json`)).status, 200);
  assert.deepEqual(
    passed.map(({ method, url: path, caller }) => [method, path, caller.role]),
    [['DELETE', '/api/v1/clients/a%20b', 'admin']],
  );
});

test('a node drains, whichever node is asked; its own clients also where no other is reached', async (t) => {
  const passed: InnerRequest[] = [];
  const own: boolean[] = [];
  const running = await startOps({
    ...{ bind: '127.0.0.1', port: 0, token: null, tokensFile: null, limits },
    readiness: new Lifecycle(() => {}),
    metrics: new Metrics(),
    local: {
      ...{ nodeId: 'n1', config: () => [], logLevel: () => 'info', setLogLevel: () => {} },
      drain: (draining) => {
        own.push(draining);
        return Promise.resolve();
      },
    },
    source: {
      nodes: undefined,
      forward: (inner) => {
        passed.push(inner);
        return Promise.resolve({ status: 202, contentType: 'application/json', body: '{}' });
      },
    },
    log: silentLogs().ops,
  });
  t.after(() => running.close());
  const post = async (path: string): Promise<[number, unknown]> => {
    const url = `http://127.0.0.1:${running.port}/api/v1/nodes/${path}`;
    const answer = await fetch(url, { method: 'POST' });
    return [answer.status, await answer.json()];
  };
  assert.deepEqual(await post('n1/drain'), [202, { id: 'n1', draining: true }]);
  assert.deepEqual(await post('n1/undrain'), [202, { id: 'n1', draining: false }]);
  assert.deepEqual(own, [true, false]);
  assert.deepEqual(passed, []);
  assert.deepEqual(await post('n2/drain'), [202, {}]);
  assert.deepEqual(
    passed.map(({ method, url }) => [method, url]),
    [['POST', '/api/v1/nodes/n2/drain']],
  );
});

test('to drain is for operators, and not for the only ds', async () => {
  const { url } = await start([], 'sesame');
  const headers = { authorization: 'Bearer sesame' };
  const post = async (id: string): Promise<number> =>
    (await fetch(`${url}/api/v1/nodes/${id}/drain`, { method: 'POST', headers })).status;
  assert.equal(await post('cs-1'), 202);
  assert.equal(await post('only-ds'), 409);
  assert.equal(await post('nobody'), 404);
  const caller = { name: 'ann', role: 'viewer', user: 'ann', address: '' } as const;
  const request = { caller, method: 'POST', url: '/api/v1/nodes/cs-1/drain', body: '' };
  assert.equal((await ops?.answer(request))?.status, 403);
});

test('bans are put and removed by operators, in one form, and listed in pages', async () => {
  const { url } = await start([], 'sesame');
  const headers = { authorization: 'Bearer sesame', 'content-type': 'application/json' };
  const ask = async (method: string, path: string, body?: object): Promise<[number, Listed]> => {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const { authorization } = headers;
    const given = body === undefined ? { authorization } : headers;
    const answer = await fetch(`${url}/api/v1${path}`, { method, headers: given, ...sent });
    const text = await answer.text();
    return [answer.status, (text === '' ? {} : JSON.parse(text)) as Listed];
  };
  const address = `/banned/address/${encodeURIComponent('10.1.2.3/8')}`;
  const [status, ban] = await ask('PUT', address, { reason: 'noise', forS: 60 });
  assert.equal(status, 200);
  assert.deepEqual(ban, {
    ...{ kind: 'address', who: '10.0.0.0/8', reason: 'noise', by: 'OPS_TOKEN' },
    ...{ createdAtMs: 1000, endsAtMs: 61_000 },
  });
  assert.equal((await ask('PUT', '/banned/client/a%2Fb', {}))[1].endsAtMs, null);
  assert.equal((await ask('PUT', '/banned/user/ann', { endsAtMs: 5000 }))[1].endsAtMs, 5000);
  const refused: readonly (readonly [string, object, number])[] = [
    ['/banned/address/nowhere', {}, 400],
    ['/banned/address/10.0.0.0%2F33', {}, 400],
    ['/banned/topic/a', {}, 400],
    ['/banned/client/a', { untl: 1 }, 400],
    ['/banned/client/a', { forS: 0 }, 400],
    ['/banned/client/a', { forS: 1, endsAtMs: 5000 }, 400],
    ['/banned/client/a', { endsAtMs: 999 }, 400],
    ['/banned/client/a', { reason: 'x'.repeat(257) }, 400],
    ['/banned/client/fourth', {}, 409],
  ];
  for (const [path, body, code] of refused)
    assert.equal((await ask('PUT', path, body))[0], code, `${path} ${JSON.stringify(body)}`);
  const keys: string[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const from: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const [, page]: [number, Listed] = await ask('GET', `/banned?limit=2${from}`);
    keys.push(...page.banned.map(({ kind, who }) => `${kind} ${who}`));
    cursor = page.next;
  }
  assert.deepEqual(keys, ['address 10.0.0.0/8', 'client a/b', 'user ann']);
  assert.equal((await ask('GET', '/banned?kind=user'))[1].banned.length, 1);
  assert.equal((await ask('GET', '/banned?kin=user'))[0], 400);
  assert.equal(
    (await ask('DELETE', `/banned/address/${encodeURIComponent('10.9.9.9/8')}`))[0],
    204,
  );
  assert.equal((await ask('DELETE', '/banned/client/nobody'))[0], 404);
  const caller = { name: 'ann', role: 'viewer', user: 'ann', address: '' } as const;
  const asViewer = async (method: string, at: string, body = ''): Promise<number | undefined> =>
    (await ops?.answer({ caller, method, url: `/api/v1/banned${at}`, body }))?.status;
  assert.equal(await asViewer('GET', ''), 200);
  assert.equal(await asViewer('PUT', '/client/a', '{}'), 403);
  assert.equal(await asViewer('DELETE', '/client/a'), 403);
});

test('the interface describes itself, for programs and for people', async () => {
  const { url } = await start([]);
  const api = (await (await fetch(`${url}/api/v1/openapi.json`)).json()) as {
    openapi: string;
    paths: Record<string, Record<string, { operationId?: string; responses: object }>>;
  };
  assert.equal(api.openapi, '3.1.0');
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, route] of Object.entries(methods)) {
      assert.ok(route.operationId, `${method} ${path}`);
      assert.ok('default' in route.responses, `${method} ${path}`);
    }
  }
  const page = await fetch(`${url}/api/v1/docs`);
  assert.match(page.headers.get('content-type') ?? '', /^text\/html/);
  assert.doesNotMatch(page.headers.get('content-security-policy') ?? 'unsafe', /unsafe/);
  assert.doesNotMatch(await page.text(), /https?:/);
});

test('without a token a foreign host name is refused', async () => {
  const { url } = await start([]);
  assert.equal(await statusWithHost(`${url}/api/v1/nodes`, 'localhost:9090'), 200);
  assert.equal(await statusWithHost(`${url}/api/v1/nodes`, 'elsewhere.example'), 401);
});

test('a port in use rejects with the error of the socket', async () => {
  const { url } = await start([]);
  const again = startOps({
    bind: '127.0.0.1',
    port: Number(new URL(url).port),
    token: null,
    tokensFile: null,
    limits,
    readiness: new Lifecycle(() => {}),
    metrics: new Metrics(),
    local: { nodeId: 'n1', config: () => [], logLevel: () => 'info', setLogLevel: () => {} },
    source: sourceOf([]),
    log: silentLogs().ops,
  });
  await assert.rejects(again, { code: 'EADDRINUSE' });
});
