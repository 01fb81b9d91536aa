/** Where a client connects from. */
export interface StreamPeer {
  readonly address: string;
  readonly port: number;
  readonly certificateSubject?: string | undefined;
  readonly tls: boolean;
}

/** One client connection as bytes, whatever carries them. */
export interface ByteStream {
  readonly peer: StreamPeer;
  /** Handed to `write` and not yet taken by the kernel. */
  readonly bufferedBytes: number;
  /** Set by the owner. The chunk is never changed afterwards. */
  onBytes: (chunk: Buffer) => void;
  /** Called exactly once. */
  onClose: (error?: Error) => void;
  /** `bufferedBytes` fell to zero after having been above. */
  onDrain: () => void;
  /** Meant to be called once a turn. The bytes may be used again once `bufferedBytes` is 0. */
  write(bytes: Uint8Array): void;
  pause(): void;
  resume(): void;
  /** Sends what was written, then closes. */
  end(): void;
  destroy(): void;
}

export interface Listener {
  readonly address: { readonly host: string; readonly port: number };
  close(): Promise<void>;
}
