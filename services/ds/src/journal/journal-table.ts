import type { EntryBytes, EntryKey, Participant } from './participant.ts';

/**
 * A table of entries in the journal's checkpoints: remembers which of them changed since the last
 * one. What an entry holds and how it is written is the owner's.
 */
export class JournalTable<Key extends EntryKey> implements Participant {
  readonly name: string;
  #changed = new Set<Key>();
  readonly #encode: (key: Key) => EntryBytes | undefined;
  readonly #load: (value: Buffer) => void;

  constructor(
    name: string,
    encode: (key: Key) => EntryBytes | undefined,
    load: (value: Buffer) => void,
  ) {
    this.name = name;
    this.#encode = encode;
    this.#load = load;
  }

  mark(key: Key): void {
    this.#changed.add(key);
  }

  load(_key: EntryKey, value: Buffer): void {
    this.#load(value);
  }

  takeChanged(): Iterable<Key> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  entry(key: EntryKey): EntryBytes | undefined {
    return this.#encode(key as Key);
  }

  putBack(keys: Iterable<EntryKey>): void {
    for (const key of keys) this.#changed.add(key as Key);
  }
}

/** Rare records and entries are JSON: small, and legible when something has to be looked into. */
export function encodeJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** Elements that one piece of a long list has. */
const pieceElements = 500;

/** The elements of a list as JSON with commas between them, in pieces. */
export function* jsonPieces(list: readonly unknown[]): Iterable<Buffer> {
  for (let at = 0; at < list.length; at += pieceElements) {
    const text = JSON.stringify(list.slice(at, at + pieceElements)).slice(1, -1);
    yield Buffer.from(at === 0 ? text : `,${text}`);
  }
}

/** The table holds only text that this broker has written. */
export function decodeJson(buffer: Buffer): unknown {
  return JSON.parse(buffer.toString());
}
