import { cursorsOf, cursorsText } from '@lmqtt/common/cursor-text';
import { type ClientId, clientId, type GroupId, groupId, queueId } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';
import type { RedisConnection, Reply } from '../../redis/connection.ts';
import type { RedisKeys } from '../../redis/keys.ts';
import { loadScript, type Script } from '../../redis/script.ts';
import {
  type ClusterGroupStore,
  type Entered,
  type Entry,
  type GroupPlace,
  groupThing,
  type LoadedGroup,
} from '../cluster-group-store.ts';

const retryMs = 200;

/** Caller that waits for several batches, and their number. */
interface Waiter {
  left: number;
  readonly resolve: () => void;
}

/** Places to be stored together. */
class Batch {
  readonly groups: Map<GroupId, Set<string>> = new Map();
  readonly waiters: Set<Waiter> = new Set();

  add(group: GroupId, places: Iterable<string>): void {
    const known = this.groups.get(group);
    if (known === undefined) this.groups.set(group, new Set(places));
    else for (const place of places) known.add(place);
  }

  stored(): void {
    for (const waiter of this.waiters) {
      waiter.left -= 1;
      if (waiter.left === 0) waiter.resolve();
    }
  }
}

const load = (name: string): Script => loadScript(import.meta.dirname, name);
const scripts = {
  enter: load('enter'),
  leave: load('leave'),
  done: load('done'),
  load: load('load'),
} as const;

/**
 * Groups in the registry's slot: a hash of identifiers by name, for each group a hash, a hash of
 * members and a set of places. How far a group has come is its text as an owned thing.
 */
export class RedisGroupStore implements ClusterGroupStore {
  readonly #redis: RedisConnection;
  readonly #keys: RedisKeys;
  #open = new Batch();
  readonly #sent = new Set<Batch>();
  #flushing = false;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #stop: () => void;

  constructor(redis: RedisConnection, keys: RedisKeys) {
    this.#redis = redis;
    this.#keys = keys;
    this.#stop = redis.onState((up) => {
      if (up) this.#flush();
    });
  }

  async enter({ name, queue, member, epoch, cursors }: Entry): Promise<Entered> {
    const keys = [this.#keys.registry('groups'), this.#keys.registry('group')];
    const begin = cursors === undefined ? '' : cursorsText(cursors);
    const args = [this.#keys.registry('group:'), name, String(queue), member, epoch, begin];
    const reply = list(await this.#call(this.#redis.callDurable(scripts.enter, keys, args)));
    if (reply[0] === 'absent') return { kind: 'absent' };
    const id = groupId(Number(reply[1]));
    const group = { id, name, queue, cursors: cursorsOf(text(reply[2])) };
    return { kind: 'entered', group, made: reply[3] === 1 };
  }

  async leave(group: GroupId, member: ClientId, epoch: number): Promise<boolean> {
    const keys = [
      this.#keys.registry('groups'),
      ...this.#keysOf(group),
      this.#keys.registry('owners'),
      this.#keys.registry('texts'),
    ];
    const args = [String(group), member, epoch, groupThing(group)];
    return (await this.#call(this.#redis.callDurable(scripts.leave, keys, args))) === 1;
  }

  async load(group: GroupId): Promise<LoadedGroup | undefined> {
    const reply = list(await this.#call(this.#redis.call(scripts.load, this.#keysOf(group), [])));
    if (reply.length === 0) return undefined;
    const members = new Map<ClientId, number>();
    const entries = list(reply[3]);
    for (let at = 0; at < entries.length; at += 2)
      members.set(clientId(text(entries[at])), Number(entries[at + 1]));
    return {
      id: group,
      name: text(reply[0]),
      queue: queueId(Number(reply[1])),
      cursors: cursorsOf(text(reply[2])),
      members,
      done: list(reply[4]).map((one) => placeOf(text(one))),
    };
  }

  done(group: GroupId, places: readonly GroupPlace[]): void {
    this.#open.add(group, places.map(textOf));
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  settled(): Promise<void> | undefined {
    const batches = [...this.#sent];
    if (this.#open.groups.size > 0) batches.push(this.#open);
    if (batches.length === 0) return undefined;
    return new Promise((resolve) => {
      const waiter = { left: batches.length, resolve };
      for (const batch of batches) batch.waiters.add(waiter);
    });
  }

  async forget(group: GroupId, places: readonly GroupPlace[]): Promise<void> {
    if (places.length === 0) return;
    const [, , done] = this.#keysOf(group);
    await this.#call(this.#redis.command('SREM', done!, ...places.map(textOf)));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#stop();
  }

  #flush(): void {
    if (this.#open.groups.size === 0 || this.#closed || !this.#redis.up) return;
    const batch = this.#open;
    this.#open = new Batch();
    this.#sent.add(batch);
    const keys: string[] = [];
    const args: (string | number)[] = [];
    for (const [group, places] of batch.groups) {
      const [record, , done] = this.#keysOf(group);
      keys.push(record!, done!);
      args.push(places.size, ...places);
    }
    this.#redis.callDurable(scripts.done, keys, args).then(
      () => {
        this.#sent.delete(batch);
        batch.stored();
      },
      () => {
        this.#sent.delete(batch);
        this.#again(batch);
      },
    );
  }

  #again({ groups, waiters }: Batch): void {
    const open = this.#open;
    for (const [group, places] of groups) open.add(group, places);
    for (const waiter of waiters) {
      // The waiter may wait for the open batch already.
      if (open.waiters.has(waiter)) waiter.left -= 1;
      open.waiters.add(waiter);
    }
    if (this.#closed) return;
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      this.#flush();
    }, retryMs);
  }

  /** The group, its members, its done set. */
  #keysOf(group: GroupId): string[] {
    const key = this.#keys.registry(`group:${group}`);
    return [key, `${key}:members`, `${key}:done`];
  }

  async #call(reply: Promise<Reply>): Promise<Reply> {
    try {
      return await reply;
    } catch (error) {
      throw new StoreFailure('groups cannot be stored', ReasonCode.serverUnavailable, error);
    }
  }
}

function textOf({ partition, offset }: GroupPlace): string {
  return `${partition} ${offset}`;
}

function placeOf(one: string): GroupPlace {
  const [partition, offset] = one.split(' ');
  return { partition: Number(partition), offset: Number(offset) };
}

function text(reply: Reply | undefined): string {
  return typeof reply === 'string' ? reply : String(reply);
}

function list(reply: Reply | undefined): Reply[] {
  return Array.isArray(reply) ? reply : [];
}
