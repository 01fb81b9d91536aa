// Frames of RocketMQ's remoting protocol, both ways:
//
//   u32 length of all that follows | u8 kind of header, 0 = JSON | u24 length of the header |
//   header | body
import { AnswerHeader, GarbageReceived } from './answer-header.ts';

const lengthBytes = 4;
export const frameHeadBytes = 8;
const jsonKind = 0;
/** The broker's own limit lies far below; longer ones are not RocketMQ's. */
const headerBytesMax = 1024 * 1024;

/** Writes one frame at `at` and answers where it ends. */
export function writeFrame(
  into: Buffer,
  at: number,
  header: string,
  body: Buffer | undefined,
): number {
  const headerBytes = into.write(header, at + frameHeadBytes);
  const bodyBytes = body === undefined ? 0 : body.length;
  into.writeUInt32BE(lengthBytes + headerBytes + bodyBytes, at);
  into.writeUInt32BE((jsonKind << 24) | headerBytes, at + lengthBytes);
  const bodyAt = at + frameHeadBytes + headerBytes;
  if (body !== undefined) body.copy(into, bodyAt);
  return bodyAt + bodyBytes;
}

/**
 * Cuts what is received into frames. A body shares memory with the chunk that it came in, and is
 * copied only where it came in several. Throws `GarbageReceived`, and is of no use after that.
 */
export class FrameReader {
  readonly #frameBytesMax: number;
  /** False: whatever follows is not to be read. */
  readonly #take: (header: AnswerHeader, body: Buffer) => boolean;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Bytes without which nothing can be cut. */
  #needed = lengthBytes;

  constructor(frameBytesMax: number, take: (header: AnswerHeader, body: Buffer) => boolean) {
    this.#frameBytesMax = frameBytesMax;
    this.#take = take;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#needed) return;
    const [only] = this.#chunks;
    const all =
      only !== undefined && this.#chunks.length === 1 ? only : Buffer.concat(this.#chunks);
    let at = 0;
    this.#needed = lengthBytes;
    while (all.length - at >= lengthBytes) {
      const length = all.readUInt32BE(at);
      if (length < lengthBytes || length > this.#frameBytesMax) {
        throw new GarbageReceived(`a frame of ${length} bytes`);
      }
      const end = at + lengthBytes + length;
      if (end > all.length) {
        this.#needed = lengthBytes + length;
        break;
      }
      const going = this.#cut(all, at + lengthBytes, end);
      at = end;
      if (!going) break;
    }
    const rest = all.subarray(at);
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#bytes = rest.length;
  }

  #cut(all: Buffer, at: number, end: number): boolean {
    const word = all.readUInt32BE(at);
    const kind = word >>> 24;
    const headerBytes = word & 0xffffff;
    const bodyAt = at + lengthBytes + headerBytes;
    if (kind !== jsonKind) throw new GarbageReceived(`a header of kind ${kind}`);
    if (bodyAt > end || headerBytes > headerBytesMax) {
      throw new GarbageReceived(`a header of ${headerBytes} bytes`);
    }
    const header = new AnswerHeader(all.toString('utf8', at + lengthBytes, bodyAt));
    return this.#take(header, all.subarray(bodyAt, end));
  }
}
