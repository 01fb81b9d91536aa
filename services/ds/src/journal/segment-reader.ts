import { join } from 'node:path';
import type { Files, OpenFile } from './files.ts';
import { segmentName } from './segment.ts';

const openMax = 64;

interface Opened {
  readonly file: Promise<OpenFile>;
  readers: number;
  forgotten: boolean;
}

/** Reads out of segments; keeps a bounded number of them open, those used last. */
export class SegmentReader {
  readonly #files: Files;
  readonly #directory: string;
  readonly #open = new Map<number, Opened>();

  constructor(files: Files, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  async read(
    segment: number,
    buffer: Buffer,
    start: number,
    bytes: number,
    position: number,
  ): Promise<number> {
    const opened = this.#use(segment);
    try {
      return await (await opened.file).read(buffer, start, bytes, position);
    } catch (error) {
      if (this.#open.get(segment) === opened) this.#open.delete(segment);
      opened.forgotten = true;
      throw error;
    } finally {
      opened.readers--;
      await this.#closeIfForgotten(opened);
    }
  }

  async forget(segment: number): Promise<void> {
    const opened = this.#open.get(segment);
    if (opened === undefined) return;
    this.#open.delete(segment);
    opened.forgotten = true;
    await this.#closeIfForgotten(opened);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.keys()].map((segment) => this.forget(segment)));
  }

  #use(segment: number): Opened {
    let opened = this.#open.get(segment);
    if (opened === undefined) {
      const file = this.#files.open(join(this.#directory, segmentName(segment)), 'read');
      opened = { file, readers: 0, forgotten: false };
      const oldest = this.#open.size >= openMax ? this.#open.keys().next().value : undefined;
      if (oldest !== undefined) void this.forget(oldest);
    } else {
      this.#open.delete(segment);
    }
    this.#open.set(segment, opened);
    opened.readers++;
    return opened;
  }

  async #closeIfForgotten(opened: Opened): Promise<void> {
    if (!opened.forgotten || opened.readers > 0) return;
    const file = await opened.file.catch(() => undefined);
    await file?.close();
  }
}
