// The common part of all listeners: a server that is bound or has failed, and is closed without
// waiting for its streams.

import type { AddressInfo, Server } from 'node:net';
import { keepDescriptors } from '@lmqtt/common/descriptors';
import type { Listener, ListenOptions } from './transport.ts';

/**
 * Options of every accepted socket. Keep alive of TCP finds dead clients whose MQTT keep alive is
 * 0.
 */
export const socketOptions = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: 60_000,
} as const;

/** Rejects with the error of the socket (`EADDRINUSE`). `stop` runs when the listener is closed. */
export function listening(
  server: Server,
  { host, port, backlog, report }: ListenOptions,
  stop: () => void = () => {},
): Promise<Listener> {
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
