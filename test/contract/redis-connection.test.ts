import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseRedisUrl } from '@lmqtt/redis/address';
import { checkRedis, refusalOf } from '@lmqtt/ds/redis/checks';
import { openRedis, type RedisConnection } from '@lmqtt/ds/redis/connection';
import { RedisRefused, RedisUnavailable } from '@lmqtt/ds/redis/failure';
import { RedisKeys, sessionTags } from '@lmqtt/ds/redis/keys';
import { type RedisOptions, type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { until } from '../harness/redis/until.ts';
import { requirePrograms, requireRedis } from '../harness/require.ts';
import { ended, increment, opened, timeoutMs } from './redis-calls.ts';

const needed = requireRedis();

async function onRedis(
  t: TestContext,
  options: RedisOptions = {},
): Promise<{ server: RedisServer; connection: RedisConnection }> {
  const server = await startRedis(options);
  t.after(() => server.close());
  return { server, connection: await opened(t, server.url) };
}

/** Messages of the channel, and moments at which something may have been missed. */
async function hearing(
  t: TestContext,
  connection: RedisConnection,
): Promise<{ heard: string[]; gap: Promise<void> }> {
  const subscriber = await connection.openSubscriber();
  t.after(() => subscriber.close());
  const heard: string[] = [];
  await subscriber.subscribe('channel', (message) => heard.push(message));
  const gap = new Promise<void>((resolve) => {
    subscriber.onGap(resolve);
  });
  return { heard, gap };
}

void test('addresses', () => {
  const single = parseRedisUrl('rediss://me:p%40ss@host:1/2');
  assert.deepEqual(
    [single.kind, single.tls, single.username, single.password, single.database],
    ['single', true, 'me', 'p@ss', 2],
  );
  assert.deepEqual(single.hosts, [{ host: 'host', port: 1 }]);
  assert.equal(parseRedisUrl('redis://:secret@[::1]').password, 'secret');
  assert.equal(parseRedisUrl('redis://a:1,b:2').kind, 'cluster');
  assert.equal(parseRedisUrl('redis-cluster://a:1').kind, 'cluster');
  const sentinel = parseRedisUrl('redis-sentinel://a,b:2/main');
  assert.deepEqual([sentinel.kind, sentinel.masterName], ['sentinel', 'main']);
  assert.deepEqual(sentinel.hosts[0], { host: 'a', port: 26_379 });
  for (const url of [
    'http://a',
    'redis://',
    'redis://a:99999',
    'redis-sentinel://a',
    'redis://a/x',
  ]) {
    assert.throws(() => parseRedisUrl(url), /REDIS_URL/, url);
  }
});

void test('keys of a client share a tag, and the tags are used alike', () => {
  const keys = new RedisKeys('c1');
  assert.match(keys.session('client', 'state'), /^lmqtt:c1:\{s[0-9a-f]+\}:state$/);
  assert.equal(keys.retained('x'), 'lmqtt:c1:{ret}:x');
  assert.throws(() => new RedisKeys('a{b'), /CLUSTER_ID/);
  const used = new Map<string, number>();
  for (let index = 0; index < sessionTags * 16; index += 1) {
    const key = keys.session(`device-${index}`, '');
    used.set(key, (used.get(key) ?? 0) + 1);
  }
  assert.equal(used.size, sessionTags);
  assert.ok(Math.max(...used.values()) < 64);
});

void test('scripts, binary answers, errors, time, one write for a turn', needed, async (t) => {
  const { connection } = await onRedis(t, { password: 'secret' });
  assert.deepEqual(await connection.call(increment, ['k'], ['ä']), [1, 'ä']);
  const bytes = Buffer.from([0, 255, 10, 13]);
  assert.deepEqual(await connection.callBuffer(increment, ['k'], [bytes]), [2, bytes]);
  await connection.command('SCRIPT', 'FLUSH');
  assert.deepEqual(await connection.call(increment, ['k'], ['x']), [3, 'x']);
  await assert.rejects(connection.command('HGET', 'k', 'f'), RedisRefused);
  const many = Array.from({ length: 1000 }, () => connection.call(increment, ['n'], ['']));
  const answers = (await Promise.all(many)).map((reply) => (Array.isArray(reply) ? reply[0] : 0));
  assert.deepEqual(
    answers,
    Array.from({ length: 1000 }, (_, index) => index + 1),
  );
  const sent = Number(
    /total_net_input_bytes/.exec(String(await connection.command('INFO')))?.index,
  );
  assert.ok(sent > 0);
  await connection.measureTime();
  // Wrong by at most half of a round trip, which may take long where much else runs.
  assert.ok(Math.abs(connection.timeMs() - Date.now()) < 5000);
});

void test('a paused Redis: commands end in time, and go on when it does', needed, async (t) => {
  const { server, connection } = await onRedis(t);
  const blocking = await connection.openBlocking(100);
  t.after(() => blocking.close());
  server.pause();
  const sent = await ended(connection.call(increment, ['k'], ['']));
  assert.equal(sent.outcome, 'unknown');
  assert.ok(sent.ms < timeoutMs * 15, `${sent.ms} ms`);
  assert.equal(connection.up, false);
  const waited = await ended(connection.call(increment, ['k'], ['']));
  assert.equal(waited.outcome, 'not done');
  assert.ok(waited.ms < timeoutMs * 15, `${waited.ms} ms`);
  assert.equal(
    (await ended(blocking.command('XREAD', 'BLOCK', 100, 'STREAMS', 's', '$'))).outcome,
    'unknown',
  );
  const late = connection.call(increment, ['k'], ['late']);
  server.resume();
  const [count, text] = (await late) as [number, string];
  assert.equal(text, 'late');
  // A command sent to the paused server may have been done, one that waited here was not.
  assert.ok(count === 1 || count === 2, `${count}`);
  assert.equal(await blocking.command('XREAD', 'BLOCK', 50, 'STREAMS', 's', '$'), null);
});

void test('more than may wait fails at once', needed, async (t) => {
  const server = await startRedis();
  t.after(() => server.close());
  const options = { url: server.url, commandTimeoutMs: timeoutMs, waitingMax: 10 };
  const connection = await openRedis(options);
  t.after(() => connection.close());
  await server.kill9();
  await until(() => Promise.resolve(!connection.up), 5000, 'down');
  const all = Array.from({ length: 12 }, () => ended(connection.command('PING')));
  let waited = 0;
  for (const one of all.slice(0, 10)) void one.then(() => (waited += 1));
  const over = await Promise.all(all.slice(10));
  assert.equal(waited, 0, 'those that may wait still do');
  assert.ok(over.every(({ outcome }) => outcome === 'not done'));
  await server.start();
  assert.ok((await Promise.all(all.slice(0, 10))).every(({ outcome }) => outcome === 'done'));
});

void test(
  'kill -9 and restart: nothing is sent twice, scripts are known again',
  needed,
  async (t) => {
    const { server, connection } = await onRedis(t);
    const { heard, gap } = await hearing(t, connection);
    const states: boolean[] = [];
    connection.onState((up) => states.push(up));
    await connection.call(increment, ['k'], ['']);
    const work = Array.from({ length: 500 }, () => ended(connection.call(increment, ['k'], [''])));
    await server.kill9();
    const restartedMs = performance.now();
    await server.start();
    await connection.command('PING');
    t.diagnostic(
      `again after ${Math.round(performance.now() - restartedMs)} ms, the start included`,
    );
    const results = await Promise.all(work);
    const count = (outcome: string): number =>
      results.filter((result) => result.outcome === outcome).length;
    assert.equal(count('done') + count('unknown') + count('not done'), 500);
    const stored = Number(await connection.command('GET', 'k'));
    assert.ok(stored >= 1 + count('done') && stored <= 1 + count('done') + count('unknown'));
    assert.deepEqual(await connection.call(increment, ['k'], ['x']), [stored + 1, 'x']);
    assert.deepEqual(states, [false, true]);
    await gap;
    await connection.command('PUBLISH', 'channel', 'hello');
    await until(() => Promise.resolve(heard.length === 1), 5000, 'heard');
  },
);

void test('pub/sub: lost again as soon as it is ready', needed, async (t) => {
  const { server, connection } = await onRedis(t);
  let losses = 0;
  // Each connection after the first two ends when Redis has said that it is ready: five times.
  const front = createServer({ noDelay: true }, (near) => {
    const far = connect(server.port, server.host);
    t.after(() => far.destroy());
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.pipe(far);
    far.on('data', (bytes) => {
      near.write(bytes);
      if (cuts && losses < 5 && bytes.includes('redis_version')) {
        losses += 1;
        near.destroy();
      }
    });
    near.on('close', () => far.destroy());
    open.add(near);
  });
  const open = new Set<Socket>();
  let cuts = false;
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  t.after(() => front.close());
  const { port } = front.address() as AddressInfo;
  const far = await opened(t, `redis://127.0.0.1:${port}`);
  const { heard, gap } = await hearing(t, far);
  cuts = true;
  for (const socket of open) socket.destroy();
  await gap;
  assert.equal(losses, 5);
  await connection.command('PUBLISH', 'channel', 'hello');
  await until(() => Promise.resolve(heard.length === 1), 5000, 'heard');
});

void test('a wrong password, and nobody at the port, are said', needed, async (t) => {
  const server = await startRedis({ user: 'me', password: 'secret' });
  t.after(() => server.close());
  const url = server.url.replace('secret', 'wrong');
  await assert.rejects(openRedis({ url }), (error: Error) => {
    assert.match(error.message, /WRONGPASS/);
    assert.ok(!error.message.includes('wrong@'));
    return true;
  });
  await server.kill9();
  await assert.rejects(openRedis({ url, openTimeoutMs: 300 }), /ECONNREFUSED/);
});

void test('checks', needed, async (t) => {
  const { server, connection } = await onRedis(t, { conf: ['appendfsync everysec'] });
  const findings = await checkRedis(connection, { strict: true });
  const refusal = refusalOf(connection.where, findings);
  assert.match(refusal ?? '', /appendfsync is everysec: set `appendfsync always`/);
  const relaxed = await checkRedis(connection, { strict: false });
  assert.equal(refusalOf(connection.where, relaxed), undefined);
  await server.command('config', 'set', 'appendfsync', 'always');
  const good = await checkRedis(connection, { strict: true });
  assert.ok(good.every(({ state }) => state === 'ok'));
  await server.command('acl', 'setuser', 'few', 'on', '>few', '~*', '+@all', '-config', '-info');
  const few = await opened(t, server.url.replace('//', '//few:few@'));
  const unknown = await checkRedis(few, { strict: true });
  assert.ok(
    unknown.some(({ state, fix }) => state === 'warn' && fix.includes('permit CONFIG GET')),
  );
});

void test(
  'TLS, with a certificate of our own',
  requirePrograms('redis-server', 'openssl'),
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'lmqtt-redis-tls-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const names = ['-subj', '/CN=redis', '-addext', 'subjectAltName=IP:127.0.0.1'];
    spawnSync('openssl', ['req', '-x509', ...curve, ...names, '-keyout', key, '-out', cert]);
    const tls = { cert, key, ca: cert, clientCerts: true };
    const server = await startRedis({ tls, user: 'me', password: 'a:b' }).catch(
      (error: unknown) => {
        t.diagnostic(String(error));
      },
    );
    if (server === undefined) return;
    t.after(() => server.close());
    const url = server.url.replace('a:b', 'a%3Ab');
    const files = { tlsCa: cert, tlsCert: cert, tlsKey: key };
    const connection = await openRedis({ url, ...files, commandTimeoutMs: timeoutMs });
    t.after(() => connection.close());
    assert.equal(await connection.command('SET', 'a', 'x'.repeat(100_000)), 'OK');
    await assert.rejects(openRedis({ url, openTimeoutMs: 500 }), RedisUnavailable);
  },
);
