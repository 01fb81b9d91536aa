// Packets that no server may accept, made in code: field by field from legal ones. Nothing here is
// a legal packet, so whoever gets one closes the connection. What is hidden is only how they are
// made.
import type { PropertyEntry, PropertyName, PropertyValue } from '../harness/properties.ts';
import { prefixed, propertyTable, u16, u8, varint } from '../harness/properties.ts';
import type { Version } from '../harness/packets.ts';
import * as packets from '../harness/packets.ts';

export interface MalformedPacket {
  readonly name: string;
  readonly bytes: Buffer;
  /** Version with which the client was connected before; 0: these are its first bytes. */
  readonly version: Version | 0;
}

const { packet } = packets;
const versions: readonly Version[] = [3, 4, 5];

/** Byte sequences that no UTF-8 string of MQTT has. */
const illFormed: Readonly<Record<string, Buffer>> = {
  'U+0000': Buffer.from('a\0b'),
  'a surrogate': Buffer.from([0xed, 0xa0, 0x80]),
  'an overlong form': Buffer.from([0xc0, 0xaf]),
  'a cut sequence': Buffer.from([0x61, 0xe2, 0x82]),
  'a lone continuation': Buffer.from([0x80, 0x61]),
  'the byte FF': Buffer.from([0xff]),
};

/** Legal packets of a connected client, one of each type. */
export function legalPackets(version: Version): Readonly<Record<string, Buffer>> {
  return {
    'PUBLISH QoS 0': packets.publish({ version, topic: 'fuzz/a', payload: 'payload' }),
    'PUBLISH QoS 1': packets.publish({
      version,
      topic: 'fuzz/b',
      payload: 'p',
      qos: 1,
      packetId: 7,
    }),
    'PUBLISH QoS 2': packets.publish({
      version,
      topic: 'fuzz/c',
      payload: '',
      qos: 2,
      packetId: 8,
    }),
    PUBACK: packets.ack('puback', { packetId: 1 }),
    PUBREC: packets.ack('pubrec', { packetId: 2 }),
    PUBREL: packets.ack('pubrel', { packetId: 3 }),
    PUBCOMP: packets.ack('pubcomp', { packetId: 4 }),
    SUBSCRIBE: packets.subscribe({
      version,
      packetId: 5,
      filters: ['fuzz/#', { filter: 'x', qos: 1 }],
    }),
    UNSUBSCRIBE: packets.unsubscribe({ version, packetId: 6, filters: ['fuzz/#'] }),
    PINGREQ: packets.pingreq(),
    DISCONNECT: packets.disconnect(),
  };
}

function fixedHeaders(version: Version): MalformedPacket[] {
  const list: MalformedPacket[] = [];
  for (const [name, bytes] of Object.entries(legalPackets(version))) {
    const first = bytes.readUInt8();
    for (let flags = 0; flags < 16; flags += 1) {
      if (first >> 4 === packets.packetTypes.publish) continue;
      const right = first & 0x0f;
      // 3.1 knows DUP in SUBSCRIBE, UNSUBSCRIBE and PUBREL.
      if (flags === right || (version === 3 && right === 2 && flags === 10)) continue;
      const changed = Buffer.from(bytes);
      changed[0] = (first & 0xf0) | flags;
      list.push({ name: `${name} with flags ${flags}`, bytes: changed, version });
    }
  }
  for (const type of [0, 2, 9, 11, 13, ...(version < 5 ? [15] : [])]) {
    list.push({ name: `type ${type}`, bytes: packet(type, 0, u16(1)), version });
  }
  list.push({
    name: 'remaining length of five bytes',
    bytes: Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80, 1]),
    version,
  });
  list.push({
    name: 'a packet of 256 MB',
    bytes: Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]),
    version,
  });
  list.push({
    name: 'a second CONNECT',
    bytes: packets.connect({ version, clientId: 'again' }),
    version,
  });
  return list;
}

/** Bodies that end at each byte, and bodies with a byte too many. */
function lengths(version: Version): MalformedPacket[] {
  const list: MalformedPacket[] = [];
  for (const [name, bytes] of Object.entries(legalPackets(version))) {
    const first = bytes.readUInt8();
    const type = first >> 4;
    const body = bytes.subarray(2);
    // A PUBLISH may end anywhere in its payload.
    const payloadBytes = type === packets.packetTypes.publish ? 7 : 0;
    // Both filters of SUBSCRIBE stand by themselves, the first ends here.
    const whole = type === packets.packetTypes.subscribe ? (version === 5 ? 12 : 11) : -1;
    for (let length = 0; length < body.length - payloadBytes; length += 1) {
      if (length === whole) continue;
      const cut = packet(type, first & 0x0f, body.subarray(0, length));
      list.push({ name: `${name} cut after ${length} bytes`, bytes: cut, version });
    }
    if (type === packets.packetTypes.publish) continue;
    // In 5.0 one byte more may be a reason code: two more never stand for anything in these.
    const more = Buffer.concat([body, Buffer.from([0x55, 0x55, 0x55])]);
    list.push({
      name: `${name} with bytes too many`,
      bytes: packet(type, first & 0x0f, more),
      version,
    });
  }
  return list;
}

function fields(version: Version): MalformedPacket[] {
  const zero: readonly [string, Buffer][] = [
    ['PUBLISH QoS 1', packets.publish({ version, topic: 't', qos: 1, packetId: 0 })],
    ['PUBLISH QoS 2', packets.publish({ version, topic: 't', qos: 2, packetId: 0 })],
    ['SUBSCRIBE', packets.subscribe({ version, packetId: 0, filters: ['t'] })],
    ['UNSUBSCRIBE', packets.unsubscribe({ version, packetId: 0, filters: ['t'] })],
    ...(['puback', 'pubrec', 'pubrel', 'pubcomp'] as const).map((type): [string, Buffer] => [
      type.toUpperCase(),
      packets.ack(type, { packetId: 0 }),
    ]),
  ];
  const list: [string, Buffer][] = zero.map(([name, bytes]) => [`${name}, packet id 0`, bytes]);
  for (const flags of [6, 7, 14, 15]) {
    list.push(['QoS 3', packets.publish({ version, topic: 't', packetId: 1, flags })]);
  }
  list.push(['DUP at QoS 0', packets.publish({ version, topic: 't', dup: true })]);
  list.push(['empty topic', packets.publish({ version, topic: '' })]);
  for (const topic of ['+', '#', 'a/+/b', 'a/#', 'a+', '#b']) {
    list.push([`topic ${topic}`, packets.publish({ version, topic })]);
  }
  for (const [what, text] of Object.entries(illFormed)) {
    list.push([`topic with ${what}`, packets.publish({ version, topic: text })]);
    list.push([`filter with ${what}`, packets.subscribe({ version, filters: [{ filter: text }] })]);
    list.push([`unsubscribe from ${what}`, packets.unsubscribe({ version, filters: [text] })]);
  }
  list.push(['SUBSCRIBE without filter', packets.subscribe({ version, filters: [] })]);
  list.push(['UNSUBSCRIBE without filter', packets.unsubscribe({ version, filters: [] })]);
  const reserved = version === 5 ? [0x03, 0x30, 0x40, 0x80, 0xff] : [0x03, 0x04, 0x08, 0x10, 0x80];
  for (const options of reserved) {
    const filters = [{ filter: 't', options }];
    list.push([`options ${options}`, packets.subscribe({ version, filters })]);
  }
  return list.map(([name, bytes]) => ({ name, bytes, version }));
}

/** A legal value of each property. */
function sample(name: PropertyName): PropertyValue {
  const [, kind] = propertyTable[name];
  if (kind === 'utf8' || kind === 'binary') return 'text';
  return kind === 'pair' ? ['name', 'value'] : 1;
}

const carriers: Readonly<Record<string, (entries: readonly PropertyEntry[]) => Buffer>> = {
  publish: (properties) => packets.publish({ version: 5, topic: 't', payload: 'p', properties }),
  puback: (properties) => packets.ack('puback', { packetId: 1, properties }),
  pubrec: (properties) => packets.ack('pubrec', { packetId: 1, properties }),
  pubrel: (properties) => packets.ack('pubrel', { packetId: 1, properties }),
  pubcomp: (properties) => packets.ack('pubcomp', { packetId: 1, properties }),
  subscribe: (properties) => packets.subscribe({ version: 5, filters: ['t'], properties }),
  unsubscribe: (properties) => packets.unsubscribe({ version: 5, filters: ['t'], properties }),
  disconnect: (properties) => packets.disconnect({ reason: 4, properties }),
  connect: (properties) => packets.connect({ version: 5, clientId: 'fuzz', properties }),
  will: (properties) =>
    packets.connect({ version: 5, clientId: 'fuzz', will: { topic: 'fuzz/will', properties } }),
};

/** Every property in every packet: where it must not be, twice, cut, and with a wrong value. */
function properties(): MalformedPacket[] {
  const list: MalformedPacket[] = [];
  for (const [carrier, bytesWith] of Object.entries(carriers)) {
    const version = carrier === 'connect' || carrier === 'will' ? 0 : 5;
    const add = (what: string, ...entries: PropertyEntry[]): void => {
      list.push({ name: `${carrier} with ${what}`, bytes: bytesWith(entries), version });
    };
    for (const name of Object.keys(propertyTable) as PropertyName[]) {
      const entry: PropertyEntry = [name, sample(name)];
      const [id, kind, places] = propertyTable[name];
      if (!places.split(' ').includes(carrier)) add(`${name}, which it has not`, entry);
      else if (name !== 'userProperty') add(`${name} twice`, entry, entry);
      if (kind !== 'byte') add(`${name} cut`, [id, u8(0)]);
      for (const [what, text] of Object.entries(illFormed)) {
        if (kind === 'utf8') add(`${name} of ${what}`, [name, text]);
        if (kind === 'pair') add(`${name} of ${what}`, [name, ['n', text]]);
      }
    }
    for (const id of [0x00, 0x04, 0x2b, 0x7f, 0x80, 0x3fff]) add(`property ${id}`, [id, u8(1)]);
  }
  const connect = (what: string, entry: PropertyEntry): void => {
    list.push({
      name: what,
      bytes: packets.connect({ version: 5, properties: [entry] }),
      version: 0,
    });
  };
  connect('receive maximum 0', ['receiveMaximum', 0]);
  connect('maximum packet size 0', ['maximumPacketSize', 0]);
  connect('request problem information 2', ['requestProblemInformation', 2]);
  connect('request response information 2', ['requestResponseInformation', 2]);
  connect('authentication data alone', ['authenticationData', 'x']);
  const publish = (what: string, entry: PropertyEntry): void => {
    const bytes = packets.publish({ version: 5, topic: 't', properties: [entry] });
    list.push({ name: what, bytes, version: 5 });
  };
  publish('payload format 2', ['payloadFormatIndicator', 2]);
  publish('topic alias 0', ['topicAlias', 0]);
  publish('response topic with a wildcard', ['responseTopic', 'a/#']);
  return list;
}

function connects(version: Version): MalformedPacket[] {
  const name = version === 3 ? 'MQIsdp' : 'MQTT';
  const will = { topic: 'fuzz/will', payload: 'w' };
  const whole = packets.connect({ version, clientId: 'fuzz', will, username: 'u', password: 'p' });
  const list: [string, Buffer][] = [
    ['reserved flag', packets.connect({ version, connectFlags: 3 })],
    ['will QoS 3', packets.connect({ version, will: { topic: 't', qos: 3 } })],
    ['will QoS without will', packets.connect({ version, connectFlags: 0x0a })],
    ['will retain without will', packets.connect({ version, connectFlags: 0x22 })],
    ['trailing bytes', packets.connect({ version, clientId: 'fuzz', trailer: 'more' })],
    ['will topic #', packets.connect({ version, will: { topic: '#' } })],
    ['empty will topic', packets.connect({ version, will: { topic: '' } })],
    ['flags of the fixed header', packets.connect({ version, flags: 2 })],
  ];
  for (const protocolName of ['', 'mqtt', 'MQTTT', `${name}\0`, 'HTTP']) {
    list.push([`protocol name ${protocolName}`, packets.connect({ version, protocolName })]);
  }
  for (const protocolLevel of [0, 1, 2, 6, 7, 127, 128, 131, 132, 255]) {
    list.push([`level ${protocolLevel}`, packets.connect({ version, protocolLevel })]);
  }
  for (const [what, text] of Object.entries(illFormed)) {
    list.push([`client id with ${what}`, packets.connect({ version, clientId: text })]);
    list.push([`user name with ${what}`, packets.connect({ version, username: text })]);
    list.push([`will topic with ${what}`, packets.connect({ version, will: { topic: text } })]);
  }
  if (version < 5) list.push(['password alone', packets.connect({ version, password: 'p' })]);
  for (let length = 0; length < whole.length - 2; length += 1) {
    const body = whole.subarray(2, 2 + length);
    // 3.1 may leave out user name and password though their flags are set.
    if (version === 3 && (length === whole.length - 8 || length === whole.length - 5)) continue;
    list.push([`cut after ${length} bytes`, packet('connect', 0, body)]);
  }
  return list.map(([what, bytes]) => ({ name: `CONNECT ${version}: ${what}`, bytes, version: 0 }));
}

function firstBytes(): MalformedPacket[] {
  const list: [string, Buffer][] = [
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['a TLS hello', Buffer.from('1603010200010001fc0303', 'hex')],
    ['an SSH greeting', Buffer.from('SSH-2.0-OpenSSH_9.2\r\n')],
    ['zeros', Buffer.alloc(64)],
    ['ones', Buffer.alloc(64, 0xff)],
    ['CONNECT of 256 MB', Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f])],
    ['length of five bytes', Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 1])],
  ];
  for (const version of versions) {
    for (const [name, bytes] of Object.entries(legalPackets(version))) {
      list.push([`${name} first`, bytes]);
    }
  }
  return list.map(([name, bytes]) => ({ name, bytes, version: 0 }));
}

/** Packets that only 5.0 forbids. */
function fiveZero(): MalformedPacket[] {
  const list: [string, Buffer][] = [
    ['remaining length longer than needed', Buffer.from([0xc0, 0x80, 0])],
    [
      'no local, shared',
      packets.subscribe({ version: 5, filters: [{ filter: '$share/g/t', noLocal: true }] }),
    ],
    ['AUTH without a method', packets.auth({ reason: 0x18 })],
    ['AUTH of a server', packets.auth({ reason: 0, properties: { authenticationMethod: 'm' } })],
    ['AUTH of nothing', packets.auth()],
    ['property length longer than needed', packet('publish', 0, [prefixed('t'), varint(0, 2)])],
    ['property length past the end', packet('publish', 0, [prefixed('t'), varint(9)])],
    [
      'property length of five bytes',
      packet('publish', 0, [prefixed('t'), Buffer.from('8080808001', 'hex')]),
    ],
  ];
  for (const reason of [1, 0x7f, 0x8f, 0xff]) {
    for (const type of ['puback', 'pubrec', 'pubrel', 'pubcomp'] as const) {
      list.push([`${type} with reason ${reason}`, packets.ack(type, { packetId: 1, reason })]);
    }
    list.push([`DISCONNECT with reason ${reason}`, packets.disconnect({ reason })]);
  }
  return list.map(([name, bytes]) => ({ name, bytes, version: 5 }));
}

/** All of them, some thousand. */
export const malformedCorpus: readonly MalformedPacket[] = [
  ...firstBytes(),
  ...versions.flatMap(connects),
  ...versions.flatMap(fixedHeaders),
  ...versions.flatMap(lengths),
  ...versions.flatMap(fields),
  ...properties(),
  ...fiveZero(),
];
