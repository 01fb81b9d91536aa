// A message as onPublish sees it, and as it goes on where onPublish changes it.
import type { ClientId } from '@lmqtt/common/ids';
import { Message } from '@lmqtt/common/message';
import {
  encodePublishProperties,
  isMqttText,
  noPublishProperties,
  readPublishProperties,
} from '@lmqtt/common/publish-properties';
import type { Qos } from '@lmqtt/common/qos';
import { isValidTopicName, levelCount } from '@lmqtt/common/topic';
import type { Principal } from '../auth/auth-provider.ts';
import type { ChangedMessage, HookClient, HookProperties, HookPublish } from './hooks.ts';

/** The client that a hook is told of. */
export interface HookSession {
  readonly clientId: ClientId;
  readonly principal: Principal;
  readonly peer: { readonly address: string };
  readonly protocolVersion: number;
}

export function hookClient(session: HookSession): HookClient {
  return {
    clientid: session.clientId,
    username: session.principal.user,
    peerhost: session.peer.address,
    proto_ver: session.protocolVersion,
  };
}

export class SeenMessage implements HookPublish {
  readonly clientid: string;
  readonly username: string | undefined;
  readonly peerhost: string;
  readonly proto_ver: number;
  readonly topic: string;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly will: boolean;
  readonly #message: Message;

  constructor(session: HookSession, message: Message, isWill: boolean) {
    this.clientid = session.clientId;
    this.username = session.principal.user;
    this.peerhost = session.peer.address;
    this.proto_ver = session.protocolVersion;
    this.topic = message.topic;
    this.qos = message.qos;
    this.retain = message.retain;
    this.will = isWill;
    this.#message = message;
  }

  get payload(): Buffer {
    return this.#message.payload;
  }

  get properties(): HookProperties {
    return hookProperties(this.#message.properties);
  }
}

/** Properties of a stored message as functions of the operator's see them. */
export function hookProperties(properties: Buffer | undefined): HookProperties {
  if (properties === undefined) return {};
  const read = readPublishProperties(properties);
  return {
    ...(read.payloadFormatIndicator === undefined
      ? {}
      : { payloadFormatIndicator: read.payloadFormatIndicator === 1 ? 1 : 0 }),
    ...(read.contentType === undefined ? {} : { contentType: read.contentType }),
    ...(read.responseTopic === undefined ? {} : { responseTopic: read.responseTopic }),
    ...(read.correlationData === undefined ? {} : { correlationData: read.correlationData }),
    userProperties: read.userProperties,
  };
}

export interface ChangeLimits {
  readonly topicLevelsMax: number;
  readonly payloadBytesMax: number;
}

/** Throws where what the hook says cannot be sent. */
export function changedMessage(
  message: Message,
  { topic = message.topic, payload, properties }: ChangedMessage,
  limits: ChangeLimits,
): Message {
  if (typeof topic !== 'string' || !isTopic(topic, message.topic, limits.topicLevelsMax))
    throw new Error('the topic that it says cannot be published to');
  let { buffer, payloadStart, payloadEnd } = message;
  let topicStart = topic === message.topic ? message.topicStart : -1;
  if (payload !== undefined) {
    if (typeof payload !== 'string' && !(payload instanceof Uint8Array))
      throw new Error('the payload that it says is neither a text nor bytes');
    buffer = typeof payload === 'string' ? Buffer.from(payload) : Buffer.from(payload);
    if (buffer.length > limits.payloadBytesMax)
      throw new Error('the payload that it says is past MAX_PACKET_SIZE');
    [topicStart, payloadStart, payloadEnd] = [-1, 0, buffer.length];
  }
  const changed = new Message(
    topic,
    message.qos,
    message.retain,
    buffer,
    topicStart,
    payloadStart,
    payloadEnd,
    properties === undefined ? message.properties : encodedProperties(properties ?? {}),
    message.expiresAtMs,
    message.publisher,
  );
  changed.expiryS = message.expiryS;
  return changed;
}

/** Topics of the broker itself are for nobody to change to. */
function isTopic(topic: string, before: string, levelsMax: number): boolean {
  if (topic === before) return true;
  return isValidTopicName(topic) && !topic.startsWith('$') && levelCount(topic) <= levelsMax;
}

/** Throws where they cannot be sent. */
export function encodedProperties(said: HookProperties): Buffer | undefined {
  const { payloadFormatIndicator, contentType, responseTopic, correlationData } = said;
  const { userProperties = [] } = said;
  const texts = [
    contentType,
    responseTopic,
    ...userProperties.flatMap((one) => [one.key, one.value]),
  ];
  for (const text of texts)
    if (text !== undefined && (typeof text !== 'string' || !isMqttText(text)))
      throw new Error('a property that it says is no text of MQTT');
  if (responseTopic !== undefined && !isValidTopicName(responseTopic))
    throw new Error('the response topic that it says is none');
  if (correlationData !== undefined && correlationData.length > 65_535)
    throw new Error('the correlation data that it says are too long');
  return encodePublishProperties({
    ...noPublishProperties(),
    payloadFormatIndicator,
    contentType,
    responseTopic,
    correlationData: correlationData && Buffer.from(correlationData),
    userProperties: userProperties.map(({ key, value }) => ({ key, value })),
  });
}
