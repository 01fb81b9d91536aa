// Random legal packets of a client, in the words of mqtt-packet, the oracle.
import fc from 'fast-check';
import type {
  IAuthPacket,
  IConnectPacket,
  IDisconnectPacket,
  IPublishPacket,
  ISubscribePacket,
  IUnsubscribePacket,
  Packet,
  UserProperties,
} from 'mqtt-packet';

export type Version = 3 | 4 | 5;

/** No U+0000, no lone surrogates. */
export const text: fc.Arbitrary<string> = fc
  .string({ unit: 'grapheme', maxLength: 40 })
  .map((value) => value.replaceAll('\0', ''));
const someText = text.filter((value) => value !== '');

/** No wildcards, not empty; sometimes past the length up to which topics are kept. */
export const topicName: fc.Arbitrary<string> = fc
  .oneof(
    { weight: 8, arbitrary: someText },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 180, max: 300 }).map((length) => 'abcdé'.repeat(length / 5)),
    },
  )
  .map((name) => name.replaceAll(/[+#]/g, 'x'));

const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array));
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const packetId = fc.integer({ min: 1, max: 65_535 });
const qos = fc.constantFrom<0 | 1 | 2>(0, 1, 2);

/**
 * mqtt-packet keeps user properties in an object, so names of its prototype are left out; it
 * writes nothing where that object is empty, and loses empty values of a repeated name. */
const userProperties: fc.Arbitrary<UserProperties> = fc
  .dictionary(
    someText.filter((name) => !(name in {})),
    fc.oneof(someText, fc.array(someText, { minLength: 2, maxLength: 3 })),
    { minKeys: 1, maxKeys: 3 },
  )
  .map((values) => Object.assign({}, values));

/** Keys may be absent; nothing is there before 5.0. */
function properties<T extends object>(
  version: Version,
  model: { [K in keyof T]: fc.Arbitrary<T[K]> },
): fc.Arbitrary<{ properties?: Partial<T> }> {
  if (version < 5) return fc.constant({});
  const record = fc.record<T>(model, { requiredKeys: [] });
  return record.map((fields) => ({ properties: fields as Partial<T> }));
}

const messageProperties = {
  payloadFormatIndicator: fc.boolean(),
  messageExpiryInterval: u32,
  contentType: text,
  responseTopic: topicName,
  correlationData: bytes,
  userProperties,
};

export function publish(version: Version): fc.Arbitrary<IPublishPacket> {
  return fc
    .tuple(
      fc.record({
        topic: topicName,
        payload: bytes,
        qos,
        retain: fc.boolean(),
        messageId: packetId,
      }),
      fc.boolean(),
      properties(version, { ...messageProperties, topicAlias: packetId }),
    )
    .map(([{ messageId, ...fields }, dup, more]) => ({
      cmd: 'publish',
      ...fields,
      dup: dup && fields.qos > 0,
      ...(fields.qos > 0 ? { messageId } : {}),
      ...more,
    }));
}

export function connect(version: Version): fc.Arbitrary<IConnectPacket> {
  const will = fc
    .tuple(
      fc.record({ topic: topicName, payload: bytes, qos, retain: fc.boolean() }),
      properties(version, { ...messageProperties, willDelayInterval: u32 }),
    )
    .map(([fields, more]) => ({ ...fields, ...more }));
  return fc
    .record({
      clientId: someText,
      clean: fc.boolean(),
      keepalive: fc.integer({ min: 0, max: 65_535 }),
      will: fc.option(will, { nil: undefined }),
      username: fc.option(someText, { nil: undefined }),
      password: bytes,
      withPassword: fc.boolean(),
      more: properties(version, {
        sessionExpiryInterval: u32,
        receiveMaximum: fc.integer({ min: 1, max: 65_535 }),
        maximumPacketSize: fc.integer({ min: 1, max: 0xffff_ffff }),
        topicAliasMaximum: fc.integer({ min: 0, max: 65_535 }),
        requestResponseInformation: fc.boolean(),
        requestProblemInformation: fc.boolean(),
        userProperties,
        authenticationMethod: someText,
      }),
    })
    .map(({ will: given, username, password, withPassword, more, ...fields }) => ({
      cmd: 'connect',
      protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
      protocolVersion: version,
      ...fields,
      ...(given ? { will: given } : {}),
      ...(username === undefined ? {} : { username }),
      ...(username !== undefined && withPassword ? { password } : {}),
      ...more,
    }));
}

export function subscribe(version: Version): fc.Arbitrary<ISubscribePacket> {
  const options =
    version === 5
      ? fc.record({
          topic: someText,
          qos,
          nl: fc.boolean(),
          rap: fc.boolean(),
          rh: fc.constantFrom(0, 1, 2),
        })
      : fc.record({ topic: someText, qos });
  return fc
    .tuple(
      packetId,
      fc.array(options, { minLength: 1, maxLength: 5 }),
      properties(version, {
        subscriptionIdentifier: fc.integer({ min: 1, max: 268_435_455 }),
        userProperties,
      }),
    )
    .map(([messageId, subscriptions, more]) => ({
      cmd: 'subscribe',
      messageId,
      subscriptions,
      ...more,
    }));
}

export function unsubscribe(version: Version): fc.Arbitrary<IUnsubscribePacket> {
  return fc
    .tuple(
      packetId,
      fc.array(someText, { minLength: 1, maxLength: 5 }),
      properties(version, { userProperties }),
    )
    .map(([messageId, unsubscriptions, more]) => ({
      cmd: 'unsubscribe',
      messageId,
      unsubscriptions,
      ...more,
    }));
}

export function acknowledgement(version: Version): fc.Arbitrary<Packet> {
  const ofPublish = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
  return fc.constantFrom('puback', 'pubrec', 'pubrel', 'pubcomp').chain((cmd) =>
    fc
      .tuple(
        packetId,
        fc.constantFrom(...(cmd === 'puback' || cmd === 'pubrec' ? ofPublish : [0x00, 0x92])),
        properties(version, { reasonString: someText, userProperties }),
      )
      .map(([messageId, reasonCode, more]): Packet => {
        if (version < 5) return { cmd, messageId };
        return { cmd, messageId, reasonCode, ...more };
      }),
  );
}

export function disconnect(version: Version): fc.Arbitrary<IDisconnectPacket> {
  if (version < 5) return fc.constant({ cmd: 'disconnect' });
  return fc
    .tuple(
      fc.constantFrom(0x00, 0x04, 0x80, 0x81, 0x93, 0x97),
      properties(version, { sessionExpiryInterval: u32, reasonString: someText, userProperties }),
    )
    .map(([reasonCode, more]) => ({ cmd: 'disconnect', reasonCode, ...more }));
}

export const auth: fc.Arbitrary<IAuthPacket> = fc
  .tuple(
    fc.constantFrom(0x18, 0x19),
    someText,
    fc.option(bytes, { nil: undefined }),
    userProperties,
  )
  .map(([reasonCode, authenticationMethod, authenticationData, named]) => ({
    cmd: 'auth',
    reasonCode,
    properties: {
      authenticationMethod,
      ...(authenticationData ? { authenticationData } : {}),
      userProperties: named,
    },
  }));

/** Anything that a client may send after its CONNECT. */
export function anyPacket(version: Version): fc.Arbitrary<Packet> {
  const all: fc.Arbitrary<Packet>[] = [
    publish(version),
    publish(version),
    subscribe(version),
    unsubscribe(version),
    acknowledgement(version),
    disconnect(version),
    fc.constant<Packet>({ cmd: 'pingreq' }),
  ];
  if (version === 5) all.push(auth);
  return fc.oneof(...all);
}
