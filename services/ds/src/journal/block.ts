import { crc32 } from 'node:zlib';

/**
 * The format of the log, version 1. Little endian; f64 holds whole numbers.
 *
 *     segment   "LMQTTLOG"  u32 version  u32 salt  f64 number  f64 first sequence
 *               f64 number of the segment before (-1: none)  f64 its end  f64 wall time ms
 *               u32 CRC of what is before, then blocks
 *     block     u32 magic, xor salt  u32 CRC (seeded with the salt) of what follows
 *               u32 bytes, header included  u32 records  f64 sequence  f64 wall time ms
 *               f64 broker time ms  f64 order, then records
 *     record    u32 bytes of the body  u8 type  body
 *
 * The salt is random for each segment, so that no publisher can write a payload that would pass
 * for a block. What a segment's header says of the segment before is the truth: a block past
 * that end was torn, or reported as failed, and is void.
 */
/** True: nothing but zeros. */
export function isBlank(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const part = bytes.subarray(at, at + zeros.length);
    if (!part.equals(zeros.subarray(0, part.length))) return false;
  }
  return true;
}

export const formatVersion = 1;
export const segmentHeaderBytes = 64;
export const blockHeaderBytes = 48;
export const recordHeaderBytes = 5;

const zeros = Buffer.alloc(64 << 10);
const segmentMagic = 'LMQTTLOG';
const blockMagic = 0x4b4c424c;
const checkedBytes = 60;

export interface SegmentHeader {
  readonly version: number;
  readonly salt: number;
  readonly number: number;
  readonly firstSequence: number;
  readonly previous: number;
  readonly previousEnd: number;
  readonly wallTimeMs: number;
}

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const buffer = Buffer.alloc(segmentHeaderBytes);
  buffer.write(segmentMagic, 0, 'latin1');
  buffer.writeUInt32LE(header.version, 8);
  buffer.writeUInt32LE(header.salt, 12);
  buffer.writeDoubleLE(header.number, 16);
  buffer.writeDoubleLE(header.firstSequence, 24);
  buffer.writeDoubleLE(header.previous, 32);
  buffer.writeDoubleLE(header.previousEnd, 40);
  buffer.writeDoubleLE(header.wallTimeMs, 48);
  buffer.writeUInt32LE(crc32(buffer.subarray(0, checkedBytes)), checkedBytes);
  return buffer;
}

/** Undefined: not a header, or a damaged one. Of another version, only `version` has a meaning. */
export function decodeSegmentHeader(buffer: Buffer): SegmentHeader | undefined {
  if (buffer.length < segmentHeaderBytes) return undefined;
  if (buffer.toString('latin1', 0, 8) !== segmentMagic) return undefined;
  const version = buffer.readUInt32LE(8);
  const intact = crc32(buffer.subarray(0, checkedBytes)) === buffer.readUInt32LE(checkedBytes);
  if (!intact && version === formatVersion) return undefined;
  return {
    version,
    salt: buffer.readUInt32LE(12),
    number: buffer.readDoubleLE(16),
    firstSequence: buffer.readDoubleLE(24),
    previous: buffer.readDoubleLE(32),
    previousEnd: buffer.readDoubleLE(40),
    wallTimeMs: buffer.readDoubleLE(48),
  };
}

/** The salt of a segment, from the magic of a block in it. */
export function saltOf(buffer: Buffer, start: number): number {
  return (buffer.readUInt32LE(start) ^ blockMagic) >>> 0;
}

export interface BlockHeader {
  readonly bytes: number;
  readonly records: number;
  readonly sequence: number;
  readonly wallTimeMs: number;
  readonly brokerTimeMs: number;
  readonly order: number;
}

/** Writes the header in front of records that are already in place. */
export function sealBlock(buffer: Buffer, start: number, salt: number, header: BlockHeader): void {
  buffer.writeUInt32LE((blockMagic ^ salt) >>> 0, start);
  buffer.writeUInt32LE(header.bytes, start + 8);
  buffer.writeUInt32LE(header.records, start + 12);
  buffer.writeDoubleLE(header.sequence, start + 16);
  buffer.writeDoubleLE(header.wallTimeMs, start + 24);
  buffer.writeDoubleLE(header.brokerTimeMs, start + 32);
  buffer.writeDoubleLE(header.order, start + 40);
  buffer.writeUInt32LE(crc32(buffer.subarray(start + 8, start + header.bytes), salt), start + 4);
}

export function magicOf(salt: number): Buffer {
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE((blockMagic ^ salt) >>> 0);
  return magic;
}

/**
 * The block at `start`; undefined: none, or damaged. `bytes` is how many there are from there on;
 * where a block claims more, the claim is given as a number.
 */
export function decodeBlock(
  buffer: Buffer,
  start: number,
  bytes: number,
  salt: number,
): BlockHeader | number | undefined {
  if (bytes < blockHeaderBytes) return blockHeaderBytes;
  if (buffer.readUInt32LE(start) !== (blockMagic ^ salt) >>> 0) return undefined;
  const length = buffer.readUInt32LE(start + 8);
  if (length < blockHeaderBytes) return undefined;
  if (length > bytes) return length;
  const crc = crc32(buffer.subarray(start + 8, start + length), salt);
  if (crc !== buffer.readUInt32LE(start + 4)) return undefined;
  return {
    bytes: length,
    records: buffer.readUInt32LE(start + 12),
    sequence: buffer.readDoubleLE(start + 16),
    wallTimeMs: buffer.readDoubleLE(start + 24),
    brokerTimeMs: buffer.readDoubleLE(start + 32),
    order: buffer.readDoubleLE(start + 40),
  };
}
