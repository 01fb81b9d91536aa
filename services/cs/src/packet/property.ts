import { PacketType } from './packet-type.ts';

/** A name and a value; names may repeat, order counts. */
export type UserProperty = readonly [name: string, value: string];

/** Identifiers of the properties of 5.0, table 2-4. */
export const PropertyId = {
  payloadFormatIndicator: 0x01,
  messageExpiryInterval: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifier: 0x0b,
  sessionExpiryInterval: 0x11,
  assignedClientIdentifier: 0x12,
  serverKeepAlive: 0x13,
  authenticationMethod: 0x15,
  authenticationData: 0x16,
  requestProblemInformation: 0x17,
  willDelayInterval: 0x18,
  requestResponseInformation: 0x19,
  responseInformation: 0x1a,
  serverReference: 0x1c,
  reasonString: 0x1f,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
  maximumQos: 0x24,
  retainAvailable: 0x25,
  userProperty: 0x26,
  maximumPacketSize: 0x27,
  wildcardSubscriptionAvailable: 0x28,
  subscriptionIdentifierAvailable: 0x29,
  sharedSubscriptionAvailable: 0x2a,
} as const;

export type PropertyId = (typeof PropertyId)[keyof typeof PropertyId];

type PropertyType = 'byte' | 'u16' | 'u32' | 'varint' | 'string' | 'binary' | 'pair';

/** Places of a property: a packet, or the properties of a will. */
export const willProperties = 0;
export type PropertyPlace = PacketType | typeof willProperties;

export interface PropertyRule {
  readonly name: string;
  readonly type: PropertyType;
  /** Bits of the places where it is valid. */
  readonly places: number;
  /** Bits of the places where only a server sends it: a protocol error from a client. */
  readonly serverPlaces: number;
  readonly repeatable: boolean;
}

type Row = readonly [
  id: PropertyId,
  name: string,
  type: PropertyType,
  places: readonly PropertyPlace[],
  serverPlaces?: readonly PropertyPlace[],
];

const { connect, connack, publish, puback, pubrec, pubrel, pubcomp } = PacketType;
const { subscribe, suback, unsubscribe, unsuback, disconnect, auth } = PacketType;
const acks = [puback, pubrec, pubrel, pubcomp, suback, unsuback];
const explained: readonly PropertyPlace[] = [connack, ...acks, disconnect, auth];
const everywhere: readonly PropertyPlace[] = [
  ...explained,
  connect,
  publish,
  willProperties,
  subscribe,
  unsubscribe,
];

const id = PropertyId;
const rows: readonly Row[] = [
  [id.payloadFormatIndicator, 'payload format indicator', 'byte', [publish, willProperties]],
  [id.messageExpiryInterval, 'message expiry interval', 'u32', [publish, willProperties]],
  [id.contentType, 'content type', 'string', [publish, willProperties]],
  [id.responseTopic, 'response topic', 'string', [publish, willProperties]],
  [id.correlationData, 'correlation data', 'binary', [publish, willProperties]],
  [id.subscriptionIdentifier, 'subscription identifier', 'varint', [subscribe], [publish]],
  [id.sessionExpiryInterval, 'session expiry interval', 'u32', [connect, disconnect], [connack]],
  [id.assignedClientIdentifier, 'assigned client identifier', 'string', [], [connack]],
  [id.serverKeepAlive, 'server keep alive', 'u16', [], [connack]],
  [id.authenticationMethod, 'authentication method', 'string', [connect, auth], [connack]],
  [id.authenticationData, 'authentication data', 'binary', [connect, auth], [connack]],
  [id.requestProblemInformation, 'request problem information', 'byte', [connect]],
  [id.willDelayInterval, 'will delay interval', 'u32', [willProperties]],
  [id.requestResponseInformation, 'request response information', 'byte', [connect]],
  [id.responseInformation, 'response information', 'string', [], [connack]],
  [id.serverReference, 'server reference', 'string', [], [connack, disconnect]],
  [id.reasonString, 'reason string', 'string', explained],
  [id.receiveMaximum, 'receive maximum', 'u16', [connect], [connack]],
  [id.topicAliasMaximum, 'topic alias maximum', 'u16', [connect], [connack]],
  [id.topicAlias, 'topic alias', 'u16', [publish]],
  [id.maximumQos, 'maximum QoS', 'byte', [], [connack]],
  [id.retainAvailable, 'retain available', 'byte', [], [connack]],
  [id.userProperty, 'user property', 'pair', everywhere],
  [id.maximumPacketSize, 'maximum packet size', 'u32', [connect], [connack]],
  [id.wildcardSubscriptionAvailable, 'wildcard subscription available', 'byte', [], [connack]],
  [id.subscriptionIdentifierAvailable, 'subscription ids available', 'byte', [], [connack]],
  [id.sharedSubscriptionAvailable, 'shared subscription available', 'byte', [], [connack]],
];

function bits(places: readonly PropertyPlace[]): number {
  return places.reduce<number>((all, place) => all | (1 << place), 0);
}

/** By identifier; undefined: there is no such property. */
export const propertyRules: readonly (PropertyRule | undefined)[] = rows.reduce<
  (PropertyRule | undefined)[]
>(
  (rules, [identifier, name, type, places, serverPlaces = []]) => {
    const repeatable = type === 'pair';
    rules[identifier] = {
      name,
      type,
      places: bits(places),
      serverPlaces: bits(serverPlaces),
      repeatable,
    };
    return rules;
  },
  Array.from({ length: 0x2b }, () => undefined),
);
