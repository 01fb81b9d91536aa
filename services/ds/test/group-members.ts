// Members of a shared group as their connection nodes have them, and what the stores say of them.
import type { Cursor } from '@lmqtt/common/cursor';
import {
  type ClientId,
  epoch,
  type GroupId,
  groupId,
  type NodeId,
  nodeId,
  type QueueId,
  queueId,
} from '@lmqtt/common/ids';
import type { Assignment, GroupFence } from '@lmqtt/proto/assignment';
import type { AbsentMembers, MemberOut, MemberState } from '../src/group-store/absent-members.ts';
import type {
  ClusterGroupStore,
  Entered,
  GroupPlace,
  LoadedGroup,
} from '../src/group-store/cluster-group-store.ts';

export const group: GroupId = groupId(1);
export const queue: QueueId = queueId(1);
export const csNames: readonly string[] = ['cs-1', 'cs-2'];
export const homes: readonly NodeId[] = [nodeId('ds-2'), nodeId('ds-3')];
export const qosAt = (offset: number): 1 | 2 => (offset % 2 === 0 ? 1 : 2);

/** A session of a client, with its cs and its home. */
export class Client {
  readonly id: ClientId;
  readonly window: number;
  state: 'connected' | 'absent' | 'ended' = 'ended';
  /** Its home is gone, and its cs has not presented it elsewhere. */
  isHomeless = false;
  epoch = 0;
  home: NodeId = homes[0]!;
  cs: string = csNames[0]!;
  /** Nobody has given it anything on this connection. */
  fresh = true;
  /** Given, and not sent yet. */
  waiting: Assignment[] = [];
  /** Sent and not completed, by offset. */
  readonly outs: Map<number, MemberOut> = new Map();
  #consumed = 0;
  #countedFrom = 0;
  #packetId = 0;
  #fence: { readonly epoch: number; readonly number: number } | undefined;

  constructor(id: ClientId, window = 4) {
    this.id = id;
    this.window = window;
  }

  get credit(): number {
    return this.#consumed - this.#countedFrom + Math.max(0, this.window - this.outs.size);
  }

  begin(home: NodeId, cs: string): void {
    this.epoch += 1;
    Object.assign(this, { home, cs, state: 'connected', isHomeless: false, fresh: true });
    this.waiting = [];
    this.#fence = undefined;
    this.count();
  }

  /** The owner counts from now on. */
  count(): void {
    this.#consumed = 0;
    this.#countedFrom = 0;
  }

  take(assignment: Assignment): void {
    const last = this.#fence;
    const { epoch: of = 0, fence = 0 } = assignment;
    const isOld =
      last !== undefined && (of < last.epoch || (of === last.epoch && fence < last.number));
    if (!isOld) this.waiting.push(assignment);
  }

  /** False: an older one than it has answered. */
  fenced(fence: GroupFence): boolean {
    if (this.#fence !== undefined && fence.epoch < this.#fence.epoch) return false;
    this.#fence = fence;
    this.#consumed += this.waiting.length;
    this.waiting = [];
    this.#countedFrom = this.#consumed;
    return true;
  }

  /** Sends the first of what it was given. */
  send(): number | undefined {
    const next = this.waiting.shift();
    if (next === undefined) return undefined;
    this.#consumed += 1;
    this.#packetId += 1;
    const { offset, partition } = next;
    this.outs.set(offset, { packetId: this.#packetId, qos: qosAt(offset), partition, offset });
    return offset;
  }

  get outList(): MemberOut[] {
    return [...this.outs.values()];
  }
}

/** The group's store and the session store of a test. */
export class GroupStores implements ClusterGroupStore, AbsentMembers {
  readonly clients: readonly Client[];
  readonly members: Map<ClientId, number> = new Map();
  readonly marked: Map<number, GroupPlace> = new Map();
  readonly cursors: Cursor[] = [];
  /** How far the owner has said that the group has come. */
  text: string | undefined;
  ownerEpoch = 1;
  isAway = false;

  constructor(clients: readonly Client[]) {
    this.clients = clients;
  }

  load(): Promise<LoadedGroup | undefined> {
    if (this.isAway) return Promise.reject(new Error('away'));
    const members = new Map(this.members);
    const done = [...this.marked.values()];
    return Promise.resolve({ id: group, name: 'g/t', queue, cursors: [], members, done });
  }

  done(_group: unknown, places: readonly GroupPlace[]): void {
    for (const place of places) this.marked.set(place.offset, place);
  }

  forget(_group: unknown, places: readonly GroupPlace[]): Promise<void> {
    for (const { offset } of places) this.marked.delete(offset);
    return Promise.resolve();
  }

  leave(_group: unknown, member: ClientId, of: number): Promise<boolean> {
    if ((this.members.get(member) ?? Infinity) <= of) this.members.delete(member);
    return Promise.resolve(false);
  }

  enter(): Promise<Entered> {
    return Promise.resolve({ kind: 'absent' });
  }

  settled(): undefined {
    return undefined;
  }

  close(): void {}

  look(member: ClientId): Promise<MemberState | undefined> {
    if (this.isAway) return Promise.reject(new Error('away'));
    const client = this.clients.find(({ id }) => id === member)!;
    if (client.state === 'ended') return Promise.resolve(undefined);
    const connected = client.state === 'connected';
    const { home, outList: outs } = client;
    return Promise.resolve({ epoch: epoch(client.epoch), connected, home, subscribed: true, outs });
  }

  takeOut(member: ClientId, of: number, packetIds: readonly number[]): Promise<boolean> {
    const client = this.clients.find(({ id }) => id === member)!;
    if (client.state !== 'absent' || client.epoch !== of) return Promise.resolve(false);
    for (const [offset, { packetId }] of client.outs)
      if (packetIds.includes(packetId)) client.outs.delete(offset);
    return Promise.resolve(true);
  }
}
