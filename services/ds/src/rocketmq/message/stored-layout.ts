// A message as the broker stores it and as the body of a pull's answer (11) holds it, one after the
// other, big endian:
//
//      0  u32 bytes in all        4  u32 magic           8  u32 crc of the body    12  u32 queueId
//     16  u32 flag               20  u64 queueOffset    28  u64 physicalOffset     36  u32 sysFlag
//     40  u64 born, ms           48  born host          ..  u64 stored, ms         ..  store host
//     ..  u32 reconsumeTimes     ..  u64 prepared       ..  u32 length, body
//     ..  u8 or u16 length, topic                       ..  u16 length, properties
//
// A host is 4 bytes of IPv4 or 16 of IPv6, by sysFlag, and u32 port. The topic's length is a u16
// with the second magic.

const magicV1 = 0xdaa320a7;
const magicV2 = 0xdaa320ab;

export const sysFlag = {
  compressed: 0x1,
  bornHostV6: 0x10,
  storeHostV6: 0x20,
  /** The body holds messages itself. */
  unwrap: 0x40,
  innerBatch: 0x80,
  /** Any flag of a body that is not the message's payload as it is. */
  anyBody: 0xc1,
  /** 0: zlib, of clients that knew no other. */
  compressionType: 0x700,
  lz4: 0x100,
  zstd: 0x200,
  zlib: 0x300,
} as const;

const two32 = 2 ** 32;
/** Everything but hosts, body, topic and properties. */
const fixedBytes = 4 * 5 + 8 * 2 + 4 + 8 + 8 + 4 + 8 + 4 + 1 + 2;
export const storedBytesMin: number = fixedBytes + 8 * 2;

export function u32(buffer: Buffer, at: number): number {
  return (
    ((buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!) >>> 0
  );
}

function u64(buffer: Buffer, at: number): number {
  return u32(buffer, at) * two32 + u32(buffer, at + 4);
}

/** Places of all fields; used again for the next message. */
export class StoredLayout {
  queueId = 0;
  queueOffset = 0;
  physicalOffset = 0;
  sysFlag = 0;
  bornMs = 0;
  storedMs = 0;
  bodyStart = 0;
  bodyEnd = 0;
  topicStart = 0;
  topicEnd = 0;
  propertiesStart = 0;
  propertiesEnd = 0;

  /**
   * `end` is where the message must end. False: the bytes are no stored message, or only its
   * beginning. A broker that is killed while it writes leaves a message up to the end of a page of
   * its file, and zeros. When it is back it checks the body alone, so that one without the rest of
   * its properties, the light queues among them, counts as stored. Nobody was told that it is.
   */
  read(buffer: Buffer, start: number, end: number): boolean {
    const magic = u32(buffer, start + 4);
    if (magic !== magicV1 && magic !== magicV2) return false;
    this.queueId = u32(buffer, start + 12);
    this.queueOffset = u64(buffer, start + 20);
    this.physicalOffset = u64(buffer, start + 28);
    this.sysFlag = u32(buffer, start + 36);
    this.bornMs = u64(buffer, start + 40);
    let at = start + 48 + ((this.sysFlag & sysFlag.bornHostV6) === 0 ? 8 : 20);
    // The fixed part with IPv6 hosts is longer than the caller has checked.
    if (at + 8 > end) return false;
    this.storedMs = u64(buffer, at);
    at += 8 + ((this.sysFlag & sysFlag.storeHostV6) === 0 ? 8 : 20) + 12;
    if (at + 4 > end) return false;
    this.bodyStart = at + 4;
    this.bodyEnd = this.bodyStart + u32(buffer, at);
    at = this.bodyEnd;
    const topicLengthBytes = magic === magicV1 ? 1 : 2;
    if (at + topicLengthBytes > end) return false;
    this.topicStart = at + topicLengthBytes;
    this.topicEnd = this.topicStart + length(buffer, at, topicLengthBytes);
    at = this.topicEnd;
    if (at + 2 > end) return false;
    this.propertiesStart = at + 2;
    this.propertiesEnd = this.propertiesStart + length(buffer, at, 2);
    return (
      this.propertiesEnd <= end &&
      (this.propertiesEnd === this.propertiesStart || buffer[this.propertiesEnd - 1] !== 0) &&
      this.queueOffset <= Number.MAX_SAFE_INTEGER &&
      this.physicalOffset <= Number.MAX_SAFE_INTEGER
    );
  }
}

function length(buffer: Buffer, at: number, bytes: number): number {
  return bytes === 1 ? buffer[at]! : (buffer[at]! << 8) | buffer[at + 1]!;
}
