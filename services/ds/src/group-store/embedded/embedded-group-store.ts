import { Cursor, cursorOf } from '@lmqtt/common/cursor';
import { groupId, type GroupId, type QueueId, queueId } from '@lmqtt/common/ids';
import { decodeJson, encodeJson, JournalTable } from '../../journal/journal-table.ts';
import type { Journal } from '../../journal/journal.ts';
import { RecordType } from '../../journal/records.ts';
import type { GroupStore, StoredGroup } from '../group-store.ts';

interface GroupRecord {
  readonly id: number;
  readonly name: string;
  readonly queue: number;
  /** Partition, start, position, done. */
  readonly cursors: [number, number, number, number[]][];
}

interface HeldGroup extends StoredGroup {
  /** Partition and offset of what counts as done after a crash. */
  readonly spent: Map<string, [number, number]>;
}

/** Groups in memory, each change a record of the journal. */
export class EmbeddedGroupStore implements GroupStore {
  readonly #journal: Journal;
  readonly #groups = new Map<GroupId, HeldGroup>();
  readonly #table: JournalTable<GroupId>;
  readonly #recorded: () => void;
  #last = 0;

  /** `recorded` is told of each record, before the session store's next commit. */
  constructor(journal: Journal, recorded: () => void) {
    this.#journal = journal;
    this.#recorded = recorded;
    const load = (body: Buffer): void => this.#load(decodeJson(body) as GroupRecord);
    this.#table = new JournalTable('groups', (id) => this.#encode(id), load);
    journal.participate(this.#table);
    journal.register(RecordType.groupPut, { replay: load });
    journal.register(RecordType.groupRemoved, {
      replay: (body) => {
        const id = groupId(body.readUIntLE(0, 6));
        this.#groups.delete(id);
        this.#table.mark(id);
      },
    });
    journal.register(RecordType.groupDone, {
      replay: (body) => {
        const group = this.#groups.get(groupId(body.readUIntLE(0, 6)));
        if (group === undefined) return;
        cursorOf(group.cursors, body.readUInt16LE(6)).markDone(body.readUIntLE(8, 6));
        this.#table.mark(group.id);
      },
    });
  }

  get groups(): StoredGroup[] {
    return [...this.#groups.values()];
  }

  make(name: string, queue: QueueId, cursors: Cursor[]): StoredGroup {
    this.#last += 1;
    const group = { id: groupId(this.#last), name, queue, cursors, spent: new Map() };
    this.#groups.set(group.id, group);
    this.#journal.add(RecordType.groupPut, this.#encode(group.id)!);
    this.#changed(group);
    return group;
  }

  remove(group: StoredGroup): void {
    if (!this.#groups.delete(group.id)) return;
    const at = this.#journal.reserve(RecordType.groupRemoved, 6);
    this.#journal.buffer.writeUIntLE(group.id, at, 6);
    this.#changed(group);
  }

  done(group: StoredGroup, partition: number, offset: number): void {
    const cursor = cursorOf(group.cursors, partition);
    if (cursor.isDone(offset)) return;
    cursor.markDone(offset);
    this.#groups.get(group.id)?.spent.delete(`${partition} ${offset}`);
    this.#recordDone(group, partition, offset);
  }

  spend(group: StoredGroup, partition: number, offset: number): void {
    this.#groups.get(group.id)?.spent.set(`${partition} ${offset}`, [partition, offset]);
    this.#recordDone(group, partition, offset);
  }

  #recordDone(group: StoredGroup, partition: number, offset: number): void {
    if (!this.#groups.has(group.id)) return;
    const at = this.#journal.reserve(RecordType.groupDone, 14);
    this.#journal.buffer.writeUIntLE(group.id, at, 6);
    this.#journal.buffer.writeUInt16LE(partition, at + 6);
    this.#journal.buffer.writeUIntLE(offset, at + 8, 6);
    this.#changed(group);
  }

  #changed(group: StoredGroup): void {
    this.#table.mark(group.id);
    this.#recorded();
  }

  #encode(id: GroupId): Buffer | undefined {
    const group = this.#groups.get(id);
    if (group === undefined) return undefined;
    const stored = { ...group, cursors: group.cursors.map((cursor) => cursor.copy()) };
    for (const [partition, offset] of group.spent.values())
      cursorOf(stored.cursors, partition).markDone(offset);
    const record: GroupRecord = {
      id,
      name: group.name,
      queue: group.queue,
      cursors: stored.cursors.map((c) => [c.partition, c.start, c.position, c.done]),
    };
    return encodeJson(record);
  }

  /** A replayed `make` must not take back what a newer entry says is done. */
  #load(record: GroupRecord): void {
    const id = groupId(record.id);
    this.#last = Math.max(this.#last, id);
    if (this.#groups.has(id)) return;
    const cursors = record.cursors.map(([partition, start, position, done]) => {
      return new Cursor(partition, start, position, done);
    });
    const { name } = record;
    this.#groups.set(id, { id, name, queue: queueId(record.queue), cursors, spent: new Map() });
    this.#table.mark(id);
  }
}
