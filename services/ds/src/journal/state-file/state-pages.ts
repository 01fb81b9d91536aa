import * as fs from 'node:fs';

/**
 * The layout of an lmdb file, data version 2, as lmdb 3.5 writes it on 64-bit machines: little
 * endian, pages of one size, the first two with the meta data of the last two transactions.
 *
 *     page      u64 number  u64 transaction  u16 pad  u16 flags
 *               u16 end of the node list  u16 start of the nodes (overflow: u32 pages)
 *     meta      behind a page's head: u32 magic  u32 version  u64 address  u64 map size
 *               tree of free pages  main tree  u64 last page  u64 transaction  u64 boot id
 *     tree      u32 pad (first tree: bytes of a page)  u16 flags  u16 depth  u64 branch pages
 *               u64 leaf pages  u64 overflow pages  u64 entries  u64 root (-1: empty)
 *     nodes     u16 for each: offset of a node, counted from behind the head, in the order of keys
 *     branch    u48 page  u16 bytes of the key  key
 *     leaf      u32 bytes of the value  u16 flags  u16 bytes of the key  key  value
 *     overflow  in place of a value: u64 page  u64 transaction  u64 pages
 */
export const pageHeadBytes = 24;
const metaBytes = 136;
export const treeBytes = 48;
export const nodeHeadBytes = 8;
export const overflowBytes = 24;

export const pageFlag = { branch: 1, leaf: 2, overflow: 4, meta: 8 } as const;
export const nodeFlag = { overflow: 1, tree: 2 } as const;

const magic = 0xbeefc0de;
const version = 2;
const chunkBytes = 1 << 20;
const chunksMax = 64;

export interface Tree {
  readonly flags: number;
  readonly depth: number;
  readonly branchPages: number;
  readonly leafPages: number;
  readonly overflowPages: number;
  readonly entries: number;
  /** Page of the root; −1: the tree is empty. */
  readonly root: number;
}

export interface Meta {
  readonly pageBytes: number;
  readonly mapBytes: number;
  readonly freeTree: Tree;
  readonly mainTree: Tree;
  readonly lastPage: number;
  readonly transaction: number;
}

/** −1 for what a damaged file may have there instead of a number of a page. */
export function readU64(from: Buffer, at: number): number {
  const value = from.readBigUInt64LE(at);
  return value > Number.MAX_SAFE_INTEGER ? -1 : Number(value);
}

export function readTree(from: Buffer, at: number): Tree {
  return {
    flags: from.readUInt16LE(at + 4),
    depth: from.readUInt16LE(at + 6),
    branchPages: readU64(from, at + 8),
    leafPages: readU64(from, at + 16),
    overflowPages: readU64(from, at + 24),
    entries: readU64(from, at + 32),
    root: readU64(from, at + 40),
  };
}

/** The meta data in a page; a text says why there is none. */
export function readMeta(page: Buffer, number: number): Meta | string {
  if (page.length < pageHeadBytes + metaBytes) return 'the file is too short';
  const at = pageHeadBytes;
  if (page.readUInt32LE(at) !== magic) return 'it is not a file of lmdb';
  if ((page.readUInt32LE(at + 4) & 0xffff) !== version) return 'its format is not known';
  if (page.readUInt16LE(18) !== pageFlag.meta) return `page ${number} is no meta page`;
  if (readU64(page, 0) !== number) return `page ${number} has another number`;
  if (readU64(page, at + 8) !== 0) return `page ${number} wants a fixed address`;
  const freeAt = at + 24;
  return {
    pageBytes: page.readUInt32LE(freeAt),
    mapBytes: readU64(page, at + 16),
    freeTree: readTree(page, freeAt),
    mainTree: readTree(page, freeAt + treeBytes),
    lastPage: readU64(page, freeAt + 2 * treeBytes),
    transaction: readU64(page, freeAt + 2 * treeBytes + 8),
  };
}

/** The bytes of a file, read in large pieces, of which the last ones used are kept. */
export class FilePages {
  readonly bytes: number;
  readonly #file: number;
  readonly #chunks = new Map<number, Buffer>();

  constructor(path: string) {
    this.#file = fs.openSync(path, 'r');
    this.bytes = fs.fstatSync(this.#file).size;
  }

  /** Fewer bytes where the file ends. Valid for as long as somebody holds it. */
  read(start: number, bytes: number): Buffer {
    const number = Math.floor(start / chunkBytes);
    const at = start - number * chunkBytes;
    if (at + bytes <= chunkBytes) return this.#chunk(number).subarray(at, at + bytes);
    const piece = Buffer.alloc(Math.max(0, Math.min(bytes, this.bytes - start)));
    fs.readSync(this.#file, piece, 0, piece.length, start);
    return piece;
  }

  close(): void {
    fs.closeSync(this.#file);
  }

  #chunk(number: number): Buffer {
    let chunk = this.#chunks.get(number);
    if (chunk === undefined) {
      const [oldest] = this.#chunks.size < chunksMax ? [] : this.#chunks.keys();
      if (oldest !== undefined) this.#chunks.delete(oldest);
      const bytes = Buffer.alloc(chunkBytes);
      const count = fs.readSync(this.#file, bytes, 0, chunkBytes, number * chunkBytes);
      chunk = bytes.subarray(0, count);
    } else {
      this.#chunks.delete(number);
    }
    this.#chunks.set(number, chunk);
    return chunk;
  }
}
