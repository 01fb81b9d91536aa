import type { Message } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';
import { varintBytes } from '../codec/bytes.ts';
import {
  firstByteOf,
  laidOutBytes,
  publishSize,
  writeAsLaidOut,
  writePublish,
} from '../codec/publish-writer.ts';
import { Delivery } from '../packet/delivery.ts';
import type { ProtocolVersion } from '../packet/packet-type.ts';
import type { Outbox } from './outbox.ts';
import { OutboundAliases } from './topic-aliases.ts';

/** Filled again for each packet; one is enough, since a write is one call. */
const delivery = new Delivery();

/**
 * [MQTT-3.3.2-6]: what is left of it, in s; never more than there was, whatever the clock says. A
 * message under way since before it ended has 1 s left.
 */
function expiryLeftS({ expiresAtMs, expiryS }: Message, nowMs: number): number {
  const leftS = Math.max(1, Math.ceil((expiresAtMs - nowMs) / 1000));
  return expiryS > 0 && leftS > expiryS ? expiryS : leftS;
}

/** Writes PUBLISH packets as one client takes them: its version, its limits, its aliases. */
export class PublishWriter {
  readonly #version: ProtocolVersion;
  readonly #maximumPacketSize: number;
  readonly #aliases: OutboundAliases | undefined;

  constructor(
    version: ProtocolVersion,
    maximumPacketSize: number | undefined,
    topicAliasMaximum: number,
  ) {
    this.#version = version;
    this.#maximumPacketSize = maximumPacketSize ?? Number.POSITIVE_INFINITY;
    this.#aliases = topicAliasMaximum > 0 ? new OutboundAliases(topicAliasMaximum) : undefined;
  }

  /** Answers the bytes of the packet; 0: it would be larger than the client takes. */
  write(
    outbox: Outbox,
    message: Message,
    qos: Qos,
    dup: boolean,
    retain: boolean,
    packetId: number,
    subscriptionIdentifiers: readonly number[] | undefined,
    time: { readonly wallMs: number },
  ): number {
    const version = this.#version;
    const isBare =
      version < 5 ||
      (this.#aliases === undefined &&
        subscriptionIdentifiers === undefined &&
        message.properties === undefined &&
        message.expiresAtMs === 0);
    const bodyBytes = isBare ? laidOutBytes(message, qos, version) : 0;
    if (bodyBytes === 0) {
      delivery.qos = qos;
      delivery.dup = dup;
      delivery.retain = retain;
      delivery.packetId = packetId;
      delivery.subscriptionIdentifiers = subscriptionIdentifiers;
      delivery.messageExpiryS = message.expiresAtMs === 0 ? -1 : expiryLeftS(message, time.wallMs);
      return this.#writeDelivery(outbox, message);
    }
    const size = 1 + varintBytes(bodyBytes) + bodyBytes;
    if (size > this.#maximumPacketSize) return 0;
    outbox.reserve(size);
    const { buffer, at } = outbox;
    const first = firstByteOf(qos, dup, retain);
    outbox.at = writeAsLaidOut(buffer, at, message, first, qos, version, packetId);
    return size;
  }

  #writeDelivery(outbox: Outbox, message: Message): number {
    delivery.version = this.#version;
    delivery.topicAlias = this.#aliases?.of(message.topic) ?? 0;
    delivery.withTopic = delivery.topicAlias === 0 || this.#aliases?.fresh === true;
    const size = publishSize(message, delivery);
    if (size > this.#maximumPacketSize) {
      if (this.#aliases?.fresh === true) this.#aliases.undo(message.topic);
      return 0;
    }
    outbox.reserve(size);
    outbox.at = writePublish(outbox.buffer, outbox.at, message, delivery);
    return size;
  }
}

/** Most clients have neither a limit nor aliases: they share a writer. */
const plain: readonly PublishWriter[] = [3, 4, 5].map(
  (version) => new PublishWriter(version as ProtocolVersion, undefined, 0),
);

export function publishWriterFor(
  version: ProtocolVersion,
  maximumPacketSize: number | undefined,
  topicAliasMaximum: number,
): PublishWriter {
  const shared = plain[version - 3];
  return shared !== undefined && maximumPacketSize === undefined && topicAliasMaximum === 0
    ? shared
    : new PublishWriter(version, maximumPacketSize, topicAliasMaximum);
}
