// Certificates that are renewed while the broker runs: new connections see the new one, those
// that are up stay, and files that do not fit together change nothing.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import tls from 'node:tls';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { startBroker } from '../harness/shape.ts';
import { requirePrograms } from '../harness/require.ts';
import { closeAllClients, RawClient, unique } from '../harness/wire.ts';
import { Authority, replaceFile } from './authority.ts';

const renewMs = 10_000;

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
  writeFileSync(cert, 'not a certificate');
  const metric = 'lmqtt_transport_events_total{kind="certificates-refused"}';
  const end = performance.now() + renewMs;
  while (((await broker.metrics()).get(metric) ?? 0) === 0) {
    assert.ok(performance.now() < end, 'the refusal is counted');
    await delay(50);
  }
  assert.match(broker.logs(), /"level":"error"[^\n]*certificates-refused/);
  assert.equal((await secureClient(port, authority)).name, 'second');
  writeFileSync(cert, good);
  const third = authority.sign('third');
  replaceFile(key, third.key);
  replaceFile(cert, third.cert);
  await isRenewed('third');
  await before.client.ping();
});
