import { createServer, type TLSSocket } from 'node:tls';
import { Handshakes } from './handshakes.ts';
import { listening } from './listening.ts';
import { peerOf, withCertificates, type SecureListenOptions } from './secure-server.ts';
import { sourceOf } from './proxies.ts';
import { socketOptions } from './socket-options.ts';
import { SocketStream } from './socket-stream.ts';
import type { ByteStream, Listener } from './transport.ts';

/** Accepts MQTT over TLS. Rejects with the error of the socket, or of the certificates. */
export async function listenTls(
  options: SecureListenOptions,
  accept: (stream: ByteStream) => void,
): Promise<Listener> {
  const { server, stop } = await withCertificates(options, (tls) =>
    createServer({ ...socketOptions, ...tls }),
  );
  const handshakes = options.room && new Handshakes(server, options.room);
  server.on('secureConnection', (socket: TLSSocket) => {
    const peer = peerOf(socket, options);
    if (peer !== undefined) {
      handshakes?.over(peer);
      accept(new SocketStream(socket, peer));
      return;
    }
    const { address = '' } = sourceOf(socket);
    const { authorizationError: error } = socket;
    options.report?.({ kind: 'handshake-failed', address, reason: String(error ?? 'closed') });
    socket.destroy();
  });
  return listening(server, options, stop);
}
