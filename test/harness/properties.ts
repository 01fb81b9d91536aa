// The properties of MQTT 5 as the tests write and read them: one table of identifiers and types,
// an encoder that also writes what the specification forbids (properties twice, in a wrong packet,
// ill-formed strings), and a decoder that accepts only what it allows.

export type Bytes = string | Uint8Array;

type PropertyKind = 'byte' | 'u16' | 'u32' | 'varint' | 'utf8' | 'binary' | 'pair';

type NumberProperty =
  | 'payloadFormatIndicator'
  | 'messageExpiryInterval'
  | 'sessionExpiryInterval'
  | 'serverKeepAlive'
  | 'requestProblemInformation'
  | 'willDelayInterval'
  | 'requestResponseInformation'
  | 'receiveMaximum'
  | 'topicAliasMaximum'
  | 'topicAlias'
  | 'maximumQos'
  | 'retainAvailable'
  | 'maximumPacketSize'
  | 'wildcardSubscriptionAvailable'
  | 'subscriptionIdentifierAvailable'
  | 'sharedSubscriptionAvailable';
type TextProperty =
  | 'contentType'
  | 'responseTopic'
  | 'assignedClientIdentifier'
  | 'authenticationMethod'
  | 'responseInformation'
  | 'serverReference'
  | 'reasonString';
type BinaryProperty = 'correlationData' | 'authenticationData';
type RepeatedProperty = 'subscriptionIdentifier' | 'userProperty';
export type PropertyName = NumberProperty | TextProperty | BinaryProperty | RepeatedProperty;

/** Name to identifier, type, and the packets that may carry it (section 2.2.2.2). */
export const propertyTable: Readonly<
  Record<PropertyName, readonly [id: number, kind: PropertyKind, packets: string]>
> = {
  payloadFormatIndicator: [0x01, 'byte', 'publish will'],
  messageExpiryInterval: [0x02, 'u32', 'publish will'],
  contentType: [0x03, 'utf8', 'publish will'],
  responseTopic: [0x08, 'utf8', 'publish will'],
  correlationData: [0x09, 'binary', 'publish will'],
  subscriptionIdentifier: [0x0b, 'varint', 'publish subscribe'],
  sessionExpiryInterval: [0x11, 'u32', 'connect connack disconnect'],
  assignedClientIdentifier: [0x12, 'utf8', 'connack'],
  serverKeepAlive: [0x13, 'u16', 'connack'],
  authenticationMethod: [0x15, 'utf8', 'connect connack auth'],
  authenticationData: [0x16, 'binary', 'connect connack auth'],
  requestProblemInformation: [0x17, 'byte', 'connect'],
  willDelayInterval: [0x18, 'u32', 'will'],
  requestResponseInformation: [0x19, 'byte', 'connect'],
  responseInformation: [0x1a, 'utf8', 'connack'],
  serverReference: [0x1c, 'utf8', 'connack disconnect'],
  reasonString: [
    0x1f,
    'utf8',
    'connack puback pubrec pubrel pubcomp suback unsuback disconnect auth',
  ],
  receiveMaximum: [0x21, 'u16', 'connect connack'],
  topicAliasMaximum: [0x22, 'u16', 'connect connack'],
  topicAlias: [0x23, 'u16', 'publish'],
  maximumQos: [0x24, 'byte', 'connack'],
  retainAvailable: [0x25, 'byte', 'connack'],
  userProperty: [
    0x26,
    'pair',
    'connect connack publish will puback pubrec pubrel pubcomp subscribe suback unsubscribe ' +
      'unsuback disconnect auth',
  ],
  maximumPacketSize: [0x27, 'u32', 'connect connack'],
  wildcardSubscriptionAvailable: [0x28, 'byte', 'connack'],
  subscriptionIdentifierAvailable: [0x29, 'byte', 'connack'],
  sharedSubscriptionAvailable: [0x2a, 'byte', 'connack'],
};

export type Pair = readonly [Bytes, Bytes];
export type PropertyValue = number | Bytes | Pair;

/** A property by name, or any identifier with a value already encoded. */
export type PropertyEntry = readonly [PropertyName, PropertyValue] | readonly [number, Uint8Array];

/** By name (the lists are written as the property repeated), or in order with repetitions. */
export type PropertiesToSend = Partial<Record<PropertyName, PropertyValue>> & {
  readonly userProperties?: readonly Pair[];
  readonly subscriptionIdentifiers?: readonly number[];
};
export type SentProperties = PropertiesToSend | readonly PropertyEntry[];

/** Properties that the server sent; repeated ones are the two lists. */
export type Properties = Partial<
  Record<NumberProperty, number> & Record<TextProperty, string> & Record<BinaryProperty, Buffer>
> & {
  userProperties?: [string, string][];
  subscriptionIdentifiers?: number[];
};

export function u8(value: number): Buffer {
  return Buffer.from([value]);
}

export function u16(value: number): Buffer {
  return Buffer.from([(value >> 8) & 0xff, value & 0xff]);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A variable byte integer; `length` pads it to more bytes than it needs. */
export function varint(value: number, length = 1): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 || bytes.length + 1 < length ? low | 0x80 : low);
  } while (rest > 0 || bytes.length < length);
  return Buffer.from(bytes);
}

export function raw(value: Bytes): Buffer {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : Buffer.from(value);
}

/** A two-byte length and the bytes: a UTF-8 string, or binary content. */
export function prefixed(value: Bytes): Buffer {
  const bytes = raw(value);
  return Buffer.concat([u16(bytes.length), bytes]);
}

function encodeValue(kind: PropertyKind, value: PropertyValue): Buffer {
  if (kind === 'pair') {
    const [name, text] = value as Pair;
    return Buffer.concat([prefixed(name), prefixed(text)]);
  }
  if (kind === 'utf8' || kind === 'binary') return prefixed(value as Bytes);
  const number = value as number;
  if (kind === 'byte') return u8(number);
  if (kind === 'u16') return u16(number);
  return kind === 'u32' ? u32(number) : varint(number);
}

function entries(properties: SentProperties): readonly PropertyEntry[] {
  if (Array.isArray(properties)) return properties as readonly PropertyEntry[];
  const { userProperties, subscriptionIdentifiers, ...single } = properties as PropertiesToSend;
  const list: PropertyEntry[] = [];
  for (const [name, value] of Object.entries(single)) {
    if (value !== undefined) list.push([name as PropertyName, value]);
  }
  for (const id of subscriptionIdentifiers ?? []) list.push(['subscriptionIdentifier', id]);
  for (const pair of userProperties ?? []) list.push(['userProperty', pair]);
  return list;
}

/** Property length and properties. */
export function encodeProperties(properties: SentProperties = {}): Buffer {
  const parts = entries(properties).map(([name, value]) => {
    if (typeof name === 'number') return Buffer.concat([varint(name), raw(value)]);
    const [id, kind] = propertyTable[name];
    return Buffer.concat([u8(id), encodeValue(kind, value)]);
  });
  const body = Buffer.concat(parts);
  return Buffer.concat([varint(body.length), body]);
}

const nameOfId = new Map<number, PropertyName>(
  (Object.keys(propertyTable) as PropertyName[]).map((name) => [propertyTable[name][0], name]),
);

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads fields from the body of one packet and throws where the bytes break the specification. */
export class Fields {
  readonly bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  take(length: number): Buffer {
    if (length > this.left) throw new Error(`${length} bytes wanted, ${this.left} are left`);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  u8(): number {
    return this.take(1).readUInt8();
  }

  u16(): number {
    return this.take(2).readUInt16BE();
  }

  u32(): number {
    return this.take(4).readUInt32BE();
  }

  varint(): number {
    let value = 0;
    for (let index = 0; index < 4; index += 1) {
      const byte = this.u8();
      value += (byte & 0x7f) * 128 ** index;
      if (byte < 0x80) {
        if (index > 0 && byte === 0) throw new Error('variable byte integer is longer than needed');
        return value;
      }
    }
    throw new Error('variable byte integer of more than 4 bytes');
  }

  binary(): Buffer {
    return this.take(this.u16());
  }

  utf8(): string {
    const text = utf8.decode(this.binary());
    if (text.includes('\0')) throw new Error('U+0000 in a string');
    return text;
  }

  /** `packet` decides which properties may be there. */
  properties(packet: string): Properties {
    const fields = new Fields(this.take(this.varint()));
    const properties: Properties = {};
    while (fields.left > 0) {
      const id = fields.varint();
      const name = nameOfId.get(id);
      if (name === undefined) throw new Error(`unknown property 0x${id.toString(16)}`);
      const [, kind, packets] = propertyTable[name];
      if (!packets.split(' ').includes(packet)) throw new Error(`${name} in a ${packet}`);
      if (name === 'userProperty') {
        (properties.userProperties ??= []).push([fields.utf8(), fields.utf8()]);
      } else if (name === 'subscriptionIdentifier') {
        const value = fields.varint();
        if (value === 0) throw new Error('subscription identifier 0');
        (properties.subscriptionIdentifiers ??= []).push(value);
      } else if (name in properties) {
        throw new Error(`${name} twice`);
      } else {
        const read = kind === 'pair' ? undefined : fields[kind === 'byte' ? 'u8' : kind]();
        Object.assign(properties, { [name]: read });
      }
    }
    return properties;
  }
}
