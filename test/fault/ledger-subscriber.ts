// A subscriber that keeps its half of the handshakes over all reconnects: an identifier at QoS 2
// names one message from its PUBLISH to its PUBREL, and a second PUBLISH with it is not counted.
import type { Qos, Version } from '../harness/packets.ts';
import * as packets from '../harness/packets.ts';
import type { Publish, ServerPacket } from '../harness/parser.ts';
import type { Ledger } from './ledger.ts';
import type { LedgerConnection } from './ledger-connection.ts';
import { LedgerSeat } from './ledger-seat.ts';

export interface SubscriberOptions {
  readonly clientId: string;
  readonly version: Version;
  readonly filters: readonly { readonly filter: string; readonly qos: Qos }[];
  /** Its session ends with its connection. */
  readonly clean?: boolean;
  /** A new session is about to be asked for; its SUBACK has come. */
  readonly subscribing?: () => void;
  readonly subscribed?: () => void;
  /** Default: none. Of a DISCONNECT that may come. */
  readonly disconnects?: readonly number[];
  /** A message that was not there before. */
  readonly arrived: (topic: string, payload: string) => void;
}

const subscribeMs = 10_000;

export class LedgerSubscriber {
  readonly options: SubscriberOptions;
  readonly #ledger: Ledger;
  readonly #received2 = new Map<number, string>();
  readonly seat: LedgerSeat;
  #hasSession = false;
  #subscribed: (() => void) | undefined;

  constructor(ledger: Ledger, options: SubscriberOptions) {
    this.#ledger = ledger;
    this.options = options;
    this.seat = new LedgerSeat((packet, connection) => this.#take(packet, connection));
  }

  get isConnected(): boolean {
    return this.seat.isConnected;
  }

  /** Connects, and subscribes where it has no session yet. */
  async come(port: number, connectMs?: number): Promise<void> {
    const { clientId, version, clean = false } = this.options;
    if (clean) {
      this.#hasSession = false;
      this.#received2.clear();
    }
    const { connection, connack } = await this.seat.take(
      port,
      {
        clientId,
        version,
        clean,
        ...(version === 5 && !clean ? { properties: { sessionExpiryInterval: 3600 } } : {}),
      },
      connectMs,
    );
    if (connack.sessionPresent && !this.#hasSession) {
      this.#ledger.problems.push(`${clientId}: a session that it did not have`);
    }
    if (!this.#hasSession) await this.#subscribe(connection);
    else if (!connack.sessionPresent) {
      this.#ledger.problems.push(`${clientId}: its session is lost`);
    }
    this.#hasSession = true;
  }

  leave(): void {
    this.seat.leave();
  }

  async #subscribe(connection: LedgerConnection): Promise<void> {
    const { version, filters, subscribing } = this.options;
    subscribing?.();
    const answered = new Promise<void>((resolve, reject) => {
      this.#subscribed = resolve;
      setTimeout(() => reject(new Error('no SUBACK')), subscribeMs).unref();
      void connection.ended.then(() => reject(new Error('closed before SUBACK')));
    });
    connection.send(packets.subscribe({ version, packetId: 1, filters }));
    await answered;
  }

  #take(packet: ServerPacket, connection: LedgerConnection): void {
    const { options } = this;
    switch (packet.type) {
      case 'suback':
        if (packet.reasons.some((reason, at) => reason !== options.filters[at]?.qos)) {
          this.#ledger.problems.push(`${options.clientId}: SUBACK ${packet.reasons.join()}`);
        }
        options.subscribed?.();
        this.#subscribed?.();
        return;
      case 'publish':
        this.#publish(packet, connection);
        return;
      case 'pubrel':
        this.#received2.delete(packet.packetId);
        connection.send(packets.ack('pubcomp', { packetId: packet.packetId }));
        return;
      case 'pingresp':
        return;
      case 'disconnect':
        if (options.disconnects?.includes(packet.reason)) return;
        this.#ledger.problems.push(`${options.clientId}: DISCONNECT ${packet.reason} came`);
        return;
      default:
        this.#ledger.problems.push(`${options.clientId}: ${packet.type} came`);
    }
  }

  #publish(packet: Publish, connection: LedgerConnection): void {
    const { topic, payload, qos, packetId, dup } = packet;
    const { clientId } = this.options;
    const text = payload.toString();
    if (qos === 1) connection.send(packets.ack('puback', { packetId }));
    if (qos === 2) {
      const name = `${topic} ${text}`;
      const known = this.#received2.get(packetId);
      connection.send(packets.ack('pubrec', { packetId }));
      if (known !== undefined) {
        // [MQTT-3.3.1-1], and the identifier still stands for what it stood for.
        if (known !== name || !dup) {
          this.#ledger.problems.push(`${clientId}: ${packetId} was ${known} and is ${name}`);
        }
        return;
      }
      this.#received2.set(packetId, name);
    }
    this.options.arrived(topic, text);
  }
}
