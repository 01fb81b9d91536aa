import { isUtf8 } from 'node:buffer';
import { Message } from '@lmqtt/common/message';
import { mountedTopic } from '@lmqtt/common/mount';
import { mountedProperties } from '@lmqtt/common/mounted-message';
import { internalTopics } from '@lmqtt/common/receipt';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { isBridgeState, levelCount } from '@lmqtt/common/topic';
import type { Publish } from '@lmqtt/proto/link';
import type { IncomingPublish } from '../../packet/publish.ts';
import { refusedPublish } from '../../codec/cold.ts';
import type { Client, PublishAnswer } from '../client.ts';

/** PUBLISH from a client, 3.3. Hot: no promise and two objects a message. */
export function onPublish(connection: Client, packet: IncomingPublish): void {
  const { node, inbound } = connection;
  const { qos, packetId } = packet;
  const topic = packet.topicAlias === 0 ? packet.topic : resolveAlias(connection, packet);
  if (topic === undefined) return;
  if (connection.publishRate !== undefined && !isWithinRate(connection, packet)) return;
  if (topic !== connection.checkedTopic) {
    if (levelCount(topic) > node.config.maxTopicLevels) {
      node.events.limit('MAX_TOPIC_LEVELS');
      refuse(connection, packet, ReasonCode.topicNameInvalid, 'too many topic levels');
      return;
    }
    if (topic.startsWith(internalTopics)) {
      refuse(connection, packet, ReasonCode.notAuthorized, 'a topic of the broker itself');
      return;
    }
    if (connection.mount !== '') {
      const full = mountedTopic(connection.mount, topic);
      if (full === undefined) {
        refuse(connection, packet, ReasonCode.topicNameInvalid, 'no topic of the namespace');
        return;
      }
      connection.mountedTopic = full;
    }
    connection.checkedTopic = topic;
  }
  if (qos === 2) {
    const state = inbound.state2(packetId);
    if (state !== undefined) {
      // [MQTT-4.3.3-10]: stored under this identifier already, so it is not published again.
      if (state === 'stored') connection.outbox.acknowledge('pubrec', packetId, ReasonCode.success);
      return;
    }
  }
  if (qos > 0 && inbound.count >= node.config.receiveMaximum && connection.version === 5) {
    // [MQTT-3.3.4-7]
    node.events.limit('RECEIVE_MAXIMUM');
    connection.fail(ReasonCode.receiveMaximumExceeded, 'receive maximum exceeded');
    return;
  }
  if (packet.payloadFormatIndicator === 1 && node.config.validatePayloadFormat) {
    if (!isUtf8(packet.buffer.subarray(packet.payloadStart, packet.payloadEnd))) {
      refuse(connection, packet, ReasonCode.payloadFormatInvalid, 'the payload is not UTF-8');
      return;
    }
  }
  let { properties } = packet;
  if (connection.mount !== '' && properties !== undefined) {
    properties = mountedProperties(connection.mount, properties);
    if (properties === undefined) {
      refuse(connection, packet, ReasonCode.topicNameInvalid, 'a response topic that is too long');
      return;
    }
  }
  const { messageExpiryS } = packet;
  const full = connection.mount === '' ? topic : connection.mountedTopic;
  const message = new Message(
    full,
    qos,
    packet.retain,
    packet.buffer,
    packet.topic === full ? packet.topicStart : -1,
    packet.payloadStart,
    packet.payloadEnd,
    properties,
    messageExpiryS === undefined ? 0 : node.time.wallMs + messageExpiryS * 1000,
    connection.clientId,
  );
  if (messageExpiryS !== undefined) message.expiryS = Math.max(1, messageExpiryS);
  if (qos === 1) inbound.begin1();
  else if (qos === 2) inbound.set2(packetId, 'storing');
  else if (packet.retain) inbound.retained0();
  node.publishes.send(connection, { session: connection.handle, packetId, message, reasonCode: 0 });
  // A 5.0 client knows the maximum. A socket is never left unread for publishes whose PUBREL would
  // come through it.
  if (connection.version !== 5 && inbound.unanswered >= node.config.receiveMaximum) {
    node.events.limit('RECEIVE_MAXIMUM');
    connection.pauseReading();
  }
}

/**
 * Whether the publish goes on: one past the rates goes on as the last one for now, or is answered as
 * PUBLISH_RATE_ANSWER says.
 */
function isWithinRate(connection: Client, packet: IncomingPublish): boolean {
  const { node, publishRate, packetBytes, version } = connection;
  const { publishRateAnswer: answer } = node.config;
  const { qos, packetId } = packet;
  if (publishRate === undefined) return true;
  if (answer === 'wait' || (answer === 'refuse' && (version !== 5 || qos === 0))) {
    const limit = publishRate.take(packetBytes);
    if (limit !== undefined) node.events.pastRate(connection, limit, 'wait');
    return true;
  }
  // A publish that was taken already is not refused when it comes again.
  if (qos === 2 && connection.inbound.state2(packetId) !== undefined) return true;
  const limit = publishRate.takeWithin(packetBytes);
  if (limit === undefined) return true;
  node.events.pastRate(connection, limit, answer);
  if (answer === 'refuse')
    refuse(connection, packet, ReasonCode.quotaExceeded, 'publish rate exceeded');
  else connection.fail(ReasonCode.messageRateTooHigh, 'publish rate exceeded');
  return false;
}

/** 3.3.2.3.4: an alias with a topic is set, without one it is looked up. */
function resolveAlias(connection: Client, packet: IncomingPublish): string | undefined {
  const { topicAlias, topic } = packet;
  if (topicAlias > connection.node.config.topicAliasMaximum) {
    connection.node.events.limit('TOPIC_ALIAS_MAXIMUM');
    connection.fail(ReasonCode.topicAliasInvalid, 'topic alias above the maximum');
    return undefined;
  }
  const { inboundAliases } = connection;
  if (topic !== '') {
    inboundAliases.set(topicAlias, topic);
    return topic;
  }
  const known = inboundAliases.get(topicAlias);
  if (known === undefined) connection.fail(ReasonCode.protocolError, 'unknown topic alias');
  return known;
}

/** One message is refused, not the connection, where the protocol has a way to say so. */
function refuse(
  connection: Client,
  packet: IncomingPublish,
  reasonCode: ReasonCode,
  reason: string,
): void {
  if (connection.version !== 5 || packet.qos === 0) connection.fail(reasonCode, reason);
  else {
    const type = packet.qos === 1 ? 'puback' : 'pubrec';
    answerRefused(connection, type, packet.packetId, reasonCode, reason);
  }
}

/** ds has answered: everything that the acknowledgement promises is durable. */
export function onPublished(connection: Client, publish: Publish): void {
  const { packetId, reasonCode } = publish;
  const { qos } = publish.message;
  const { inbound, version } = connection;
  if (qos === 1) inbound.end1();
  else if (reasonCode >= 0x80) inbound.end2(packetId);
  else inbound.set2(packetId, 'stored');
  if (version !== 5 && reasonCode >= 0x80 && !dropsSilently(connection, publish)) {
    // [MQTT-3.3.5-2]: before 5.0 a publish can only be accepted or the connection closed.
    connection.fail(reasonCode, 'publish refused');
    return;
  }
  if (version !== 5 && qos === 2 && reasonCode >= 0x80) inbound.set2(packetId, 'stored');
  const type = qos === 1 ? 'puback' : 'pubrec';
  if (reasonCode < 0x80) connection.outbox.acknowledge(type, packetId, reasonCode);
  else answerRefused(connection, type, packetId, reasonCode, refusalReasons[reasonCode]);
  connection.resumeReading();
}

/** A publish at QoS 0 was refused, which has no answer. */
export function onRefused(connection: Client, reasonCode: number): void {
  if (reasonCode !== ReasonCode.notAuthorized) return;
  if (connection.node.config.aclDenyPublish !== 'drop')
    connection.fail(reasonCode, 'publish refused');
}

const refusalReasons: Readonly<Record<number, string>> = {
  [ReasonCode.unspecifiedError]: 'the message could not be stored',
  [ReasonCode.implementationSpecificError]:
    'the message was not stored in time, or the store does not take it',
  [ReasonCode.notAuthorized]: 'publishing to this topic is not permitted',
  [ReasonCode.topicNameInvalid]: 'the store does not take this topic',
  [ReasonCode.quotaExceeded]: 'the message is past a limit',
  [ReasonCode.payloadFormatInvalid]: 'the store does not take this payload, or these properties',
};

/** The answer has the reason, if the client wants one and has room for it. */
function answerRefused(
  connection: Client,
  type: PublishAnswer,
  packetId: number,
  reasonCode: number,
  reasonString: string | undefined,
): void {
  const { version, explains, maximumPacketSize = Infinity } = connection;
  if (version === 5 && explains && reasonString !== undefined) {
    const packet = { packetId, reasonCode, reasonString };
    const bytes = refusedPublish(type, packet, maximumPacketSize);
    if (bytes.length <= maximumPacketSize) {
      connection.sendPacket(type, bytes);
      return;
    }
  }
  connection.outbox.acknowledge(type, packetId, reasonCode);
}

/**
 * Whether the refused publish is a bridge's state, after which the bridge goes on whatever
 * ACL_DENY_PUBLISH says.
 */
function dropsSilently(connection: Client, { reasonCode, message }: Publish): boolean {
  if (reasonCode !== ReasonCode.notAuthorized) return false;
  return connection.node.config.aclDenyPublish === 'drop' || isBridgeState(message.topic);
}
