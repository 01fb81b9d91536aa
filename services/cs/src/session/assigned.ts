import { lowerQos } from '@lmqtt/common/qos';
import type { GroupId } from '@lmqtt/common/ids';
import type { Assignment, GroupFence } from '@lmqtt/proto/assignment';
import type { Place } from '@lmqtt/proto/session-state';
import type { OutboundSession } from './outbound-session.ts';
import { tellExpired } from './undelivered.ts';
import { expired, hasRoom, putInFlight, send, sendQos0 } from './sending.ts';

/**
 * Bytes of messages that may wait for a client that takes nothing, the last message not counted.
 */
const waitingBytesMax = 1 << 20;
/** Assumed size of a message until one has come. */
const firstMessageBytes = 16 << 10;

interface Fence {
  readonly epoch: number;
  readonly number: number;
}

/**
 * Messages that groups gave to this session and that did not go out yet, bounded by its credit: a
 * running total of the stored ones that it was given and how many more it takes.
 */
export class Assigned {
  readonly #session: OutboundSession;
  #waiting: Assignment[] = [];
  #bytes = 0;
  /** Assumed size of a message of these groups: that of the largest recent one. */
  #messageBytes = firstMessageBytes;
  /** Stored ones, since the session was claimed or presented. */
  #given = 0;
  #announced = 0;
  #announcedAnew = false;
  /** By group, the last fence: what was given before it is not taken. */
  #fences: Map<GroupId, Fence> | undefined = undefined;

  constructor(session: OutboundSession) {
    this.#session = session;
  }

  get count(): number {
    return this.#waiting.length;
  }

  push(assignment: Assignment): void {
    const { group, offset, epoch = 0, fence } = assignment;
    if (this.#isOld(group, epoch, fence)) return;
    const bytes = assignment.message.heldBytes;
    if (offset >= 0) this.#given += 1;
    else if (this.#bytes > waitingBytesMax || !this.#session.outlet.writable) {
      this.#session.node.events.droppedSlow();
      return;
    }
    this.#messageBytes = Math.max(bytes, this.#messageBytes - (this.#messageBytes >> 3));
    this.#bytes += bytes;
    this.#waiting.push(assignment);
  }

  /** The group is to know exactly what went out, and what not. */
  fence({ group, epoch, number }: GroupFence): void {
    if (this.#isOld(group, epoch, number)) return;
    (this.#fences ??= new Map()).set(group, { epoch, number });
    let stored = 0;
    this.#waiting = this.#waiting.filter((one) => {
      if (one.group !== group) return true;
      if (one.offset >= 0) stored += 1;
      this.#bytes -= one.message.heldBytes;
      return false;
    });
    const { handle: session, node } = this.#session;
    node.journal.write({ kind: 'fenced', session, group, number, letGo: stored });
    node.credit(this.#session);
  }

  /** From before the last fence of the group. */
  #isOld(group: GroupId, epoch: number, fence: number | undefined): boolean {
    const last = this.#fences?.get(group);
    if (last === undefined || epoch > last.epoch) return false;
    return epoch < last.epoch || (fence ?? last.number) < last.number;
  }

  /** The total to tell ds; undefined where it has not grown since it was told. */
  takeCredit(): number | undefined {
    const free = this.#session.window.free - this.#waiting.length;
    const room = Math.max(0, Math.min(free, this.#mayWait));
    const total = Math.max(this.#announced, this.#given + room);
    if (total === this.#announced && !this.#announcedAnew) return undefined;
    this.#announced = total;
    this.#announcedAnew = false;
    return total;
  }

  /** Number of messages that may wait, by their size. One may wait where none does. */
  get #mayWait(): number {
    const count = Math.floor((waitingBytesMax - this.#bytes) / this.#messageBytes);
    return this.#waiting.length === 0 ? Math.max(1, count) : count;
  }

  /** Another ds counts from here; it gives again what did not go out. */
  startAnew(): void {
    this.#waiting = [];
    this.#bytes = 0;
    this.#given = 0;
    this.#announced = 0;
  }

  /** The total is due even where it has not grown. */
  announceAnew(): void {
    this.#announcedAnew = true;
    this.#session.node.credit(this.#session);
  }

  pump(): void {
    const session = this.#session;
    let index = 0;
    for (; index < this.#waiting.length; index++) {
      const assignment = this.#waiting[index];
      if (assignment === undefined || !session.outlet.writable) break;
      const subscription = session.subscriptions.get(assignment.filter);
      const { message, group, queue, partition, offset } = assignment;
      const mayRead = subscription?.rights?.allows(message.topic) !== false;
      const qos = lowerQos(message.qos, subscription?.options.qos ?? 0);
      if (qos > 0 && mayRead && !hasRoom(session)) break;
      const retain = subscription?.options.retainAsPublished === true && message.retain;
      const sent = subscription !== undefined && mayRead && !expired(session, message);
      if (sent && qos !== 0) {
        const place: Place = { kind: 'group', group, queue, partition, offset };
        const inflight = putInFlight(session, qos, place, offset, undefined, subscription.filter);
        send(session, inflight, message, retain, subscription.identifiers);
        continue;
      }
      if (sent) sendQos0(session, message, retain, subscription.identifiers);
      if (offset < 0) continue;
      if (subscription !== undefined && mayRead && qos > 0 && !sent)
        tellExpired(session, assignment, offset, subscription.filter);
      const { handle } = session;
      session.node.journal.write({
        kind: 'assigned-done',
        session: handle,
        group,
        partition,
        offset,
      });
    }
    if (index > 0) {
      for (let each = 0; each < index; each++)
        this.#bytes -= this.#waiting[each]!.message.heldBytes;
      this.#waiting = this.#waiting.slice(index);
      session.node.credit(session);
    }
  }
}
