// Listeners of the file LISTENERS: each with its own TLS, certificates by the name that is asked for,
// sources of users, PROXY protocol and limit.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { createWebSocketStream, WebSocket } from 'ws';
import type { Broker } from '../harness/broker.ts';
import { auth, connect, type ConnectFields } from '../harness/packets.ts';
import { passwordFileOf } from '../harness/password-file.ts';
import { requirePrograms } from '../harness/require.ts';
import { Rest } from '../harness/rest.ts';
import { ScramClient } from '../harness/scram.ts';
import { startBroker } from '../harness/shape.ts';
import { closeAllClients, connectRaw, deadlineMs, RawClient, unique } from '../harness/wire.ts';
import { Authority, type Pair, replaceFile } from './authority.ts';

const main = join(import.meta.dirname, '../../../services/standalone/dist/src/main.js');
const openssl = requirePrograms('openssl');
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-listeners-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'listeners.json');

async function code(client: RawClient, fields: ConnectFields = {}): Promise<number> {
  client.version = fields.version ?? 5;
  client.send(connect({ version: 5, clientId: unique(), ...fields }));
  return (await client.expect('connack')).reason;
}

/** Resolves when the log has the pattern. */
async function logged(broker: Broker, pattern: RegExp): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!pattern.test(broker.logs())) {
    assert.ok(performance.now() < endMs, `the log does not have ${pattern}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const ann = { username: 'ann', password: 'right' };

/** The file with one user more, `sam`, who has keys for SCRAM. */
function withScramUser(path: string): string {
  const args = [main, 'passwd', '--file', path, '--stdin', 'add', 'sam'];
  assert.equal(spawnSync(process.execPath, args, { input: 'of sam\n' }).status, 0);
  return path;
}

void describe('listeners of a file', openssl, () => {
  let broker: Broker;
  let authority: Authority;
  let named: Pair;
  before(async () => {
    authority = new Authority();
    const [plain, wild] = [authority.sign('plain'), authority.sign('wild')];
    named = authority.sign('named');
    const own = { tlsCert: plain.cert, tlsKey: plain.key };
    const certificates = [
      { names: ['a.example', 'b.example'], tlsCert: named.cert, tlsKey: named.key },
      { names: ['*.c.example'], tlsCert: wild.cert, tlsKey: wild.key },
    ];
    const listeners = [
      { name: 'names', kind: 'mqtts', port: 0, ...own, certificates },
      {
        ...{ name: 'devices', kind: 'wss', port: 0, ...own, certificates, wsPath: '/devices' },
        ...{ tlsCa: authority.root.cert, tlsClientCert: 'required', certUser: 'cn' },
        ...{ tlsMinVersion: '1.3', authentication: ['certificate'] },
      },
      { name: 'guests', kind: 'mqtt', port: 0, authentication: ['anonymous'] },
      { name: 'few', kind: 'mqtt', port: 0, maxConnections: 1 },
      { name: 'scarce', kind: 'mqtt', port: 0, maxConnections: 1 },
      { name: 'proxied', kind: 'mqtt', port: 0, proxyProtocolFrom: '127.0.0.1' },
    ];
    writeFileSync(file, JSON.stringify(listeners));
    broker = await startBroker({
      settings: {
        ...{ LISTENERS: file, ALLOW_ANONYMOUS: 'false' },
        PASSWORD_FILE: withScramUser(passwordFileOf({ ann: 4 })),
      },
    });
  });
  after(async () => {
    closeAllClients();
    await broker?.stop();
    authority?.remove();
  });

  const secure = async (port: number, options: tls.ConnectionOptions): Promise<tls.TLSSocket> => {
    const trust = { ...authority.trust(), checkServerIdentity: () => undefined };
    const socket = tls.connect({ host: '127.0.0.1', port, ...trust, ...options });
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(deadlineMs) });
    return socket;
  };
  const shown = async (servername?: string): Promise<string> => {
    const socket = await secure(
      broker.portOf('names'),
      servername === undefined ? {} : { servername },
    );
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return CN;
  };

  void test('the certificate is that of the name that the client asks for', async () => {
    const asked = [
      'a.example',
      'B.example',
      'x.c.example',
      'x.y.c.example',
      'c.example',
      undefined,
    ];
    const names = await Promise.all(asked.map((each) => shown(each)));
    assert.deepEqual(names, ['named', 'named', 'wild', 'plain', 'plain', 'plain']);
  });

  void test('a certificate of a name is read again', async () => {
    const next = authority.sign('renewed');
    replaceFile(named.key, next.key);
    replaceFile(named.cert, next.cert);
    const endMs = performance.now() + deadlineMs;
    while ((await shown('a.example')) !== 'renewed') {
      assert.ok(performance.now() < endMs, 'the old certificate is still shown');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.equal(await shown(), 'plain');
  });

  void test('a listener has its own certificates of clients, TLS version and path', async () => {
    const url = `wss://127.0.0.1:${broker.portOf('devices')}/devices`;
    const open = async (options: object): Promise<RawClient> => {
      const webSocket = new WebSocket(url, 'mqtt', options);
      await once(webSocket, 'open', { signal: AbortSignal.timeout(deadlineMs) });
      return new RawClient(createWebSocketStream(webSocket));
    };
    const trust = authority.trust(authority.sign('pump-1'));
    assert.equal(await code(await open(trust)), 0);
    // The password is right, and no source of this listener.
    assert.equal(await code(await open(trust), ann), 0x86);
    await assert.rejects(open(authority.trust()));
    await assert.rejects(open({ ...trust, maxVersion: 'TLSv1.2' }));
  });

  void test('a listener says which sources of users count', async () => {
    const at = (name: string): Promise<RawClient> => connectRaw(broker.portOf(name));
    assert.equal(await code(await at('guests')), 0);
    assert.equal(await code(await at('guests'), ann), 0, 'a name that nobody checks');
    assert.equal(await code(await at('few')), 0x87);
    assert.equal(await code(await connectRaw(broker.mqttPort)), 0x87);
    assert.equal(await code(await connectRaw(broker.mqttPort), ann), 0);
  });

  void test('a listener has its own limit of connections', async () => {
    const port = broker.portOf('few');
    const first = await connectRaw(port);
    assert.equal(await code(first, ann), 0);
    assert.equal(await code(await connectRaw(port), ann), 0x97);
    assert.equal(await code(await connectRaw(port), { ...ann, version: 4 }), 3);
    assert.equal((await broker.metrics()).get('lmqtt_listener_connections{listener="few"}'), 1);
    await logged(broker, /"listener":"few".*too many connections to few/);
    first.destroy();
    const endMs = performance.now() + deadlineMs;
    while ((await code(await connectRaw(port), ann)) !== 0)
      assert.ok(performance.now() < endMs, 'no room after the end of the only connection');
  });

  void test('a client that has not come in yet takes no place of a listener, and may come too late', async () => {
    const port = broker.portOf('scarce');
    const early = await connectRaw(port, { version: 5 });
    const exchange = new ScramClient('sam', 'of sam');
    const saying = (text: string): object => ({
      authenticationMethod: 'SCRAM-SHA-256',
      authenticationData: Buffer.from(text),
    });
    early.send(connect({ version: 5, clientId: unique(), properties: saying(exchange.first) }));
    const { properties } = await early.expect('auth');
    const late = await connectRaw(port);
    assert.equal(await code(late, ann), 0);
    const { message } = exchange.final(String(properties.authenticationData));
    early.send(auth({ reason: 0x18, properties: saying(message) }));
    await early.expect('connack', { reason: 0x97 });
    await late.ping();
    assert.equal((await broker.metrics()).get('lmqtt_listener_connections{listener="scarce"}'), 1);
  });

  void test('a listener reads the PROXY protocol for itself', async () => {
    const port = broker.portOf('proxied');
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    await once(socket, 'connect');
    socket.write('PROXY TCP4 192.0.2.77 198.51.100.1 56324 1883\r\n');
    const clientId = unique();
    assert.equal(await code(new RawClient(socket), { ...ann, clientId }), 0);
    await logged(broker, /"address":"192\.0\.2\.77","listener":"proxied"/);
    const status = await fetch(`http://127.0.0.1:${broker.opsPort}/api/v1/clients/${clientId}`);
    const { connection } = (await status.json()) as { connection: Record<string, unknown> };
    assert.deepEqual([connection['address'], connection['listener']], ['192.0.2.77', 'proxied']);
    // Without it on the others.
    assert.equal(await code(await connectRaw(broker.mqttPort), ann), 0);
  });
});

void describe('namespaces', () => {
  let broker: Broker;
  before(async () => {
    const rules = join(folder, 'rules');
    writeFileSync(
      rules,
      'deny all publish %mclosed/#\nallow user=* all %m#\nallow user=root all #\n',
    );
    const mounted = join(folder, 'mounted.json');
    const one = { name: 'tenants', kind: 'mqtt', port: 0, mount: 'tenants/%u/' };
    writeFileSync(mounted, JSON.stringify([one]));
    broker = await startBroker({
      settings: {
        ...{ LISTENERS: mounted, ACL_FILE: rules, ALLOW_ANONYMOUS: 'false' },
        PASSWORD_FILE: passwordFileOf({ ann: 4, bob: 4, root: 4, 'x/y': 4 }),
        P2P: 'true',
      },
    });
  });
  after(async () => {
    closeAllClients();
    await broker?.stop();
  });

  const of = async (username: string, fields: ConnectFields = {}): Promise<RawClient> => {
    const port = username === 'root' ? broker.mqttPort : broker.portOf('tenants');
    const client = await connectRaw(port);
    assert.equal(await code(client, { username, password: 'right', ...fields }), 0);
    return client;
  };
  const publish = async (client: RawClient, topic: string, more = {}): Promise<number> => {
    const packetId = client.nextPacketId();
    client.sendPublish({ topic, qos: 1, packetId, payload: topic, ...more });
    return (await client.find('puback', { packetId })).reason;
  };

  void test('a client sees the topics of its own namespace alone, by its own names', async () => {
    const [ann, other, bob, root] = await Promise.all([
      of('ann'),
      of('ann'),
      of('bob'),
      of('root'),
    ]);
    await ann.subscribe(['#', '$share/g/shared/+'], 1, { reasons: [1, 1] });
    await bob.subscribe(['#'], 1, { reasons: [1] });
    await root.subscribe(['tenants/#'], 1, { reasons: [1] });
    assert.equal(await publish(root, 'tenants/ann'), 0);
    assert.equal(await publish(root, 'tenants/ann/$x'), 0);
    assert.equal(await publish(root, 'tenants/bob/from/root'), 0);
    assert.equal(await publish(other, 'a/b'), 0);
    assert.equal((await ann.expect('publish')).topic, 'a/b');
    assert.equal((await bob.expect('publish')).topic, 'from/root');
    for (const topic of [
      'tenants/ann',
      'tenants/ann/$x',
      'tenants/bob/from/root',
      'tenants/ann/a/b',
    ])
      await root.find('publish', { topic });
    assert.equal(await publish(other, '$delayed/0/late'), 0);
    assert.equal((await ann.expect('publish')).topic, 'late');
    assert.equal(await publish(other, '$x/y'), 0x90);
    assert.equal(await publish(other, 'closed/x'), 0x87);
    await ann.unsubscribe('#');
    assert.equal(await publish(other, 'shared/x'), 0);
    assert.equal((await ann.expect('publish')).topic, 'shared/x');
  });

  void test('retained messages, wills, aliases and response topics are of the namespace', async () => {
    const will = { topic: 'will', payload: 'w', qos: 1 };
    const [ann, gone] = await Promise.all([of('ann'), of('ann', { will })]);
    const properties = { responseTopic: 'answers', topicAlias: 1 };
    assert.equal(await publish(gone, 'kept/1', { retain: true, properties }), 0);
    assert.equal(await publish(gone, '', { properties: { topicAlias: 1 } }), 0);
    await ann.subscribe(['kept/+', 'will'], 1, { reasons: [1, 1] });
    const kept = await ann.expect('publish');
    assert.equal(kept.topic, 'kept/1');
    assert.equal(kept.properties?.['responseTopic'], 'answers');
    gone.destroy();
    assert.equal((await ann.find('publish', { topic: 'will' })).topic, 'will');
    const root = await of('root');
    await root.subscribe(['tenants/ann/kept/#'], 1, { reasons: [1] });
    assert.equal(
      (await root.expect('publish')).properties?.['responseTopic'],
      'tenants/ann/answers',
    );
  });

  void test('a session goes on in its namespace, and 3.1.1 has one as well', async () => {
    const clientId = unique();
    const first = await of('bob', { version: 4, clientId, clean: false });
    await first.subscribe(['later/#'], 1, { reasons: [1] });
    first.destroy();
    assert.equal(await publish(await of('bob'), 'later/1'), 0);
    const second = await of('bob', { version: 4, clientId, clean: false });
    assert.equal((await second.find('publish', { topic: 'later/1' })).topic, 'later/1');
  });

  void test('nobody in a namespace addresses clients; by REST they are addressed', async () => {
    const clientId = unique('addressed');
    const [ann, other, root] = await Promise.all([of('ann', { clientId }), of('ann'), of('root')]);
    assert.equal(await publish(other, `a/p2p/${clientId}`), 0x87);
    await logged(broker, /tenants\/ann\/a\/p2p.*publish denied/);
    const old = await of('ann', { version: 4 });
    for (const qos of [0, 1] as const)
      old.sendPublish({
        topic: `a/p2p/${clientId}`,
        payload: 'x',
        qos,
        ...(qos > 0 && { packetId: 1 }),
      });
    await old.expect('puback', { packetId: 1 });
    const wills = await connectRaw(broker.portOf('tenants'));
    const will = { topic: `a/p2p/${clientId}`, payload: 'w' };
    assert.equal(await code(wills, { username: 'ann', password: 'right', will }), 0x87);
    // A client without a namespace is understood, and is of no concern to one of a namespace.
    assert.equal(await publish(root, `a/p2p/${clientId}`), 0);
    const { body } = await new Rest(broker.opsPort).ask<{ subscriptions: number }>(
      'POST',
      '/publish',
      { clientId, payload: 'to one', qos: 1 },
    );
    assert.equal(body.subscriptions, 1);
    assert.equal((await ann.expect('publish')).payload.toString(), 'to one');
  });

  void test('REST has full names', async () => {
    const clientId = unique('rest');
    const [ann, bob] = await Promise.all([of('ann', { clientId }), of('bob')]);
    await ann.subscribe(['rest/+'], 1, { reasons: [1] });
    await bob.subscribe(['rest/+'], 1, { reasons: [1] });
    const rest = new Rest(broker.opsPort);
    const wouldGet = async (topic: string): Promise<string[]> => {
      const { subscriptions } = await rest.get<{
        subscriptions: { clientId: string; filter: string }[];
      }>(`/subscriptions?topic=${encodeURIComponent(topic)}`);
      return subscriptions.filter((one) => one.clientId === clientId).map(({ filter }) => filter);
    };
    assert.deepEqual(await wouldGet('tenants/ann/rest/1'), ['tenants/ann/rest/+']);
    assert.deepEqual(await wouldGet('rest/1'), []);
    assert.deepEqual(await wouldGet('tenants/bob/rest/1'), []);
    await rest.ask('POST', '/publish', { topic: 'rest/1', payload: 'nobody', qos: 1 });
    const forAnn = { topic: 'tenants/ann/rest/1', payload: 'for ann', qos: 1 };
    await rest.ask('POST', '/publish', forAnn);
    const came = await ann.expect('publish');
    assert.deepEqual([came.topic, came.payload.toString()], ['rest/1', 'for ann']);
    await bob.ping();
    await bob.expectNothing();
  });

  void test('who has no name for a namespace is refused', async () => {
    const client = await connectRaw(broker.portOf('tenants'));
    assert.equal(await code(client, { username: 'x/y', password: 'right' }), 0x87);
  });
});
