import { createServer } from 'node:net';
import { listening, socketOptions } from './listening.ts';
import { readShared } from './shared-reads.ts';
import { SocketStream } from './socket-stream.ts';
import type { ByteStream, Listener, ListenOptions } from './transport.ts';

/** Accepts MQTT over TCP. Rejects with the error of the socket (`EADDRINUSE`). */
export function listenTcp(
  options: ListenOptions,
  accept: (stream: ByteStream) => void,
): Promise<Listener> {
  const server = createServer({ ...socketOptions, pauseOnConnect: true }, (socket) => {
    const { remoteAddress: address, remotePort: port } = socket;
    // Gone before it was looked at.
    if (address === undefined || port === undefined) {
      socket.destroy();
      return;
    }
    accept(new SocketStream(socket, { address, port, tls: false }, readShared));
  });
  return listening(server, options);
}
