import { createServer } from 'node:net';
import { listening } from './listening.ts';
import { sourceOf } from './proxies.ts';
import { readShared } from './shared-reads.ts';
import { socketOptions } from './socket-options.ts';
import { SocketStream } from './socket-stream.ts';
import type { ByteStream, Listener, ListenOptions } from './transport.ts';

/** Accepts MQTT over TCP. Rejects with the error of the socket (`EADDRINUSE`). */
export function listenTcp(
  options: ListenOptions,
  accept: (stream: ByteStream) => void,
): Promise<Listener> {
  const server = createServer({ ...socketOptions, pauseOnConnect: true }, (socket) => {
    const { address, port } = sourceOf(socket);
    // Gone before it was looked at.
    if (address === undefined || port === undefined) {
      socket.destroy();
      return;
    }
    const peer = { address, port, tls: false, ...options.facts };
    // A socket whose header was read may hold bytes of the client already.
    if (options.proxies !== undefined) accept(new SocketStream(socket, peer));
    else accept(new SocketStream(socket, peer, readShared));
  });
  return listening(server, options);
}
