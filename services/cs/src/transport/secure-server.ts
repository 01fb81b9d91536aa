// The common part of TLS and secure WebSocket: the certificates of a server and of its clients, and
// the sockets whose handshake is under way, which nobody else knows.

import type { Socket } from 'node:net';
import {
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TlsOptions,
  type TLSSocket,
} from 'node:tls';
import type { TlsFiles, TlsTerms } from '@lmqtt/common/tls-files';
import { certificateUserOf, type CertificateUserRule, subjectOf } from './certificate-user.ts';
import { Certificates, type ClientCertificates } from './certificates.ts';
import { sourceOf } from './proxies.ts';
import type { ListenOptions, StreamPeer } from './transport.ts';

interface NamedFiles {
  /** Lower case; `*.example` stands for one level. */
  readonly names: readonly string[];
  readonly files: TlsFiles;
}

export interface SecureListenOptions extends ListenOptions {
  readonly files: TlsFiles;
  /** Certificates for clients that ask for a name (SNI), besides that of `files`. */
  readonly named?: readonly NamedFiles[] | undefined;
  readonly terms: TlsTerms;
  readonly clientCertificates: ClientCertificates;
  /** Absent: certificates give no user names. */
  readonly certificateUser?: CertificateUserRule | undefined;
  /** From accepting a socket to the end of its handshake. */
  readonly handshakeTimeoutMs: number;
}

/**
 * A server with the files' certificates, now and whenever they change. `stop` ends what is not the
 * owner's of a stream.
 */
export async function withCertificates<S extends Server>(
  options: SecureListenOptions,
  make: (tls: TlsOptions) => S,
): Promise<{ server: S; stop: () => void }> {
  const report = options.report ?? (() => {});
  let server: S | undefined;
  let early: SecureContextOptions | undefined;
  const apply = (context: SecureContextOptions): void => {
    if (server === undefined) early = context;
    else server.setSecureContext(context);
  };
  const { certificates, first } = await Certificates.open(
    options.files,
    options.terms,
    apply,
    report,
  );
  const byName = await NamedCertificates.open(options, report);
  server = make({
    ...(early ?? first),
    ...(byName === undefined ? {} : { SNICallback: byName.choose }),
    handshakeTimeout: options.handshakeTimeoutMs,
    requestCert: options.clientCertificates !== 'none',
    // A client may have none with `optional`; one that has a bad one is sent away by `peerOf`.
    rejectUnauthorized: options.clientCertificates === 'required',
  });
  const handshakes = trackHandshakes(server);
  server.on('tlsClientError', (error, socket) => {
    report({
      kind: 'handshake-failed',
      address: sourceOf(socket).address ?? '',
      reason: error.message,
    });
    socket.destroy();
  });
  const stop = (): void => {
    certificates.close();
    byName?.close();
    for (const socket of handshakes.values()) socket.destroy();
  };
  return { server, stop };
}

/** Certificates by the name that a client asks for; each is read again when its files change. */
class NamedCertificates {
  readonly #contexts = new Map<string, SecureContext>();
  readonly #open: Certificates[] = [];

  static async open(
    { named = [], terms }: SecureListenOptions,
    report: NonNullable<ListenOptions['report']>,
  ): Promise<NamedCertificates | undefined> {
    if (named.length === 0) return undefined;
    const all = new NamedCertificates();
    try {
      for (const { names, files } of named) {
        const apply = (context: SecureContextOptions): void => all.#set(names, context);
        const { certificates, first } = await Certificates.open(files, terms, apply, report);
        all.#open.push(certificates);
        apply(first);
      }
    } catch (error) {
      all.close();
      throw error;
    }
    return all;
  }

  /** The certificate of the listener goes to clients that ask for none of the names. */
  readonly choose = (
    asked: string,
    done: (error: Error | null, context?: SecureContext) => void,
  ): void => {
    const name = asked.toLowerCase();
    const known = this.#contexts.get(name) ?? this.#contexts.get(name.replace(/^[^.]+/, '*'));
    done(null, known);
  };

  close(): void {
    for (const each of this.#open) each.close();
  }

  #set(names: readonly string[], context: SecureContextOptions): void {
    const made = createSecureContext(context);
    for (const name of names) this.#contexts.set(name, made);
  }
}

/**
 * By address and port, as the socket that was accepted and the one that came out of the handshake
 * are two.
 */
function trackHandshakes(server: Server): ReadonlyMap<string, Socket> {
  const sockets = new Map<string, Socket>();
  const names = new WeakMap<Socket, string>();
  function gone(this: Socket): void {
    const name = names.get(this);
    if (name !== undefined && sockets.get(name) === this) sockets.delete(name);
  }
  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket);
    names.set(socket, name);
    sockets.set(name, socket);
    socket.once('close', gone);
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    const name = nameOf(socket);
    const accepted = sockets.get(name);
    if (accepted === undefined) return;
    accepted.off('close', gone);
    names.delete(accepted);
    sockets.delete(name);
  });
  return sockets;
}

function nameOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}

/** undefined for a client that is gone, or whose certificate is not to be believed. */
export function peerOf(
  socket: TLSSocket,
  { certificateUser: rule, facts }: SecureListenOptions,
): StreamPeer | undefined {
  const { address, port } = sourceOf(socket);
  if (address === undefined || port === undefined) return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return { address, port, tls: true, ...facts };
  if (!socket.authorized) return undefined;
  return {
    ...{ address, port, tls: true, ...facts },
    certificateSubject: subjectOf(certificate),
    certificateUser: rule && certificateUserOf(certificate, rule),
  };
}
