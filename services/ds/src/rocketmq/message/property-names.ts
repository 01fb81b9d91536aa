// Names of a stored message's properties. Those with our prefix are not known to the Java nodes.

/** RocketMQ's own. */
export const rocket = {
  tags: 'TAGS',
  /** Keys that the producer gave the message to be found by. */
  keys: 'KEYS',
  key: 'UNIQ_KEY',
  lmqNames: 'INNER_MULTI_DISPATCH',
  /** Added by the broker: the offsets, in the order of the names. */
  lmqOffsets: 'INNER_MULTI_QUEUE_OFFSET',
} as const;

/** Properties of the Java nodes. */
export const java = {
  topic: 'originMqttTopic',
  empty: 'IS_EMPTY_MSG',
  qos: 'qosLevel',
  namespace: 'namespace',
  retryTimes: 'retryTimes',
  /** JSON of a map of texts: the QoS and the properties of MQTT 5.0, where Java nodes look for them. */
  more: 'extData',
  /** Only in `extData`: overrides the topic. */
  realTopic: 'mqttRealTopic',
  payloadFormatIndicator: 'payloadFormatIndicator',
  /** Seconds from the publish on. */
  messageExpiryInterval: 'messageExpiryInterval',
  contentType: 'contentType',
  responseTopic: 'responseTopic',
  /** Base64; in `extData` the text, as Java nodes have it. */
  correlationData: 'correlationData',
  /** JSON: `[{"key":…,"value":…},…]`. */
  userProperty: 'mqtt5UserProperty',
} as const;

export const own = {
  publisher: 'lmqttPublisher',
  /** Name of the user whose client has published it. */
  user: 'lmqttUser',
  /** Wall clock in ms. */
  publishedAt: 'lmqttPublishedAt',
  /** `1`: published with RETAIN. */
  retain: 'lmqttRetain',
  /** Wall clock in ms. */
  expiresAt: 'lmqttExpiresAt',
  /** Which properties of MQTT 5.0 were there, a letter each, in their order. */
  layout: 'lmqttLayout',
  /** Sent a second time, after the outcome of the first was unknown: the lowest offset that can have. */
  again: 'lmqttAgain',
} as const;

/** Properties of back ends, beside those of the Java nodes. */
export const backEnd = {
  /** The MQTT topic, where `originMqttTopic` is not there. */
  topic: 'mqttTopic',
  /** The client identifier: the message is for that client alone. */
  client: 'mqttClientId',
  /** `true` or `1`; `false` or `0`: as without it. */
  retain: 'retain',
} as const;

/** Tag of messages that were published over MQTT. */
export const mqttTag = 'MQTT_COMMON';
/** Tag of events of clients. */
export const eventTag = 'CLIENT_EVENT';
/** Tag of messages that other producers send to devices. */
export const producerTag = 'MQ2MQTT';

/** Stands for an empty payload, which RocketMQ does not store. */
export const emptyBody: Buffer = Buffer.from('★\r\n\t☀');
