import { systemClock } from '@lmqtt/common/clock';
import { JournalTable } from '../../journal/journal-table.ts';
import type { Journal } from '../../journal/journal.ts';
import { RecordType } from '../../journal/records.ts';
import { decodeEntry, encodeEntry } from '../entry-codec.ts';
import type { DeadLetter, RetryEntry, RetryQueue, TakenEntry } from '../retry-queue.ts';

interface RetryLimits {
  readonly lettersMax: number;
  readonly bytesMax: number;
}

/** `dueMs` of a dead letter. */
const never = -1;
const headBytes = 22;
/** Bytes that an entry is counted for besides its message. */
const entryBytes = 256;

interface Kept {
  /** Grows with each entry, also over restarts. */
  readonly number: number;
  /** Time of the broker, without the time between its runs; `never`: a dead letter. */
  readonly dueMs: number;
  /** Wall clock: when it was put. */
  readonly putMs: number;
  readonly entry: RetryEntry;
  isTaken: boolean;
}

/**
 * The retry queue in the journal: an entry is a record, and so are those that are gone. All entries
 * are in memory, bounded by their number and their bytes; past that the oldest dead letters go.
 * An entry is taken when it is due and `take` is called, however late that is.
 */
export class EmbeddedRetryQueue implements RetryQueue {
  readonly #journal: Journal;
  readonly #limits: RetryLimits;
  readonly #table: JournalTable<number>;
  /** By their numbers, the oldest first. */
  readonly #letters = new Map<number, Kept>();
  readonly #waiting = new Map<number, Kept>();
  #lastNumber = 0;
  #bytes = 0;
  #dropped: (letters: number) => void = () => undefined;

  /** To be made before the journal is opened. */
  constructor(journal: Journal, limits: RetryLimits) {
    this.#journal = journal;
    this.#limits = limits;
    this.#table = new JournalTable(
      'retry',
      (number) => this.#encode(number),
      (value) => this.#keep(decodeKept(value)),
    );
    journal.participate(this.#table);
    journal.register(RecordType.retryPut, {
      replay: (body) => this.#keep(decodeKept(Buffer.from(body))),
    });
    journal.register(RecordType.retryRemoved, {
      replay: (body) => {
        for (let at = 0; at < body.length; at += 6) this.#forget(body.readUIntLE(at, 6));
      },
    });
  }

  /** Dead letters. */
  get count(): number {
    return this.#letters.size;
  }

  /** Entries that wait for another try. */
  get waiting(): number {
    return this.#waiting.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Sets the one listener for dead letters that newer ones drive out. */
  onDropped(listener: (letters: number) => void): void {
    this.#dropped = listener;
  }

  put(entries: readonly RetryEntry[], delayMs: number): Promise<void> {
    const dueMs = this.#journal.brokerTimeMs() + Math.max(0, delayMs);
    return this.#store(entries, dueMs);
  }

  take(entriesMax: number): Promise<TakenEntry[]> {
    const nowMs = this.#journal.brokerTimeMs();
    const due: Kept[] = [];
    for (const kept of this.#waiting.values())
      if (!kept.isTaken && kept.dueMs <= nowMs) due.push(kept);
    due.sort((a, b) => a.dueMs - b.dueMs || a.number - b.number);
    const taken = due.slice(0, entriesMax);
    for (const kept of taken) kept.isTaken = true;
    return Promise.resolve(taken.map(({ number, entry }) => ({ id: String(number), entry })));
  }

  acknowledge(ids: readonly string[]): Promise<void> {
    return this.#remove(ids.map(Number).filter((number) => this.#waiting.has(number)));
  }

  deadLetter(entries: readonly RetryEntry[]): Promise<void> {
    return this.#store(entries, never);
  }

  list(after: string | undefined, lettersMax: number): Promise<DeadLetter[]> {
    const from = after === undefined ? 0 : Number(after);
    const page: DeadLetter[] = [];
    for (const kept of this.#letters.values()) {
      if (page.length >= lettersMax) break;
      if (kept.number > from) page.push(letterOf(kept));
    }
    return Promise.resolve(page);
  }

  find(id: string): Promise<DeadLetter | undefined> {
    const kept = this.#letters.get(Number(id));
    return Promise.resolve(kept && letterOf(kept));
  }

  /** In one block of the log: after a crash a letter is here or there. */
  async replay(ids: readonly string[], delayMs: number): Promise<number> {
    const letters = this.#known(ids);
    if (letters.length === 0) return 0;
    const dueMs = this.#journal.brokerTimeMs() + Math.max(0, delayMs);
    for (const { entry } of letters) this.#add({ ...entry, attempts: 0 }, dueMs);
    await this.#remove(letters.map(({ number }) => number));
    return letters.length;
  }

  async purge(ids: readonly string[] | 'all'): Promise<number> {
    const letters = ids === 'all' ? [...this.#letters.values()] : this.#known(ids);
    await this.#remove(letters.map(({ number }) => number));
    return letters.length;
  }

  #known(ids: readonly string[]): Kept[] {
    const numbers = new Set(ids.map(Number));
    return [...numbers].flatMap((number) => this.#letters.get(number) ?? []);
  }

  async #store(entries: readonly RetryEntry[], dueMs: number): Promise<void> {
    if (entries.length === 0) return;
    for (const entry of entries) this.#add(entry, dueMs);
    this.#driveOut();
    await this.#journal.durable();
  }

  #add(entry: RetryEntry, dueMs: number): void {
    this.#lastNumber += 1;
    const kept = {
      number: this.#lastNumber,
      dueMs,
      putMs: systemClock.nowMs(),
      entry,
      isTaken: false,
    };
    const encoded = encodeKept(kept);
    this.#journal.add(RecordType.retryPut, encoded);
    // The message is decoded into a copy, so that the chunk it came in is not kept.
    this.#keep(decodeKept(encoded));
  }

  async #remove(numbers: readonly number[]): Promise<void> {
    if (numbers.length === 0) return;
    this.#removeNow(numbers);
    await this.#journal.durable();
  }

  #removeNow(numbers: readonly number[]): void {
    const body = Buffer.alloc(numbers.length * 6);
    for (const [index, number] of numbers.entries()) body.writeUIntLE(number, index * 6, 6);
    this.#journal.add(RecordType.retryRemoved, body);
    for (const number of numbers) this.#forget(number);
  }

  #driveOut(): void {
    const { lettersMax, bytesMax } = this.#limits;
    const gone: number[] = [];
    let bytes = this.#bytes;
    for (const { number, entry } of this.#letters.values()) {
      if (this.#letters.size - gone.length <= lettersMax && bytes <= bytesMax) break;
      gone.push(number);
      bytes -= bytesOf(entry);
    }
    if (gone.length === 0) return;
    // Durable with what drove them out.
    this.#removeNow(gone);
    this.#dropped(gone.length);
  }

  #keep(kept: Kept): void {
    this.#lastNumber = Math.max(this.#lastNumber, kept.number);
    if (this.#letters.has(kept.number) || this.#waiting.has(kept.number)) return;
    (kept.dueMs === never ? this.#letters : this.#waiting).set(kept.number, kept);
    this.#bytes += bytesOf(kept.entry);
    this.#table.mark(kept.number);
  }

  #forget(number: number): void {
    const kept = this.#letters.get(number) ?? this.#waiting.get(number);
    if (kept === undefined) return;
    this.#letters.delete(number);
    this.#waiting.delete(number);
    this.#bytes -= bytesOf(kept.entry);
    this.#table.mark(number);
  }

  #encode(number: number): Buffer | undefined {
    const kept = this.#letters.get(number) ?? this.#waiting.get(number);
    return kept && encodeKept(kept);
  }
}

function letterOf({ number, putMs, entry }: Kept): DeadLetter {
  return { id: String(number), deadMs: putMs, entry };
}

function bytesOf({ message, clientId, filter }: RetryEntry): number {
  return entryBytes + message.heldBytes + clientId.length + filter.length;
}

/** u48 number, f64 due, f64 put, entry. */
function encodeKept({ number, dueMs, putMs, entry }: Kept): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUIntLE(number, 0, 6);
  head.writeDoubleLE(dueMs, 6);
  head.writeDoubleLE(putMs, 14);
  return Buffer.concat([head, encodeEntry(entry)]);
}

function decodeKept(buffer: Buffer): Kept {
  return {
    number: buffer.readUIntLE(0, 6),
    dueMs: buffer.readDoubleLE(6),
    putMs: buffer.readDoubleLE(14),
    entry: decodeEntry(buffer.subarray(headBytes)),
    isTaken: false,
  };
}
