import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskJournal } from '../src/journal/disk-journal.ts';
import type { Files } from '../src/journal/files.ts';
import type { Journal, JournalOptions } from '../src/journal/journal.ts';
import type { EntryKey, Participant } from '../src/journal/participant.ts';

/** The smallest store on the journal: names with a number each. Value −1 removes. */
export class LedgerStore implements Participant {
  readonly name: string;
  readonly #type: number;
  #journal: Journal | undefined;
  readonly #content = new Map<string, number>();
  #changed = new Set<EntryKey>();

  constructor(name = 'ledger', type = 100) {
    this.name = name;
    this.#type = type;
  }

  attach(journal: Journal): void {
    this.#journal = journal;
    journal.participate(this);
    journal.register(this.#type, {
      replay: (body) => {
        this.#apply(body.toString('utf8', 8), body.readDoubleLE(0));
      },
    });
  }

  set(key: string, value: number): void {
    const body = Buffer.alloc(8 + Buffer.byteLength(key));
    body.writeDoubleLE(value, 0);
    body.write(key, 8);
    this.#journal?.add(this.#type, body);
    this.#apply(key, value);
  }

  remove(key: string): void {
    this.set(key, -1);
  }

  get(key: string): number | undefined {
    return this.#content.get(key);
  }

  content(): Map<string, number> {
    return new Map([...this.#content].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  // Names may be longer than a key of the table can be: only short ones get entries.
  #apply(key: string, value: number): void {
    if (value < 0) this.#content.delete(key);
    else this.#content.set(key, value);
    if (key.length < 1000) this.#changed.add(key);
  }

  load(key: EntryKey, value: Buffer): void {
    this.#content.set(String(key), value.readDoubleLE(0));
  }

  takeChanged(): Iterable<EntryKey> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  entry(key: EntryKey): Buffer | undefined {
    const value = this.#content.get(String(key));
    if (value === undefined) return undefined;
    const body = Buffer.alloc(8);
    body.writeDoubleLE(value);
    return body;
  }

  putBack(keys: Iterable<EntryKey>): void {
    for (const key of keys) this.#changed.add(key);
  }
}

export async function openJournal(
  options: JournalOptions,
  stores: LedgerStore[] = [new LedgerStore()],
  files?: Files,
): Promise<{ journal: DiskJournal; store: LedgerStore }> {
  const journal = new DiskJournal(options, files);
  for (const store of stores) store.attach(journal);
  await journal.open();
  const [store] = stores;
  if (store === undefined) throw new Error('no store');
  return { journal, store };
}

/** Removed when the test ends. */
export function scratchDirectory(test: { after(work: () => void | Promise<void>): void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'lmqtt-'));
  // Not in one turn: a journal that is still open may have to come to its end.
  test.after(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  return directory;
}
