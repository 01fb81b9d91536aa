import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Auth } from '../packet/auth.ts';
import type { Connect } from '../packet/connect.ts';
import type { Disconnect } from '../packet/disconnect.ts';
import type { PacketSink, SizeLimit } from '../packet/packet-sink.ts';
import type { IncomingPublish } from '../packet/publish.ts';
import type { Subscribe } from '../packet/subscribe.ts';
import type { Unsubscribe } from '../packet/unsubscribe.ts';
import type { PacketName } from '../counters.ts';
import type { Client } from './client.ts';
import { onPuback, onPubcomp, onPubrec, onPubrel } from './packets/acknowledge.ts';
import { onAuth } from './packets/auth.ts';
import { onConnect } from './packets/connect.ts';
import { onDisconnect } from './packets/disconnect.ts';
import { onPublish } from './packets/publish.ts';
import { onSubscribe } from './packets/subscribe.ts';
import { onPingreq } from './packets/pingreq.ts';
import { onUnsubscribe } from './packets/unsubscribe.ts';

/**
 * The cost that a client's packets may have before others have their turn. Each packet costs
 * `packetCost` and one more for each 64 bytes, and each filter `filterCost`, so that a turn works
 * on about 100 filters.
 */
const budget = 16_384;
const packetCost = 8;
const filterCost = 160;

/**
 * Packets of one connection to their handlers: counted, and only as long as it takes them. After
 * some of them the connection rests until the next turn of the event loop, so that nobody waits for
 * all that one client has sent at once.
 */
export class PacketDispatch implements PacketSink {
  readonly #client: Client;
  #left = budget;
  /** The turn that `left` is for. */
  #turn = 0;
  /** No further packet is handled in this turn. */
  resting = false;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Bytes came: a new turn has a new budget. */
  came(): void {
    const { count } = this.#client.node.turn;
    if (count === this.#turn) return;
    this.#turn = count;
    this.#left = budget;
  }

  connect(packet: Connect): void {
    this.#count('connect');
    onConnect(this.#client, packet);
  }

  publish(packet: IncomingPublish): void {
    const client = this.#client;
    const { packetBytes } = client;
    client.node.counters.publishReceived(packet.qos, packetBytes);
    this.#left -= packetCost + (packetBytes >> 6);
    if (this.#left < 0) this.#rest();
    if (this.#ready()) onPublish(client, packet);
  }

  puback(packetId: number, reasonCode: number): void {
    const { packetBytes } = this.#client;
    this.#client.node.counters.pubackReceived(packetBytes);
    this.#left -= packetCost + (packetBytes >> 6);
    if (this.#left < 0) this.#rest();
    if (this.#ready()) onPuback(this.#client, packetId, reasonCode);
  }

  pubrec(packetId: number, reasonCode: number): void {
    this.#count('pubrec');
    if (this.#ready()) onPubrec(this.#client, packetId, reasonCode);
  }

  pubrel(packetId: number, _reasonCode: number): void {
    this.#count('pubrel');
    if (this.#ready()) onPubrel(this.#client, packetId);
  }

  pubcomp(packetId: number, reasonCode: number): void {
    this.#count('pubcomp');
    if (this.#ready()) onPubcomp(this.#client, packetId, reasonCode);
  }

  subscribe(packet: Subscribe): void {
    this.#count('subscribe', packet.filters.length * filterCost);
    if (this.#ready()) onSubscribe(this.#client, packet);
  }

  unsubscribe(packet: Unsubscribe): void {
    this.#count('unsubscribe', packet.filters.length * filterCost);
    if (this.#ready()) onUnsubscribe(this.#client, packet);
  }

  pingreq(): void {
    this.#count('pingreq');
    if (this.#ready()) onPingreq(this.#client);
  }

  disconnect(packet: Disconnect): void {
    this.#count('disconnect');
    const client = this.#client;
    if (client.ended) return;
    if (client.session !== undefined) onDisconnect(client, packet);
    else client.finish({ publishWill: false, sessionExpiryS: undefined, reason: 'client' });
  }

  auth(packet: Auth): void {
    this.#count('auth');
    if (!this.#client.ended) onAuth(this.#client, packet);
  }

  malformed(reasonCode: number, reason: string, limit?: SizeLimit): void {
    const { node } = this.#client;
    if (limit !== undefined) node.events.limit(limit);
    else node.counters.malformed += 1;
    this.#client.malformed(reasonCode, reason);
  }

  #count(type: PacketName, moreCost: number = 0): void {
    const client = this.#client;
    client.node.counters.received(type, client.packetBytes);
    this.#left -= packetCost + (client.packetBytes >> 6) + moreCost;
    if (this.#left < 0) this.#rest();
  }

  #rest(): void {
    this.#left = budget;
    const client = this.#client;
    if (this.resting || client.ended || client.session === undefined) return;
    this.resting = true;
    client.rest();
    setImmediate(() => {
      this.resting = false;
      client.goOn();
    });
  }

  /** [MQTT-4.12.0-2]: before CONNACK only AUTH and DISCONNECT may follow CONNECT. */
  #ready(): boolean {
    const client = this.#client;
    if (client.ended) return false;
    if (client.session !== undefined) return true;
    client.fail(ReasonCode.protocolError, 'a packet before CONNACK');
    return false;
  }
}
