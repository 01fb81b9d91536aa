import { join } from 'node:path';
import { segmentHeaderBytes } from './block.ts';
import { listBlocks, type ListedBlock } from './block-list.ts';
import { SegmentWithoutHead } from './failure.ts';
import type { Files, ReadableFile } from './files.ts';
import type { BlockList, SealedSegment } from './journal.ts';
import type { SegmentIndex } from './participant.ts';
import { storeIndex } from './recovery.ts';
import { readSegmentHead, type SegmentHead } from './segment-head.ts';
import { SegmentReader } from './segment-reader.ts';
import { indexName, segmentName, type OpenSegment } from './segment.ts';

/** The segments that take no more blocks, and what is done with them beside the writing. */
export class SealedSegments {
  readonly #files: Files;
  readonly #directory: string;
  readonly #readers: SegmentReader;
  readonly #background = new Set<Promise<void>>();
  #list: SealedSegment[] = [];
  #index: SegmentIndex | undefined;

  constructor(files: Files, directory: string) {
    this.#files = files;
    this.#directory = directory;
    this.#readers = new SegmentReader(files, directory);
  }

  get list(): readonly SealedSegment[] {
    return this.#list;
  }

  get index(): SegmentIndex | undefined {
    return this.#index;
  }

  set index(index: SegmentIndex) {
    this.#index = index;
  }

  /** As recovered; stores the indexes that are missing. */
  begin(list: SealedSegment[]): void {
    this.#list = list;
    for (const segment of list) {
      if (!segment.indexed) this.#storeIndex(segment);
    }
  }

  /** `brokerTimeMs`: now. */
  seal(segment: OpenSegment, brokerTimeMs: number): void {
    const { number, end } = segment;
    const sealed: SealedSegment = { number, end, lastMs: brokerTimeMs, indexed: false };
    this.#list.push(sealed);
    this.#inBackground(segment.close());
    this.#storeIndex(sealed);
  }

  read(
    segment: number,
    buffer: Buffer,
    start: number,
    bytes: number,
    position: number,
  ): Promise<number> {
    return this.#readers.read(segment, buffer, start, bytes, position);
  }

  async saltOf(segment: number): Promise<number> {
    return (await this.#head(segment)).salt;
  }

  async blocks(segment: number): Promise<BlockList> {
    const end = this.#list.find(({ number }) => number === segment)?.end ?? Infinity;
    const { salt, firstSequence: sequence } = await this.#head(segment);
    const starts: number[] = [];
    const lengths: number[] = [];
    const onBlock = ({ position, bytes }: ListedBlock): void => {
      starts.push(position);
      lengths.push(bytes);
    };
    const file = this.#file(segment);
    const from = segmentHeaderBytes;
    // Damage is told when somebody needs what was there.
    const onDamage = (): void => undefined;
    await listBlocks({ file, salt, from, end, sequence, checks: false, onBlock, onDamage });
    return { salt, starts: Uint32Array.from(starts), lengths: Uint32Array.from(lengths) };
  }

  async #head(segment: number): Promise<SegmentHead> {
    const head = await readSegmentHead(this.#file(segment), segment, undefined);
    if (head === undefined) throw new SegmentWithoutHead(`segment ${segment} has no head`);
    return head;
  }

  #file(segment: number): ReadableFile {
    return {
      read: (buffer, start, bytes, position) => this.read(segment, buffer, start, bytes, position),
    };
  }

  async remove(number: number, coveredBelow: number): Promise<void> {
    const at = this.#list.findIndex((segment) => segment.number === number);
    const before = this.#list[at - 1];
    // The head of a segment tells where the one before ends, until that has its index.
    if (at < 0 || number >= coveredBelow || before?.indexed === false) return;
    this.#list.splice(at, 1);
    await this.#readers.forget(number);
    await this.#files.remove(join(this.#directory, indexName(number)));
    await this.#files.remove(join(this.#directory, segmentName(number)));
    await this.#files.syncDirectory(this.#directory);
  }

  /** Waits for what runs. */
  async settle(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background);
  }

  async close(): Promise<void> {
    await this.settle();
    await this.#readers.close();
  }

  /** Without it the next start reads the segment instead, so a failure does no harm. */
  #storeIndex(segment: SealedSegment): void {
    const body = this.#index?.seal(segment.number) ?? Buffer.alloc(0);
    const { number, end } = segment;
    const store = async (): Promise<void> => {
      await storeIndex(this.#files, this.#directory, number, end, body);
      segment.indexed = true;
    };
    this.#inBackground(store());
  }

  #inBackground(work: Promise<void>): void {
    const run = work
      .catch(() => undefined)
      .finally(() => {
        this.#background.delete(run);
      });
    this.#background.add(run);
  }
}
