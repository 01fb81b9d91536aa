// The proxies do what they say: otherwise a test of faults tests nothing.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { TcpProxy } from './tcp-proxy.ts';

const quietMs = 60;
const echo = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  socket.on('error', () => {});
  socket.pipe(socket);
});
let proxy: TcpProxy;

before(async () => {
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const address = echo.address();
  assert.ok(typeof address === 'object' && address !== null);
  proxy = await TcpProxy.start({ host: '127.0.0.1', port: address.port });
});
after(async () => {
  await proxy.stop();
  echo.close();
});

class Line {
  readonly socket: Socket;
  text = '';

  constructor() {
    this.socket = connect({ host: '127.0.0.1', port: proxy.port });
    this.socket.on('error', () => {});
    this.socket.setEncoding('utf8').on('data', (text: string) => {
      this.text += text;
    });
  }

  async holds(text: string): Promise<void> {
    const endMs = performance.now() + 60_000;
    while (this.text !== text) {
      assert.ok(performance.now() < endMs, `"${this.text}" instead of "${text}"`);
      await delay(2);
    }
  }
}

for (const way of ['up', 'down', 'both'] as const) {
  void test(`stalled ${way}: open, silent, and afterwards all in order`, async () => {
    const line = new Line();
    line.socket.write('a');
    await line.holds('a');
    proxy.stall(way);
    line.socket.write('b');
    line.socket.write('c');
    const later = new Line();
    later.socket.write('x');
    await delay(quietMs);
    assert.deepEqual([line.text, later.text], ['a', '']);
    proxy.flow(way);
    await line.holds('abc');
    await later.holds('x');
    line.socket.destroy();
    later.socket.destroy();
  });
}

void test('a partition: nothing passes, new connections hang, then all goes on', async () => {
  const line = new Line();
  line.socket.write('a');
  await line.holds('a');
  const gone = new Line();
  gone.socket.write('x');
  await gone.holds('x');
  proxy.partition(3 * quietMs);
  line.socket.write('b');
  gone.socket.destroy();
  const later = new Line();
  later.socket.write('y');
  await delay(quietMs);
  assert.deepEqual([line.text, later.text, later.socket.readyState], ['a', '', 'open']);
  await line.holds('ab');
  await later.holds('y');
  const endMs = performance.now() + 60_000;
  while (proxy.connections > 2) {
    assert.ok(performance.now() < endMs, 'the connection that ended meanwhile has ended');
    await delay(2);
  }
  line.socket.destroy();
  later.socket.destroy();
});

void test('cut: reset, and the next connection passes', async () => {
  const line = new Line();
  line.socket.write('a');
  await line.holds('a');
  const failed = new Promise((resolve) => line.socket.once('error', resolve));
  proxy.cut();
  assert.match(String(await failed), /ECONNRESET/);
  const next = new Line();
  next.socket.write('b');
  await next.holds('b');
  next.socket.destroy();
});
