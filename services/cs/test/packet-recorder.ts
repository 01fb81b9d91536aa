import type { Auth } from '../src/packet/auth.ts';
import type { Connect } from '../src/packet/connect.ts';
import type { Disconnect } from '../src/packet/disconnect.ts';
import type { PacketSink } from '../src/packet/packet-sink.ts';
import type { IncomingPublish } from '../src/packet/publish.ts';
import type { Subscribe } from '../src/packet/subscribe.ts';
import type { Unsubscribe } from '../src/packet/unsubscribe.ts';

/** A PUBLISH, with copies of its bytes. */
export interface RecordedPublish {
  readonly kind: 'publish';
  readonly topic: string;
  /** Topic in the bytes at topicStart; undefined: there is none. */
  readonly topicBytes: string | undefined;
  readonly payload: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly packetId: number;
  readonly properties: string | undefined;
  readonly messageExpiryS: number | undefined;
  readonly topicAlias: number;
  readonly payloadFormatIndicator: number;
  readonly hasResponseTopic: boolean;
}

export type Recorded =
  | RecordedPublish
  | { readonly kind: 'connect'; readonly packet: Connect }
  | { readonly kind: 'subscribe'; readonly packet: Subscribe }
  | { readonly kind: 'unsubscribe'; readonly packet: Unsubscribe }
  | { readonly kind: 'disconnect'; readonly packet: Disconnect }
  | { readonly kind: 'auth'; readonly packet: Auth }
  | { readonly kind: 'pingreq' }
  | {
      readonly kind: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';
      readonly packetId: number;
      readonly reasonCode: number;
    }
  | { readonly kind: 'malformed'; readonly reasonCode: number; readonly reason: string };

/** A sink that keeps everything, and may do something at each packet. */
export class PacketRecorder implements PacketSink {
  readonly all: Recorded[] = [];
  onPacket: (packet: Recorded) => void = () => {};

  #add(packet: Recorded): void {
    this.all.push(packet);
    this.onPacket(packet);
  }

  connect(packet: Connect): void {
    this.#add({ kind: 'connect', packet });
  }

  publish(packet: IncomingPublish): void {
    const { buffer, topicStart } = packet;
    const topicLength = topicStart < 0 ? 0 : buffer.readUInt16BE(topicStart);
    this.#add({
      kind: 'publish',
      topic: packet.topic,
      topicBytes:
        topicStart < 0
          ? undefined
          : buffer.toString('utf8', topicStart + 2, topicStart + 2 + topicLength),
      payload: buffer.toString('hex', packet.payloadStart, packet.payloadEnd),
      qos: packet.qos,
      retain: packet.retain,
      dup: packet.dup,
      packetId: packet.packetId,
      properties: packet.properties?.toString('hex'),
      messageExpiryS: packet.messageExpiryS,
      topicAlias: packet.topicAlias,
      payloadFormatIndicator: packet.payloadFormatIndicator,
      hasResponseTopic: packet.hasResponseTopic,
    });
  }

  puback(packetId: number, reasonCode: number): void {
    this.#add({ kind: 'puback', packetId, reasonCode });
  }

  pubrec(packetId: number, reasonCode: number): void {
    this.#add({ kind: 'pubrec', packetId, reasonCode });
  }

  pubrel(packetId: number, reasonCode: number): void {
    this.#add({ kind: 'pubrel', packetId, reasonCode });
  }

  pubcomp(packetId: number, reasonCode: number): void {
    this.#add({ kind: 'pubcomp', packetId, reasonCode });
  }

  subscribe(packet: Subscribe): void {
    this.#add({ kind: 'subscribe', packet });
  }

  unsubscribe(packet: Unsubscribe): void {
    this.#add({ kind: 'unsubscribe', packet });
  }

  pingreq(): void {
    this.#add({ kind: 'pingreq' });
  }

  disconnect(packet: Disconnect): void {
    this.#add({ kind: 'disconnect', packet });
  }

  auth(packet: Auth): void {
    this.#add({ kind: 'auth', packet });
  }

  malformed(reasonCode: number, reason: string): void {
    this.#add({ kind: 'malformed', reasonCode, reason });
  }
}
