// Connections that say nothing, in numbers, keep out nobody who has something to say.
import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { Suite } from '../harness/suite.ts';
import { connectRaw, unique } from '../harness/wire.ts';

const flood = 150;
const pendingMax = 50;

const deadlineMs = 30_000;

/**
 * Sockets that say nothing, once those that are too many have been closed; the others stay until
 * the test ends.
 */
async function silence(t: TestContext, port: number, localAddress: string): Promise<void> {
  const sockets = Array.from({ length: flood }, () =>
    net.connect({ port, host: '127.0.0.1', localAddress }),
  );
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (const socket of sockets) socket.on('error', () => {});
  await Promise.all(
    sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))),
  );
  const endMs = performance.now() + deadlineMs;
  while (sockets.filter(({ closed }) => !closed).length > pendingMax) {
    assert.ok(performance.now() < endMs, 'more are open than may be');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Checks that `count` clients come in, from another address or the same one. */
async function comeIn(suite: Suite, count: number, localAddress: string): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const client = await connectRaw(suite.port, { version: 5, localAddress });
    await client.connect({ version: 5, clientId: unique('c') });
    await client.ping();
  }
}

void describe('silent sockets', () => {
  const suite = new Suite({
    settings: {
      MAX_CONNECTIONS: '20',
      MAX_PENDING_CONNECTIONS: String(pendingMax),
      CONNECT_TIMEOUT_MS: '60s',
    },
  });

  for (const [listener, portOf] of [
    ['MQTT', () => suite.broker.mqttPort],
    ['WebSocket', () => suite.broker.wsPort],
  ] as const)
    for (const from of ['127.0.0.3', '127.0.0.2'])
      void test(`${flood} at ${listener} keep out nobody, who comes from ${from}`, async (t) => {
        await silence(t, portOf(), '127.0.0.2');
        await comeIn(suite, 20, from);
      });
});
