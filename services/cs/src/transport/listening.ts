// The common part of all listeners: a server that is bound or has failed, and is closed without
// waiting for its streams.

import type { AddressInfo, Server } from 'node:net';
import { keepDescriptors } from '@lmqtt/common/descriptors';
import { inFrontOf } from './proxies.ts';
import type { Listener, ListenOptions } from './transport.ts';

/**
 * Rejects with the error of the socket (`EADDRINUSE`). `stopInner` runs when the listener is
 * closed.
 */
export function listening(
  inner: Server,
  options: ListenOptions,
  stopInner: () => void = () => {},
): Promise<Listener> {
  const { host, port, backlog, report, proxies } = options;
  const front = proxies && inFrontOf(inner, proxies, options);
  const server = front?.server ?? inner;
  const stop = (): void => {
    stopInner();
    front?.stop();
  };
  keepDescriptors(server, (closed, limit) => {
    const reason = `the limit of open files (${limit}) is near: ${closed} closed`;
    report?.({ kind: 'accept-failed', reason });
  });
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      stop();
      reject(error);
    });
    server.listen({ host, port, backlog }, () => {
      server.removeAllListeners('error');
      server.on('error', (error) => report?.({ kind: 'accept-failed', reason: error.message }));
      const { address, port: bound } = server.address() as AddressInfo;
      resolve({
        address: { host: address, port: bound },
        // The server's own callback waits for the streams too, which are their owner's.
        close: () =>
          new Promise((done) => {
            server.close();
            stop();
            setImmediate(done);
          }),
      });
    });
  });
}
