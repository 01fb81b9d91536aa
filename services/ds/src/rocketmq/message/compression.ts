// Bodies that clients of RocketMQ have compressed: zlib, LZ4 frames, Zstandard frames.
import { inflateSync } from 'node:zlib';
import { Decompress } from 'fzstd';
import { decompressLz4 } from './lz4-frame.ts';
import { sysFlag } from './stored-layout.ts';

/** RocketMQ's own limit on bodies is 4 MiB as they come. */
export const decompressedBytesMax: number = 16 << 20;
const zstdMagic = 0xfd2fb528;
const tooLarge = new Error('too large when it is decompressed');

/** `flags`: sysFlag of the message. undefined: it cannot be read, or is too large. */
export function decompressed(body: Buffer, flags: number): Buffer | undefined {
  try {
    switch (flags & sysFlag.compressionType) {
      case 0:
      case sysFlag.zlib:
        return inflateSync(body, { maxOutputLength: decompressedBytesMax });
      case sysFlag.lz4:
        return decompressLz4(body, decompressedBytesMax);
      case sysFlag.zstd:
        return decompressZstd(body);
      default:
        return undefined;
    }
  } catch {
    return undefined;
  }
}

/**
 * Block by block, so that nothing larger than allowed is ever held. Throws where it is no frame.
 */
function decompressZstd(body: Buffer): Buffer | undefined {
  if (windowBytesOf(body) > decompressedBytesMax) return undefined;
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const reader = new Decompress((part) => {
    bytes += part.length;
    if (bytes > decompressedBytesMax) throw tooLarge;
    parts.push(part);
  });
  reader.push(body, true);
  return Buffer.concat(parts, bytes);
}

/**
 * Bytes that the reader allocates at once for the first frame: its window, or its whole content.
 */
function windowBytesOf(body: Buffer): number {
  if (body.length < 6 || body.readUInt32LE(0) !== zstdMagic) return Infinity;
  const flags = body[4]!;
  const isSingleSegment = (flags & 0x20) !== 0;
  if (!isSingleSegment) {
    const descriptor = body[5]!;
    const power = 2 ** (10 + (descriptor >>> 3));
    return power + (power / 8) * (descriptor & 7);
  }
  const dictionaryBytes = [0, 1, 2, 4][flags & 3]!;
  const at = 5 + dictionaryBytes;
  switch (flags >>> 6) {
    case 0:
      return body[at] ?? Infinity;
    case 1:
      return body.readUInt16LE(at) + 256;
    case 2:
      return body.readUInt32LE(at);
    default:
      return Number(body.readBigUInt64LE(at));
  }
}
