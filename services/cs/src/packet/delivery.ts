import type { Qos } from '@lmqtt/common/qos';
import type { ProtocolVersion } from './packet-type.ts';

/** How a message goes to one client. Mutable, to be filled again for each. */
export class Delivery {
  version: ProtocolVersion = 4;
  qos: Qos = 0;
  dup = false;
  retain = false;
  /** Not written at QoS 0. */
  packetId = 0;
  /** All that follows: 5.0 only, ignored before. */
  subscriptionIdentifiers: readonly number[] | undefined = undefined;
  /** 0: none. */
  topicAlias = 0;
  /** false: the alias stands for the topic, which is left empty. */
  withTopic = true;
  /** Seconds that are left; −1: never expires. */
  messageExpiryS = -1;
}
