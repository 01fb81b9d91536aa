import { type Cursor, cursorOf } from '@lmqtt/common/cursor';
import { cursorsText } from '@lmqtt/common/cursor-text';
import type { ClientId, GroupId } from '@lmqtt/common/ids';
import {
  type ClusterGroupStore,
  type GroupPlace,
  groupThing,
  type LoadedGroup,
} from '../../group-store/cluster-group-store.ts';
import type { Ownership } from '../../registry/ownership.ts';

interface GroupProgressPorts {
  readonly groupStore: ClusterGroupStore;
  readonly ownership: Ownership;
  monotonicMs(): number;
  failed(where: string, error: unknown): void;
}

const saveMs = 200;

/**
 * How far a group has come, for one epoch of its ownership: stored lazily, and what must not be
 * lost before is in the store's done set, from which it goes when the stored position has it.
 */
export class GroupProgress {
  readonly #id: GroupId;
  readonly #epoch: number;
  readonly #cursors: Cursor[];
  readonly #ports: GroupProgressPorts;
  #members: ReadonlyMap<ClientId, number>;
  /** In the done set, and not covered by the stored position. */
  #marked = new Map<string, GroupPlace>();
  #dirty = false;
  #savedMs = 0;
  #saving: Promise<boolean> | undefined;

  constructor(record: LoadedGroup, epoch: number, cursors: Cursor[], ports: GroupProgressPorts) {
    this.#id = record.id;
    this.#epoch = epoch;
    this.#cursors = cursors;
    this.#ports = ports;
    this.#members = record.members;
  }

  /** As the store had them last. */
  get members(): ReadonlyMap<ClientId, number> {
    return this.#members;
  }

  done({ partition, offset }: GroupPlace, isMarked: boolean): void {
    cursorOf(this.#cursors, partition).markDone(offset);
    if (isMarked) this.#marked.set(`${partition} ${offset}`, { partition, offset });
    this.#dirty = true;
  }

  isDone({ partition, offset }: GroupPlace): boolean {
    return cursorOf(this.#cursors, partition).isDone(offset);
  }

  isDue(nowMs: number): boolean {
    return this.#dirty && this.#savedMs + saveMs <= nowMs;
  }

  /** Messages that count as done; the caller marks it. */
  async read(): Promise<GroupPlace[] | 'gone' | 'no answer'> {
    try {
      const record = await this.#ports.groupStore.load(this.#id);
      if (record === undefined) return 'gone';
      this.#members = record.members;
      return record.done;
    } catch (error) {
      this.#ports.failed('shared group', error);
      return 'no answer';
    }
  }

  /** False: another owns the group. */
  save(): Promise<boolean> {
    this.#saving ??= this.#save().finally(() => {
      this.#saving = undefined;
    });
    return this.#saving;
  }

  async #save(): Promise<boolean> {
    this.#dirty = false;
    this.#savedMs = this.#ports.monotonicMs();
    const marked = this.#marked;
    this.#marked = new Map();
    const { ownership, groupStore } = this.#ports;
    try {
      const text = cursorsText(this.#cursors);
      if (!(await ownership.save(groupThing(this.#id), this.#epoch, text))) return false;
      await groupStore.forget(this.#id, [...marked.values()]);
    } catch {
      for (const [key, place] of marked) this.#marked.set(key, place);
      this.#dirty = true;
    }
    return true;
  }
}
