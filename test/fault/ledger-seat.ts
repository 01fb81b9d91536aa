// The connections of a client of the ledger. It may come to another node while the connection that
// it had is still open there: the takeover is the broker's work, the client has forgotten it.
import type { ConnectFields, Version } from '../harness/packets.ts';
import type { Connack, ServerPacket } from '../harness/parser.ts';
import { type LedgerConnection, openLedgerConnection } from './ledger-connection.ts';

export interface LedgerParty {
  readonly seat: LedgerSeat;
  /** Connects, and goes on with what was open. */
  come(port: number, connectMs?: number): Promise<void>;
}

export class LedgerSeat {
  readonly #onPacket: (packet: ServerPacket, connection: LedgerConnection) => void;
  #connection: LedgerConnection | undefined;
  #port = 0;

  constructor(onPacket: (packet: ServerPacket, connection: LedgerConnection) => void) {
    this.#onPacket = onPacket;
  }

  get isConnected(): boolean {
    return this.#connection !== undefined && !this.#connection.closed;
  }

  /** Port of the connection that is there or was last; 0: none yet. */
  get port(): number {
    return this.#port;
  }

  get connection(): LedgerConnection | undefined {
    return this.#connection;
  }

  async take(
    port: number,
    fields: ConnectFields & { readonly version: Version },
    connectMs?: number,
  ): Promise<{ connection: LedgerConnection; connack: Connack }> {
    const before = this.#connection;
    before?.ignore();
    // Packets may come with CONNACK, before this goes on.
    const onPacket = (packet: ServerPacket, connection: LedgerConnection): void => {
      this.#connection = connection;
      this.#onPacket(packet, connection);
    };
    try {
      const opened = await openLedgerConnection(port, fields, onPacket, connectMs);
      this.#connection = opened.connection;
      this.#port = port;
      return opened;
    } finally {
      before?.destroy();
    }
  }

  send(bytes: Uint8Array): void {
    this.#connection?.send(bytes);
  }

  /** The client forgets its connection, which stays open until it has come elsewhere. */
  abandon(): void {
    this.#connection?.ignore();
  }

  leave(): void {
    this.#connection?.destroy();
  }
}
