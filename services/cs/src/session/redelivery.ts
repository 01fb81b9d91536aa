import type { Message } from '@lmqtt/common/message';
import type { OutboundState } from '@lmqtt/proto/session-state';
import { complete } from './completion.ts';
import type { SessionCursor } from './cursor.ts';
import type { OutboundSession } from './outbound-session.ts';
import { retryMs } from './retry.ts';
import { withhold } from './acknowledgement.ts';
import { resend } from './sending.ts';
import { Inflight } from './window.ts';
import type { Origin, Outstanding } from './window.ts';

const pageMessagesMax = 64;
const pageBytesMax = 1 << 20;
/** Reads that fail one after the other, each 50 ms, before the others go on without the partition. */
const failuresMax = 100;
const asideMs = 1000;

/**
 * Messages in flight when the previous connection ended go out again before anything new: PUBLISH
 * with DUP under its own identifier, or PUBREL, in the order of the first sending [MQTT-4.4.0-1],
 * [MQTT-4.6.0-1]. The messages are read from the store by their places. Those of a partition that
 * cannot be read are set aside, so that it does not hold up all others for as long as it is away:
 * they go out when it is back.
 */
export class Redelivery {
  readonly #session: OutboundSession;
  #outbound: OutboundState[];
  /** Messages of partitions that cannot be read. */
  #aside: OutboundState[] = [];
  /** All but those that were set aside went out: new messages do not wait. */
  #isBehind = false;
  #failures = 0;
  #rest: NodeJS.Timeout | undefined = undefined;
  #index = 0;
  #loading = false;
  /** Identifiers of PUBLISH packets that went out again and may be unacknowledged. */
  #open: number[] = [];
  /** Messages of the last page that was read, by offset. */
  readonly #page: Map<number, Message> = new Map();
  #pageKey = '';

  constructor(session: OutboundSession, outbound: readonly OutboundState[]) {
    this.#session = session;
    this.#outbound = [...outbound].sort((a, b) => a.sequence - b.sequence);
    this.#restore();
  }

  /** Puts every place into the window and the cursors, so that nothing goes out twice. */
  #restore(): void {
    const session = this.#session;
    const byOffset = [...this.#outbound].sort(
      (a, b) => offsetOf(a) - offsetOf(b) || a.sequence - b.sequence,
    );
    for (const state of byOffset) {
      const { place } = state;
      const origin =
        place.kind === 'queue' ? session.cursorOf(place.queue, place.partition) : undefined;
      const offset = offsetOf(state);
      const inflight = new Inflight(
        state.packetId,
        state.qos,
        state.sequence,
        place,
        offset,
        origin,
        state.filter,
        state.state,
        (session.node.time.wallMs / 1000) >>> 0,
      );
      session.window.add(inflight);
      if (origin !== undefined && offset >= origin.next) origin.pass(offset, inflight);
    }
    const last = this.#outbound.at(-1);
    if (last !== undefined) session.window.startAfter(last.packetId);
  }

  /** Nothing is left. */
  get isOver(): boolean {
    return this.#index >= this.#outbound.length && this.#aside.length === 0 && !this.#loading;
  }

  /** Nothing new of the partition goes out before these. */
  holds(partition: number): boolean {
    if (!this.#isBehind) return false;
    for (let index = this.#index; index < this.#outbound.length; index++)
      if (partitionOf(this.#outbound[index]!) === partition) return true;
    return this.#aside.some((each) => partitionOf(each) === partition);
  }

  /** True when what is new may go out. */
  pump(): boolean {
    if (this.#rest !== undefined) return true;
    const isDone = this.#advance();
    if (isDone && this.#aside.length > 0) this.#takeAside();
    return isDone || this.#isBehind;
  }

  /** Messages that were set aside are tried again after a while. */
  #takeAside(): void {
    this.#outbound = this.#aside;
    this.#aside = [];
    this.#index = 0;
    this.#isBehind = true;
    this.#rest = setTimeout(() => {
      this.#rest = undefined;
      if (!this.#session.closed) this.#session.node.schedule(this.#session);
    }, asideMs);
    this.#rest.unref();
  }

  /** True when all is sent, or set aside. */
  #advance(): boolean {
    const session = this.#session;
    if (this.#loading) return false;
    for (; this.#index < this.#outbound.length; this.#index++) {
      const state = this.#outbound[this.#index];
      if (state === undefined || !session.outlet.writable) return false;
      const inflight = session.window.get(state.packetId);
      if (inflight === undefined) continue;
      if (state.state === 'released') {
        session.outlet.sendPubrel(state.packetId);
        continue;
      }
      if (!this.#mayResend()) return false;
      const message = this.#page.get(state.sequence);
      if (message === undefined) {
        if (this.#pageKey === String(state.sequence)) {
          session.node.events.lost();
          complete(session, inflight, false);
          continue;
        }
        this.#load(state);
        return false;
      }
      this.#page.delete(state.sequence);
      if (session.rights?.allows(message.topic) === false) {
        withhold(session, inflight);
        continue;
      }
      this.#open.push(state.packetId);
      this.#resend(state, inflight, message);
    }
    return true;
  }

  /** The client may take fewer messages at once than it did before [MQTT-3.3.4-9]. */
  #mayResend(): boolean {
    const { window } = this.#session;
    if (this.#open.length < window.size) return true;
    this.#open = this.#open.filter((packetId) => window.get(packetId) !== undefined);
    return this.#open.length < window.size;
  }

  #resend(state: OutboundState, inflight: Inflight, message: Message): void {
    const session = this.#session;
    const subscription = session.subscriptions.get(state.filter);
    const retained = state.place.kind === 'retained';
    const retain = retained || (subscription?.options.retainAsPublished === true && message.retain);
    let identifiers = subscription?.identifiers;
    if (state.place.kind === 'queue' && message.entries.length > 1) {
      identifiers = this.#link(inflight, message) ?? identifiers;
    }
    resend(session, inflight, message, retain, identifiers);
  }

  /** The same message in other queues of the session waits for this delivery too. */
  #link(inflight: Inflight, message: Message): number[] | undefined {
    const session = this.#session;
    let identifiers: number[] | undefined;
    for (const entry of message.entries) {
      const cursor: (SessionCursor & Origin) | undefined = session.cursorOf(
        entry.queue,
        entry.partition,
      );
      if (cursor === undefined || entry.offset < cursor.start) continue;
      const own = cursor.subscription.identifiers;
      if (own !== undefined) (identifiers ??= []).push(...own);
      if (cursor === inflight.origin || entry.offset < cursor.next) continue;
      if (entry.previous >= cursor.next) {
        // Others come first in that queue; the entry is passed over when they are out.
        cursor.markDone(entry.offset);
        continue;
      }
      const outstanding: Outstanding = { offset: entry.offset, done: false };
      cursor.pass(entry.offset, outstanding);
      (inflight.shadows ??= []).push({ origin: cursor, outstanding });
    }
    return identifiers;
  }

  #load(state: OutboundState): void {
    this.#loading = true;
    this.#page.clear();
    this.#pageKey = String(state.sequence);
    this.#read(state).then(
      () => {
        this.#loading = false;
        this.#failures = 0;
        if (!this.#session.closed) this.#session.node.schedule(this.#session);
      },
      () => {
        // Not an answer: only what the store does not have is lost.
        this.#pageKey = '';
        this.#failures += 1;
        if (this.#isBehind || this.#failures >= failuresMax) this.#setAside(state);
        // Whatever wakes the session meanwhile, the next read waits.
        setTimeout(() => {
          this.#loading = false;
          if (!this.#session.closed) this.#session.node.schedule(this.#session);
        }, retryMs).unref();
      },
    );
  }

  #setAside({ place }: OutboundState): void {
    if (place.kind === 'retained') return;
    const { partition } = place;
    const isThere = (each: OutboundState): boolean =>
      each.state !== 'released' && partitionOf(each) === partition;
    const left = this.#outbound.slice(this.#index);
    this.#aside.push(...left.filter(isThere));
    this.#outbound = left.filter((each) => !isThere(each));
    this.#index = 0;
    this.#failures = 0;
  }

  async #read(state: OutboundState): Promise<void> {
    const session = this.#session;
    const { place } = state;
    if (place.kind === 'retained') {
      const answer = await session.node.readRetained({
        session: session.handle,
        filter: state.filter,
        after: '',
        messagesMax: 1,
        bytesMax: pageBytesMax,
        version: { topic: place.topic, orderKey: place.orderKey },
      });
      const message = answer.messages[0];
      if (message !== undefined) this.#page.set(state.sequence, message);
      return;
    }
    const { queue, partition, offset } = place;
    const answer = await session.node.readQueue({
      queue,
      partition,
      from: offset,
      messagesMax: pageMessagesMax,
      bytesMax: pageBytesMax,
    });
    const byOffset = new Map<number, Message>();
    for (const message of answer.messages) {
      for (const entry of message.entries) {
        if (entry.queue === queue && entry.partition === partition) {
          byOffset.set(entry.offset, message);
        }
      }
    }
    for (let index = this.#index; index < this.#outbound.length; index++) {
      const each = this.#outbound[index];
      if (each === undefined || each.place.kind === 'retained') continue;
      if (each.place.queue !== queue || each.place.partition !== partition) continue;
      const message = byOffset.get(each.place.offset);
      if (message !== undefined) this.#page.set(each.sequence, message);
    }
  }
}

function offsetOf(state: OutboundState): number {
  return state.place.kind === 'retained' ? -1 : state.place.offset;
}

function partitionOf({ place }: OutboundState): number {
  return place.kind === 'retained' ? -1 : place.partition;
}
