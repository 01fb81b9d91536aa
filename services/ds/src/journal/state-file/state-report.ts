import { existsSync, statSync } from 'node:fs';
import * as lmdb from 'lmdb';
import type { EntryKey } from '../participant.ts';
import { hasRightSum, withoutSum } from './entry-sum.ts';
import { FilePages, readMeta, type Meta, type Tree } from './state-pages.ts';
import { TreeWalk } from './tree-walk.ts';

/**
 * Prefixes of the tables that hold the entries of checkpoints: with a sum for each entry since
 * format 2, without before.
 */
export const tablePrefix = { summed: 'c:', plain: 't:' } as const;
/** The table of the mark and the format. */
export const ownTable = 'journal';

/** Decodes a key as it is stored in the file; the package exports this without a type. */
const { bufferToKeyValue } = lmdb as typeof lmdb & { bufferToKeyValue: (raw: Buffer) => unknown };

const smallestPage = 4096;
const largestPage = 65_536;
/**
 * lmdb gives pages at the end back to the file system; so far the last page may be past the end.
 */
const cutBytesMax = 2 ** 30;

interface TableReport {
  readonly name: string;
  /** How many entries there should be. */
  readonly stored: number;
  /** How many can be read. */
  read: number;
}

export interface StateReport {
  /** Damage that was found, a clause each; empty: the file is whole. */
  readonly findings: string[];
  readonly tables: TableReport[];
  readonly format: string | undefined;
  /** The mark as it is stored. */
  readonly mark: string | undefined;
  /** There is no file, or one without a byte. */
  readonly isEmpty: boolean;
}

type EntryVisitor = (table: string, key: EntryKey, value: Buffer) => void;

/**
 * Reads a file of lmdb without lmdb, which maps it into memory and ends the process where the file
 * is damaged. The file must not be in use.
 */
export function readState(path: string, visit?: EntryVisitor): StateReport {
  const empty = { findings: [], tables: [], format: undefined, mark: undefined, isEmpty: true };
  if (!existsSync(path) || statSync(path).size === 0) return empty;
  const pages = new FilePages(path);
  try {
    const { meta, findings } = findMeta(pages);
    if (meta === undefined) return { ...empty, findings, isEmpty: false };
    const walk = new TreeWalk(pages, meta);
    const report = readTrees(walk, meta, visit);
    return { ...report, findings: [...findings, ...walk.findings, ...report.findings] };
  } finally {
    pages.close();
  }
}

/** The meta page of the last transaction, or of the one before where that one is damaged. */
function findMeta(pages: FilePages): { meta: Meta | undefined; findings: string[] } {
  const findings: string[] = [];
  const first = readMeta(pages.read(0, smallestPage), 0);
  const sizes = typeof first === 'string' ? possibleSizes() : [first.pageBytes];
  const metas = typeof first === 'string' ? [] : [first];
  if (typeof first === 'string') findings.push(first);
  let second: Meta | string = 'there is no second meta page';
  for (const size of sizes) {
    if (!possibleSizes().includes(size)) continue;
    second = readMeta(pages.read(size, smallestPage), 1);
    if (typeof second !== 'string') break;
  }
  if (typeof second === 'string') findings.push(second);
  else metas.push(second);
  const right = metas.filter((meta) => {
    const why = whyWrong(meta, pages.bytes);
    if (why !== undefined) findings.push(why);
    return why === undefined;
  });
  right.sort((a, b) => b.transaction - a.transaction);
  return { meta: right[0], findings };
}

function possibleSizes(): number[] {
  const sizes: number[] = [];
  for (let size = smallestPage; size <= largestPage; size *= 2) sizes.push(size);
  return sizes;
}

function whyWrong(
  { pageBytes, lastPage, transaction, mapBytes }: Meta,
  bytes: number,
): string | undefined {
  if (!possibleSizes().includes(pageBytes)) return `pages of ${pageBytes} bytes`;
  const needed = (lastPage + 1) * pageBytes;
  if (lastPage < 1 || needed > bytes + cutBytesMax) return `the last page is ${lastPage}`;
  if (mapBytes < needed || mapBytes > 2 ** 46) return `a map of ${mapBytes} bytes`;
  return transaction < 0 ? 'the number of the transaction is wrong' : undefined;
}

interface TreesReport extends StateReport {
  readonly isEmpty: false;
}

function readTrees(walk: TreeWalk, meta: Meta, visit: EntryVisitor | undefined): TreesReport {
  const findings: string[] = [];
  const trees: { name: string; tree: Tree }[] = [];
  walk.walk('main', meta.mainTree, {
    entry: () => {
      findings.push('main: an entry that is no table');
    },
    tree: (name, tree) => {
      trees.push({ name, tree });
    },
  });
  const own = new Map<string, string>();
  const tables: TableReport[] = [];
  for (const { name, tree } of trees) {
    const isSummed = name.startsWith(tablePrefix.summed);
    const table = isSummed ? name.slice(tablePrefix.summed.length) : name;
    const report = { name, stored: Math.max(0, tree.entries), read: 0 };
    if (name !== ownTable) tables.push(report);
    walk.walk(name, tree, {
      entry: (rawKey, value) => {
        const key = keyOf(rawKey);
        if (key === undefined || (isSummed && !hasRightSum(table, key, value))) {
          findings.push(`${name}: an entry does not have the sum that was stored with it`);
          return;
        }
        report.read++;
        if (name === ownTable) own.set(String(key), value.toString());
        else visit?.(plainName(name), key, isSummed ? withoutSum(value) : value);
      },
    });
  }
  walk.walkFree();
  return { findings, tables, format: own.get('format'), mark: own.get('mark'), isEmpty: false };
}

/** Name of the participant whose entries a table holds. */
export function plainName(table: string): string {
  return table.slice(table.indexOf(':') + 1);
}

function keyOf(raw: Buffer): EntryKey | undefined {
  try {
    const key = bufferToKeyValue(Buffer.from(raw));
    return typeof key === 'string' || typeof key === 'number' ? key : undefined;
  } catch {
    return undefined;
  }
}
