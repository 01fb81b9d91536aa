import type { Qos } from '@lmqtt/common/qos';

const noBytes: Buffer = Buffer.alloc(0);

/**
 * A PUBLISH from a client, section 3.3. One instance is used again and again: it is valid only
 * during the call that hands it over. The buffer stays valid; its layout is that of `Message`:
 *
 *     buffer[topicStart]    u16 length, topic name    (topicStart −1: empty, an alias stands for
 *     it) …                     packet identifier, properties (5.0) buffer[payloadStart …
 *     payloadEnd)
 */
export class IncomingPublish {
  buffer: Buffer = noBytes;
  topicStart = 0;
  payloadStart = 0;
  payloadEnd = 0;
  /** Well-formed, no wildcards; empty only with a topic alias. */
  topic = '';
  qos: Qos = 0;
  retain = false;
  dup = false;
  /** 0 at QoS 0. */
  packetId = 0;
  /** The properties that are forwarded, as encoded; see `Message.properties`. */
  properties: Buffer | undefined = undefined;
  /** Seconds; undefined: never. */
  messageExpiryS: number | undefined = undefined;
  /** 0: none. Its maximum is checked by the connection. */
  topicAlias = 0;
  /** 1: the payload says it is UTF-8. */
  payloadFormatIndicator: 0 | 1 = 0;
  hasResponseTopic = false;
}
