import {
  type FilePages,
  nodeFlag,
  nodeHeadBytes,
  overflowBytes,
  pageFlag,
  pageHeadBytes,
  readTree,
  readU64,
  treeBytes,
  type Meta,
  type Tree,
} from './state-pages.ts';

const depthMax = 32;
const findingsMax = 100;
const freeName = 'free pages';
/** The flag of a tree whose keys are numbers. */
const integerKeys = 8;

/** Counts of a tree's pages and entries, from a walk over the pages. */
interface Count {
  branchPages: number;
  leafPages: number;
  overflowPages: number;
  entries: number;
}

interface Bounds {
  readonly low: Buffer | undefined;
  readonly high: Buffer | undefined;
}

interface TreeVisitor {
  entry(key: Buffer, value: Buffer): void;
  /** Called for a named tree; only entries of the main tree name trees. */
  tree?(name: string, tree: Tree): void;
}

/**
 * Walks the trees of one meta page without ever trusting a number in the file, and says what does
 * not fit. Goes on past what is damaged: what other pages hold is visited all the same.
 */
export class TreeWalk {
  readonly findings: string[] = [];
  readonly #pages: FilePages;
  readonly #meta: Meta;
  /** Use of each page; 0: not met; 1: used by a tree; 2: free. */
  readonly #use: Uint8Array;

  constructor(pages: FilePages, meta: Meta) {
    this.#pages = pages;
    this.#meta = meta;
    this.#use = new Uint8Array(meta.lastPage + 1);
  }

  walk(name: string, tree: Tree, visitor: TreeVisitor): void {
    const count = { branchPages: 0, leafPages: 0, overflowPages: 0, entries: 0 };
    const flags = name === freeName ? integerKeys : 0;
    if (tree.depth > depthMax || tree.flags !== flags) {
      this.#found(`${name}: a depth of ${tree.depth}, flags ${tree.flags}`);
      return;
    }
    if (tree.depth > 0) {
      const all = { low: undefined, high: undefined };
      this.#visit(name, tree.root, tree.depth, all, visitor, count);
    }
    for (const part of ['branchPages', 'leafPages', 'overflowPages', 'entries'] as const) {
      if (count[part] === tree[part]) continue;
      this.#found(`${name}: ${count[part]} ${part} where ${tree[part]} should be`);
    }
  }

  /** Called after all trees: no page may be both free and in use. */
  walkFree(): void {
    this.walk(freeName, this.#meta.freeTree, {
      entry: (_key, value) => {
        this.#markFree(value);
      },
    });
  }

  #found(finding: string): void {
    if (this.findings.length < findingsMax) this.findings.push(finding);
  }

  #visit(
    name: string,
    number: number,
    depth: number,
    bounds: Bounds,
    visitor: TreeVisitor,
    count: Count,
  ): void {
    const page = this.#take(name, number, 1);
    if (page === undefined) return;
    const isLeaf = depth === 1;
    const flags = page.readUInt16LE(18);
    if (flags !== (isLeaf ? pageFlag.leaf : pageFlag.branch)) {
      this.#found(`${name}: page ${number} is of another kind`);
      return;
    }
    count[isLeaf ? 'leafPages' : 'branchPages']++;
    const nodes = this.#nodes(page);
    if (nodes === undefined) {
      this.#found(`${name}: page ${number} has no right list of its nodes`);
      return;
    }
    this.#checkOrder(name, number, page, nodes, bounds, isLeaf);
    if (isLeaf) {
      for (const at of nodes) this.#leaf(name, page, at, visitor, count);
      return;
    }
    for (const [i, at] of nodes.entries()) {
      const next = nodes[i + 1];
      const child = page.readUIntLE(at, 6);
      const low = i === 0 ? bounds.low : keyAt(page, at);
      const high = next === undefined ? bounds.high : keyAt(page, next);
      this.#visit(name, child, depth - 1, { low, high }, visitor, count);
    }
  }

  /** The page, or several that belong together; undefined: it cannot be one of this tree. */
  #take(name: string, number: number, pages: number): Buffer | undefined {
    const { pageBytes, lastPage } = this.#meta;
    if (number < 2 || pages < 1 || number + pages - 1 > lastPage) {
      this.#found(`${name}: there is no page ${number}`);
      return undefined;
    }
    for (let i = number; i < number + pages; i++) {
      if (this.#use[i] !== 0) {
        this.#found(`${name}: page ${i} is used twice`);
        return undefined;
      }
      this.#use[i] = 1;
    }
    const page = this.#pages.read(number * pageBytes, pages * pageBytes);
    const isThere = page.length === pages * pageBytes && readU64(page, 0) === number;
    // A later transaction than the last one would be taken for one that may still write there.
    if (isThere && this.#isPast(page, 8)) return page;
    this.#found(`${name}: page ${number} is missing or another`);
    return undefined;
  }

  #isPast(page: Buffer, at: number): boolean {
    const transaction = readU64(page, at);
    return transaction >= 0 && transaction <= this.#meta.transaction;
  }

  /** Positions of the nodes in the page; undefined where nodes overlap or leave the page. */
  #nodes(page: Buffer): number[] | undefined {
    const count = page.readUInt16LE(20) >> 1;
    const upper = page.readUInt16LE(22) + pageHeadBytes;
    const { length } = page;
    if (count === 0 || pageHeadBytes + count * 2 > upper || upper > length) return undefined;
    const isLeaf = page.readUInt16LE(18) === pageFlag.leaf;
    const nodes: number[] = [];
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const at = page.readUInt16LE(pageHeadBytes + i * 2) + pageHeadBytes;
      if (at < upper || at % 2 !== 0 || at + nodeHeadBytes > length) return undefined;
      let nodeBytes = nodeHeadBytes + page.readUInt16LE(at + 6);
      if (isLeaf) {
        const isOverflow = (page.readUInt16LE(at + 4) & nodeFlag.overflow) !== 0;
        nodeBytes += isOverflow ? overflowBytes : page.readUInt32LE(at);
      }
      if (at + nodeBytes > length) return undefined;
      bytes += nodeBytes + (nodeBytes % 2);
      nodes.push(at);
    }
    return bytes === length - upper ? nodes : undefined;
  }

  #checkOrder(
    name: string,
    number: number,
    page: Buffer,
    nodes: readonly number[],
    { low, high }: Bounds,
    isLeaf: boolean,
  ): void {
    // Numbers of transactions, the keys of free pages, are compared as numbers, not as bytes.
    const compare = name === freeName ? compareNumbers : compareBytes;
    let before = low;
    let isFirst = true;
    for (const at of nodes) {
      // The first key of a branch page is not used.
      const isUsed = isLeaf || !isFirst;
      const key = keyAt(page, at);
      if (isUsed && before !== undefined) {
        const order = compare(before, key);
        if (order > 0 || (order === 0 && !(isFirst && isLeaf))) {
          this.#found(`${name}: keys of page ${number} are out of order`);
          return;
        }
      }
      if (isUsed) before = key;
      isFirst = false;
    }
    if (high !== undefined && before !== undefined && compare(before, high) >= 0) {
      this.#found(`${name}: keys of page ${number} are out of order`);
    }
  }

  #leaf(name: string, page: Buffer, at: number, visitor: TreeVisitor, count: Count): void {
    const flags = page.readUInt16LE(at + 4);
    const key = keyAt(page, at);
    const valueAt = at + nodeHeadBytes + key.length;
    const bytes = page.readUInt32LE(at);
    if (flags === nodeFlag.overflow) {
      const value = this.#overflow(name, page, valueAt, bytes, count);
      if (value === undefined) return;
      count.entries++;
      visitor.entry(key, value);
      return;
    }
    count.entries++;
    const value = page.subarray(valueAt, valueAt + bytes);
    if (flags === 0) visitor.entry(key, value);
    else if (flags === nodeFlag.tree && bytes === treeBytes && visitor.tree !== undefined) {
      // Names end with a zero.
      visitor.tree(key.toString('utf8').replace(/\0+$/, ''), readTree(value, 0));
    } else {
      this.#found(`${name}: an entry with flags ${flags}`);
    }
  }

  #overflow(
    name: string,
    page: Buffer,
    at: number,
    bytes: number,
    count: Count,
  ): Buffer | undefined {
    const number = readU64(page, at);
    const pages = readU64(page, at + 16);
    const needed = Math.floor((pageHeadBytes - 1 + bytes) / this.#meta.pageBytes) + 1;
    if (pages !== needed || !this.#isPast(page, at + 8)) {
      this.#found(`${name}: a value of ${bytes} bytes in ${pages} pages`);
      return undefined;
    }
    const value = this.#take(name, number, pages);
    if (value === undefined) return undefined;
    count.overflowPages += pages;
    if (value.readUInt16LE(18) === pageFlag.overflow && value.readUInt32LE(20) === pages) {
      return value.subarray(pageHeadBytes, pageHeadBytes + bytes);
    }
    this.#found(`${name}: page ${number} is of another kind`);
    return undefined;
  }

  /**
   * u64 how many follow, then numbers of pages; a negative one says how many are there from the
   * next.
   */
  #markFree(list: Buffer): void {
    const count = list.length < 8 ? -1 : readU64(list, 0);
    if (count < 0 || (count + 1) * 8 > list.length) {
      this.#found('free pages: a list of the wrong length');
      return;
    }
    for (let i = 1; i <= count; i++) {
      let pages = 1;
      let first = Number(list.readBigInt64LE(i * 8));
      if (first === 0) continue;
      if (first < 0 && i < count) {
        pages = -first;
        first = Number(list.readBigInt64LE(++i * 8));
      }
      if (first < 2 || first + pages - 1 > this.#meta.lastPage) {
        this.#found(`free pages: there is no page ${first}`);
        return;
      }
      for (let page = first; page < first + pages; page++) {
        if (this.#use[page] !== 0) {
          this.#found(`free pages: page ${page} is in use`);
          return;
        }
        this.#use[page] = 2;
      }
    }
  }
}

function keyAt(page: Buffer, at: number): Buffer {
  const start = at + nodeHeadBytes;
  return page.subarray(start, start + page.readUInt16LE(at + 6));
}

function compareNumbers(a: Buffer, b: Buffer): number {
  return a.length === 8 && b.length === 8 ? readU64(a, 0) - readU64(b, 0) : 1;
}

function compareBytes(a: Buffer, b: Buffer): number {
  return a.compare(b);
}
