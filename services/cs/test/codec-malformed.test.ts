import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { PacketReader } from '../src/codec/packet-reader.ts';
import type { Recorded } from './packet-recorder.ts';
import { PacketRecorder } from './packet-recorder.ts';

// Each row is one packet that must not be read, with the reason code that 5.0 has for it (before
// 5.0 the connection just closes). Bytes are written as they go over the wire.

type Piece = number | string | readonly Piece[];

/** Numbers are bytes, strings are UTF-8 without their length. */
function bytes(...pieces: readonly Piece[]): Buffer {
  return Buffer.concat(
    pieces.map((piece) => {
      if (typeof piece === 'number') return Buffer.from([piece]);
      return typeof piece === 'string' ? Buffer.from(piece) : bytes(...piece);
    }),
  );
}

/** A field with its u16 length in front. */
function field(...pieces: readonly Piece[]): Piece {
  const body = bytes(...pieces);
  return [body.length >> 8, body.length & 0xff, [...body]];
}

/** Type and flags, and a body below 128 bytes. */
function packet(first: number, ...pieces: readonly Piece[]): Buffer {
  const body = bytes(...pieces);
  assert.ok(body.length < 128);
  return bytes(first, body.length, [...body]);
}

/** Properties with their length. */
function props(...pieces: readonly Piece[]): Piece {
  const body = bytes(...pieces);
  return [body.length, [...body]];
}

const mqtt = field('MQTT');
const ka: Piece = [0, 60];
const id = field('c');

/** A CONNECT from its flags on. */
function connect(version: number, flags: number, ...rest: readonly Piece[]): Buffer {
  return packet(0x10, version === 3 ? field('MQIsdp') : mqtt, version, flags, ka, ...rest);
}

const good: Record<number, Buffer> = {
  3: connect(3, 2, id),
  4: connect(4, 2, id),
  5: connect(5, 2, 0, id),
};

function read(version: number, ...chunks: readonly Buffer[]): Recorded[] {
  const reader = new PacketReader({ packetBytesMax: 1000 });
  const recorder = new PacketRecorder();
  const before = good[version];
  if (before) reader.feed(before, recorder);
  const skip = recorder.all.length;
  for (const chunk of chunks) reader.feed(chunk, recorder);
  return recorder.all.slice(skip);
}

const { malformedPacket, protocolError, packetTooLarge, topicAliasInvalid, topicNameInvalid } =
  ReasonCode;
const { unsupportedProtocolVersion } = ReasonCode;

/** Version 0: before any CONNECT. */
type Row = readonly [name: string, version: 0 | 3 | 4 | 5, bytes: Buffer, reasonCode: number];

const user = [0x26, field('n'), field('v')];
const empty = props();

const fixedHeader: readonly Row[] = [
  ['type 0', 5, bytes(0x00, 0), malformedPacket],
  ['CONNACK from a client', 5, bytes(0x20, 3, 0, 0, 0), protocolError],
  ['SUBACK from a client', 4, bytes(0x90, 3, 0, 1, 0), protocolError],
  ['UNSUBACK from a client', 4, bytes(0xb0, 2, 0, 1), protocolError],
  ['PINGRESP from a client', 5, bytes(0xd0, 0), protocolError],
  ['AUTH before 5.0', 4, bytes(0xf0, 0), malformedPacket],
  ['a second CONNECT', 5, connect(5, 2, 0, id), protocolError],
  ['a second CONNECT, 3.1.1', 4, connect(4, 2, id), protocolError],
  ['PUBLISH before CONNECT', 0, packet(0x30, field('t')), protocolError],
  ['PINGREQ before CONNECT', 0, bytes(0xc0, 0), protocolError],
  ['an HTTP request', 0, bytes('GET / HTTP/1.1\r\n\r\n'), protocolError],
  ['a TLS hello', 0, bytes(0x16, 3, 1, 2, 0), malformedPacket],
  ['remaining length of five bytes', 5, bytes(0xc0, 0x80, 0x80, 0x80, 0x80, 0), malformedPacket],
  ['remaining length of 0xff, 3.1.1', 4, bytes(0x30, 0xff, 0xff, 0xff, 0xff), malformedPacket],
  ['remaining length longer than needed', 5, bytes(0xc0, 0x80, 0), malformedPacket],
  ['remaining length longer than needed, 3 bytes', 5, bytes(0x40, 0x82, 0x80, 0), malformedPacket],
  ['a large packet', 5, bytes(0x30, 0xe6, 0x07), packetTooLarge],
  ['the largest packet', 4, bytes(0x30, 0xff, 0xff, 0xff, 0x7f), packetTooLarge],
  ['a large CONNECT', 0, bytes(0x10, 0xff, 0xff, 0x7f), packetTooLarge],
  ...[0x11, 0x12, 0x18, 0x1f].map((first): Row => [
    `CONNECT ${first.toString(16)}`,
    0,
    bytes(first, 0),
    malformedPacket,
  ]),
  ...[0x41, 0x48, 0x52, 0x60, 0x61, 0x63, 0x6a, 0x72, 0x80, 0x8a, 0xa0, 0xaa, 0xc1, 0xe2, 0xf1].map(
    (first): Row => [`flags of ${first.toString(16)}`, 5, bytes(first, 2, 0, 1), malformedPacket],
  ),
  ['PUBREL with DUP, 3.1.1', 4, bytes(0x6a, 2, 0, 1), malformedPacket],
  ['PINGREQ with a body', 5, bytes(0xc0, 1, 0), malformedPacket],
  ['PINGREQ with a body, 3.1.1', 4, bytes(0xc0, 1, 0), malformedPacket],
];

const connects: readonly Row[] = [
  ['nothing', 0, packet(0x10), malformedPacket],
  ['other protocol name', 0, packet(0x10, field('MQTX'), 4, 2, ka, id), protocolError],
  ['protocol name in lower case', 0, packet(0x10, field('mqtt'), 4, 2, ka, id), protocolError],
  ['empty protocol name', 0, packet(0x10, field(), 4, 2, ka, id), protocolError],
  ['level 6', 0, connect(6, 2, id), unsupportedProtocolVersion],
  ['level 0', 0, connect(0, 2, id), unsupportedProtocolVersion],
  ['level 0x85, no bridge', 0, connect(0x85, 2, 0, id), unsupportedProtocolVersion],
  ['MQTT 0x83', 0, packet(0x10, mqtt, 0x83, 2, ka, id), unsupportedProtocolVersion],
  ['MQIsdp 0x84', 0, packet(0x10, field('MQIsdp'), 0x84, 2, ka, id), unsupportedProtocolVersion],
  ['MQTT 3', 0, packet(0x10, mqtt, 3, 2, ka, id), unsupportedProtocolVersion],
  ['MQIsdp 4', 0, packet(0x10, field('MQIsdp'), 4, 2, ka, id), unsupportedProtocolVersion],
  ['reserved flag, 3.1.1', 0, connect(4, 3, id), malformedPacket],
  ['reserved flag', 0, connect(5, 3, 0, id), malformedPacket],
  ['will QoS without will', 0, connect(4, 0x0a, id), malformedPacket],
  ['will retain without will', 0, connect(5, 0x22, 0, id), malformedPacket],
  ['will QoS 3', 0, connect(4, 0x1e, id, field('t'), field('')), malformedPacket],
  ['will QoS 3, 5.0', 0, connect(5, 0x1e, 0, id, 0, field('t'), field('')), malformedPacket],
  ['password alone, 3.1.1', 0, connect(4, 0x42, id, field('p')), malformedPacket],
  ['password alone, 3.1', 0, connect(3, 0x42, id, field('p')), malformedPacket],
  ['without client identifier', 0, connect(4, 2), malformedPacket],
  ['short client identifier', 0, connect(4, 2, 0, 5, 'abc'), malformedPacket],
  ['user name missing', 0, connect(4, 0x82, id), malformedPacket],
  ['password missing', 0, connect(5, 0xc2, 0, id, field('u')), malformedPacket],
  ['will missing', 0, connect(4, 6, id), malformedPacket],
  ['will payload missing', 0, connect(4, 6, id, field('t')), malformedPacket],
  ['trailing byte', 0, connect(4, 2, id, 0), malformedPacket],
  ['trailing byte, 5.0', 0, connect(5, 2, 0, id, 0), malformedPacket],
  ['user name without its flag', 0, connect(4, 2, id, field('u')), malformedPacket],
  ['will topic with wildcard', 0, connect(4, 6, id, field('a/+'), field('')), topicNameInvalid],
  ['empty will topic', 0, connect(5, 6, 0, id, 0, field(), field('')), topicNameInvalid],
  ['client identifier with U+0000', 0, connect(4, 2, field('a\0')), malformedPacket],
  [
    'client identifier with a surrogate',
    0,
    connect(4, 2, field(0xed, 0xa0, 0x80)),
    malformedPacket,
  ],
  ['user name not UTF-8', 0, connect(4, 0x82, id, field(0xff)), malformedPacket],
  ['will topic not UTF-8', 0, connect(4, 6, id, field(0xc0, 0x80), field('')), malformedPacket],
  ['no properties, 5.0', 0, connect(5, 2), malformedPacket],
  [
    'remaining length longer than needed',
    0,
    bytes(0x10, 0x8e, 0, [...connect(5, 2, 0, id).subarray(2)]),
    malformedPacket,
  ],
  ['property length past the end', 0, connect(5, 2, 9, id), malformedPacket],
  [
    'property length of five bytes',
    0,
    connect(5, 2, 0x80, 0x80, 0x80, 0x80, 1, id),
    malformedPacket,
  ],
  ['property length longer than needed', 0, connect(5, 2, 0x80, 0, id), malformedPacket],
  ['receive maximum 0', 0, connect(5, 2, props(0x21, 0, 0), id), protocolError],
  ['maximum packet size 0', 0, connect(5, 2, props(0x27, 0, 0, 0, 0), id), protocolError],
  ['request problem information 2', 0, connect(5, 2, props(0x17, 2), id), protocolError],
  ['request response information 2', 0, connect(5, 2, props(0x19, 2), id), protocolError],
  [
    'session expiry twice',
    0,
    connect(5, 2, props(0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1), id),
    protocolError,
  ],
  ['receive maximum twice', 0, connect(5, 2, props(0x21, 0, 1, 0x21, 0, 1), id), protocolError],
  ['session expiry cut', 0, connect(5, 2, props(0x11, 0, 0, 0), id), malformedPacket],
  ['data without method', 0, connect(5, 2, props(0x16, field('x')), id), protocolError],
  ['method twice', 0, connect(5, 2, props(0x15, field('x'), 0x15, field('x')), id), protocolError],
  ['topic alias', 0, connect(5, 2, props(0x23, 0, 1), id), malformedPacket],
  ['payload format', 0, connect(5, 2, props(0x01, 1), id), malformedPacket],
  ['reason string', 0, connect(5, 2, props(0x1f, field('x')), id), malformedPacket],
  ['will delay outside the will', 0, connect(5, 2, props(0x18, 0, 0, 0, 1), id), malformedPacket],
  ['unknown property', 0, connect(5, 2, props(0x7f, 0), id), malformedPacket],
  ['property 0', 0, connect(5, 2, props(0), id), malformedPacket],
  ['property of two bytes', 0, connect(5, 2, props(0xa1, 0x01, 0), id), malformedPacket],
  ['user property cut', 0, connect(5, 2, props(0x26, field('n')), id), malformedPacket],
  [
    'user property not UTF-8',
    0,
    connect(5, 2, props(0x26, field('n'), field(0xff)), id),
    malformedPacket,
  ],
  [
    'will delay twice',
    0,
    connect(5, 6, 0, id, props(0x18, 0, 0, 0, 1, 0x18, 0, 0, 0, 1), field('t'), field('')),
    protocolError,
  ],
  [
    'will with session expiry',
    0,
    connect(5, 6, 0, id, props(0x11, 0, 0, 0, 1), field('t'), field('')),
    malformedPacket,
  ],
  [
    'will with topic alias',
    0,
    connect(5, 6, 0, id, props(0x23, 0, 1), field('t'), field('')),
    malformedPacket,
  ],
  [
    'will payload format 2',
    0,
    connect(5, 6, 0, id, props(0x01, 2), field('t'), field('')),
    protocolError,
  ],
  [
    'will response topic with wildcard',
    0,
    connect(5, 6, 0, id, props(0x08, field('#')), field('t'), field('')),
    protocolError,
  ],
];

const t = field('t');

const publishes: readonly Row[] = [
  ['QoS 3', 5, packet(0x36, t, 0, 1, 0), malformedPacket],
  ['QoS 3, 3.1.1', 4, packet(0x36, t, 0, 1), malformedPacket],
  ['DUP with QoS 0', 5, packet(0x38, t, 0), protocolError],
  ['DUP with QoS 0, 3.1.1', 4, packet(0x38, t), protocolError],
  ['empty', 4, packet(0x30), malformedPacket],
  ['half a length', 4, packet(0x30, 0), malformedPacket],
  ['topic past the end', 4, packet(0x30, 0, 2, 'a'), malformedPacket],
  ['empty topic, 3.1.1', 4, packet(0x30, field()), protocolError],
  ['empty topic without alias', 5, packet(0x30, field(), 0), protocolError],
  ['topic with +', 5, packet(0x30, field('a/+/b'), 0), topicNameInvalid],
  ['topic with #', 4, packet(0x30, field('#')), topicNameInvalid],
  ['topic with U+0000', 4, packet(0x30, field('a\0b')), malformedPacket],
  ['topic not UTF-8', 5, packet(0x30, field('a', 0x80), 0), malformedPacket],
  ['topic not UTF-8 and a wildcard', 5, packet(0x30, field('#', 0x80), 0), malformedPacket],
  ['packet identifier missing', 4, packet(0x32, t), malformedPacket],
  ['half a packet identifier', 4, packet(0x32, t, 0), malformedPacket],
  ['packet identifier 0', 4, packet(0x32, t, 0, 0), protocolError],
  ['packet identifier 0, 5.0', 5, packet(0x34, t, 0, 0, 0), protocolError],
  ['properties missing', 5, packet(0x30, t), malformedPacket],
  ['properties missing, QoS 1', 5, packet(0x32, t, 0, 1), malformedPacket],
  ['property length past the end', 5, packet(0x30, t, 4, 1), malformedPacket],
  ['topic alias 0', 5, packet(0x30, t, props(0x23, 0, 0)), topicAliasInvalid],
  ['topic alias twice', 5, packet(0x30, t, props(0x23, 0, 1, 0x23, 0, 1)), protocolError],
  ['topic alias cut', 5, packet(0x30, t, props(0x23, 0)), malformedPacket],
  ['payload format 2', 5, packet(0x30, t, props(0x01, 2)), protocolError],
  ['payload format twice', 5, packet(0x30, t, props(0x01, 1, 0x01, 1)), protocolError],
  ['expiry twice', 5, packet(0x30, t, props(2, 0, 0, 0, 1, 2, 0, 0, 0, 1)), protocolError],
  ['content type twice', 5, packet(0x30, t, props(3, field('x'), 3, field('x'))), protocolError],
  ['content type not UTF-8', 5, packet(0x30, t, props(3, field(0xff))), malformedPacket],
  ['response topic twice', 5, packet(0x30, t, props(8, t, 8, t)), protocolError],
  ['response topic with +', 5, packet(0x30, t, props(8, field('+'))), protocolError],
  ['response topic not UTF-8', 5, packet(0x30, t, props(8, field(0xff))), malformedPacket],
  ['correlation data twice', 5, packet(0x30, t, props(9, t, 9, t)), protocolError],
  ['correlation data cut', 5, packet(0x30, t, props(9, 0, 5, 1)), malformedPacket],
  ['subscription identifier', 5, packet(0x30, t, props(0x0b, 1)), protocolError],
  ['session expiry', 5, packet(0x30, t, props(0x11, 0, 0, 0, 1)), malformedPacket],
  ['reason string', 5, packet(0x30, t, props(0x1f, field('x'))), malformedPacket],
  ['will delay', 5, packet(0x30, t, props(0x18, 0, 0, 0, 1)), malformedPacket],
  ['unknown property', 5, packet(0x30, t, props(0x04, 1)), malformedPacket],
  ['user property with U+0000', 5, packet(0x30, t, props(0x26, field('\0'), t)), malformedPacket],
  ['user property cut', 5, packet(0x30, t, props(0x26, t, 0)), malformedPacket],
];

const acknowledgements: readonly Row[] = [0x40, 0x50, 0x62, 0x70].flatMap((first): Row[] => {
  const name = first.toString(16);
  return [
    [`${name} empty`, 4, packet(first), malformedPacket],
    [`${name} short`, 5, packet(first, 0), malformedPacket],
    [`${name} id 0`, 5, packet(first, 0, 0), protocolError],
    [`${name} id 0, 3.1.1`, 4, packet(first, 0, 0), protocolError],
    [`${name} with a reason code, 3.1.1`, 4, packet(first, 0, 1, 0), malformedPacket],
    [`${name} with an unknown reason code`, 5, packet(first, 0, 1, 0x8f), protocolError],
    [`${name} with trailing bytes`, 5, packet(first, 0, 1, 0, 0, 0), malformedPacket],
    [`${name} with a cut property`, 5, packet(first, 0, 1, 0, 3, 0x1f), malformedPacket],
    [
      `${name} with session expiry`,
      5,
      packet(first, 0, 1, 0, props(0x11, 0, 0, 0, 1)),
      malformedPacket,
    ],
    [
      `${name} with two reason strings`,
      5,
      packet(first, 0, 1, 0, props(0x1f, t, 0x1f, t)),
      protocolError,
    ],
    [
      `${name} with a reason string not UTF-8`,
      5,
      packet(first, 0, 1, 0, props(0x1f, field(0xff))),
      malformedPacket,
    ],
  ];
});

const subscribes: readonly Row[] = [
  ['empty', 4, packet(0x82), malformedPacket],
  ['without filter, 3.1.1', 4, packet(0x82, 0, 1), protocolError],
  ['without filter', 5, packet(0x82, 0, 1, 0), protocolError],
  ['without properties', 5, packet(0x82, 0, 1), malformedPacket],
  ['packet identifier 0', 4, packet(0x82, 0, 0, t, 0), protocolError],
  ['packet identifier 0, 5.0', 5, packet(0x82, 0, 0, 0, t, 0), protocolError],
  ['options missing', 4, packet(0x82, 0, 1, t), malformedPacket],
  ['filter past the end', 4, packet(0x82, 0, 1, 0, 9, 'a'), malformedPacket],
  ['QoS 3, 3.1.1', 4, packet(0x82, 0, 1, t, 3), protocolError],
  ['QoS 3', 5, packet(0x82, 0, 1, 0, t, 3), protocolError],
  ['options of 5.0 in 3.1.1', 4, packet(0x82, 0, 1, t, 4), malformedPacket],
  ['reserved bit 6', 5, packet(0x82, 0, 1, 0, t, 0x40), malformedPacket],
  ['reserved bit 7', 5, packet(0x82, 0, 1, 0, t, 0x80), malformedPacket],
  ['retain handling 3', 5, packet(0x82, 0, 1, 0, t, 0x30), protocolError],
  ['no local, shared', 5, packet(0x82, 0, 1, 0, field('$share/g/t'), 4), protocolError],
  ['subscription identifier 0', 5, packet(0x82, 0, 1, props(0x0b, 0), t, 0), protocolError],
  [
    'subscription identifier twice',
    5,
    packet(0x82, 0, 1, props(0x0b, 1, 0x0b, 2), t, 0),
    protocolError,
  ],
  [
    'subscription identifier of five bytes',
    5,
    packet(0x82, 0, 1, props(0x0b, 0xff, 0xff, 0xff, 0xff, 1), t, 0),
    malformedPacket,
  ],
  ['with a reason string', 5, packet(0x82, 0, 1, props(0x1f, t), t, 0), malformedPacket],
  ['filter not UTF-8', 5, packet(0x82, 0, 1, 0, field(0xff), 0), malformedPacket],
  ['filter with U+0000', 4, packet(0x82, 0, 1, field('\0'), 0), malformedPacket],
  ['second filter cut', 5, packet(0x82, 0, 1, 0, t, 0, 0, 1), malformedPacket],
  ['UNSUBSCRIBE without filter', 5, packet(0xa2, 0, 1, 0), protocolError],
  ['UNSUBSCRIBE without filter, 3.1.1', 4, packet(0xa2, 0, 1), protocolError],
  ['UNSUBSCRIBE packet identifier 0', 4, packet(0xa2, 0, 0, t), protocolError],
  [
    'UNSUBSCRIBE with a subscription identifier',
    5,
    packet(0xa2, 0, 1, props(0x0b, 1), t),
    malformedPacket,
  ],
  ['UNSUBSCRIBE filter not UTF-8', 4, packet(0xa2, 0, 1, field(0xed, 0xbf, 0xbf)), malformedPacket],
  ['UNSUBSCRIBE filter cut', 4, packet(0xa2, 0, 1, 0, 2, 'a'), malformedPacket],
];

const method = [0x15, field('m')];

const disconnects: readonly Row[] = [
  ['with a body, 3.1.1', 4, packet(0xe0, 0), malformedPacket],
  ['unknown reason code', 5, packet(0xe0, 0x05), protocolError],
  ['reason code of a server', 5, packet(0xe0, 0x8b), protocolError],
  ['trailing bytes', 5, packet(0xe0, 0, 0, 0), malformedPacket],
  ['server reference', 5, packet(0xe0, 0, props(0x1c, t)), protocolError],
  [
    'session expiry twice',
    5,
    packet(0xe0, 0, props(0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1)),
    protocolError,
  ],
  ['receive maximum', 5, packet(0xe0, 0, props(0x21, 0, 1)), malformedPacket],
  ['AUTH with nothing', 5, packet(0xf0), protocolError],
  ['AUTH success', 5, packet(0xf0, 0, props(...method)), protocolError],
  ['AUTH unknown reason code', 5, packet(0xf0, 0x80, props(...method)), protocolError],
  ['AUTH without method', 5, packet(0xf0, 0x18, props(0x16, t)), protocolError],
  ['AUTH without properties', 5, packet(0xf0, 0x18), protocolError],
  ['AUTH method twice', 5, packet(0xf0, 0x18, props(...method, ...method)), protocolError],
  ['AUTH trailing bytes', 5, packet(0xf0, 0x18, props(...method), 0), malformedPacket],
  ['AUTH session expiry', 5, packet(0xf0, 0x18, props(0x11, 0, 0, 0, 1)), malformedPacket],
];

const tables = { fixedHeader, connects, publishes, acknowledgements, subscribes, disconnects };

for (const [table, rows] of Object.entries(tables)) {
  describe(`malformed: ${table}`, () => {
    for (const [name, version, wrong, reasonCode] of rows) {
      test(name, () => {
        const whole = read(version, wrong);
        const [got] = whole;
        assert.equal(whole.length, 1, JSON.stringify(whole));
        assert.ok(got?.kind === 'malformed', JSON.stringify(got));
        assert.equal(got.reasonCode.toString(16), reasonCode.toString(16), got.reason);
        assert.match(got.reason, /^.{4,80}$/);
        const single = [...wrong].map((byte) => Buffer.from([byte]));
        assert.deepEqual(read(version, ...single), whole, 'byte by byte');
      });
    }
  });
}

describe('legal, though it looks wrong', () => {
  const rows: readonly (readonly [name: string, version: 0 | 3 | 4 | 5, bytes: Buffer])[] = [
    ['remaining length longer than needed, 3.1.1', 4, bytes(0xc0, 0x80, 0)],
    ['DUP of SUBSCRIBE, 3.1', 3, packet(0x8a, 0, 1, t, 1)],
    ['DUP of PUBREL, 3.1', 3, packet(0x6a, 0, 1)],
    ['reserved flag, 3.1', 0, connect(3, 3, id)],
    ['level 0x84, a bridge', 0, connect(0x84, 2, id)],
    ['level 0x83, a bridge', 0, packet(0x10, field('MQIsdp'), 0x83, 2, ka, id)],
    ['user name flag without user name, 3.1', 0, connect(3, 0xc2, id)],
    ['password without user name, 5.0', 0, connect(5, 0x42, 0, id, field('p'))],
    ['an empty client identifier', 0, connect(4, 0, field())],
    ['an empty user name', 0, connect(4, 0x82, id, field())],
    ['many user properties', 0, connect(5, 2, props(...user, ...user, ...user), id)],
    ['an empty payload', 4, packet(0x30, t)],
    ['an alias without topic', 5, packet(0x30, field(), props(0x23, 0, 1))],
    ['many user properties of PUBLISH', 5, packet(0x30, t, props(...user, ...user))],
    ['a topic of spaces and levels', 4, packet(0x30, field('/ //'))],
    ['PUBACK with a reason code only', 5, packet(0x40, 0, 1, 0x10)],
    ['PUBACK with empty properties', 5, packet(0x40, 0, 1, 0, empty)],
    ['DISCONNECT with a reason code only', 5, packet(0xe0, 4)],
    ['AUTH with a method', 5, packet(0xf0, 0x18, props(...method))],
    ['no local, not shared', 5, packet(0x82, 0, 1, 0, field('$shared'), 4)],
  ];
  for (const [name, version, right] of rows) {
    test(name, () => {
      const got = read(version, right);
      assert.equal(got.length, 1);
      assert.notEqual(got[0]?.kind, 'malformed', JSON.stringify(got));
    });
  }

  test('what is forwarded is put together around what is not', () => {
    const properties = props(user, 0x23, 0, 5, 0x01, 1, 2, 0, 0, 0, 9, user);
    const [got] = read(5, packet(0x30, t, properties, 'pay'));
    assert.ok(got?.kind === 'publish');
    assert.equal(got.properties, bytes(user, 0x01, 1, user).toString('hex'));
    assert.equal(got.topicAlias, 5);
    assert.equal(got.messageExpiryS, 9);
    assert.equal(got.payload, Buffer.from('pay').toString('hex'));
  });
});
