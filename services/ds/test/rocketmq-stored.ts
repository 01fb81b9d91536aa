// A stored message laid out as a broker of RocketMQ 5 lays it out, out of what would be sent to it.

export interface Sent {
  readonly topic: string;
  /** `name U+0001 value U+0002 …` */
  readonly properties: string;
  readonly body: Buffer;
  /** Offsets in the LMQs that the properties name. */
  readonly lmqOffsets?: readonly number[];
  readonly queueId?: number;
  readonly queueOffset?: number;
  readonly bornMs?: number;
  readonly sysFlag?: number;
}

export function textOfProperties(properties: Iterable<readonly [string, string]>): string {
  return [...properties].map(([name, value]) => `${name}\u0001${value}\u0002`).join('');
}

/** As the broker reads it: what has no value is dropped. */
function mapOf(text: string): Map<string, string> {
  const read = new Map<string, string>();
  for (const piece of text.split('\u0002')) {
    const at = piece.indexOf('\u0001');
    if (at > 0 && at < piece.length - 1) read.set(piece.slice(0, at), piece.slice(at + 1));
  }
  return read;
}

export function storedBytes(sent: Sent): Buffer {
  const read = mapOf(sent.properties);
  if (sent.lmqOffsets !== undefined) {
    read.set('INNER_MULTI_QUEUE_OFFSET', sent.lmqOffsets.join(','));
  }
  // Its order is that of a hash map.
  const properties = Buffer.from(
    textOfProperties([...read].sort(([a], [b]) => (a.length % 5) - (b.length % 5))),
  );
  const topic = Buffer.from(sent.topic);
  const head = Buffer.alloc(88);
  head.writeUInt32BE(0xdaa320a7, 4);
  head.writeUInt32BE(sent.queueId ?? 0, 12);
  head.writeBigUInt64BE(BigInt(sent.queueOffset ?? 0), 20);
  head.writeBigUInt64BE(123_456_789_012n, 28);
  head.writeUInt32BE(sent.sysFlag ?? 0, 36);
  head.writeBigUInt64BE(BigInt(sent.bornMs ?? 1_700_000_000_123), 40);
  head.writeBigUInt64BE(1_700_000_000_456n, 56);
  head.writeUInt32BE(sent.body.length, 84);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(properties.length);
  const stored = Buffer.concat([
    head,
    sent.body,
    Buffer.of(topic.length),
    topic,
    length,
    properties,
  ]);
  stored.writeUInt32BE(stored.length, 0);
  return stored;
}
