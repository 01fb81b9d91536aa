import type { ClientId, GroupId } from '@lmqtt/common/ids';
import type { Message, QueueEntry } from '@lmqtt/common/message';
import type { StoredGroup } from '../group-store/group-store.ts';
import type { GroupMember, GroupPorts } from './group-member.ts';
import { GroupReaders, type Reader, type Waiting } from './group-readers.ts';
import { GroupRetries } from './group-retries.ts';
import type { ReadAnswer } from '@lmqtt/proto/link';
import { cursorOf, isTime, offsetFound } from '@lmqtt/common/cursor';
import { matches } from '@lmqtt/common/topic';

/** A message that a member has. */
interface Out<Member> {
  readonly member: Member;
  readonly partition: number;
  readonly offset: number;
}

const readBytesMax = 1024 * 1024;
const retryMs = 1000;
const retryMsMax = 15_000;

/**
 * The owner's side of a shared group: it reads the queue itself and gives each message to one
 * member, the one with the least in flight of those that take more and may read it. Invariants: an
 * offset is done (the stored cursor says so), out (with one member), waiting in memory, left for an
 * absent member, or at or past its reader's `next`. A message that is taken back winds the reader
 * back, so that messages are given out in order.
 */
export class SharedGroup<Key, Member extends GroupMember<Key>> {
  readonly stored: StoredGroup;
  readonly members: Map<Key, Member> = new Map();
  readonly #filter: string;
  readonly #ports: GroupPorts;
  readonly #epoch: number | undefined;
  readonly #out = new Map<string, Out<Member>>();
  readonly #readers: GroupReaders;
  readonly #retries: GroupRetries;
  #waiting: Waiting[] = [];
  /** By partition, the lowest offset that no connected member may read and an absent one may. */
  readonly #left = new Map<number, number>();
  #reading = false;
  closed = false;

  /** `epoch`: of the owner, where another may follow. */
  constructor(stored: StoredGroup, filter: string, ports: GroupPorts, epoch?: number) {
    this.stored = stored;
    this.#filter = filter;
    this.#ports = ports;
    this.#epoch = epoch;
    this.#readers = new GroupReaders((partition) => cursorOf(stored.cursors, partition).position);
    this.#retries = new GroupRetries(ports.retryIntervalMs, (places) => {
      if (this.closed) return;
      for (const { partition, offset } of places) this.#windBack(partition, offset);
      this.pump();
      this.#ports.flush();
    });
  }

  get id(): GroupId {
    return this.stored.id;
  }

  /** For operators. */
  get memberLines(): { clientId: ClientId; connected: boolean; inFlight: number }[] {
    return [...this.members.values()].map(({ clientId, seat, inFlight }) => {
      return { clientId, connected: seat !== undefined, inFlight };
    });
  }

  /** The cursors are known: read from there. */
  start(): void {
    this.lookEverywhere();
  }

  /** In every partition, also in those that appeared since the group began. */
  lookEverywhere(): void {
    const { cursors } = this.stored;
    for (const partition of this.#ports.partitions?.() ?? []) cursorOf(cursors, partition);
    for (const cursor of cursors) this.look(cursor.partition);
  }

  /** There may be something past what was looked at; `pump` then. */
  look(partition: number): void {
    const reader = this.#readers.of(partition);
    reader.behind = true;
    reader.again = true;
  }

  /** The lowest offset that was not looked at, by partition. */
  get nexts(): { readonly partition: number; readonly next: number }[] {
    return this.#readers.all.map(({ partition, next }) => ({ partition, next }));
  }

  /** A message that is not stored (QoS 0): to one member that is connected, if there is one. */
  give(message: Message): void {
    const member = this.#freest(false, message.topic);
    if (member === undefined) return;
    this.#assign(member, message, 0, -1);
  }

  arrived(entry: QueueEntry, message: Message): void {
    const reader = this.#readers.of(entry.partition);
    if (entry.offset < reader.next) return;
    const follows = entry.previous < reader.next && !reader.behind && this.#waiting.length === 0;
    const inOrder = follows && !this.#isAhead(message);
    const isOurs = matches(this.#filter, message.topic);
    const member = inOrder ? this.#freest(true, isOurs ? message.topic : undefined) : undefined;
    const { partition, offset } = entry;
    const waiting = { partition, offset, message };
    if (member === undefined && !(inOrder && isOurs && this.#isForNobodyHere(waiting))) {
      reader.behind = true;
      reader.again = true;
      this.#wake(reader);
      this.pump();
      return;
    }
    reader.next = offset + 1;
    if (member === undefined) this.#passOver(waiting);
    else if (isOurs) this.#giveOut(member, waiting);
    else this.#ports.skip(this.stored, partition, offset);
  }

  /** Something that was stored before it may be in another partition. */
  #isAhead(message: Message): boolean {
    if (this.#readers.all.length < 2) return false;
    return this.#readers.hasMoved(message) || this.#readers.holdsSome;
  }

  /** Gives out what there is to members that take more. */
  pump(): void {
    if (this.closed) return;
    do this.#giveWaiting();
    while (this.#waiting.length === 0 && !this.#reading && this.#refill());
    if (this.#waiting.length > 0 || this.#reading) return;
    const { due } = this.#readers;
    if (due.length > 0 && this.#freest(true) !== undefined) void this.#read(due);
  }

  /** True: what was read has something more to go out. */
  #refill(): boolean {
    for (let one = this.#readers.take(); one !== undefined; one = this.#readers.take()) {
      if (!this.#isOwed(one)) continue;
      if (this.#readers.hasMoved(one.message)) this.#readers.putBack(one);
      else this.#waiting.push(one);
    }
    return this.#waiting.length > 0;
  }

  #isOwed({ partition, offset }: Waiting): boolean {
    const key = `${partition} ${offset}`;
    if (this.#out.has(key) || this.#retries.holds(key)) return false;
    return !cursorOf(this.stored.cursors, partition).isDone(offset);
  }

  #giveWaiting(): void {
    const waiting = this.#waiting;
    const kept: Waiting[] = [];
    for (let index = 0; index < waiting.length; index += 1) {
      const one = waiting[index]!;
      const member = this.#freest(true, one.message.topic);
      if (member !== undefined) this.#giveOut(member, one);
      else if (this.#isForNobodyHere(one)) this.#passOver(one);
      else if (this.#freest(true) === undefined) {
        for (; index < waiting.length; index += 1) kept.push(waiting[index]!);
      } else kept.push(one);
    }
    this.#waiting = kept;
  }

  /** An outbound entry that a stored session has of this group. */
  restoreOut(member: Member, partition: number, offset: number): void {
    if (this.#out.has(`${partition} ${offset}`)) return;
    this.#out.set(`${partition} ${offset}`, { member, partition, offset });
    member.inFlight += 1;
    this.#waiting = this.#waiting.filter(
      (one) => one.partition !== partition || one.offset !== offset,
    );
  }

  /** The member that has the message. */
  holderOf(partition: number, offset: number): Member | undefined {
    return this.#out.get(`${partition} ${offset}`)?.member;
  }

  /** The message is in flight no more. False: it was not. */
  settle(partition: number, offset: number): boolean {
    return this.#settle(`${partition} ${offset}`);
  }

  #settle(key: string): boolean {
    const out = this.#out.get(key);
    if (out === undefined) return false;
    this.#out.delete(key);
    out.member.inFlight -= 1;
    return true;
  }

  outOf(member: Member): { readonly partition: number; readonly offset: number }[] {
    return [...this.#out.values()].filter((out) => out.member === member);
  }

  /** To be given out again. */
  takeBack(partition: number, offset: number): void {
    if (this.settle(partition, offset)) this.#windBack(partition, offset);
  }

  /** A member had it and is gone: to be given out again, later each time, or given up. */
  lost(partition: number, offset: number): void {
    const key = `${partition} ${offset}`;
    const member = this.#out.get(key)?.member;
    if (member === undefined || !this.settle(partition, offset)) return;
    const tries = this.#retries.lost(key);
    if (tries >= this.#ports.triesMax) {
      this.#retries.giveUp(key);
      const { clientId, filter } = member;
      this.#ports.giveUp(this.stored, { clientId, filter, partition, offset, tries });
    } else if (!this.#retries.waits(key, { partition, offset }, tries)) {
      this.#windBack(partition, offset);
    }
  }

  /** Its member refuses it: it goes to nobody else [MQTT-4.8.2-6], and is done with soon. */
  refused(partition: number, offset: number): void {
    if (this.settle(partition, offset)) this.#retries.giveUp(`${partition} ${offset}`);
  }

  /** It is done with. */
  done(partition: number, offset: number): void {
    const key = `${partition} ${offset}`;
    this.#settle(key);
    this.#retries.forget(key);
  }

  #windBack(partition: number, offset: number): void {
    const reader = this.#readers.of(partition);
    reader.next = Math.min(reader.next, offset);
    reader.behind = true;
    const held = reader.held.splice(0);
    for (const waiting of [...held, ...this.#waiting])
      if (waiting.partition === partition) reader.next = Math.min(reader.next, waiting.offset);
    this.#waiting = this.#waiting.filter((waiting) => waiting.partition !== partition);
  }

  /** Members have come or gone, or may read something else. */
  reconsider(): void {
    for (const [partition, offset] of this.#left) this.#windBack(partition, offset);
    this.#left.clear();
  }

  /** Whether members are connected and none of them may read the message. */
  #isForNobodyHere({ message }: Waiting): boolean {
    if (this.#ports.mayGive?.() === false) return false;
    let connected = false;
    for (const { seat, rights } of this.members.values()) {
      if (seat === undefined) continue;
      if (rights === undefined || rights.allows(message.topic)) return false;
      connected = true;
    }
    return connected;
  }

  /**
   * Leaves a message to absent members that may read it; where there are none, the message is done
   * with.
   */
  #passOver({ partition, offset, message }: Waiting): void {
    for (const { seat, rights } of this.members.values()) {
      if (seat !== undefined || rights?.allows(message.topic) === false) continue;
      this.#left.set(partition, Math.min(offset, this.#left.get(partition) ?? offset));
      return;
    }
    this.#ports.skip(this.stored, partition, offset);
  }

  #giveOut(member: Member, { partition, offset, message }: Waiting): void {
    const out = { member, partition, offset };
    this.#out.set(`${partition} ${offset}`, out);
    member.inFlight += 1;
    this.#assign(member, message, partition, offset);
  }

  #assign(member: Member, message: Message, partition: number, offset: number): void {
    const seat = member.seat!;
    if (offset >= 0) seat.given += 1;
    seat.node.assign({
      session: seat.handle,
      group: this.stored.id,
      filter: member.filter,
      queue: this.stored.queue,
      partition,
      offset,
      message,
      ...(this.#epoch === undefined ? {} : { epoch: this.#epoch, fence: seat.fence }),
    });
  }

  /** The member with the least in flight, among those that may read the topic. */
  #freest(withCredit: boolean, topic?: string): Member | undefined {
    if (this.#ports.mayGive?.() === false) return undefined;
    let best: Member | undefined;
    for (const member of this.members.values()) {
      const { seat, rights } = member;
      if (seat === undefined || (withCredit && seat.given >= seat.givenMax)) continue;
      if (topic !== undefined && rights?.allows(topic) === false) continue;
      if (best === undefined || member.inFlight < best.inFlight) best = member;
    }
    // Equal ones take turns.
    if (best !== undefined && this.members.size > 1) {
      this.members.delete(best.key);
      this.members.set(best.key, best);
    }
    return best;
  }

  async #read(readers: readonly Reader[]): Promise<void> {
    this.#reading = true;
    await Promise.all(readers.map((reader) => this.#readOne(reader)));
    this.#goOn();
  }

  async #readOne(reader: Reader): Promise<void> {
    reader.again = false;
    const { partition, next: from } = reader;
    try {
      const answer = await this.#ports.read({
        queue: this.stored.queue,
        partition,
        from,
        messagesMax: this.#ports.readMessages,
        bytesMax: readBytesMax,
      });
      // Wound back meanwhile: what was read comes again, in order.
      if (reader.next === from) this.#take(reader, answer);
      reader.restMs = 0;
    } catch (error) {
      this.#ports.failed(this.stored, error);
      this.#rest(reader);
    }
  }

  /** The reader's partition may be away for long, and the others are read meanwhile. */
  #rest(reader: Reader): void {
    reader.restMs = Math.min(retryMsMax, Math.max(retryMs, 2 * reader.restMs));
    reader.rests = setTimeout(() => {
      reader.rests = undefined;
      this.pump();
      this.#ports.flush();
    }, reader.restMs).unref();
  }

  /** Something came from there. */
  #wake(reader: Reader): void {
    if (reader.rests === undefined || reader.restMs <= retryMs) return;
    clearTimeout(reader.rests);
    reader.restMs = 0;
    this.#rest(reader);
  }

  #goOn(): void {
    this.#reading = false;
    this.pump();
    this.#ports.flush();
  }

  #take(reader: Reader, answer: ReadAnswer): void {
    const { partition } = reader;
    const cursor = cursorOf(this.stored.cursors, partition);
    if (isTime(cursor.position)) cursor.moveTo(offsetFound(answer, this.stored.queue, partition));
    for (const message of answer.messages) {
      const entry = message.entries.find(
        (one) => one.queue === this.stored.queue && one.partition === partition,
      );
      if (entry === undefined || entry.offset < reader.next) continue;
      const { offset } = entry;
      const waiting = { partition, offset, message };
      if (!this.#isOwed(waiting)) continue;
      if (!matches(this.#filter, message.topic)) {
        this.#ports.skip(this.stored, partition, offset);
        continue;
      }
      reader.held.push(waiting);
    }
    reader.next = Math.max(reader.next, answer.next);
    reader.behind = reader.again || answer.next < answer.end || answer.messages.length > 0;
  }
}
