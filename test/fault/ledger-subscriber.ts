// A subscriber that keeps its half of the handshakes over all reconnects: an identifier at QoS 2
// names one message from its PUBLISH to its PUBREL, and a second PUBLISH with it is not counted.
import type { Qos, Version } from '../harness/packets.ts';
import * as packets from '../harness/packets.ts';
import type { Publish, ServerPacket } from '../harness/parser.ts';
import type { Ledger } from './ledger.ts';
import { type LedgerConnection, openLedgerConnection } from './ledger-connection.ts';

export interface SubscriberOptions {
  readonly clientId: string;
  readonly version: Version;
  readonly filters: readonly { readonly filter: string; readonly qos: Qos }[];
  /** A message that was not there before. */
  readonly arrived: (topic: string, payload: string) => void;
}

const subscribeMs = 10_000;

export class LedgerSubscriber {
  readonly options: SubscriberOptions;
  readonly #ledger: Ledger;
  readonly #received2 = new Map<number, string>();
  #connection: LedgerConnection | undefined;
  #hasSession = false;
  #subscribed: (() => void) | undefined;

  constructor(ledger: Ledger, options: SubscriberOptions) {
    this.#ledger = ledger;
    this.options = options;
  }

  get isConnected(): boolean {
    return this.#connection !== undefined && !this.#connection.closed;
  }

  /** Connects, and subscribes where it has no session yet. */
  async come(port: number): Promise<void> {
    const { clientId, version } = this.options;
    const { connection, connack } = await openLedgerConnection(
      port,
      {
        clientId,
        version,
        clean: false,
        ...(version === 5 ? { properties: { sessionExpiryInterval: 3600 } } : {}),
      },
      (packet, from) => this.#take(packet, from),
    );
    this.#connection = connection;
    if (!this.#hasSession) await this.#subscribe(connection);
    else if (!connack.sessionPresent) {
      this.#ledger.problems.push(`${clientId}: its session is lost`);
    }
    this.#hasSession = true;
  }

  leave(): void {
    this.#connection?.destroy();
  }

  async #subscribe(connection: LedgerConnection): Promise<void> {
    const { version, filters } = this.options;
    const answered = new Promise<void>((resolve, reject) => {
      this.#subscribed = resolve;
      setTimeout(() => reject(new Error('no SUBACK')), subscribeMs).unref();
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
        this.#subscribed?.();
        return;
      case 'publish':
        this.#publish(packet, connection);
        return;
      case 'pubrel':
        this.#received2.delete(packet.packetId);
        connection.send(packets.ack('pubcomp', { packetId: packet.packetId }));
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
