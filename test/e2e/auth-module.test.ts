// Modules of the operator's own: the example, and modules that fail in every way.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { moduleFileOf } from '../harness/module-file.ts';
import { startBroker } from '../harness/shape.ts';
import { Suite } from '../harness/suite.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const example = join(import.meta.dirname, '../../../examples/auth-module.mjs');

async function acknowledged(client: RawClient, topic: string): Promise<number> {
  const packetId = client.nextPacketId();
  client.sendPublish({ topic, qos: 1, packetId });
  return (await client.find('puback', { packetId })).reason;
}

void describe('the example of a module', () => {
  const suite = new Suite({ settings: { AUTH_MODULE: example, ALLOW_ANONYMOUS: 'false' } });

  void test('lets devices in by their HMAC, with rights below their identifier', async () => {
    for (const version of [3, 4, 5] as const) {
      const clientId = unique();
      const password = createHmac('sha1', 'secret').update(clientId).digest('base64');
      const client = await suite.client({ version, clientId, username: 'device', password });
      const wrong = await suite.open();
      const reason = version === 5 ? 0x86 : 4;
      const fields = { version, clientId: unique(), username: 'device', password };
      await wrong.connect({ ...fields, reason });
      const other = await suite.open();
      await other.connect({ ...fields, username: 'x', reason });
      if (version < 5) continue;
      assert.equal(await acknowledged(client, `devices/${clientId}/up`), 0x10);
      assert.equal(await acknowledged(client, `devices/${clientId}/command`), 0x87);
      assert.equal(await acknowledged(client, 'devices/other/up'), 0x87);
      const filters = [`devices/${clientId}/#`, 'devices/#', '#', 'devices/other'];
      await client.subscribe(filters, 1, { reasons: [1, 1, 1, 0x87] });
    }
  });
});

void describe('a module that fails', () => {
  const path = moduleFileOf(`
    export default {
      async authenticate({ username, clientid, password, peerhost, proto_ver }) {
        if (username === 'throws') throw new Error('of its own');
        if (username === 'slow') return new Promise(() => {});
        if (username === 'odd') return 5;
        if (username === 'rules') return { result: 'allow', acl: 'none' };
        if (username === 'seen') {
          const seen = [clientid, String(password), peerhost, proto_ver].join();
          return seen === 'the-client,p,127.0.0.1,5' ? 'allow' : 'deny';
        }
        return 'allow';
      },
      authorise({ action, topic, username }) {
        if (topic === 'throws') throw new Error('of its own');
        if (topic === 'odd') return 'yes';
        if (topic === 'promise') return Promise.resolve(true);
        return action === 'subscribe' ? username !== 'deaf' : undefined;
      },
    };
  `);
  const suite = new Suite({
    settings: { AUTH_MODULE: path, AUTH_MODULE_TIMEOUT_MS: '300', ALLOW_ANONYMOUS: 'false' },
  });

  void test('refuses the client or the topic, is counted and told', async () => {
    for (const username of ['throws', 'slow', 'odd', 'rules']) {
      for (const version of [4, 5] as const) {
        const client = await suite.open();
        const reason = version === 5 ? 0x88 : 3;
        await client.connect({ version, clientId: unique(), username, password: 'p', reason });
        await client.expectClose();
      }
    }
    await suite.client({ version: 5, clientId: 'the-client', username: 'seen', password: 'p' });
    const client = await suite.client({ version: 5, clientId: unique(), username: 'ann' });
    for (const topic of ['throws', 'odd', 'promise'])
      assert.equal(await acknowledged(client, topic), 0x87, topic);
    assert.equal(await acknowledged(client, 'good'), 0x10);
    await client.subscribe(['good', 'throws', '$share/g/odd'], 0, { reasons: [0, 0x87, 0x87] });
    const deaf = await suite.client({ version: 4, clientId: unique(), username: 'deaf' });
    await deaf.subscribe(['good'], 0, { reasons: [0x80] });
    assert.match(suite.broker.logs(), /"problem":"of its own"[^\n]*AUTH_MODULE fails/);
  });

  void test('one that cannot be loaded ends the start with a line', async () => {
    const wrong: Record<string, RegExp> = {
      ['/nowhere.mjs']: /nowhere/,
      [moduleFileOf('export const x = 1;')]: /default export/,
      [moduleFileOf('export default {};')]: /neither authenticate nor authorise/,
      [moduleFileOf('export default { authenticate: 5 };')]: /authenticate is no function/,
      [moduleFileOf('export default () => { throw new Error("no key"); };')]: /no key/,
      [moduleFileOf('export default {{')]: /AUTH_MODULE/,
    };
    for (const [module, expected] of Object.entries(wrong))
      await assert.rejects(startBroker({ settings: { AUTH_MODULE: module } }), expected);
  });
});

void describe('hooks of a module', () => {
  const log = moduleFileOf('');
  const path = moduleFileOf(`
    import { appendFileSync } from 'node:fs';
    const told = (hook, fields) => appendFileSync(${JSON.stringify(log)}, JSON.stringify({ hook, ...fields }) + '\\n');
    const later = (ms, said) => new Promise((resolve) => setTimeout(resolve, ms, said));
    let count = 0;
    export default {
      onConnect: (client) => told('onConnect', client),
      onDisconnect: async (client) => told('onDisconnect', client),
      onDeliver: (counts) => told('onDeliver', counts),
      onSubscribe({ filter, qos, clientid }) {
        if (filter === 'no') return false;
        if (filter === 'full') return later(5, 0x97);
        if (filter === 'low') return 0;
        if (filter === 'throws') throw new Error('of onSubscribe');
        if (filter === 'odd') return 'yes';
        return later(5);
      },
      async onPublish({ topic, payload, properties, clientid, will }) {},
    };
  `);
  const publishes = moduleFileOf(`
    import hooks from ${JSON.stringify(path)};
    const later = (ms, said) => new Promise((resolve) => setTimeout(resolve, ms, said));
    const before = (properties, key) =>
      ({ ...properties, userProperties: [...(properties.userProperties ?? []), { key, value: '1' }] });
    export default {
      ...hooks,
      onPublish({ topic, payload, properties, will, qos }) {
        const [first, second] = topic.split('/');
        if (first === 'order') return later(Number(String(payload)), true);
        if (first === 'changed')
          return { topic: 'other/' + second, payload: payload + '!', properties: before(properties, 'seen') };
        if (first === 'later') return later(5, { topic: 'other/' + second });
        if (first === 'plain') return { properties: null };
        if (first === 'code') return Number(second);
        if (first === 'no') return false;
        if (first === 'throws') throw new Error('of onPublish');
        if (first === 'slow') return new Promise(() => {});
        if (first === 'odd') return 'yes';
        if (first === 'bad') return { topic: 'a/#' };
        if (first === 'system') return { topic: '$SYS/broker/x' };
        if (will && topic === 'will/no') return later(5, false);
        if (will && topic === 'will/changed') return { topic: 'will/other' };
      },
    };
  `);
  const suite = new Suite({
    settings: { AUTH_MODULE: publishes, ALLOW_ANONYMOUS: 'true', HOOK_TIMEOUT_MS: '300' },
  });
  const lines = (): Record<string, unknown>[] =>
    readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const seen = async (is: (line: Record<string, unknown>) => boolean): Promise<void> => {
    const endMs = performance.now() + 30_000;
    while (!lines().some(is)) {
      assert.ok(performance.now() < endMs, `not told: ${JSON.stringify(lines())}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };

  void test('hear of clients that come and go, and how much was delivered', async () => {
    const clientId = unique();
    const client = await suite.client({ version: 5, clientId });
    await seen(({ hook, ...fields }) => hook === 'onConnect' && fields['clientid'] === clientId);
    const line = lines().find(({ clientid }) => clientid === clientId);
    const about = { peerhost: '127.0.0.1', proto_ver: 5, clean_start: true };
    assert.deepEqual(line, {
      ...{ hook: 'onConnect', clientid: clientId, ...about, session_present: false },
    });
    await client.subscribe('told', 0);
    client.sendPublish({ topic: 'told' });
    await client.find('publish', { topic: 'told' });
    await seen(({ hook, messages }) => hook === 'onDeliver' && Number(messages) > 0);
    await client.disconnect();
    await seen(({ hook, clientid }) => hook === 'onDisconnect' && clientid === clientId);
  });

  void test('onSubscribe refuses filters and lowers their QoS', async () => {
    const filters = ['no', 'full', 'low', 'throws', 'odd', 'fine', '$share/g/no'];
    const five = await suite.client({ version: 5, clientId: unique() });
    await five.subscribe(filters, 1, { reasons: [0x87, 0x97, 0, 0x83, 0x83, 1, 1] });
    const four = await suite.client({ version: 4, clientId: unique() });
    await four.subscribe(filters, 1, { reasons: [0x80, 0x80, 0, 0x80, 0x80, 1, 1] });
    // What was asked for first is there first, also while a hook takes its time.
    five.sendSubscribe({ packetId: 100, filters: [{ filter: 'gone', qos: 1 }] });
    five.sendUnsubscribe({ packetId: 101, filters: ['gone'] });
    await five.find('unsuback');
    five.discard();
    assert.ok((await acknowledged(five, 'gone')) < 0x80);
    await five.ping();
    assert.match(suite.broker.logs(), /"problem":"of onSubscribe"[^\n]*a hook fails/);
  });

  void test('onPublish changes and refuses messages', async () => {
    const reader = await suite.client({ version: 5, clientId: unique() });
    await reader.subscribe('#', 1);
    const client = await suite.client({ version: 5, clientId: unique() });
    for (const qos of [0, 1, 2] as const) {
      const fields = {
        qos,
        ...(qos === 0 ? {} : { packetId: 100 + qos }),
        payload: Buffer.from('x'),
      };
      const properties = { userProperties: [['a', 'b']] as [string, string][] };
      client.sendPublish({ topic: 'changed/1', ...fields, properties });
      const { payload, properties: got } = await reader.find('publish', { topic: 'other/1' });
      assert.equal(payload.toString(), 'x!');
      assert.deepEqual(got?.userProperties, [
        ['a', 'b'],
        ['seen', '1'],
      ]);
    }
    client.sendPublish({ topic: 'plain', qos: 0, properties: { contentType: 'text' } });
    const { properties } = await reader.find('publish', { topic: 'plain' });
    assert.equal(properties?.contentType, undefined);
    const expected: Readonly<Record<string, number>> = {
      ...{ no: 0x87, 'code/151': 0x97, 'code/153': 0x99, 'later/2': 0 },
      ...{ throws: 0x83, slow: 0x83, odd: 0x83, bad: 0x83, system: 0x83, 'code/5': 0x83 },
    };
    for (const [topic, code] of Object.entries(expected))
      assert.equal(await acknowledged(client, topic), code, topic);
    client.discard();
    client.sendPublish({ topic: 'throws', qos: 0 });
    await client.ping();
    await reader.find('publish', { topic: 'other/2' });
    const dropped = await suite.client({ version: 4, clientId: unique() });
    assert.equal(await acknowledged(dropped, 'no'), 0);
    for (const topic of ['throws', 'slow', 'odd']) {
      const old = await suite.client({ version: 4, clientId: unique() });
      old.sendPublish({ topic, qos: 1, packetId: 1 });
      await old.expectClose();
    }
    const metrics = await suite.broker.metrics();
    assert.ok((metrics.get('lmqtt_hooks_total{hook="onPublish",outcome="late"}') ?? 0) >= 1);
    assert.match(suite.broker.logs(), /"problem":"of onPublish"[^\n]*a hook fails/);
  });

  void test('the publishes of a client stay in their order, and none is lost when it leaves', async () => {
    const reader = await suite.client({ version: 5, clientId: unique() });
    const name = unique('name');
    await reader.subscribe(`order/${name}`, 0);
    for (const qos of [0, 1, 2] as const) {
      const client = await suite.client({ version: 5, clientId: unique() });
      const delays = [60, 5, 30, 1, 0, 20, 2];
      for (const [index, delay] of delays.entries())
        client.sendPublish({
          ...{ topic: `order/${name}`, payload: Buffer.from(String(delay)), qos },
          ...(qos === 0 ? {} : { packetId: index + 1 }),
        });
      // At QoS 0 it leaves at once.
      if (qos > 0)
        for (const index of delays.keys())
          await client.find(qos === 1 ? 'puback' : 'pubrec', { packetId: index + 1 });
      await client.disconnect();
      for (const delay of delays) {
        const { payload } = await reader.expect('publish');
        assert.equal(payload.toString(), String(delay));
      }
    }
  });

  void test('a will is judged when its client connects', async () => {
    const reader = await suite.client({ version: 5, clientId: unique() });
    await reader.subscribe('will/#', 0);
    const refused = await suite.open();
    const willOf = (topic: string): { topic: string; payload: Buffer } => ({
      ...{ topic, payload: Buffer.from('w') },
    });
    await refused.connect({
      version: 5,
      clientId: unique(),
      will: willOf('will/no'),
      reason: 0x87,
    });
    const client = await suite.client({
      version: 5,
      clientId: unique(),
      will: willOf('will/changed'),
    });
    client.destroy();
    await reader.find('publish', { topic: 'will/other' });
  });
});

void describe('the example of a webhook', async () => {
  const events: Record<string, unknown>[] = [];
  let came: () => void = () => {};
  const server = createServer({ noDelay: true }, (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      events.push(JSON.parse(body) as Record<string, unknown>);
      response.writeHead(204).end();
      came();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const webhook = join(import.meta.dirname, '../../../examples/webhook.mjs');
  // The module reads its address when it is loaded, which is after this line.
  const path = moduleFileOf(`
    process.env.WEBHOOK_URL = 'http://127.0.0.1:${port}/mqtt';
    export default async () => (await import(${JSON.stringify(webhook)})).default;
  `);
  const suite = new Suite({ settings: { AUTH_MODULE: path, ALLOW_ANONYMOUS: 'true' } });

  void test('it is told of clients that come and go', { timeout: 60_000 }, async () => {
    const clientid = unique();
    const told = async (event: string): Promise<void> => {
      while (!events.some((one) => one['event'] === event && one['clientid'] === clientid))
        await new Promise<void>((resolve) => (came = resolve));
    };
    const client = await suite.client({ version: 5, clientId: clientid });
    await told('connected');
    await client.disconnect();
    await told('disconnected');
  });
});
