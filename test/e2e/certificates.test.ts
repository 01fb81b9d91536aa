// Certificates that are renewed while the broker runs: new connections see the new one, those
// that are up stay, and files that do not fit together change nothing.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { startBroker } from '../harness/shape.ts';
import { requirePrograms } from '../harness/require.ts';
import { closeAllClients, RawClient, unique } from '../harness/wire.ts';
import { Authority, replaceFile } from './authority.ts';

const main = join(import.meta.dirname, '../../../services/standalone/dist/src/main.js');
const renewMs = 60_000;

async function secureClient(
  port: number,
  authority: Authority,
): Promise<{ client: RawClient; name: string }> {
  const socket = tls.connect({ port, host: '127.0.0.1', ...authority.trust() });
  await once(socket, 'secureConnect');
  const { subject } = socket.getPeerCertificate();
  const client = new RawClient(socket);
  await client.connect({ clientId: unique('c') });
  return { client, name: subject.CN };
}

void test(
  'a certificate with a key of another kind is refused at the start',
  requirePrograms('openssl'),
  (t) => {
    const authority = new Authority();
    t.after(() => authority.remove());
    const [ec, rsa] = [authority.sign('ec'), authority.sign('rsa', 'rsa')];
    const cases = [
      [
        'standalone',
        '--mqtt-tls-port',
        '0',
        '--mqtt-port',
        'off',
        '--tls-cert',
        ec.cert,
        '--tls-key',
        rsa.key,
      ],
      [
        'standalone',
        '--wss-port',
        '0',
        '--mqtt-port',
        'off',
        '--tls-cert',
        rsa.cert,
        '--tls-key',
        ec.key,
      ],
      ['ds', '--rpc-port', '0', '--rpc-tls-cert', ec.cert, '--rpc-tls-key', rsa.key],
      [
        'cs',
        '--mqtt-port',
        '0',
        '--rpc-tls-ca',
        authority.root.cert,
        '--rpc-tls-cert',
        ec.cert,
        '--rpc-tls-key',
        rsa.key,
      ],
    ];
    for (const [program = '', ...flags] of cases) {
      const folder = ['--data-dir', join(authority.folder, unique('data')), '--ops-port', 'off'];
      const ws = program === 'ds' ? [] : ['--ws-port', 'off'];
      const { stderr, status } = spawnSync(
        process.execPath,
        [main, program, ...flags, ...folder, ...ws, '--log-level', 'silent'],
        { encoding: 'utf8', timeout: 60_000 },
      );
      assert.match(stderr, /^lmqtt: .*the key is not that of the certificate\n$/, program);
      assert.equal(status, 1);
    }
  },
);

void test('an encrypted key and its password', requirePrograms('openssl'), async (t) => {
  const authority = new Authority();
  t.after(() => authority.remove());
  const { cert, key } = authority.sign('encrypted');
  const encrypted = `${key}.encrypted`;
  const args = ['pkcs8', '-topk8', '-in', key, '-passout', 'pass:of-the-key', '-out', encrypted];
  assert.equal(spawnSync('openssl', args).status, 0);
  const settings = { MQTT_TLS_PORT: '0', TLS_CERT: cert, TLS_KEY: encrypted };
  const broker = await startBroker({
    settings: { ...settings, TLS_KEY_PASSWORD: 'of-the-key' },
  });
  t.after(() => broker.stop());
  const { client, name } = await secureClient(broker.mqttsPort ?? 0, authority);
  assert.equal(name, 'encrypted');
  client.destroy();
});

void test('renewed without dropping anyone', requirePrograms('openssl'), async (t) => {
  const authority = new Authority();
  const { cert, key } = authority.sign('first');
  const broker = await startBroker({
    settings: { MQTT_TLS_PORT: '0', WSS_PORT: '0', TLS_CERT: cert, TLS_KEY: key },
  });
  t.after(async () => {
    closeAllClients();
    await broker.stop();
    authority.remove();
  });
  const port = broker.mqttsPort ?? 0;
  const before = await secureClient(port, authority);
  assert.equal(before.name, 'first');
  const isRenewed = async (name: string): Promise<void> => {
    const end = performance.now() + renewMs;
    for (;;) {
      const { client, name: found } = await secureClient(port, authority);
      client.destroy();
      if (found === name) return;
      assert.ok(performance.now() < end, `still ${found}`);
      await delay(50);
    }
  };
  const second = authority.sign('second');
  replaceFile(key, second.key);
  replaceFile(cert, second.cert);
  await isRenewed('second');
  await before.client.ping();
  await before.client.publish('t', 'still here', { qos: 1 });

  // Half of a renewal: the certificate before stays.
  const good = readFileSync(cert);
  const metric = 'lmqtt_transport_events_total{kind="certificates-refused"}';
  const refused = async (): Promise<number> => (await broker.metrics()).get(metric) ?? 0;
  const otherKind = authority.sign('other kind', 'rsa');
  for (const halfWay of ['not a certificate', readFileSync(otherKind.cert)]) {
    const earlier = await refused();
    writeFileSync(cert, halfWay);
    const end = performance.now() + renewMs;
    while ((await refused()) === earlier) {
      assert.ok(performance.now() < end, 'the refusal is counted');
      await delay(50);
    }
    assert.match(broker.logs(), /"level":"error"[^\n]*certificates-refused/);
    assert.equal((await secureClient(port, authority)).name, 'second');
  }
  writeFileSync(cert, good);
  const third = authority.sign('third');
  replaceFile(key, third.key);
  replaceFile(cert, third.cert);
  await isRenewed('third');
  await before.client.ping();
});
