import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Message, messageOf } from '@lmqtt/common/message';
import fc from 'fast-check';
import { generate, parser } from 'mqtt-packet';
import type { Packet } from 'mqtt-packet';
import {
  writePingresp,
  writePuback,
  writePubcomp,
  writePubrec,
  writePubrel,
} from '../src/codec/acknowledgement-writer.ts';
import { Outbox } from '../src/connection/outbox.ts';
import { PublishWriter } from '../src/connection/publish-writer.ts';
import { PacketReader } from '../src/codec/packet-reader.ts';
import { publishSize, writePublish } from '../src/codec/publish-writer.ts';
import { Delivery } from '../src/packet/delivery.ts';
import type { IncomingPublish } from '../src/packet/publish.ts';
import { FakeClient } from './node-fixture.ts';
import { connect, publish, topicName } from './packet-arbitraries.ts';
import { PacketRecorder } from './packet-recorder.ts';

/** Exactly one packet. */
function parse(bytes: Buffer, protocolVersion: number): Packet {
  const found: Packet[] = [];
  const oracle = parser({ protocolVersion });
  oracle.on('packet', (packet) => found.push(packet));
  oracle.on('error', (error: Error) => {
    throw error;
  });
  assert.equal(oracle.parse(bytes), 0, 'bytes are left');
  assert.equal(found.length, 1);
  const [packet] = found;
  assert.ok(packet);
  return packet;
}

function write(message: Message, delivery: Delivery): Buffer {
  const size = publishSize(message, delivery);
  const at = 7;
  const target = Buffer.alloc(size + at + 9, 0xee);
  assert.equal(writePublish(target, at, message, delivery), at + size);
  const around = Buffer.concat([target.subarray(0, at), target.subarray(at + size)]);
  assert.ok(
    around.every((byte) => byte === 0xee),
    'wrote outside of its room',
  );
  return target.subarray(at, at + size);
}

/** A message with the gap between topic and payload that the publisher's packet had. */
function laidOut(topic: string, payload: Buffer, gap: number, properties?: Buffer): Message {
  const name = Buffer.from(topic);
  const buffer = Buffer.alloc(5 + 2 + name.length + gap + payload.length + 3, 0xdd);
  buffer.writeUInt16BE(name.length, 5);
  name.copy(buffer, 7);
  const start = 7 + name.length + gap;
  payload.copy(buffer, start);
  return new Message(topic, 2, false, buffer, 5, start, start + payload.length, properties, 0, 'p');
}

/** User property n = v, content type t. */
const someProperties = Buffer.from([0x26, 0, 1, 0x6e, 0, 1, 0x76, 0x03, 0, 1, 0x74]);

const cases = fc.record({
  version: fc.constantFrom<3 | 4 | 5>(3, 4, 5),
  topic: topicName,
  payload: fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
  gap: fc.constantFrom(-1, 0, 1, 2, 3, 20),
  qos: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
  dup: fc.boolean(),
  retain: fc.boolean(),
  packetId: fc.integer({ min: 1, max: 65_535 }),
  properties: fc.option(fc.constant(someProperties), { nil: undefined }),
  expiry: fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 0xffff_ffff })),
  alias: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 65_535 })),
  withTopic: fc.boolean(),
  identifiers: fc.option(
    fc.array(fc.integer({ min: 1, max: 268_435_455 }), { minLength: 1, maxLength: 4 }),
    { nil: undefined },
  ),
});

describe('PUBLISH writer', () => {
  test('the oracle reads what was written, the first time and from the kept encoding', () => {
    fc.assert(
      fc.property(cases, (given) => {
        const { version, topic, payload, properties } = given;
        const message =
          given.gap < 0
            ? messageOf({ topic, qos: 2, retain: false, payload, properties })
            : laidOut(topic, payload, given.gap, properties);
        const delivery = new Delivery();
        delivery.version = version;
        delivery.qos = given.qos;
        delivery.retain = given.retain;
        delivery.messageExpiryS = given.expiry;
        delivery.topicAlias = given.alias;
        delivery.withTopic = given.withTopic || given.alias === 0;
        delivery.subscriptionIdentifiers = given.identifiers;
        for (const round of [0, 1, 2, 3]) {
          delivery.dup = given.dup !== (round === 2) && given.qos > 0;
          delivery.packetId = Math.max(1, (given.packetId + round) & 0xffff);
          // Time passes between two deliveries.
          if (given.expiry > 3) delivery.messageExpiryS = given.expiry - round;
          const packet = parse(write(message, delivery), version);
          assert.ok(packet.cmd === 'publish');
          assert.equal(packet.topic, delivery.withTopic || version < 5 ? topic : '');
          assert.deepEqual(Buffer.from(packet.payload), payload);
          assert.equal(packet.qos, given.qos);
          assert.equal(packet.retain, given.retain);
          assert.equal(packet.dup, delivery.dup);
          assert.equal(packet.messageId, given.qos > 0 ? delivery.packetId : undefined);
          if (version < 5) continue;
          const got = packet.properties;
          assert.equal(
            got?.messageExpiryInterval,
            given.expiry < 0 ? undefined : delivery.messageExpiryS,
          );
          assert.equal(got?.topicAlias, given.alias === 0 ? undefined : given.alias);
          assert.equal(got?.contentType, properties ? 't' : undefined);
          assert.deepEqual(
            got?.userProperties && { ...got.userProperties },
            properties && { n: 'v' },
          );
          assert.deepEqual([got?.subscriptionIdentifier ?? []].flat(), given.identifiers ?? []);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('one message to clients of all kinds, in any order, each as if it were alone', () => {
    const message = laidOut('a/b', Buffer.from('payload'), 2, someProperties);
    const kinds = fc.record({
      version: fc.constantFrom<4 | 5>(4, 5),
      qos: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
      retain: fc.boolean(),
      messageExpiryS: fc.constantFrom(-1, 5, 70_000),
    });
    for (const kind of fc.sample(kinds, 300)) {
      const alone = laidOut('a/b', Buffer.from('payload'), 2, someProperties);
      const delivery = Object.assign(new Delivery(), kind, { packetId: 7 });
      assert.deepEqual(write(message, delivery), write(alone, delivery));
    }
  });

  test('a connection writes what the codec writes', () => {
    fc.assert(
      fc.property(cases, (given) => {
        const { version, topic, payload, gap, properties, qos, dup, retain, packetId } = given;
        const { identifiers } = given;
        const message =
          gap < 0
            ? messageOf({ topic, qos: 2, retain: false, payload, properties })
            : laidOut(topic, payload, gap, properties);
        const delivery = new Delivery();
        Object.assign(delivery, { version, qos, dup, retain, packetId });
        delivery.subscriptionIdentifiers = identifiers;
        const expected = write(message, delivery);
        const writeTo = (outbox: Outbox, maximum: number): number => {
          const writer = new PublishWriter(version, maximum, 0);
          const time = { wallMs: 0 };
          return writer.write(outbox, message, qos, dup, retain, packetId, identifiers, time);
        };
        const outbox = new Outbox(new FakeClient(4));
        assert.equal(writeTo(outbox, expected.length - 1), 0);
        assert.equal(outbox.at, 0);
        assert.equal(writeTo(outbox, expected.length), expected.length);
        assert.deepEqual(outbox.buffer.subarray(0, outbox.at), expected);
      }),
      { numRuns: 2000 },
    );
  });

  test('large messages', () => {
    for (const size of [127, 128, 16_000, 16_383, 16_384, 70_000, 2_097_152]) {
      const message = laidOut('large', Buffer.alloc(size, 1), 2);
      const delivery = Object.assign(new Delivery(), { qos: 1, packetId: 513 });
      for (let round = 0; round < 3; round += 1) {
        const packet = parse(write(message, delivery), 4);
        assert.ok(packet.cmd === 'publish' && packet.payload.length === size);
        assert.equal(packet.messageId, 513);
      }
    }
  });

  test('what the reader took in goes out as it came', () => {
    for (const version of [4, 5] as const) {
      fc.assert(
        fc.property(publish(version), (packet) => {
          const reader = new PacketReader({ packetBytesMax: 1 << 20 });
          class Passing extends PacketRecorder {
            bytes: Buffer = Buffer.alloc(0);

            override publish(p: IncomingPublish): void {
              const message = new Message(
                p.topic,
                p.qos,
                p.retain,
                p.buffer,
                p.topicStart,
                p.payloadStart,
                p.payloadEnd,
                p.properties,
                0,
                'c',
              );
              const { qos, packetId, retain, dup } = p;
              const messageExpiryS = p.messageExpiryS ?? -1;
              this.bytes = write(
                message,
                Object.assign(new Delivery(), {
                  version,
                  qos,
                  packetId,
                  retain,
                  dup,
                  messageExpiryS,
                }),
              );
            }
          }
          const sink = new Passing();
          const [first] = fc.sample(connect(version), 1);
          assert.ok(first);
          reader.feed(generate(first, { protocolVersion: version }), sink);
          const sent = generate(packet, { protocolVersion: version });
          reader.feed(sent, sink);
          const got = parse(sink.bytes, version);
          const expected = parse(sent, version);
          assert.ok(got.cmd === 'publish' && expected.cmd === 'publish');
          delete expected.properties?.topicAlias;
          assert.deepEqual(
            { ...expected, length: 0 },
            { ...got, length: 0, ...noKey(expected, got) },
          );
        }),
        { numRuns: 500 },
      );
    }
  });
});

/** mqtt-packet leaves `properties` out where a packet has none. */
function noKey(expected: Packet, got: Packet): object {
  const { properties } = expected as { properties?: object };
  if (properties && Object.keys(properties).length === 0 && !('properties' in got)) {
    return { properties };
  }
  return {};
}

describe('acknowledgement writers', () => {
  const writers = [
    ['puback', writePuback, 0x87],
    ['pubrec', writePubrec, 0x97],
    ['pubrel', writePubrel, 0x92],
    ['pubcomp', writePubcomp, 0x92],
  ] as const;
  for (const [cmd, writer, failure] of writers) {
    test(cmd, () => {
      const target = Buffer.alloc(20, 0xee);
      for (const packetId of [1, 255, 256, 65_535]) {
        for (const version of [3, 4, 5]) {
          for (const reasonCode of [0, failure]) {
            const end = writer(target, 3, packetId, reasonCode, version);
            assert.equal(end, 3 + (version === 5 && reasonCode > 0 ? 5 : 4));
            const packet = parse(target.subarray(3, end), version);
            assert.equal(packet.cmd, cmd);
            assert.equal(packet.messageId, packetId);
            const { reasonCode: got = 0 } = packet as { reasonCode?: number };
            assert.equal(got, version === 5 ? reasonCode : 0);
          }
        }
      }
    });
  }

  test('pingresp', () => {
    const target = Buffer.alloc(4);
    assert.equal(writePingresp(target, 1), 3);
    assert.equal(parse(target.subarray(1, 3), 4).cmd, 'pingresp');
  });
});
