// The harness against mqtt-packet: what one writes the other reads, so that a mistake of ours in a
// byte layout is not one of the broker's tests. And that the strict parser is strict.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Packet } from 'mqtt-packet';
import { generate, parser } from 'mqtt-packet';
import { matches } from './match.ts';
import type { Version } from './packets.ts';
import * as packets from './packets.ts';
import type { ServerPacket } from './parser.ts';
import { parse } from './parser.ts';
import type { PropertiesToSend } from './properties.ts';
import { encodeProperties, Fields, varint } from './properties.ts';

function readByOther(bytes: Buffer, version: Version): Packet {
  const reader = parser({ protocolVersion: version });
  const read: Packet[] = [];
  reader.on('packet', (packet) => read.push(packet));
  reader.on('error', (error: Error) => assert.fail(error));
  reader.parse(bytes);
  assert.equal(read.length, 1);
  return read[0] as Packet;
}

function readByUs(packet: Packet, version: Version): ServerPacket {
  const bytes = generate(packet, { protocolVersion: version });
  for (let cut = 0; cut < bytes.length; cut += 1) {
    assert.equal(parse(bytes.subarray(0, cut), version), undefined);
  }
  const found = parse(Buffer.concat([bytes, Buffer.from([0xd0])]), version);
  assert.equal(found?.length, bytes.length);
  return (found as { packet: ServerPacket }).packet;
}

const text = 'tëxt 🙂';
const willProperties: PropertiesToSend = {
  payloadFormatIndicator: 1,
  messageExpiryInterval: 4_000_000_000,
  responseTopic: text,
  correlationData: Buffer.from([0, 255]),
  contentType: text,
};
const publishProperties: PropertiesToSend = { ...willProperties, topicAlias: 300 };

test('what we write is what mqtt-packet reads', () => {
  const pair = [['a', text]] as const;
  const will = { topic: 'w', payload: 'x', qos: 2, retain: true };
  for (const version of [3, 4, 5] as const) {
    const v5 = version === 5;
    const connect = readByOther(
      packets.connect({
        version,
        clientId: text,
        clean: false,
        keepAliveS: 300,
        username: 'u',
        password: 'p',
        will: {
          ...will,
          properties: { willDelayInterval: 7, ...willProperties },
        },
        properties: {
          sessionExpiryInterval: 9,
          receiveMaximum: 10,
          maximumPacketSize: 11,
          topicAliasMaximum: 12,
          requestResponseInformation: 1,
          requestProblemInformation: 0,
          authenticationMethod: 'm',
          authenticationData: 'd',
          userProperties: pair,
        },
      }),
      version,
    );
    assert.ok(connect.cmd === 'connect');
    assert.deepEqual(
      [
        connect.clientId,
        connect.clean,
        connect.keepalive,
        connect.username,
        connect.password?.toString(),
      ],
      [text, false, 300, 'u', 'p'],
    );
    assert.equal(connect.protocolVersion, version);
    assert.ok(connect.will && connect.will.qos === 2 && connect.will.retain);
    if (v5) assert.equal(connect.will.properties?.willDelayInterval, 7);
    if (v5) assert.equal(connect.will.properties?.contentType, text);
    if (v5) assert.equal(connect.properties?.maximumPacketSize, 11);
    if (v5) assert.equal(connect.properties?.authenticationMethod, 'm');

    const publish = readByOther(
      packets.publish({
        version,
        topic: text,
        payload: 'x'.repeat(200),
        qos: 2,
        retain: true,
        dup: true,
        packetId: 515,
        properties: publishProperties,
      }),
      version,
    );
    assert.ok(publish.cmd === 'publish');
    assert.deepEqual(
      [publish.topic, publish.qos, publish.retain, publish.dup, publish.messageId],
      [text, 2, true, true, 515],
    );
    assert.equal(publish.payload.length, 200);
    if (v5) assert.equal(publish.properties?.messageExpiryInterval, 4_000_000_000);

    const subscribe = readByOther(
      packets.subscribe({
        version,
        packetId: 9,
        filters: [
          'a',
          { filter: 'b', qos: 2, ...(v5 ? { noLocal: true, retainHandling: 2 } : {}) },
        ],
        properties: { subscriptionIdentifier: 200 },
      }),
      version,
    );
    assert.ok(subscribe.cmd === 'subscribe');
    assert.deepEqual(
      subscribe.subscriptions.map(({ topic, qos }) => [topic, qos]),
      [
        ['a', 0],
        ['b', 2],
      ],
    );
    if (v5)
      assert.deepEqual([subscribe.subscriptions[1]?.nl, subscribe.subscriptions[1]?.rh], [true, 2]);
    if (v5) assert.equal(subscribe.properties?.subscriptionIdentifier, 200);

    const unsubscribe = readByOther(packets.unsubscribe({ version, filters: ['a', 'b'] }), version);
    assert.ok(unsubscribe.cmd === 'unsubscribe');
    assert.deepEqual(unsubscribe.unsubscriptions, ['a', 'b']);

    for (const type of ['puback', 'pubrec', 'pubrel', 'pubcomp'] as const) {
      const reason = type === 'pubrel' || type === 'pubcomp' ? 0x92 : 0x87;
      const more = v5 ? { reason, properties: { reasonString: text } } : {};
      const ack = readByOther(packets.ack(type, { packetId: 777, ...more }), version);
      assert.deepEqual([ack.cmd, ack.messageId], [type, 777]);
      if (v5) assert.ok('reasonCode' in ack && ack.reasonCode === reason);
    }
    assert.equal(readByOther(packets.pingreq(), version).cmd, 'pingreq');
    assert.equal(readByOther(packets.disconnect(), version).cmd, 'disconnect');
  }
  const disconnect = packets.disconnect({ reason: 4, properties: { sessionExpiryInterval: 5 } });
  const auth = packets.auth({ reason: 0x18, properties: { authenticationMethod: 'm' } });
  assert.ok(matches(readByOther(disconnect, 5), { cmd: 'disconnect', reasonCode: 4 }));
  assert.ok(matches(readByOther(auth, 5), { cmd: 'auth', reasonCode: 0x18 }));
});

test('what mqtt-packet writes is what we read', () => {
  const properties = { reasonString: text, userProperties: { a: ['b', 'c'] } };
  const read = {
    reasonString: text,
    userProperties: [
      ['a', 'b'],
      ['a', 'c'],
    ],
  };
  for (const version of [4, 5] as const) {
    const v5 = version === 5;
    const connack: Packet = {
      cmd: 'connack',
      sessionPresent: true,
      ...(v5
        ? {
            reasonCode: 0,
            properties: { ...properties, assignedClientIdentifier: 'i', serverKeepAlive: 3 },
          }
        : { returnCode: 0 }),
    };
    assert.ok(
      matches(readByUs(connack, version), {
        type: 'connack',
        sessionPresent: true,
        reason: 0,
        properties: v5 ? { ...read, assignedClientIdentifier: 'i', serverKeepAlive: 3 } : {},
      }),
    );
    const publish: Packet = {
      cmd: 'publish',
      topic: text,
      payload: 'x'.repeat(20_000),
      qos: 1,
      retain: true,
      dup: true,
      messageId: 999,
      ...(v5
        ? { properties: { subscriptionIdentifier: [1, 300], contentType: text, topicAlias: 5 } }
        : {}),
    };
    assert.ok(
      matches(readByUs(publish, version), {
        type: 'publish',
        topic: text,
        payload: 'x'.repeat(20_000),
        qos: 1,
        retain: true,
        dup: true,
        packetId: 999,
        properties: v5
          ? { subscriptionIdentifiers: [1, 300], contentType: text, topicAlias: 5 }
          : {},
      }),
    );
    for (const cmd of ['puback', 'pubrec', 'pubrel', 'pubcomp'] as const) {
      const reason = cmd === 'pubrel' || cmd === 'pubcomp' ? 0x92 : 0x10;
      const ack: Packet = { cmd, messageId: 3, ...(v5 ? { reasonCode: reason, properties } : {}) };
      assert.ok(
        matches(readByUs(ack, version), {
          type: cmd,
          packetId: 3,
          reason: v5 ? reason : 0,
          properties: v5 ? read : {},
        }),
      );
    }
    const suback: Packet = { cmd: 'suback', messageId: 8, granted: [0, 1, 2, 0x80] };
    assert.ok(
      matches(readByUs(suback, version), { type: 'suback', packetId: 8, reasons: [0, 1, 2, 0x80] }),
    );
    const unsuback: Packet = {
      cmd: 'unsuback',
      messageId: 8,
      ...(v5 ? { granted: [0, 0x11] } : { granted: [] }),
    };
    assert.ok(
      matches(readByUs(unsuback, version), {
        type: 'unsuback',
        packetId: 8,
        reasons: v5 ? [0, 0x11] : [],
      }),
    );
    assert.ok(matches(readByUs({ cmd: 'pingresp' }, version), { type: 'pingresp' }));
  }
  assert.ok(
    matches(readByUs({ cmd: 'disconnect', reasonCode: 0x8e, properties }, 5), {
      type: 'disconnect',
      reason: 0x8e,
      properties: read,
    }),
  );
  assert.ok(
    matches(
      readByUs({ cmd: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'm' } }, 5),
      { type: 'auth', reason: 0x18 },
    ),
  );
});

test('what a server may not send is refused', () => {
  const wrong: readonly [string, Version, string][] = [
    ['c000', 4, 'PINGREQ'],
    ['d100', 4, 'flags of PINGRESP'],
    ['d00100', 4, 'PINGRESP with a body'],
    ['20020200', 4, 'reserved connect acknowledge flag'],
    ['20020006', 4, 'return code 6'],
    ['20020101', 4, 'session present in a refusal'],
    ['2003000000', 4, 'a version 5 CONNACK'],
    ['36050001610001', 4, 'QoS 3'],
    ['3803000161', 4, 'DUP at QoS 0'],
    ['32050001610000', 4, 'packet id 0'],
    ['3003000123', 4, 'wildcard in a topic name'],
    ['30020000', 4, 'empty topic name'],
    ['3004000280c0', 4, 'ill-formed topic name'],
    ['9003000103', 4, 'SUBACK code 3'],
    ['90020001', 4, 'SUBACK without a code'],
    ['e000', 4, 'DISCONNECT of a 3.1.1 server'],
    ['60020001', 4, 'flags of PUBREL'],
    ['2005000002210a', 5, 'a property cut short'],
    ['200700000424012401', 5, 'a property twice'],
    ['20050000022301', 5, 'a property of another packet'],
    ['ffffffffff', 4, 'remaining length'],
  ];
  for (const [hex, version, what] of wrong) {
    const bytes = Buffer.from(hex, 'hex');
    assert.throws(() => parse(bytes, version), Error, what);
  }
});

test('variable byte integers', () => {
  for (const value of [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455]) {
    assert.equal(new Fields(varint(value)).varint(), value);
  }
  assert.throws(() => new Fields(varint(5, 2)).varint(), /longer than needed/);
  assert.throws(() => new Fields(varint(2 ** 28)).varint(), /more than 4/);
  assert.deepEqual(
    encodeProperties([
      ['topicAlias', 1],
      ['topicAlias', 2],
    ]).toString('hex'),
    '06230001230002',
  );
});
