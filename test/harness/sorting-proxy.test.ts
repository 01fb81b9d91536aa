import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { SortingProxy } from './sorting-proxy.ts';

/** Says on its stdout what it hears; sends a byte when it is told to. */
const clientCode = `
const socket = require('node:net').connect({ host: process.argv[1], port: Number(process.argv[2]) });
socket.on('data', (bytes) => process.stdout.write(bytes));
process.stdin.on('data', (bytes) => socket.write(bytes));
`;

const elsewhere = '127.0.0.2';

void test('one of two processes is cut off, the other goes on', async () => {
  const server = createServer({ noDelay: true }, (socket) =>
    socket.on('error', () => {}).pipe(socket),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const { port } = address;
  // At the port of the server itself, on another address of the loopback.
  const proxy = await SortingProxy.start({ host: '127.0.0.1', port }, ['a', 'b'], {
    host: elsewhere,
    port,
  });
  const clients = ['a', 'b'].map((name) => {
    const args = ['-e', clientCode, elsewhere, String(port)];
    return { name, child: spawn(process.execPath, args, { stdio: 'pipe' }) };
  });
  proxy.parties = clients.map(({ name, child }) => ({ name, pid: () => child.pid ?? 0 }));
  const echo = async (child: ChildProcess, text: string): Promise<void> => {
    child.stdin?.write(text);
    assert.ok(child.stdout);
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    assert.equal(said.toString(), text);
  };
  const [a, b] = clients.map(({ child }) => child);
  assert.ok(a !== undefined && b !== undefined);
  try {
    await Promise.all([echo(a, 'one'), echo(b, 'two')]);
    assert.equal(proxy.way('a').connections, 1);
    assert.equal(proxy.way('b').connections, 1);
    proxy.way('a').partition();
    const late = echo(a, 'three');
    await echo(b, 'four');
    const first = await Promise.race([late.then(() => 'heard'), delay(200, 'nothing')]);
    assert.equal(first, 'nothing');
    proxy.way('a').heal();
    await late;
  } finally {
    for (const { child } of clients) child.kill('SIGKILL');
    await proxy.stop();
    server.close();
  }
});
