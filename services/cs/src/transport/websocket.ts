// MQTT over WebSocket (MQTT 5.0, section 6), plain and secure. Hides HTTP and frames: to its owner
// it is a stream of bytes, whose packets may lie across frames as they like [MQTT-6.0.0-2]. No
// compression: it takes hundreds of kilobytes a connection, and payloads are opaque.

import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { WebPages } from '@lmqtt/common/settings/row';
import { WebSocketServer } from 'ws';
import { Handshakes } from './handshakes.ts';
import { listening } from './listening.ts';
import { sourceOf } from './proxies.ts';
import { socketOptions } from './socket-options.ts';
import { peerOf, withCertificates, type SecureListenOptions } from './secure-server.ts';
import type { ByteStream, Listener, ListenOptions, StreamPeer } from './transport.ts';
import { mayOpen } from './web-origins.ts';
import { WebSocketStream } from './websocket-stream.ts';

export interface WebSocketOptions {
  /** As in the URL, such as `/mqtt`. */
  readonly path: string;
  /**
   * The largest message, all its fragments together; beyond it the connection is closed with 1009.
   */
  readonly messageBytesMax: number;
  /** Maximum bytes of a message before the client is known. */
  readonly strangerBytesMax: number;
  /** From accepting a socket to the end of its upgrade. */
  readonly handshakeTimeoutMs: number;
  readonly pages: WebPages;
}

/** The registered one first, then what clients of 3.1 and 3.1.1 offer. */
const subProtocols = ['mqtt', 'mqttv3.1', 'mqttv3.1.1'];
const httpCheckMs = 1000;
const foreignPage = '403 Forbidden';
/** Characters of a stranger's text that go to the log. */
const shownMax = 200;

/** Rejects with the error of the socket (`EADDRINUSE`). */
export function listenWebSocket(
  options: ListenOptions & WebSocketOptions,
  accept: (stream: ByteStream) => void,
): Promise<Listener> {
  const server = createServer(httpOptions(options));
  serve(server, options, accept, (socket) => plainPeerOf(socket, options));
  return listening(server, options, () => server.closeAllConnections());
}

/** Rejects with the error of the socket, or of the certificates. */
export async function listenSecureWebSocket(
  options: SecureListenOptions & WebSocketOptions,
  accept: (stream: ByteStream) => void,
): Promise<Listener> {
  const { server, stop } = await withCertificates(options, (tls) =>
    createSecureServer({ ...httpOptions(options), ...tls }),
  );
  serve(server, options, accept, (socket) =>
    socket instanceof TLSSocket ? peerOf(socket, options) : undefined,
  );
  return listening(server, options, () => {
    server.closeAllConnections();
    stop();
  });
}

function httpOptions({ handshakeTimeoutMs }: WebSocketOptions): object {
  return {
    ...socketOptions,
    headersTimeout: handshakeTimeoutMs,
    requestTimeout: handshakeTimeoutMs,
    connectionsCheckingInterval: httpCheckMs,
  };
}

function serve(
  server: Server,
  options: ListenOptions & WebSocketOptions,
  accept: (stream: ByteStream) => void,
  peerOn: (socket: Socket) => StreamPeer | undefined,
): void {
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: options.messageBytesMax,
    autoPong: false,
    // [MQTT-6.0.0-4]
    handleProtocols: (offered) => subProtocols.find((name) => offered.has(name)) ?? false,
  });
  const handshakes = options.room && new Handshakes(server, options.room);
  server.on('request', (_request, response) => {
    response.writeHead(426, { Connection: 'close', Upgrade: 'websocket' }).end();
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const peer = socket instanceof Socket ? peerOn(socket) : undefined;
    const refused = peer === undefined ? '403 Forbidden' : refusal(request, options);
    if (peer === undefined || refused !== undefined) {
      const address = peer?.address ?? '';
      const { origin } = request.headers;
      if (refused === foreignPage && origin !== undefined)
        options.report?.({ kind: 'origin-refused', address, origin: origin.slice(0, shownMax) });
      else options.report?.({ kind: 'handshake-failed', address, reason: String(refused) });
      refuse(socket, String(refused));
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      handshakes?.over(peer);
      accept(new WebSocketStream(webSocket, peer, socket, options.strangerBytesMax));
    });
  });
  webSockets.on('wsClientError', (error, socket, request) => {
    const address = sourceOf(request.socket).address ?? '';
    options.report?.({ kind: 'handshake-failed', address, reason: error.message });
    refuse(socket, '400 Bad Request');
  });
}

function plainPeerOf(socket: Socket, { facts }: ListenOptions): StreamPeer | undefined {
  const { address, port } = sourceOf(socket);
  if (address === undefined || port === undefined) return undefined;
  return { address, port, tls: false, ...facts };
}

/** The status to refuse with. */
function refusal(request: IncomingMessage, options: WebSocketOptions): string | undefined {
  const { path, pages } = options;
  const [asked] = (request.url ?? '').split('?', 1);
  if (asked !== path) return '404 Not Found';
  if (!mayOpen(pages, request.headers.origin)) return foreignPage;
  // [MQTT-6.0.0-3] a client has to offer the sub-protocol
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',');
  const known = offered.some((name) => subProtocols.includes(name.trim()));
  return known ? undefined : '400 Bad Request';
}

function refuse(socket: Duplex, status: string): void {
  socket.on('error', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () =>
    socket.destroy(),
  );
}
