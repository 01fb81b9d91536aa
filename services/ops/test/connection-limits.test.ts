// Connections that ask for nothing end, and keep out nobody who asks.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';

import { Lifecycle } from '@lmqtt/common/lifecycle';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';

import type { ConnectionLimits } from '../src/connection-limits.ts';
import { startOps } from '../src/service.ts';

interface Started {
  readonly port: number;
  readonly metrics: Metrics;
  readonly open: (bytes?: string) => Promise<Socket>;
}

async function start(t: TestContext, limits: ConnectionLimits): Promise<Started> {
  const metrics = new Metrics();
  const running = await startOps({
    bind: '127.0.0.1',
    port: 0,
    token: null,
    tokensFile: null,
    local: { nodeId: 'n1', config: () => [], logLevel: () => 'info', setLogLevel: () => {} },
    source: { nodes: undefined, forward: () => Promise.reject(new Error('not asked')) },
    limits,
    readiness: new Lifecycle(() => {}),
    metrics,
    log: silentLogs().ops,
  });
  const { port } = running;
  t.after(() => running.close());
  const open = async (bytes = ''): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    t.after(() => socket.destroy());
    socket.resume();
    await once(socket, 'connect');
    if (bytes !== '') socket.write(bytes);
    return socket;
  };
  return { port, metrics, open };
}

const request = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';

test('a connection ends that says nothing, half a request, or nothing more', async (t) => {
  const { open } = await start(t, { timeoutMs: 200, connectionsMax: 100 });
  const sockets = await Promise.all([open(), open('GET / HT'), open(request)]);
  // A connection that sends a little again and again gets no more time.
  const dripping = await open('GET /healthz HTTP/1.1\r\nX: ');
  const timer = setInterval(() => dripping.write('x'), 20);
  t.after(() => clearInterval(timer));
  await Promise.all([...sockets, dripping].map((socket) => once(socket, 'close')));
});

test('past the number of connections the oldest that asks for nothing goes, and who asks is answered', async (t) => {
  const { port, metrics, open } = await start(t, { timeoutMs: 60_000, connectionsMax: 5 });
  const first = await open();
  const gone = once(first, 'close');
  for (let count = 0; count < 20; count += 1) await open();
  await gone;
  assert.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200);
  assert.ok(metrics.limits.OPS_CONNECTIONS_MAX >= 16);
});
