// The wire under the ledger's clients: connects, hands over each packet, says when it is closed.
import { once } from 'node:events';
import net from 'node:net';
import type { ConnectFields, Version } from '../harness/packets.ts';
import * as packets from '../harness/packets.ts';
import type { Connack, ServerPacket } from '../harness/parser.ts';
import { parse } from '../harness/parser.ts';

const connectMsMax = 10_000;

export class LedgerConnection {
  readonly #socket: net.Socket;
  readonly #version: Version;
  readonly #onPacket: (packet: ServerPacket) => void;
  #pending: Buffer = Buffer.alloc(0);
  #end: () => void = () => {};
  /** Resolves when it is closed, by whichever side. */
  readonly ended: Promise<void>;
  closed = false;
  /** Packets that came, except DISCONNECT. */
  packetCount = 0;

  constructor(socket: net.Socket, version: Version, onPacket: (packet: ServerPacket) => void) {
    this.#socket = socket;
    this.#version = version;
    this.#onPacket = onPacket;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    socket.on('data', (bytes: Buffer) => this.#received(bytes));
    socket.on('error', () => {});
    socket.on('close', () => this.ignore());
  }

  #received(bytes: Buffer): void {
    if (this.closed) return;
    this.#pending = this.#pending.length > 0 ? Buffer.concat([this.#pending, bytes]) : bytes;
    while (!this.closed) {
      const found = parse(this.#pending, this.#version);
      if (found === undefined) return;
      this.#pending = this.#pending.subarray(found.length);
      if (found.packet.type !== 'disconnect') this.packetCount += 1;
      this.#onPacket(found.packet);
    }
  }

  send(bytes: Uint8Array): void {
    if (!this.closed) this.#socket.write(bytes);
  }

  /** The client has forgotten it, though it is open: what comes is not seen. */
  ignore(): void {
    this.closed = true;
    this.#end();
  }

  /** Cuts it; what was received and not yet handed over is lost, as in a crash of the client. */
  destroy(): void {
    this.ignore();
    this.#socket.destroy();
  }
}

/** A CONNACK that is not a success. */
export class ConnectRefused extends Error {
  readonly reason: number;

  constructor(reason: number) {
    super(`CONNACK ${reason}`);
    this.reason = reason;
  }
}

/**
 * Rejects where there is no CONNACK of success. Packets after it go to `onPacket`, with the
 * connection, because they may come together with CONNACK and so before this has resolved.
 */
export async function openLedgerConnection(
  port: number,
  fields: ConnectFields & { readonly version: Version },
  onPacket: (packet: ServerPacket, connection: LedgerConnection) => void,
  connectMs: number = connectMsMax,
): Promise<{ connection: LedgerConnection; connack: Connack }> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(connectMs) });
  } catch (error) {
    socket.on('error', () => {});
    socket.destroy();
    throw error;
  }
  let answered: ((connack: Connack) => void) | undefined;
  let late: NodeJS.Timeout | undefined;
  const connack = new Promise<Connack>((resolve, reject) => {
    answered = resolve;
    socket.on('close', () => reject(new Error('closed before CONNACK')));
    late = setTimeout(() => reject(new Error('no CONNACK')), connectMs);
  });
  const connection: LedgerConnection = new LedgerConnection(socket, fields.version, (packet) => {
    if (packet.type === 'connack') answered?.(packet);
    else onPacket(packet, connection);
  });
  // A client that only listens says nothing for a long time.
  connection.send(packets.connect({ keepAliveS: 0, ...fields }));
  try {
    const answer = await connack;
    if (answer.reason !== 0) throw new ConnectRefused(answer.reason);
    return { connection, connack: answer };
  } catch (error) {
    connection.destroy();
    throw error;
  } finally {
    clearTimeout(late);
  }
}
