import type { BlockList } from 'node:net';

/** Facts about the listener that a client came by, for ds and the log. */
interface ListenerFacts {
  readonly listener?: string | undefined;
  /** Sources of users that count there, with commas between them; undefined: all. */
  readonly authentication?: string | undefined;
  /** Template of the namespace of its clients. */
  readonly mount?: string | undefined;
}

/** Address and certificate of a client, and its listener. */
export interface StreamPeer extends ListenerFacts {
  readonly address: string;
  readonly port: number;
  /** Names in a certificate that was verified, the most general first (`C=DE,O=Site,CN=pump-1`). */
  readonly certificateSubject?: string | undefined;
  /** The user name that a verified certificate gives, where certificates give names. */
  readonly certificateUser?: string | undefined;
  readonly tls: boolean;
}

/** Events of a stream; an object and not functions, since there are many streams. */
export interface StreamOwner {
  /** The chunk is never changed afterwards. Not called after `end` or `destroy` of the stream. */
  received(chunk: Buffer): void;
  /** The stream is closed; called exactly once. */
  lost(error?: Error): void;
  /** `bufferedBytes` fell to zero after having been above. */
  drained(): void;
}

/** Nobody listens yet. */
export const nobody: StreamOwner = { received: ignore, lost: ignore, drained: ignore };

function ignore(): void {
  // Nobody is there to be told.
}

/** One client connection as bytes, whatever carries them. */
export interface ByteStream {
  readonly peer: StreamPeer;
  /** Handed to `write` and not yet taken by the kernel. */
  readonly bufferedBytes: number;
  /** Set by whoever takes the stream, in the same turn. */
  owner: StreamOwner;
  /** Meant to be called once a turn. The bytes may be used again once `bufferedBytes` is 0. */
  write(bytes: Uint8Array): void;
  pause(): void;
  resume(): void;
  /** Sends what was written, then closes; a peer that does not take it in time is cut off. */
  end(): void;
  destroy(): void;
  /** The client is known: limits that count for strangers alone end. */
  welcome(): void;
}

export interface Listener {
  readonly address: { readonly host: string; readonly port: number };
  /** Accepts nothing more from now on. The streams that were accepted stay. */
  close(): Promise<void>;
}

export interface ListenOptions {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  readonly backlog: number;
  readonly report?: (event: TransportEvent) => void;
  /** Facts that the peer of each stream gets. */
  readonly facts?: ListenerFacts | undefined;
  /** Load balancers whose headers say where clients connect from; absent: none. */
  readonly proxies?: ProxyTerms | undefined;
  /** Told of each socket that is not a stream yet. */
  readonly room?: HandshakeRoom;
}

export interface ProxyTerms {
  readonly from: BlockList;
  /** From accepting a socket to the end of the header. */
  readonly timeoutMs: number;
}

/**
 * Room for handshakes of TLS and WebSocket, which count like connections that have not said
 * anything.
 */
export interface HandshakeRoom {
  /**
   * `evict` is called where the handshake has to go. The returned function is called when the
   * handshake has ended, with a stream or without.
   */
  add(address: string, evict: () => void): () => void;
}

/** Events before there is a stream, for the log and the metrics. */
export type TransportEvent =
  | { readonly kind: 'accept-failed'; readonly reason: string }
  /** TLS or WebSocket: the client is gone or was sent away. */
  | { readonly kind: 'handshake-failed'; readonly address: string; readonly reason: string }
  /** A web page of an origin that WS_ORIGINS does not have. */
  | { readonly kind: 'origin-refused'; readonly address: string; readonly origin: string }
  | { readonly kind: 'certificates-read' }
  /** The files are broken; those read before stay in use. */
  | { readonly kind: 'certificates-refused'; readonly reason: string };

/** From `end` to the end of a peer that takes no bytes or does not close. */
export const lingerMs = 5000;
