import { blockHeaderBytes, decodeBlock, magicOf, type BlockHeader } from './block.ts';
import type { ReadableFile } from './files.ts';

const windowBytes = 1 << 20;
/**
 * Maximum bytes of a block, so that no buffer of a size that a damaged header claims is allocated.
 */
const blockBytesMax = 2 ** 29;

/** Bytes of a file that are not one right block after the other. */
export interface DamagedRange {
  readonly from: number;
  readonly to: number;
  /** Sequence of the first block that is missing. */
  readonly sequence: number;
  /** Blocks that must have been there; undefined: nothing right follows. */
  readonly blocks: number | undefined;
}

export interface ListedBlock extends BlockHeader {
  readonly position: number;
}

interface BlockListRequest {
  readonly file: ReadableFile;
  readonly salt: number;
  /** Position behind the segment's header, or behind a block. */
  readonly from: number;
  /** Position where the blocks end, or the file. */
  readonly end: number;
  /** Sequence of the first block. */
  readonly sequence: number;
  /** Whether the sum of every block is checked, or only where the next one is not in its place. */
  readonly checks: boolean;
  readonly onBlock: (block: ListedBlock, bytes: Buffer) => void;
  readonly onDamage: (range: DamagedRange) => void;
}

/**
 * All blocks of a segment, in order, past any damage: behind bytes that are no block the next one
 * is found by its magic and its sum. `onBlock` gets the bytes where they were checked, otherwise
 * only those of the header.
 */
export async function listBlocks(request: BlockListRequest): Promise<void> {
  const { salt, end, checks } = request;
  const view = new FileView(request.file);
  let sequence = request.sequence;
  let at = request.from;
  /** The block before `at`, while its sum has not been checked. */
  let unchecked: ListedBlock | undefined;
  const take = (block: ListedBlock, bytes: Buffer): void => {
    request.onBlock(block, bytes);
    sequence = block.sequence + 1;
    at = block.position + block.bytes;
  };
  while (at < end) {
    const found = checks ? await view.block(at, end, salt) : await view.head(at, end, salt);
    if (found?.block.sequence === sequence) {
      if (!checks && unchecked !== undefined) request.onBlock(unchecked, found.bytes);
      if (checks) take(found.block, found.bytes);
      else {
        unchecked = found.block;
        sequence++;
        at += found.block.bytes;
      }
      continue;
    }
    let from = at;
    if (unchecked !== undefined) {
      const right = await view.block(unchecked.position, end, salt);
      if (right?.block.bytes === unchecked.bytes) request.onBlock(right.block, right.bytes);
      else {
        from = unchecked.position;
        sequence = unchecked.sequence;
      }
      unchecked = undefined;
    }
    const next = await view.find(from + 1, end, salt, sequence);
    const blocks = next === undefined ? undefined : next.block.sequence - sequence;
    request.onDamage({ from, to: next?.block.position ?? end, sequence, blocks });
    if (next === undefined) return;
    take(next.block, next.bytes);
  }
  if (unchecked === undefined) return;
  const last = await view.block(unchecked.position, end, salt);
  if (last !== undefined) request.onBlock(last.block, last.bytes);
  else {
    const { position: from, sequence: first } = unchecked;
    request.onDamage({ from, to: end, sequence: first, blocks: undefined });
  }
}

interface FoundBlock {
  readonly block: ListedBlock;
  readonly bytes: Buffer;
}

class FileView {
  readonly #file: ReadableFile;
  #window: Buffer = Buffer.alloc(0);
  #start = 0;

  constructor(file: ReadableFile) {
    this.#file = file;
  }

  /** A block whose sum is right. */
  async block(at: number, end: number, salt: number): Promise<FoundBlock | undefined> {
    let bytes = await this.#bytes(at, Math.min(windowBytes, end - at));
    let block = decodeBlock(bytes, 0, bytes.length, salt);
    const needed = typeof block === 'number' ? block : 0;
    if (needed > bytes.length && needed <= Math.min(end - at, blockBytesMax)) {
      bytes = await this.#bytes(at, needed);
      block = decodeBlock(bytes, 0, bytes.length, salt);
    }
    if (typeof block !== 'object') return undefined;
    return { block: { ...block, position: at }, bytes: bytes.subarray(0, block.bytes) };
  }

  /** A block whose header is plausible; its sum is not checked. */
  async head(at: number, end: number, salt: number): Promise<FoundBlock | undefined> {
    const bytes = await this.#bytes(at, Math.min(blockHeaderBytes, end - at));
    if (bytes.length < blockHeaderBytes || !bytes.subarray(0, 4).equals(magicOf(salt))) {
      return undefined;
    }
    const block = {
      bytes: bytes.readUInt32LE(8),
      records: bytes.readUInt32LE(12),
      sequence: bytes.readDoubleLE(16),
      wallTimeMs: bytes.readDoubleLE(24),
      brokerTimeMs: bytes.readDoubleLE(32),
      order: bytes.readDoubleLE(40),
      position: at,
    };
    return block.bytes < blockHeaderBytes || at + block.bytes > end ? undefined : { block, bytes };
  }

  /** The next right block of at least this sequence. */
  async find(
    from: number,
    end: number,
    salt: number,
    sequence: number,
  ): Promise<FoundBlock | undefined> {
    const magic = magicOf(salt);
    for (let at = from; at + blockHeaderBytes <= end;) {
      const window = await this.#bytes(at, Math.min(windowBytes, end - at));
      const found = window.indexOf(magic);
      if (found < 0) {
        if (window.length < windowBytes) return undefined;
        at += window.length - magic.length + 1;
        continue;
      }
      const block = await this.block(at + found, end, salt);
      if (block !== undefined && block.block.sequence >= sequence) return block;
      at += found + 1;
    }
    return undefined;
  }

  /** Reads bytes of the file, fewer where it ends. */
  async #bytes(at: number, bytes: number): Promise<Buffer> {
    const offset = at - this.#start;
    if (offset < 0 || offset + bytes > this.#window.length) {
      const window = Buffer.allocUnsafe(Math.max(windowBytes, bytes));
      const count = await this.#file.read(window, 0, window.length, at);
      this.#window = window.subarray(0, count);
      this.#start = at;
    }
    return this.#window.subarray(at - this.#start, at - this.#start + bytes);
  }
}
