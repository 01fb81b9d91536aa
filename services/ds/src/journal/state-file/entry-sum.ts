import { crc32 } from 'node:zlib';
import type { EntryKey } from '../participant.ts';

/** Behind each value: u32 CRC of its table, its key and itself. lmdb has none of its own. */
const sumBytes = 4;

function sumOf(table: string, key: EntryKey, value: Uint8Array): number {
  return crc32(value, crc32(`${table} ${typeof key} ${key}`));
}

export function withSum(table: string, key: EntryKey, value: Buffer): Buffer {
  const sealed = Buffer.allocUnsafeSlow(value.length + sumBytes);
  value.copy(sealed);
  sealed.writeUInt32LE(sumOf(table, key, value), value.length);
  return sealed;
}

export function withoutSum(sealed: Buffer): Buffer {
  return sealed.subarray(0, Math.max(0, sealed.length - sumBytes));
}

export function hasRightSum(table: string, key: EntryKey, sealed: Buffer): boolean {
  const end = sealed.length - sumBytes;
  return end >= 0 && sumOf(table, key, sealed.subarray(0, end)) === sealed.readUInt32LE(end);
}
