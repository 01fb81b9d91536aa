// Packets of one fuzzing client: a CONNECT and packets after it, some legal, some changed in a few
// bytes, some from the corpus, up to the first that our own reader refuses. So every packet that is
// counted was read by the broker, and it is known beforehand whether the broker must close.
import { PacketReader } from '@lmqtt/cs/codec/packet-reader';
import type { PacketSink } from '@lmqtt/cs/packet/packet-sink';
import type { Version } from '../harness/packets.ts';
import * as packets from '../harness/packets.ts';
import type { MalformedPacket } from './malformed-corpus.ts';
import { legalPackets, malformedCorpus } from './malformed-corpus.ts';
import type { Random } from './random.ts';

/** The broker must have the same limit. */
export const packetBytesMax = 65_536;
const packetCountMax = 40;
const topicCount = 20;
const clientCountOfLane = 3;

export interface PacketScript {
  readonly bytes: Buffer;
  readonly packetCount: number;
  /** The version of a CONNECT that is legal; undefined where it was changed. */
  readonly version: Version | undefined;
  /** The last packet must make the broker close. */
  readonly malformed: boolean;
  /** Others use its client id at the same time: it may be displaced at any moment. */
  readonly shared: boolean;
}

const corpusOf: Readonly<Record<number, readonly MalformedPacket[]>> = {
  0: malformedCorpus.filter((entry) => entry.version === 0),
  3: malformedCorpus.filter((entry) => entry.version === 3),
  4: malformedCorpus.filter((entry) => entry.version === 4),
  5: malformedCorpus.filter((entry) => entry.version === 5),
};

const telling = [0, 1, 2, 0x7f, 0x80, 0xc0, 0xed, 0xff];

/** One to four changes of bytes, anywhere. */
export function mutate(random: Random, packet: Buffer): Buffer {
  let bytes = Buffer.from(packet);
  for (let count = 1 + random.below(4); count > 0; count -= 1) {
    const at = random.below(Math.max(1, bytes.length));
    const before = bytes.subarray(0, at);
    switch (random.below(7)) {
      case 0:
        if (at < bytes.length) bytes[at] = bytes.readUInt8(at) ^ (1 << random.below(8));
        break;
      case 1:
        if (at < bytes.length) bytes[at] = random.pick(telling);
        break;
      case 2:
        bytes = Buffer.concat([before, bytes.subarray(at + 1)]);
        break;
      case 3:
        bytes = Buffer.concat([before, random.bytes(1 + random.below(3)), bytes.subarray(at)]);
        break;
      case 4:
        bytes = Buffer.from(before);
        break;
      case 5:
        bytes = Buffer.concat([bytes, bytes.subarray(at)]);
        break;
      default:
        // The remaining length alone.
        if (bytes.length > 1) bytes[1] = random.below(256);
    }
  }
  return bytes;
}

function topic(random: Random): string {
  return `fuzz/${random.below(topicCount)}`;
}

function connect(random: Random, version: Version, clientId: string): Buffer {
  const will = {
    topic: topic(random),
    payload: random.bytes(random.below(50)),
    qos: random.below(3),
  };
  return packets.connect({
    version,
    clientId,
    clean: random.chance(0.9),
    ...(random.chance(0.2) ? { will } : {}),
    ...(random.chance(0.1) ? { username: 'somebody' } : {}),
    ...(version === 5 && random.chance(0.5)
      ? {
          properties: {
            sessionExpiryInterval: random.below(20),
            receiveMaximum: 10,
            topicAliasMaximum: 5,
          },
        }
      : {}),
  });
}

function publish(random: Random, version: Version): Buffer {
  const properties = {
    ...(random.chance(0.3) ? { messageExpiryInterval: 1 + random.below(60) } : {}),
    ...(random.chance(0.3) ? { contentType: 'text' } : {}),
    ...(random.chance(0.3) ? { responseTopic: topic(random) } : {}),
    ...(random.chance(0.3) ? { correlationData: random.bytes(random.below(20)) } : {}),
    ...(random.chance(0.3) ? { userProperty: ['name', 'value'] as const } : {}),
    ...(random.chance(0.2) ? { topicAlias: 1 + random.below(10) } : {}),
  };
  const qos = random.below(3);
  return packets.publish({
    version,
    topic: topic(random),
    payload: random.bytes(random.chance(0.02) ? random.below(5000) : random.below(80)),
    qos,
    ...(qos > 0 ? { packetId: 1 + random.below(65_535) } : {}),
    retain: random.chance(0.05),
    ...(version === 5 ? { properties } : {}),
  });
}

function legal(random: Random, version: Version): Buffer {
  if (random.chance(0.5)) return publish(random, version);
  if (random.chance(0.3)) {
    const filter = random.pick([topic(random), 'fuzz/+', 'fuzz/#', `$share/g/${topic(random)}`]);
    const packetId = 1 + random.below(65_535);
    return packets.subscribe({ version, packetId, filters: [{ filter, qos: random.below(3) }] });
  }
  const { DISCONNECT, ...others } = legalPackets(version);
  if (DISCONNECT && random.chance(0.02)) return DISCONNECT;
  return random.pick(Object.values(others));
}

class Verdict implements PacketSink {
  ended = false;
  refused = false;

  malformed(): void {
    // Bytes behind a DISCONNECT are not read any more.
    if (!this.ended) this.refused = true;
  }
  disconnect(): void {
    this.ended = true;
  }
  connect(): void {}
  publish(): void {}
  puback(): void {}
  pubrec(): void {}
  pubrel(): void {}
  pubcomp(): void {}
  subscribe(): void {}
  unsubscribe(): void {}
  pingreq(): void {}
  auth(): void {}
}

/** Scripts of one lane are played one after the other. */
export function packetScript(random: Random, lane: number): PacketScript {
  const version = random.pick<Version>([3, 4, 5, 5]);
  const reader = new PacketReader({ packetBytesMax });
  const verdict = new Verdict();
  const sent: Buffer[] = [];
  const send = (bytes: Buffer): void => {
    sent.push(bytes);
    reader.feed(bytes, verdict);
  };
  const changed = random.chance(0.15);
  const shared = random.chance(0.15);
  const id = random.below(clientCountOfLane);
  const first = connect(random, version, shared ? `fuzz-${id}` : `fuzz-${lane}-${id}`);
  if (!changed) send(first);
  else send(random.chance(0.5) ? random.pick(corpusOf[0] ?? []).bytes : mutate(random, first));
  while (!verdict.refused && !verdict.ended && sent.length < packetCountMax) {
    const kind = random.next();
    if (kind < 0.08) send(random.pick(corpusOf[version] ?? []).bytes);
    else if (kind < 0.6) send(mutate(random, legal(random, version)));
    else send(legal(random, version));
  }
  return {
    bytes: Buffer.concat(sent),
    packetCount: sent.length,
    version: changed ? undefined : version,
    malformed: verdict.refused,
    shared,
  };
}
