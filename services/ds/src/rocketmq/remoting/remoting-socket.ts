// One socket to a name server or a broker, from the attempt to connect until it is gone. It hides
// TLS, and that nothing is heard from it any more once `abandon` was called.
import { Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';

import type { RemotingTls } from './connection-options.ts';

interface SocketEvents {
  up(): void;
  chunk(bytes: Buffer): void;
  /** Before `up`: the attempt failed. Called once. */
  gone(reason: string): void;
}

interface SocketOptions {
  readonly address: string;
  readonly tls: RemotingTls | undefined;
  readonly connectTimeoutMs: number;
}

const keepAliveMs = 10_000;

export class RemotingSocket {
  readonly #tcp: Socket = new Socket();
  readonly #stream: Socket | TLSSocket;
  readonly #timer: NodeJS.Timeout;
  readonly #events: SocketEvents;
  #over = false;
  #failure: string | undefined;

  constructor(options: SocketOptions, events: SocketEvents) {
    const { host, port } = splitAddress(options.address);
    this.#events = events;
    this.#timer = setTimeout(
      () => this.#end(`no connection in ${options.connectTimeoutMs} ms`),
      options.connectTimeoutMs,
    );
    this.#tcp.setNoDelay(true);
    this.#tcp.setKeepAlive(true, keepAliveMs);
    this.#tcp.connect({ host, port });
    this.#stream =
      options.tls === undefined ? this.#tcp : connectTls(this.#tlsOptions(host, options.tls));
    this.#stream.once(options.tls === undefined ? 'connect' : 'secureConnect', () => {
      clearTimeout(this.#timer);
      if (!this.#over) events.up();
    });
    this.#stream.on('data', (chunk: Buffer) => {
      if (!this.#over) events.chunk(chunk);
    });
    for (const each of new Set<Socket>([this.#tcp, this.#stream])) {
      each.on('error', (error) => {
        this.#failure ??= reasonOf(error);
      });
      each.on('close', () => this.#end(this.#failure ?? 'closed by the peer'));
    }
    // A half-closed connection is of no use.
    this.#stream.on('end', () => this.#end('closed by the peer'));
  }

  /** `done`: the bytes have left this process, or never will. */
  write(bytes: Buffer, done: () => void): void {
    this.#stream.write(bytes, done);
  }

  /** At once and with a reset: nothing that waits in this process or in the kernel leaves. */
  abandon(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    if (this.#tcp.connecting) this.#tcp.destroy();
    else this.#tcp.resetAndDestroy();
    this.#stream.destroy();
  }

  #end(reason: string): void {
    if (this.#over) return;
    this.abandon();
    this.#events.gone(reason);
  }

  #tlsOptions(host: string, tls: RemotingTls): ConnectionOptions {
    const { ca, cert, key, rejectUnauthorized, serverName = host } = tls;
    return {
      socket: this.#tcp,
      host,
      // An address is no server name. [RFC 6066, 3]
      ...(isName(serverName) ? { servername: serverName } : {}),
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
    };
  }
}

/** Several addresses that all fail are an error without a message of its own. */
function reasonOf(error: Error & { code?: unknown }): string {
  if (error.message !== '') return error.message;
  return typeof error.code === 'string' ? error.code : error.name;
}

function isName(host: string): boolean {
  return /[a-z]/i.test(host) && !host.includes(':');
}

function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(address.slice(colon + 1)) };
}

/** host:port */
export function isAddress(text: string): boolean {
  const { host, port } = splitAddress(text);
  return host !== '' && Number.isInteger(port) && port > 0 && port < 65_536;
}
