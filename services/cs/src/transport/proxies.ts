// Connections that come through load balancers. A server in front takes each socket; from the
// addresses of PROXY_PROTOCOL_FROM it reads the header of the PROXY protocol, and then gives the
// socket to the server that speaks TCP, TLS or HTTP. From all other addresses sockets pass as they
// are, so that nobody else can say where he comes from.

import { createServer, type Server, type Socket } from 'node:net';
import { isWithin } from '@lmqtt/common/networks';
import { socketOptions } from './socket-options.ts';
import { type ProxySource, readProxyHeader } from './proxy-header.ts';
import type { ListenOptions, ProxyTerms } from './transport.ts';

/** Sources by the address and port of the socket, for as long as it is open. */
const sources = new Map<string, ProxySource>();

/** Address from which the client of a socket, plain or secure, connects. */
export function sourceOf(socket: Socket): Partial<ProxySource> {
  const known = sources.size === 0 ? undefined : sources.get(nameOf(socket));
  return (
    known ?? { ...present('address', socket.remoteAddress), ...present('port', socket.remotePort) }
  );
}

function present<K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: T };
}

function nameOf({ remoteAddress, remotePort, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localPort}`;
}

interface Front {
  /** The server that listens in place of the inner one. */
  readonly server: Server;
  /** Ends sockets whose header has not come. */
  stop(): void;
}

export function inFrontOf(inner: Server, terms: ProxyTerms, options: ListenOptions): Front {
  const waiting = new Set<Socket>();
  const accept = (socket: Socket): void => {
    const { remoteAddress: address } = socket;
    if (address === undefined || !isWithin(terms.from, address)) {
      inner.emit('connection', socket);
      return;
    }
    waiting.add(socket);
    socket.once('close', () => waiting.delete(socket));
    headerOf(socket, terms.timeoutMs, (source) => {
      waiting.delete(socket);
      if (typeof source === 'string') {
        options.report?.({ kind: 'handshake-failed', address, reason: source });
        socket.destroy();
        return;
      }
      if (source !== undefined) note(socket, source);
      inner.emit('connection', socket);
    });
  };
  const server = createServer(socketOptions, accept);
  // A server of HTTP looks after the time of its requests from then on.
  server.once('listening', () => inner.emit('listening'));
  const stop = (): void => {
    for (const socket of waiting) socket.destroy();
    inner.close();
  };
  return { server, stop };
}

/**
 * Takes the header off the socket; what follows it stays there. `done` gets the source, undefined
 * where that is the proxy itself, or as text why there is no header.
 */
function headerOf(
  socket: Socket,
  timeoutMs: number,
  done: (source: ProxySource | string | undefined) => void,
): void {
  let bytes: Buffer = Buffer.alloc(0);
  const end = (source: ProxySource | string | undefined): void => {
    clearTimeout(timer);
    socket.off('readable', read);
    socket.off('close', gone);
    done(source);
  };
  const timer = setTimeout(() => end('no PROXY header in time'), timeoutMs);
  const gone = (): void => end('closed before its PROXY header');
  const read = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    const header = readProxyHeader(bytes);
    if (header.kind === 'more') return;
    if (header.kind === 'malformed') {
      end('no PROXY header from an address of PROXY_PROTOCOL_FROM');
      return;
    }
    if (header.bytes < bytes.length) socket.unshift(bytes.subarray(header.bytes));
    end(header.source);
  };
  socket.on('readable', read);
  socket.on('error', ignore);
  socket.once('close', gone);
}

function note(socket: Socket, source: ProxySource): void {
  const name = nameOf(socket);
  sources.set(name, source);
  socket.once('close', () => {
    if (sources.get(name) === source) sources.delete(name);
  });
}

function ignore(): void {
  // The close that follows tells it.
}
