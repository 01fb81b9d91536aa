// User names from client certificates, over TLS and secure WebSocket.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { createWebSocketStream, WebSocket } from 'ws';
import type { Broker } from '../harness/broker.ts';
import { connect, type ConnectFields } from '../harness/packets.ts';
import { requirePrograms } from '../harness/require.ts';
import { startBroker } from '../harness/shape.ts';
import { closeAllClients, RawClient, unique } from '../harness/wire.ts';
import { Authority, type Pair } from './authority.ts';

const openssl = requirePrograms('openssl');
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-certificates-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const rules = join(folder, 'rules');
writeFileSync(rules, 'allow user=* all of/%u/#\n');

function parts(
  settings: Record<string, string>,
  run: (at: { broker: Broker; authority: Authority }) => void,
): void {
  const at = {} as { broker: Broker; authority: Authority };
  before(async () => {
    if (openssl.skip !== false) return;
    at.authority = new Authority();
    const { cert, key } = at.authority.sign('broker');
    at.broker = await startBroker({
      settings: {
        ...{ MQTT_TLS_PORT: '0', WSS_PORT: '0', TLS_CERT: cert, TLS_KEY: key },
        ...{ TLS_CA: at.authority.root.cert, TLS_CLIENT_CERT: 'optional', ACL_FILE: rules },
        ...{ ALLOW_ANONYMOUS: 'false', ...settings },
      },
    });
  });
  after(async () => {
    closeAllClients();
    await at.broker?.stop();
    at.authority?.remove();
  });
  run(at);
}

async function overTls(broker: Broker, trust: object): Promise<RawClient> {
  const socket = tls.connect({ host: '127.0.0.1', port: broker.mqttsPort, ...trust });
  await once(socket, 'secureConnect');
  return new RawClient(socket);
}

async function overWebSocket(broker: Broker, trust: object): Promise<RawClient> {
  const webSocket = new WebSocket(`wss://127.0.0.1:${broker.wssPort}/mqtt`, 'mqtt', trust);
  await once(webSocket, 'open');
  return new RawClient(createWebSocketStream(webSocket));
}

async function code(client: RawClient, fields: ConnectFields): Promise<number> {
  client.version = fields.version ?? 4;
  client.send(connect(fields));
  return (await client.expect('connack')).reason;
}

void describe('users by certificates', openssl, () => {
  parts({ CERT_USER: 'cn' }, (at) => {
    void test('the common name is the user name, in each version and on each listener', async () => {
      const pair = at.authority.sign('pump-1');
      for (const open of [overTls, overWebSocket]) {
        for (const version of [3, 4, 5] as const) {
          const client = await open(at.broker, at.authority.trust(pair));
          assert.equal(await code(client, { version, clientId: unique() }), 0);
          if (version < 5) continue;
          await client.subscribe(['of/pump-1/#', 'of/pump-2/#'], 1, { reasons: [1, 0x87] });
          const same = await open(at.broker, at.authority.trust(pair));
          assert.equal(await code(same, { version, clientId: unique(), username: 'pump-1' }), 0);
          const other = await open(at.broker, at.authority.trust(pair));
          assert.equal(
            await code(other, { version, clientId: unique(), username: 'pump-2', password: 'x' }),
            0x86,
          );
        }
      }
    });

    void test('without a certificate, and on the plain port, there is no name', async () => {
      const client = await overTls(at.broker, at.authority.trust());
      assert.equal(await code(client, { version: 5, clientId: unique() }), 0x87);
      const named = await overTls(at.broker, at.authority.trust());
      const fields = { version: 5, clientId: unique(), username: 'pump-1', password: 'x' } as const;
      assert.equal(await code(named, fields), 0x86);
    });
  });
});

void describe('users by a pattern of certificates', openssl, () => {
  parts({ CERT_USER: 'cn', CERT_USER_PATTERN: 'device-%u.example' }, (at) => {
    const login = async (pair: Pair): Promise<[number, RawClient]> => {
      const client = await overTls(at.broker, at.authority.trust(pair));
      return [await code(client, { version: 5, clientId: unique() }), client];
    };
    void test('only names of its form are names', async () => {
      const [good, client] = await login(at.authority.sign('device-7.example'));
      assert.equal(good, 0);
      await client.subscribe(['of/7/#', 'of/device-7.example/#'], 1, { reasons: [1, 0x87] });
      for (const name of ['device-7', 'device-.example', 'x.device-7.example', 'pump'])
        assert.equal((await login(at.authority.sign(name)))[0], 0x87, name);
    });
  });
});
