import { systemClock } from '@lmqtt/common/clock';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { encodeSegmentHeader, formatVersion, segmentHeaderBytes } from './block.ts';
import type { Files, OpenFile } from './files.ts';

const fillBytes = 4 << 20;
const zeros: Buffer = Buffer.alloc(fillBytes);

export function segmentName(number: number): string {
  return `${String(number).padStart(10, '0')}.seg`;
}

export function indexName(number: number): string {
  return `${String(number).padStart(10, '0')}.idx`;
}

/** Number of the segment whose index has this name; undefined: no index has such a name. */
export function indexNumber(name: string): number | undefined {
  return /^\d{10}\.idx$/.test(name) ? Number.parseInt(name, 10) : undefined;
}

/** Number of the segment with this name; undefined: no segment has such a name. */
export function segmentNumber(name: string): number | undefined {
  return /^\d{10}\.seg$/.test(name) ? Number.parseInt(name, 10) : undefined;
}

/**
 * The segment that is being written. The file is filled with zeros some way ahead: a synced write
 * into blocks that the file has costs a third less than one that makes it longer. A write never
 * enters a range while it is being filled.
 */
export class OpenSegment {
  readonly number: number;
  readonly salt: number;
  readonly #file: OpenFile;
  readonly #limit: number;
  /** Position of the next block. */
  end: number = segmentHeaderBytes;
  #filled: number = segmentHeaderBytes;
  #filling: Promise<void> | undefined;
  #fillFailed = false;

  private constructor(number: number, salt: number, file: OpenFile, segmentBytes: number) {
    this.number = number;
    this.salt = salt;
    this.#file = file;
    this.#limit = segmentBytes;
  }

  /** Durable, with its name, when it resolves. Leaves nothing behind when it fails. */
  static async create(
    files: Files,
    directory: string,
    number: number,
    firstSequence: number,
    previous: { readonly number: number; readonly end: number } | undefined,
    segmentBytes: number,
  ): Promise<OpenSegment> {
    const path = join(directory, segmentName(number));
    const file = await files.open(path, 'create');
    try {
      const header = {
        version: formatVersion,
        salt: randomBytes(4).readUInt32LE(),
        number,
        firstSequence,
        previous: previous?.number ?? -1,
        previousEnd: previous?.end ?? 0,
        wallTimeMs: systemClock.nowMs(),
      };
      const bytes = encodeSegmentHeader(header);
      await new Promise<void>((resolve, reject) => {
        file.write(bytes, 0, bytes.length, 0, (error) => {
          if (error === null) resolve();
          else reject(error);
        });
      });
      await files.syncDirectory(directory);
      return new OpenSegment(number, header.salt, file, segmentBytes);
    } catch (error) {
      await file.close().catch(() => undefined);
      await files.remove(path).catch(() => undefined);
      throw error;
    }
  }

  get empty(): boolean {
    return this.end === segmentHeaderBytes;
  }

  /** One at a time. After a failure nothing more may be written into this segment. */
  write(buffer: Buffer, start: number, bytes: number, done: (error: Error | null) => void): void {
    const end = this.end + bytes;
    if (this.#filling !== undefined && end > this.#filled) {
      void this.#filling.then(() => {
        this.write(buffer, start, bytes, done);
      });
      return;
    }
    if (end > this.#filled) this.#filled = end;
    this.#file.write(buffer, start, bytes, this.end, (error) => {
      if (error === null) {
        this.end = end;
        if (this.#filled - end < fillBytes / 2) this.#fillAhead();
      }
      done(error);
    });
  }

  /** Proves that there is some room: for the first segment after a failure. */
  async proveRoom(bytes: number): Promise<void> {
    await this.#file.fill(zeros.subarray(0, Math.min(bytes, fillBytes)), this.#filled);
    await this.#file.sync();
    this.#filled += Math.min(bytes, fillBytes);
  }

  /** Waits for what runs; the segment takes no more blocks. */
  async close(): Promise<void> {
    await this.#filling;
    await this.#file.truncate(this.end).catch(() => undefined);
    await this.#file.close();
  }

  async abandon(): Promise<void> {
    await this.#filling;
    await this.#file.close();
  }

  #fillAhead(): void {
    if (this.#filling !== undefined || this.#fillFailed) return;
    const from = this.#filled;
    const bytes = Math.min(fillBytes, this.#limit - from);
    if (bytes <= 0) return;
    // `#filled` stays where it is until the zeros are there: writes beyond it wait for them.
    this.#filling = this.#fill(zeros.subarray(0, bytes), from);
  }

  async #fill(content: Buffer, from: number): Promise<void> {
    try {
      await this.#file.fill(content, from);
      await this.#file.sync();
      this.#filled = from + content.length;
    } catch {
      // Only a loss of speed: a write that really has no room will say so itself.
      this.#fillFailed = true;
    } finally {
      this.#filling = undefined;
    }
  }
}
