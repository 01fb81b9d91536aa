// The PROXY protocol: who comes through a load balancer counts as coming from where its header
// says, on each listener, and nobody else can say where he comes from.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { createWebSocketStream, WebSocket } from 'ws';
import type { Broker } from '../harness/broker.ts';
import { freePort } from '../harness/free-port.ts';
import { connect } from '../harness/packets.ts';
import { requirePrograms } from '../harness/require.ts';
import { startBroker } from '../harness/shape.ts';
import { closeAllClients, deadlineMs, RawClient, unique } from '../harness/wire.ts';
import { Authority } from './authority.ts';

const openssl = requirePrograms('openssl');
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-proxies-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const rules = join(folder, 'rules');
writeFileSync(
  rules,
  [
    'allow address=192.0.2.7 publish four',
    'allow address=2001:db8::7 publish six',
    'allow address=127.0.0.0/8 publish own',
  ].join('\n'),
);

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

function second(command: number, family: number, rest: Buffer): Buffer {
  const head = Buffer.from([0x20 | command, family, rest.length >> 8, rest.length & 0xff]);
  return Buffer.concat([signature, head, rest]);
}

const ports = Buffer.from([0xc0, 0x00, 0x07, 0x5b]);
const four = Buffer.from([192, 0, 2, 7, 198, 51, 100, 1]);
const six = Buffer.from(`20010db8${'0'.repeat(23)}7${'0'.repeat(31)}1`, 'hex');
const extra = Buffer.from([0x04, 0x00, 0x03, 1, 2, 3]);

/** Headers, and the topic that the address in them may publish to. */
const headers: readonly (readonly [name: string, header: Buffer, topic: string])[] = [
  ['1, IPv4', Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.1 56324 1883\r\n'), 'four'],
  ['1, IPv6', Buffer.from('PROXY TCP6 2001:db8::7 2001:db8::1 56324 1883\r\n'), 'six'],
  ['1, unknown', Buffer.from('PROXY UNKNOWN\r\n'), 'own'],
  ['2, IPv4', second(1, 0x11, Buffer.concat([four, ports])), 'four'],
  ['2, IPv4 and more fields', second(1, 0x11, Buffer.concat([four, ports, extra])), 'four'],
  ['2, IPv6', second(1, 0x21, Buffer.concat([six, ports])), 'six'],
  ['2, local', second(0, 0, Buffer.alloc(0)), 'own'],
  ['2, a socket of Unix', second(1, 0x31, Buffer.alloc(216)), 'own'],
];

const malformed: readonly Buffer[] = [
  Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n'),
  Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.1 99999 1883\r\n'),
  Buffer.from('PROXY TCP4 2001:db8::7 2001:db8::1 56324 1883\r\n'),
  Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`),
  second(2, 0x11, Buffer.concat([four, ports])),
  second(1, 0x11, four),
  Buffer.concat([signature, Buffer.from([0x11, 0x11, 0, 0])]),
  second(1, 0x11, Buffer.alloc(5000)),
  connect({ version: 5, clientId: 'without' }),
];

async function socketOf(port: number, localAddress = '127.0.0.1'): Promise<net.Socket> {
  const socket = net.connect({ host: '127.0.0.1', port, localAddress, noDelay: true });
  socket.on('error', () => {});
  await once(socket, 'connect', { signal: AbortSignal.timeout(deadlineMs) });
  return socket;
}

/** Reason of the PUBACK of a QoS 1 message to each topic. */
async function mayPublish(client: RawClient, clientId: string): Promise<string[]> {
  client.version = 5;
  client.send(connect({ version: 5, clientId }));
  await client.expect('connack', { reason: 0 });
  const allowed: string[] = [];
  for (const topic of ['four', 'six', 'own']) {
    const packetId = client.nextPacketId();
    client.sendPublish({ topic, qos: 1, packetId });
    const { reason } = await client.find('puback', { packetId });
    if (reason !== 0x87) allowed.push(topic);
  }
  return allowed;
}

void describe('the PROXY protocol', openssl, () => {
  let broker: Broker;
  let authority: Authority;
  before(async () => {
    authority = new Authority();
    const { cert, key } = authority.sign('broker');
    broker = await startBroker({
      settings: {
        ...{ MQTT_TLS_PORT: '0', WSS_PORT: '0', WS_PORT: '0', TLS_CERT: cert, TLS_KEY: key },
        ...{ PROXY_PROTOCOL_FROM: '127.0.0.1, 10.0.0.0/8', ACL_FILE: rules },
        ...{ CONNECT_TIMEOUT_MS: '2000', ALLOW_ANONYMOUS: 'true' },
      },
    });
  });
  after(async () => {
    closeAllClients();
    await broker?.stop();
    authority?.remove();
  });

  const listeners = {
    mqtt: () => broker.mqttPort,
    mqtts: () => broker.mqttsPort!,
    ws: () => broker.wsPort,
    wss: () => broker.wssPort!,
  } as const;
  type Name = keyof typeof listeners;

  /** A client of the listener over a socket on which the header was sent. */
  const over = async (name: Name, socket: net.Socket): Promise<RawClient> => {
    const secure = name.endsWith('s') && name !== 'ws' ? tlsOver(socket) : socket;
    if (name.startsWith('mqtt')) return new RawClient(secure);
    const url = `${name}://127.0.0.1:${listeners[name]()}/mqtt`;
    const webSocket = new WebSocket(url, 'mqtt', { createConnection: () => secure });
    await once(webSocket, 'open', { signal: AbortSignal.timeout(deadlineMs) });
    return new RawClient(createWebSocketStream(webSocket));
  };
  const tlsOver = (socket: net.Socket): net.Socket =>
    tls.connect({ socket, host: '127.0.0.1', ...authority.trust() });

  for (const name of ['mqtt', 'mqtts', 'ws', 'wss'] as const) {
    for (const [which, header, topic] of headers) {
      void test(`${name}, header of version ${which}`, async () => {
        const whole = await socketOf(listeners[name]());
        // The first bytes of the client come with it.
        whole.cork();
        whole.write(header);
        process.nextTick(() => whole.uncork());
        assert.deepEqual(await mayPublish(await over(name, whole), unique()), [topic]);
        const slow = await socketOf(listeners[name]());
        for (const byte of header) {
          slow.write(Buffer.from([byte]));
          await new Promise((resolve) => setImmediate(resolve));
        }
        assert.deepEqual(await mayPublish(await over(name, slow), unique()), [topic]);
      });
    }

    void test(`${name}: from elsewhere no header is looked for`, async () => {
      const client = await over(name, await socketOf(listeners[name](), '127.0.0.2'));
      assert.deepEqual(await mayPublish(client, unique()), ['own']);
      const liar = await socketOf(listeners[name](), '127.0.0.2');
      liar.write(headers[0]![1]);
      liar.resume();
      await once(liar, 'close', { signal: AbortSignal.timeout(deadlineMs) });
    });

    void test(`${name}: what is no header closes the connection, and no other`, async () => {
      const good = await socketOf(listeners[name]());
      good.write(headers[0]![1]);
      const client = await over(name, good);
      assert.deepEqual(await mayPublish(client, unique()), ['four']);
      for (const bytes of malformed) {
        const socket = await socketOf(listeners[name]());
        socket.resume();
        socket.write(bytes);
        await once(socket, 'close', { signal: AbortSignal.timeout(deadlineMs) });
      }
      // One that never ends is waited for as long as for a CONNECT.
      const silent = await socketOf(listeners[name]());
      silent.resume();
      silent.write('PROXY ');
      await once(silent, 'close', { signal: AbortSignal.timeout(deadlineMs) });
      await client.ping();
      assert.match(broker.logs(), /no PROXY header/);
    });
  }

  void test('HAProxy, both versions', requirePrograms('haproxy'), async () => {
    const [one, two] = [await freePort(), await freePort()];
    const config = join(folder, 'haproxy.cfg');
    const server = (port: number, kind: string): string =>
      `listen on${port}\n  bind 127.0.0.1:${port}\n  server s 127.0.0.1:${broker.mqttPort} ${kind}\n`;
    const times = 'timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n';
    const text = `defaults\n  mode tcp\n  ${times}`;
    writeFileSync(config, text + server(one, 'send-proxy') + server(two, 'send-proxy-v2'));
    const haproxy = spawn('haproxy', ['-db', '-f', config], { stdio: 'ignore' });
    try {
      for (const port of [one, two]) {
        const endMs = performance.now() + deadlineMs;
        for (;;) {
          try {
            // It passes on the address that it sees, which is another than its own.
            const client = new RawClient(await socketOf(port, '127.0.0.9'));
            const clientId = unique();
            assert.deepEqual(await mayPublish(client, clientId), ['own']);
            assert.match(broker.logs(), /"address":"127\.0\.0\.9"/);
            break;
          } catch (error) {
            if (performance.now() > endMs) throw error;
            await new Promise((resolve) => setTimeout(resolve, 100));
          }
        }
      }
    } finally {
      haproxy.kill();
    }
  });
});
