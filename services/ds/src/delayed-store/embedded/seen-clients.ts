import { clientId, type ClientId } from '@lmqtt/common/ids';
import { JournalTable } from '../../journal/journal-table.ts';
import type { Journal } from '../../journal/journal.ts';
import { RecordType } from '../../journal/records.ts';

const numberBytes = 6;

/**
 * Clients that were told as connected and not yet as gone, whether or not their sessions are stored.
 * Each change is a record, durable with the next commit, so that after `kill -9` it is known whose
 * end was not told.
 *
 *     u48   number of the client here, all that the record of one that is gone has
 *     …     client identifier
 */
export class EmbeddedSeenClients {
  readonly #journal: Journal;
  readonly #numbers = new Map<ClientId, number>();
  readonly #ids = new Map<number, ClientId>();
  readonly #table: JournalTable<number>;
  #last = 0;

  /** To be made before the journal is opened. */
  constructor(journal: Journal) {
    this.#journal = journal;
    this.#table = new JournalTable(
      'seen-clients',
      (number) => {
        const id = this.#ids.get(number);
        return id === undefined ? undefined : encode(number, id);
      },
      (value) => {
        this.#load(value);
      },
    );
    journal.participate(this.#table);
    journal.register(RecordType.clientSeen, {
      replay: (body) => this.#table.mark(this.#load(body)),
    });
    journal.register(RecordType.clientGone, {
      replay: (body) => {
        const number = body.readUIntLE(0, numberBytes);
        this.#last = Math.max(this.#last, number);
        this.#forget(number);
      },
    });
  }

  get all(): Iterable<ClientId> {
    return this.#numbers.keys();
  }

  came(id: ClientId): void {
    if (this.#numbers.has(id)) return;
    const number = (this.#last += 1);
    this.#numbers.set(id, number);
    this.#ids.set(number, id);
    this.#table.mark(number);
    this.#journal.add(RecordType.clientSeen, encode(number, id));
  }

  gone(id: ClientId): void {
    const number = this.#numbers.get(id);
    if (number === undefined) return;
    this.#forget(number);
    this.#journal.add(RecordType.clientGone, encode(number, ''));
  }

  #load(value: Buffer): number {
    const number = value.readUIntLE(0, numberBytes);
    const id = clientId(value.toString('utf8', numberBytes));
    this.#last = Math.max(this.#last, number);
    this.#numbers.set(id, number);
    this.#ids.set(number, id);
    return number;
  }

  #forget(number: number): void {
    const id = this.#ids.get(number);
    this.#ids.delete(number);
    this.#table.mark(number);
    if (id !== undefined && this.#numbers.get(id) === number) this.#numbers.delete(id);
  }
}

function encode(number: number, id: string): Buffer {
  const head = Buffer.alloc(numberBytes);
  head.writeUIntLE(number, 0, numberBytes);
  return Buffer.concat([head, Buffer.from(id)]);
}
