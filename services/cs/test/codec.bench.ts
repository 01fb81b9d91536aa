// Micro-benchmark of the codec, not part of the test run:
//     node services/cs/dist/test/codec.bench.js
// Prints ns per packet, the median of several rounds.
import { Message } from '@lmqtt/common/message';
import { generate } from 'mqtt-packet';
import { writePuback } from '../src/codec/acknowledgement-writer.ts';
import { PacketReader } from '../src/codec/packet-reader.ts';
import { publishSize, writePublish } from '../src/codec/publish-writer.ts';
import { Delivery } from '../src/packet/delivery.ts';
import type { PacketSink } from '../src/packet/packet-sink.ts';
import type { IncomingPublish } from '../src/packet/publish.ts';

const roundCount = 15;
const perRound = 200_000;
const payload = Buffer.alloc(256, 'x');

let seenBytes = 0;
const sink: PacketSink = {
  connect() {},
  publish(packet: IncomingPublish) {
    seenBytes += packet.payloadEnd - packet.payloadStart + packet.topic.length;
  },
  puback(packetId) {
    seenBytes += packetId;
  },
  pubrec() {},
  pubrel() {},
  pubcomp() {},
  subscribe() {},
  unsubscribe() {},
  pingreq() {},
  disconnect() {},
  auth() {},
  malformed(reasonCode, reason) {
    throw new Error(`${reasonCode} ${reason}`);
  },
};

function report(name: string, round: () => number): void {
  const times: number[] = [];
  for (let count = 0; count < roundCount; count += 1) {
    const start = process.hrtime.bigint();
    const packets = round();
    times.push(Number(process.hrtime.bigint() - start) / packets);
  }
  times.sort((a, b) => a - b);
  const median = times[roundCount >> 1] ?? 0;
  process.stdout.write(`${name.padEnd(58)}${median.toFixed(0).padStart(6)} ns\n`);
}

type Version = 4 | 5;

function connected(protocolVersion: Version): PacketReader {
  const reader = new PacketReader({ packetBytesMax: 1 << 20 });
  const connect = { cmd: 'connect', clientId: 'bench', protocolVersion, clean: true } as const;
  reader.feed(generate(connect, { protocolVersion }), sink);
  return reader;
}

/** Chunks of about 64 KiB, packets split at their ends as a socket does. */
function chunksOf(packets: readonly Buffer[]): Buffer[] {
  const all = Buffer.concat(packets);
  const chunks: Buffer[] = [];
  for (let at = 0; at < all.length; at += 65_536) {
    chunks.push(Buffer.from(all.subarray(at, at + 65_536)));
  }
  return chunks;
}

function reading(name: string, version: Version, packets: readonly Buffer[]): void {
  const reader = connected(version);
  const chunks = chunksOf(packets);
  const repeat = Math.ceil(perRound / packets.length);
  report(name, () => {
    for (let count = 0; count < repeat; count += 1) {
      for (const chunk of chunks) reader.feed(chunk, sink);
    }
    return repeat * packets.length;
  });
}

function publishes(version: Version, topics: number, more: object): Buffer[] {
  return Array.from({ length: 2000 }, (_, index) =>
    generate(
      {
        cmd: 'publish',
        topic: `bench/pair/${String(index % topics).padStart(6, '0')}`,
        payload,
        qos: 1,
        messageId: (index % 65_535) + 1,
        dup: false,
        retain: false,
        ...more,
      },
      { protocolVersion: version },
    ),
  );
}

reading('read PUBLISH 256 B QoS 1, 3.1.1, one topic', 4, publishes(4, 1, {}));
reading('read PUBLISH 256 B QoS 1, 3.1.1, 100 topics', 4, publishes(4, 100, {}));
reading('read PUBLISH 256 B QoS 1, 5.0', 5, publishes(5, 1, {}));
reading(
  'read PUBLISH 256 B QoS 1, 5.0, expiry and a user property',
  5,
  publishes(5, 1, {
    properties: { messageExpiryInterval: 60, userProperties: { name: 'value' } },
  }),
);
const pubacks = Array.from({ length: 2000 }, (_, index) =>
  generate({ cmd: 'puback', messageId: index + 1 }),
);
reading('read PUBACK, 3.1.1', 4, pubacks);

function messageOf(gap: number): Message {
  const topic = 'bench/pair/000001';
  const topicEnd = 2 + topic.length;
  const buffer = Buffer.alloc(topicEnd + gap + payload.length);
  buffer.writeUInt16BE(topic.length);
  buffer.write(topic, 2);
  payload.copy(buffer, topicEnd + gap);
  const start = topicEnd + gap;
  return new Message(topic, 1, false, buffer, 0, start, buffer.length, undefined, 0, 'bench');
}

const target = Buffer.allocUnsafe(65_536);

function writing(name: string, gap: number, deliver: (d: Delivery) => void, fanOut = false): void {
  const messages = Array.from({ length: 1000 }, () => messageOf(gap));
  const delivery = new Delivery();
  delivery.qos = 1;
  deliver(delivery);
  report(name, () => {
    let packets = 0;
    let at = 0;
    for (let count = 0; count < perRound / 1000; count += 1) {
      for (const message of messages) {
        if (!fanOut) message.encoded = undefined;
        delivery.packetId = (packets & 0xffff) | 1;
        if (at + publishSize(message, delivery) > target.length) at = 0;
        at = writePublish(target, at, message, delivery);
        packets += 1;
      }
    }
    return packets;
  });
}

writing('write PUBLISH 256 B QoS 1, 3.1.1, one copy', 2, () => {});
writing('write PUBLISH 256 B QoS 1, 3.1.1, from the layout of 5.0', 3, () => {});
writing('write PUBLISH 256 B QoS 1, 5.0, one copy', 3, (d) => {
  d.version = 5;
});
writing('write PUBLISH 256 B QoS 1, 5.0, subscription identifier', 3, (d) => {
  d.version = 5;
  d.subscriptionIdentifiers = [7];
});
writing('write PUBLISH 256 B QoS 1, 3.1.1, kept encoding', 3, () => {}, true);

report('write PUBACK, 5.0', () => {
  for (let count = 0; count < perRound; count += 1) {
    writePuback(target, (count & 0xfff) * 5, (count & 0xffff) | 1, 0, 5);
  }
  return perRound;
});

if (seenBytes === 0) throw new Error('nothing was read');
