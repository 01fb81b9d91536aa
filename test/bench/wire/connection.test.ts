import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { describe, it } from 'node:test';

import { Connection, type Receiver } from './connection.ts';

const nobody: Receiver = { message: () => {}, acknowledged: () => {}, lost: () => {} };

/** Accepts every CONNECT. */
async function listen(onClient: () => void): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => {
    onClient();
    socket.on('error', () => socket.destroy());
    socket.once('data', () => socket.write(Buffer.from([0x20, 2, 0, 0])));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return { server, port: address.port };
}

describe('connections of the generator', () => {
  it('take the nodes of a broker in turn, and the first where none is asked for', async () => {
    const clients = [0, 0];
    const nodes = await Promise.all(
      clients.map((_, index) => listen(() => (clients[index] = (clients[index] ?? 0) + 1))),
    );
    const target = { ports: nodes.map(({ port }) => port), processes: [] };
    const open = (...node: [] | [number]): Promise<Connection> =>
      Connection.open(target, { clientId: 'one' }, nobody, ...node);
    const connections = await Promise.all([open(), open(0), open(1), open(2), open(3)]);
    assert.deepEqual(clients, [3, 2]);
    for (const connection of connections) connection.drop();
    for (const { server } of nodes) server.close();
  });
});
