import { connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { Directory, DsNode } from '../src/link/directory.ts';
import type { FakeDs } from './link-fake-ds.ts';

export interface StallingProxy extends Directory {
  stall: boolean;
  readonly dsNode: DsNode;
}

/** Before ds: connections through it stop when they are told to. */
export async function stallingProxy(t: TestContext, ds: FakeDs): Promise<StallingProxy> {
  const sockets = new Set<Socket>();
  const proxy = {
    stall: false,
    get dsNode(): DsNode {
      return { ...ds.dsNode, port };
    },
    nodes: () => [proxy.dsNode],
    onChange: () => () => {},
  };
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    if (proxy.stall) return;
    const { host, port: behind } = ds.nodes()[0]!;
    const upstream = connect(behind, host);
    sockets.add(upstream);
    upstream.on('error', () => socket.destroy());
    for (const [from, to] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      from.on('data', (bytes) => {
        if (!proxy.stall) to.write(bytes);
      });
      from.on('close', () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return proxy;
}
