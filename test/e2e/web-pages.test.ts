// WebSockets that web pages open: whose pages may, with the settings of a start that says nothing
// of it, and with WS_ORIGINS.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { startBroker } from '../harness/shape.ts';
import { closeAllClients } from '../harness/wire.ts';

after(closeAllClients);

/** The first line of the answer to an upgrade. */
async function answer(port: number, origin: string | null): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  const lines = [
    ...['GET /mqtt HTTP/1.1', `Host: localhost:${port}`, 'Connection: Upgrade'],
    ...['Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Protocol: mqtt'],
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...(origin === null ? [] : [`Origin: ${origin}`]),
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return String(chunk).split('\r\n', 1)[0] ?? '';
}

void test('a start without authentication lets in the pages of this machine alone', async (t) => {
  const broker = await startBroker();
  t.after(() => broker.stop());
  for (const origin of [null, 'http://localhost:3000', 'http://127.0.0.1'])
    assert.match(await answer(broker.wsPort, origin), / 101 /, String(origin));
  for (const origin of ['https://example.com', 'http://127.example.com', 'null'])
    assert.equal(await answer(broker.wsPort, origin), 'HTTP/1.1 403 Forbidden', origin);
  const metric = 'lmqtt_transport_events_total{kind="origin-refused"}';
  assert.equal((await broker.metrics()).get(metric), 3);
  assert.match(broker.logs(), /"level":"warn"[^\n]*"origin":"https:\/\/example.com"/);
});

void test('WS_ORIGINS says whose pages may', async (t) => {
  const broker = await startBroker({ settings: { WS_ORIGINS: 'https://app.example.com' } });
  t.after(() => broker.stop());
  assert.match(await answer(broker.wsPort, 'https://app.example.com'), / 101 /);
  assert.match(await answer(broker.wsPort, null), / 101 /);
  assert.match(await answer(broker.wsPort, 'http://localhost:3000'), / 403 /);
  assert.match(await answer(broker.wsPort, 'https://app.example.com.example.org'), / 403 /);
});
