// A publisher that keeps its half of the handshakes over all reconnects, as [MQTT-4.4.0-1] asks:
// what is not acknowledged goes out again with DUP, what is released gets its PUBREL again.
import type { Version } from '../harness/packets.ts';
import * as packets from '../harness/packets.ts';
import type { ServerPacket } from '../harness/parser.ts';
import type { Ledger, LedgerTopic } from './ledger.ts';
import type { LedgerConnection } from './ledger-connection.ts';
import { LedgerSeat } from './ledger-seat.ts';
import type { LedgerWills } from './ledger-wills.ts';

interface Sent {
  readonly topic: LedgerTopic;
  readonly number: number;
  readonly payload: string;
  readonly retain: boolean;
  isReleased: boolean;
  isReleasedAgain: boolean;
}

export interface PublisherOptions {
  readonly clientId: string;
  readonly version: Version;
  readonly topics: readonly LedgerTopic[];
  /** Publishes that may be unacknowledged at one time. */
  readonly window: number;
  /** Default: a short one that names topic and number. */
  readonly payload?: (topic: LedgerTopic, number: number) => string;
  readonly retain?: boolean;
  /** Its session ends with its connection, and what is unacknowledged then is given up. */
  readonly clean?: boolean;
  /** Each of its connections has a will, which is owed when it ends. */
  readonly wills?: LedgerWills;
  /** A refusal (5.0: an error in PUBACK or PUBREC) is a problem unless this takes it. */
  readonly refused?: (reason: number) => void;
}

export class LedgerPublisher {
  readonly options: PublisherOptions;
  readonly #ledger: Ledger;
  /** In the order of their first sending. */
  readonly #inflight = new Map<number, Sent>();
  readonly seat: LedgerSeat;
  #hasSession = false;
  #packetId = 0;
  #turn = 0;

  constructor(ledger: Ledger, options: PublisherOptions) {
    this.#ledger = ledger;
    this.options = options;
    this.seat = new LedgerSeat((packet, connection) => this.#received(packet, connection));
  }

  get isConnected(): boolean {
    return this.seat.isConnected;
  }

  get inflight(): number {
    return this.#inflight.size;
  }

  async come(port: number, connectMs?: number): Promise<void> {
    const { clientId, version, clean = false, wills } = this.options;
    if (clean) this.#inflight.clear();
    const will = wills?.make();
    const { connection, connack } = await this.seat.take(
      port,
      {
        clientId,
        version,
        clean,
        ...(version === 5 && !clean ? { properties: { sessionExpiryInterval: 3600 } } : {}),
        ...(will === undefined ? {} : { will: will.fields }),
      },
      connectMs,
    );
    will?.owe(connection);
    if (connack.sessionPresent !== (this.#hasSession && !clean)) {
      this.#note(connack.sessionPresent ? 'a session that it did not have' : 'its session is lost');
    }
    this.#hasSession = true;
    for (const [packetId, sent] of this.#inflight) {
      if (sent.isReleased) {
        sent.isReleasedAgain = true;
        this.seat.send(packets.ack('pubrel', { packetId }));
      } else this.#send(packetId, sent, true);
    }
  }

  leave(): void {
    this.seat.leave();
  }

  /** As many new ones as the window takes, or fewer; at QoS 0 one. How many. */
  publish(most: number = Infinity): number {
    const { topics, window, retain = false } = this.options;
    let count = 0;
    while (count < most && this.isConnected && this.#inflight.size < window) {
      const topic = topics[this.#turn++ % topics.length];
      if (topic === undefined) return count;
      count += 1;
      topic.sent += 1;
      const number = topic.sent;
      const payload = this.options.payload?.(topic, number) ?? String(number);
      if (topic.qos === 0) {
        const { version } = this.options;
        this.seat.send(packets.publish({ version, topic: topic.name, qos: 0, payload }));
        return count;
      }
      do this.#packetId = (this.#packetId % 0xffff) + 1;
      while (this.#inflight.has(this.#packetId));
      const sent: Sent = {
        topic,
        number,
        payload,
        retain,
        isReleased: false,
        isReleasedAgain: false,
      };
      this.#inflight.set(this.#packetId, sent);
      this.#send(this.#packetId, sent, false);
    }
    return count;
  }

  #send(packetId: number, { topic, payload, retain }: Sent, dup: boolean): void {
    const { version } = this.options;
    const { name, qos } = topic;
    this.seat.send(packets.publish({ version, topic: name, qos, packetId, payload, dup, retain }));
  }

  #received(packet: ServerPacket, connection: LedgerConnection): void {
    if (packet.type !== 'puback' && packet.type !== 'pubrec' && packet.type !== 'pubcomp') return;
    const { packetId, reason, type } = packet;
    const sent = this.#inflight.get(packetId);
    if (sent === undefined) {
      this.#note(`${type} of ${packetId}, which is not in use`);
      return;
    }
    if ((sent.topic.qos === 1) !== (type === 'puback')) this.#note(`${type} at a wrong QoS`);
    if (reason >= 0x80) {
      this.#inflight.delete(packetId);
      // A PUBREL that was sent again and had been obeyed the first time.
      if (type === 'pubcomp' && reason === 0x92 && sent.isReleasedAgain) return;
      if (this.options.refused === undefined) this.#note(`${type} 0x${reason.toString(16)}`);
      else this.options.refused(reason);
      return;
    }
    // A PUBREC makes the message the broker's.
    if (type !== 'pubcomp') sent.topic.acknowledged.add(sent.number);
    if (type === 'pubrec') {
      sent.isReleased = true;
      connection.send(packets.ack('pubrel', { packetId }));
      return;
    }
    if (type === 'pubcomp' && !sent.isReleased) this.#note('PUBCOMP before PUBREC');
    this.#inflight.delete(packetId);
  }

  #note(what: string): void {
    this.#ledger.problems.push(`${this.options.clientId}: ${what}`);
  }
}
