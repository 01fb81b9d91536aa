// The RPC port. Hides TLS and the look at the first bytes of each connection: whoever is handed on
// to gRPC has shown a certificate where one is asked for, and speaks HTTP/2. Nothing else that
// comes to this port costs more than a socket for five seconds.
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, Server as TlsServer, type TLSSocket } from 'node:tls';
import { keepDescriptors } from '@lmqtt/common/descriptors';
import type { Settings } from '@lmqtt/common/settings/row';
import { awaitPreface } from './preface.ts';
import { type CertificateSettings, RpcCertificates } from './rpc-certificates.ts';
import type { RpcEvents } from './rpc-events.ts';

export type ListenerSettings = Pick<Settings, 'rpcBind' | 'rpcPort'> & CertificateSettings;

const greetMs = 5000;
/** Connections that have not shown yet what they are. */
const waitingMax = 256;
/** From the end of its last stream until a connection is closed, for the status to arrive. */
const lingerMs = 1000;

/** A connection that speaks HTTP/2. */
export class PeerConnection {
  readonly address: string;
  readonly #socket: Socket;
  #streams = 0;
  /** Somebody asked for an exchange. */
  #used = false;

  constructor(socket: Socket, address: string) {
    this.#socket = socket;
    this.address = address;
  }

  get used(): boolean {
    return this.#used;
  }

  streamOpened(): void {
    this.#used = true;
    this.#streams += 1;
  }

  /** A peer that is stuck does not take note; its socket goes nevertheless. */
  streamEnded(): void {
    this.#streams -= 1;
    if (this.#streams > 0) return;
    setTimeout(() => {
      if (this.#streams === 0) this.#socket.destroy();
    }, lingerMs).unref();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

export class RpcListener {
  readonly #server: Server;
  readonly #events: RpcEvents;
  readonly #adopt: (socket: Socket) => void;
  /** By their addresses; destroyed when the timer ends. */
  readonly #waiting = new Map<
    string,
    { readonly socket: Socket; readonly timer: NodeJS.Timeout }
  >();
  readonly #peers = new Map<string, PeerConnection>();

  /** Resolves when it listens; rejects with the socket's error, or that of a certificate. */
  static async open(
    settings: ListenerSettings,
    events: RpcEvents,
    adopt: (socket: Socket) => void,
  ): Promise<RpcListener> {
    const certificates = new RpcCertificates(settings);
    const context = await certificates.open({
      read: (changed) => {
        if (server instanceof TlsServer) server.setSecureContext(changed);
        events.certificatesRead();
      },
      refused: (reason) => events.certificatesRefused(reason),
    });
    const server: Server =
      context === undefined
        ? createServer()
        : createTlsServer({
            ...context,
            requestCert: certificates.mutual,
            // Looked at below, while it is known whose certificate it is.
            rejectUnauthorized: false,
            ALPNProtocols: ['h2'],
          });
    const secure = context !== undefined;
    server.once('close', () => certificates.close());
    keepDescriptors(server, (closed, limit) => {
      const reason = `the limit of open files (${limit}) is near: ${closed} connections closed`;
      events.listenerFailed(new Error(reason));
    });
    const listener = new RpcListener(server, events, adopt, {
      secure,
      mutual: certificates.mutual,
    });
    const { rpcBind, rpcPort } = settings;
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error): void => {
        certificates.close();
        reject(error);
      };
      server.once('error', failed);
      server.listen({ host: rpcBind, port: rpcPort ?? 0 }, () => {
        server.off('error', failed).on('error', (error) => events.listenerFailed(error));
        resolve();
      });
    });
    events.listening(rpcBind, listener.port, secure);
    return listener;
  }

  private constructor(
    server: Server,
    events: RpcEvents,
    adopt: (socket: Socket) => void,
    { secure, mutual }: { readonly secure: boolean; readonly mutual: boolean },
  ) {
    this.#server = server;
    this.#events = events;
    this.#adopt = adopt;
    server.on('connection', (socket: Socket) => this.#accept(socket, secure));
    server.on('secureConnection', (socket: TLSSocket) => {
      socket.on('error', () => {});
      if (!mutual || socket.authorized) {
        this.#greet(socket);
        return;
      }
      const why = `no certificate that RPC_TLS_CA has signed: ${String(socket.authorizationError)}`;
      this.#notSecure(socket, why);
    });
    server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      this.#notSecure(socket, `no TLS connection: ${reasonOf(error)}`);
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The connection that gRPC names by its address. */
  peer(address: string): PeerConnection | undefined {
    return this.#peers.get(address);
  }

  /** No further connections, and none any more after `lingerMs`. */
  async stop(): Promise<void> {
    for (const { socket } of this.#waiting.values()) socket.destroy();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const timer = setTimeout(() => {
      for (const peer of this.#peers.values()) peer.destroy();
    }, lingerMs);
    await closed;
    clearTimeout(timer);
  }

  #accept(socket: Socket, secure: boolean): void {
    const address = addressOf(socket);
    // Whoever reads the socket learns of errors by its close.
    socket.on('error', () => {});
    socket.setNoDelay(true);
    if (this.#waiting.size >= waitingMax) {
      this.#events.refused('too many waiting', address, 'too many connections that say nothing');
      socket.destroy();
      return;
    }
    const timer = setTimeout(() => {
      this.#forgetWaiting(address);
      this.#events.refused('silent', address, `not ready after ${greetMs} ms`);
      socket.destroy();
    }, greetMs);
    this.#waiting.set(address, { socket, timer });
    socket.once('close', () => this.#forgetWaiting(address));
    if (!secure) this.#greet(socket);
  }

  /** Without an address the socket is closed: who went away by himself is no matter. */
  #notSecure(socket: TLSSocket, why: string): void {
    if (socket.remoteAddress !== undefined) {
      const address = addressOf(socket);
      this.#forgetWaiting(address);
      this.#events.refused('tls', address, why);
    }
    socket.destroy();
  }

  #forgetWaiting(address: string): boolean {
    const waiting = this.#waiting.get(address);
    if (waiting === undefined) return false;
    clearTimeout(waiting.timer);
    this.#waiting.delete(address);
    return true;
  }

  /** Past TLS, where there is TLS. */
  #greet(socket: Socket): void {
    const address = addressOf(socket);
    awaitPreface(socket, (outcome) => {
      const waited = this.#forgetWaiting(address);
      if (outcome === 'http2' && waited) {
        this.#handOver(socket, address);
        return;
      }
      socket.destroy();
      if (outcome === 'other' && waited)
        this.#events.refused('no http2', address, 'what came is not HTTP/2, which gRPC speaks');
    });
  }

  #handOver(socket: Socket, address: string): void {
    const peer = new PeerConnection(socket, address);
    this.#peers.set(address, peer);
    // A connection that asks for nothing is none of ours, whatever it speaks.
    const timer = setTimeout(() => {
      if (!peer.used) peer.destroy();
    }, greetMs).unref();
    socket.once('close', () => {
      clearTimeout(timer);
      this.#peers.delete(address);
      if (!peer.used)
        this.#events.refused('no exchange', address, 'a connection that asked for no exchange');
    });
    this.#adopt(socket);
  }
}

/** As gRPC writes it. */
function addressOf(socket: Socket): string {
  return `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`;
}

/** OpenSSL's own words, without the place in its source. */
function reasonOf(error: Error): string {
  return 'reason' in error && typeof error.reason === 'string' ? error.reason : error.message;
}
