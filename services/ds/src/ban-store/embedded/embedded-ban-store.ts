import type { Clock } from '@lmqtt/common/clock';
import { decodeJson, encodeJson, JournalTable } from '../../journal/journal-table.ts';
import type { Journal } from '../../journal/journal.ts';
import { RecordType } from '../../journal/records.ts';
import { type Ban, banKey, type BanKind, isInForce } from '../ban.ts';
import { BanList } from '../ban-list.ts';
import { type BanMode, type BanPut, type BanStore, roomFor } from '../ban-store.ts';

interface EmbeddedBanOptions {
  readonly bansMax: number;
}

/** Bans in the journal: each change is a record, JSON like other rare ones. */
export class EmbeddedBanStore implements BanStore {
  readonly list: BanList = new BanList();
  readonly #journal: Journal;
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #bansMax: number;
  readonly #table: JournalTable<string>;
  readonly #listeners: ((ban: Ban) => void)[] = [];

  /** To be made before the journal is opened. */
  constructor(journal: Journal, clock: Pick<Clock, 'nowMs'>, { bansMax }: EmbeddedBanOptions) {
    this.#journal = journal;
    this.#clock = clock;
    this.#bansMax = bansMax;
    const load = (body: Buffer): void => {
      const ban = decodeJson(body) as Ban;
      this.list.put(ban);
      this.#table.mark(banKey(ban));
    };
    const encode = (key: string): Buffer | undefined => {
      const ban = this.list.get(key);
      return ban && encodeJson(ban);
    };
    this.#table = new JournalTable('bans', encode, load);
    journal.participate(this.#table);
    journal.register(RecordType.banPut, { replay: load });
    journal.register(RecordType.banRemoved, {
      replay: (body) => {
        const key = body.toString();
        this.list.remove(key);
        this.#table.mark(key);
      },
    });
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  async put(ban: Ban, mode: BanMode): Promise<BanPut> {
    await this.refresh();
    const key = banKey(ban);
    const known = this.list.get(key);
    if (known !== undefined && mode === 'keep') return 'kept';
    if (known === undefined && this.list.size >= roomFor(mode, this.#bansMax)) return 'full';
    this.list.put(ban);
    this.#table.mark(key);
    this.#journal.add(RecordType.banPut, encodeJson(ban));
    await this.#durable(key, known);
    for (const listener of this.#listeners) listener(ban);
    return 'put';
  }

  async remove(kind: BanKind, who: string): Promise<boolean> {
    const key = banKey({ kind, who });
    const ban = this.list.remove(key);
    if (ban === undefined) return false;
    this.#table.mark(key);
    this.#journal.add(RecordType.banRemoved, Buffer.from(key));
    await this.#durable(key, ban);
    return isInForce(ban, this.nowMs());
  }

  refresh(): Promise<void> {
    // Their records may come back from the log, where they have ended all the same.
    for (const key of this.list.sweep(this.nowMs())) this.#table.mark(key);
    return Promise.resolve();
  }

  onBanned(listener: (ban: Ban) => void): void {
    this.#listeners.push(listener);
  }

  /** Where the disk refuses the change, the list has again what it had, unless that has changed. */
  async #durable(key: string, before: Ban | undefined): Promise<void> {
    const now = this.list.get(key);
    try {
      await this.#journal.durable();
    } catch (error) {
      if (this.list.get(key) === now) {
        if (before === undefined) this.list.remove(key);
        else this.list.put(before);
        this.#table.mark(key);
      }
      throw error;
    }
  }
}
