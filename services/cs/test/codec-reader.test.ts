import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { generate, parser } from 'mqtt-packet';
import type { Packet, UserProperties } from 'mqtt-packet';
import { PacketReader } from '../src/codec/packet-reader.ts';
import type { UserProperty } from '../src/packet/property.ts';
import { anyPacket, connect, publish } from './packet-arbitraries.ts';
import type { Version } from './packet-arbitraries.ts';
import type { Recorded } from './packet-recorder.ts';
import { PacketRecorder } from './packet-recorder.ts';

const packetBytesMax = 1 << 20;

function encode(packet: Packet, protocolVersion: Version): Buffer {
  return generate(packet, { protocolVersion });
}

function bytesOfConnect(version: Version): Buffer {
  const protocolId = version === 3 ? 'MQIsdp' : 'MQTT';
  return encode(
    { cmd: 'connect', protocolId, protocolVersion: version, clientId: 'c', clean: true },
    version,
  );
}

/** Packets that our reader finds in the bytes after a CONNECT, fed in these pieces. */
function read(version: Version, ...chunks: Buffer[]): Recorded[] {
  const reader = new PacketReader({ packetBytesMax });
  const recorder = new PacketRecorder();
  reader.feed(bytesOfConnect(version), recorder);
  recorder.all.length = 0;
  for (const chunk of chunks) reader.feed(chunk, recorder);
  return recorder.all;
}

function pairs(properties: UserProperties | undefined): UserProperty[] {
  return Object.entries(properties ?? {}).flatMap(([name, values]) =>
    (Array.isArray(values) ? values : [values]).map((value): UserProperty => [name, value]),
  );
}

/** The properties that are forwarded, as another PUBLISH has them. */
function forwarded(properties: string | undefined): Packet & { cmd: 'publish' } {
  const encoded = Buffer.from(properties ?? '', 'hex');
  const lengthBytes = encoded.length < 128 ? 1 : 2;
  const body = Buffer.alloc(3 + lengthBytes);
  body.writeUInt16BE(1);
  body.write('t', 2);
  body[3] = encoded.length & 0x7f;
  if (lengthBytes === 2) {
    body[3] |= 0x80;
    body[4] = encoded.length >> 7;
  }
  const remaining = body.length + encoded.length;
  const header =
    remaining < 128 ? [0x30, remaining] : [0x30, (remaining & 0x7f) | 0x80, remaining >> 7];
  let found: Packet | undefined;
  const oracle = parser({ protocolVersion: 5 });
  oracle.on('packet', (packet) => {
    found = packet;
  });
  oracle.parse(Buffer.concat([Buffer.from(header), body, encoded]));
  assert.ok(found?.cmd === 'publish');
  return found;
}

function checkPublish(packet: Packet & { cmd: 'publish' }, got: Recorded | undefined): void {
  assert.ok(got?.kind === 'publish', JSON.stringify(got));
  const given = packet.properties;
  assert.equal(got.topic, packet.topic);
  assert.equal(got.topicBytes, packet.topic);
  assert.equal(got.payload, Buffer.from(packet.payload).toString('hex'));
  assert.equal(got.qos, packet.qos);
  assert.equal(got.retain, packet.retain);
  assert.equal(got.dup, packet.dup);
  assert.equal(got.packetId, packet.messageId ?? 0);
  assert.equal(got.messageExpiryS, given?.messageExpiryInterval);
  assert.equal(got.topicAlias, given?.topicAlias ?? 0);
  assert.equal(got.payloadFormatIndicator, given?.payloadFormatIndicator ? 1 : 0);
  assert.equal(got.hasResponseTopic, given?.responseTopic !== undefined);
  const { properties } = forwarded(got.properties);
  assert.equal(properties?.payloadFormatIndicator, given?.payloadFormatIndicator);
  assert.equal(properties?.contentType, given?.contentType);
  assert.equal(properties?.responseTopic, given?.responseTopic);
  assert.deepEqual(properties?.correlationData, given?.correlationData);
  assert.deepEqual(pairs(properties?.userProperties), pairs(given?.userProperties));
  assert.equal(properties?.messageExpiryInterval, undefined);
  assert.equal(properties?.topicAlias, undefined);
}

function check(packet: Packet, got: Recorded | undefined): void {
  assert.ok(got, 'nothing was read');
  switch (packet.cmd) {
    case 'publish':
      return checkPublish(packet, got);
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return assert.deepEqual(got, {
        kind: packet.cmd,
        packetId: packet.messageId,
        reasonCode: packet.reasonCode ?? 0,
      });
    case 'pingreq':
      return assert.deepEqual(got, { kind: 'pingreq' });
    case 'subscribe':
      assert.ok(got.kind === 'subscribe');
      return assert.deepEqual(got.packet, {
        packetId: packet.messageId,
        filters: packet.subscriptions.map(({ topic, qos, nl, rap, rh }) => ({
          filter: topic,
          qos,
          noLocal: nl ?? false,
          retainAsPublished: rap ?? false,
          retainHandling: rh ?? 0,
        })),
        filterCount: packet.subscriptions.length,
        subscriptionIdentifier: packet.properties?.subscriptionIdentifier,
        replayFrom: undefined,
      });
    case 'unsubscribe':
      assert.ok(got.kind === 'unsubscribe');
      return assert.deepEqual(got.packet, {
        packetId: packet.messageId,
        filters: packet.unsubscriptions,
        filterCount: packet.unsubscriptions.length,
      });
    case 'disconnect':
      assert.ok(got.kind === 'disconnect');
      return assert.deepEqual(got.packet, {
        reasonCode: packet.reasonCode ?? 0,
        sessionExpiryS: packet.properties?.sessionExpiryInterval,
        reasonString: packet.properties?.reasonString,
      });
    case 'auth':
      assert.ok(got.kind === 'auth');
      return assert.deepEqual(got.packet, {
        reasonCode: packet.reasonCode,
        authenticationMethod: packet.properties?.authenticationMethod,
        authenticationData: packet.properties?.authenticationData,
        reasonString: undefined,
      });
    default:
      return assert.fail(`not a client's packet: ${packet.cmd}`);
  }
}

for (const version of [3, 4, 5] as const) {
  describe(`reader, protocol level ${version}`, () => {
    test('reads every CONNECT that the oracle writes', () => {
      fc.assert(
        fc.property(connect(version), (packet) => {
          const reader = new PacketReader({ packetBytesMax });
          const recorder = new PacketRecorder();
          reader.feed(encode(packet, version), recorder);
          const [got] = recorder.all;
          assert.ok(got?.kind === 'connect', JSON.stringify(got));
          const { properties: given, will } = packet;
          const { will: gotWill, ...rest } = got.packet;
          assert.deepEqual(rest, {
            protocolVersion: version,
            isBridge: false,
            clientId: packet.clientId,
            cleanStart: packet.clean,
            keepAliveS: packet.keepalive,
            userName: packet.username,
            password: packet.password,
            sessionExpiryS: given?.sessionExpiryInterval,
            receiveMaximum: given?.receiveMaximum ?? 65_535,
            maximumPacketSize: given?.maximumPacketSize,
            topicAliasMaximum: given?.topicAliasMaximum ?? 0,
            requestResponseInformation: given?.requestResponseInformation ?? false,
            requestProblemInformation: given?.requestProblemInformation ?? true,
            authenticationMethod: given?.authenticationMethod,
            authenticationData: undefined,
          });
          assert.equal(gotWill === undefined, will === undefined);
          if (!gotWill || !will) return;
          assert.equal(gotWill.topic, will.topic);
          assert.deepEqual(gotWill.payload, will.payload);
          assert.equal(gotWill.qos, will.qos);
          assert.equal(gotWill.retain, will.retain);
          assert.equal(gotWill.delayS, will.properties?.willDelayInterval ?? 0);
          assert.equal(gotWill.messageExpiryS, will.properties?.messageExpiryInterval);
          const { properties } = forwarded(gotWill.properties?.toString('hex'));
          assert.equal(properties?.contentType, will.properties?.contentType);
          assert.equal(properties?.responseTopic, will.properties?.responseTopic);
          assert.deepEqual(
            pairs(properties?.userProperties),
            pairs(will.properties?.userProperties),
          );
        }),
        { numRuns: 300 },
      );
    });

    test('reads every other packet that the oracle writes', () => {
      fc.assert(
        fc.property(anyPacket(version), (packet) => {
          const got = read(version, encode(packet, version));
          assert.equal(got.length, 1);
          check(packet, got[0]);
        }),
        { numRuns: 1000 },
      );
    });

    test('reads a stream of packets in chunks of any sizes', () => {
      fc.assert(
        fc.property(
          fc.array(anyPacket(version), { minLength: 1, maxLength: 12 }),
          fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 }),
          (packets, sizes) => {
            const all = Buffer.concat(packets.map((packet) => encode(packet, version)));
            const chunks: Buffer[] = [];
            for (let at = 0, index = 0; at < all.length; index += 1) {
              const size = sizes[index % sizes.length] ?? 1;
              chunks.push(Buffer.from(all.subarray(at, at + size)));
              at += size;
            }
            const got = read(version, ...chunks);
            assert.equal(got.length, packets.length);
            for (const [index, packet] of packets.entries()) check(packet, got[index]);
          },
        ),
        { numRuns: 300 },
      );
    });

    test('reads the same at every split point', () => {
      for (const [packet, next] of fc.sample(fc.tuple(publish(version), anyPacket(version)), 12)) {
        const all = Buffer.concat([encode(packet, version), encode(next, version)]);
        for (let at = 1; at < all.length; at += 1) {
          const got = read(
            version,
            Buffer.from(all.subarray(0, at)),
            Buffer.from(all.subarray(at)),
          );
          assert.equal(got.length, 2);
          check(packet, got[0]);
          check(next, got[1]);
        }
      }
    });
  });
}

describe('reader', () => {
  const ping = Buffer.from([0xc0, 0]);

  test('stops within a chunk and goes on with the rest, in order', () => {
    const reader = new PacketReader({ packetBytesMax });
    const recorder = new PacketRecorder();
    recorder.onPacket = (packet) => {
      if (packet.kind === 'connect') reader.stop();
    };
    reader.feed(Buffer.concat([bytesOfConnect(4), ping]), recorder);
    const acks = Buffer.concat([
      generate({ cmd: 'puback', messageId: 1 }),
      generate({ cmd: 'puback', messageId: 2 }),
    ]);
    reader.feed(acks.subarray(0, 3), recorder);
    reader.feed(acks.subarray(3), recorder);
    assert.deepEqual(
      recorder.all.map(({ kind }) => kind),
      ['connect'],
    );
    assert.equal(reader.waitingBytes, ping.length + acks.length);
    reader.resume(recorder);
    assert.equal(reader.waitingBytes, 0);
    assert.deepEqual(
      recorder.all.map(({ kind }) => kind),
      ['connect', 'pingreq', 'puback', 'puback'],
    );
  });

  test('may be stopped at every packet, and resumed from within the sink', () => {
    const reader = new PacketReader({ packetBytesMax });
    const recorder = new PacketRecorder();
    recorder.onPacket = () => reader.stop();
    reader.feed(Buffer.concat([bytesOfConnect(4), ping, ping, ping]), recorder);
    for (let count = 1; count <= 4; count += 1) {
      assert.equal(recorder.all.length, count);
      reader.resume(recorder);
    }
    recorder.onPacket = () => {
      reader.stop();
      reader.resume(recorder);
    };
    reader.feed(Buffer.concat([ping, ping]), recorder);
    assert.equal(recorder.all.length, 6);
  });

  test('goes on after a stop in the middle of a packet that came in pieces', () => {
    const reader = new PacketReader({ packetBytesMax });
    const recorder = new PacketRecorder();
    reader.feed(bytesOfConnect(4), recorder);
    recorder.onPacket = () => reader.stop();
    const message = generate({
      cmd: 'publish',
      topic: 'a/b',
      payload: 'p',
      qos: 0,
      dup: false,
      retain: false,
    });
    reader.feed(Buffer.concat([ping, message.subarray(0, 4)]), recorder);
    reader.feed(Buffer.concat([message.subarray(4), ping]), recorder);
    reader.resume(recorder);
    assert.equal(recorder.all.length, 3);
    reader.resume(recorder);
    assert.deepEqual(
      recorder.all.map(({ kind }) => kind),
      ['connect', 'pingreq', 'publish', 'pingreq'],
    );
  });

  test('gathers a large packet from small pieces in linear time', () => {
    const payload = Buffer.alloc(packetBytesMax - 100, 7);
    const message = generate({
      cmd: 'publish',
      topic: 'large',
      payload,
      qos: 0,
      dup: false,
      retain: false,
    });
    const chunks: Buffer[] = [];
    for (let at = 0; at < message.length; at += 100) chunks.push(message.subarray(at, at + 100));
    const start = performance.now();
    const [got] = read(4, ...chunks);
    const tookMs = performance.now() - start;
    assert.ok(got?.kind === 'publish');
    assert.equal(got.payload.length, payload.length * 2);
    // Copying what came before for each piece would take hundreds of times as long as one copy.
    const once = performance.now();
    for (let count = 0; count < 20; count += 1) Buffer.from(message);
    const copiesMs = performance.now() - once;
    assert.ok(tookMs < 1000 + 10 * copiesMs, `${tookMs} ms, 20 copies ${copiesMs} ms`);
  });

  test('an announced size costs no memory before its bytes come', () => {
    const readers = Array.from({ length: 2000 }, () => new PacketReader({ packetBytesMax }));
    const recorder = new PacketRecorder();
    const before = process.memoryUsage().arrayBuffers;
    for (const reader of readers) {
      reader.feed(bytesOfConnect(4), recorder);
      reader.feed(Buffer.from([0x30, 0xff, 0xff, 0x3f, 0]), recorder);
    }
    const grownBytes = process.memoryUsage().arrayBuffers - before;
    assert.ok(grownBytes < 2000 * 2048, `${grownBytes} bytes`);
  });

  test('nothing is read after what is malformed', () => {
    const got = read(4, Buffer.concat([ping, Buffer.from([0xc1, 0]), ping]), ping);
    assert.deepEqual(
      got.map(({ kind }) => kind),
      ['pingreq', 'malformed'],
    );
  });

  test('tells the version of a CONNECT that is malformed further on', () => {
    for (const level of [4, 5]) {
      const reader = new PacketReader({ packetBytesMax });
      const recorder = new PacketRecorder();
      reader.feed(Buffer.from([0x10, 8, 0, 4, 0x4d, 0x51, 0x54, 0x54, level, 1]), recorder);
      assert.equal(recorder.all[0]?.kind, 'malformed');
      assert.equal(reader.version, level);
    }
  });

  test('tells the level that is not supported', () => {
    const reader = new PacketReader({ packetBytesMax });
    const recorder = new PacketRecorder();
    reader.feed(Buffer.from([0x10, 8, 0, 4, 0x4d, 0x51, 0x54, 0x54, 6, 2]), recorder);
    const [got] = recorder.all;
    assert.ok(got?.kind === 'malformed' && got.reasonCode === 0x84);
    assert.equal(reader.version, 0);
    assert.equal(reader.protocolLevel, 6);
  });

  test('topics that share a slot or differ in one byte are told apart', () => {
    const topics = Array.from({ length: 20_000 }, (_, index) => `t/${index}/x`);
    const all = topics.map((topic) =>
      generate({ cmd: 'publish', topic, payload: '', qos: 0, dup: false, retain: false }),
    );
    for (let round = 0; round < 2; round += 1) {
      const got = read(4, Buffer.concat(all));
      assert.deepEqual(
        got.map((packet) => packet.kind === 'publish' && packet.topic),
        topics,
      );
    }
  });
});
