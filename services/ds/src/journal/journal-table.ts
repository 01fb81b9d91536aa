import type { EntryKey, Participant } from './participant.ts';

/**
 * A table of entries in the journal's checkpoints: remembers which of them changed since the last
 * one. What an entry holds and how it is written is the owner's.
 */
export class JournalTable<Key extends EntryKey> implements Participant {
  readonly name: string;
  #changed = new Set<Key>();
  readonly #encode: (key: Key) => Buffer | undefined;
  readonly #load: (value: Buffer) => void;

  constructor(
    name: string,
    encode: (key: Key) => Buffer | undefined,
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

  entry(key: EntryKey): Buffer | undefined {
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

/** The table holds only text that this broker has written. */
export function decodeJson(buffer: Buffer): unknown {
  return JSON.parse(buffer.toString());
}
