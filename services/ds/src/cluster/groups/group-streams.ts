import { randomUUID } from 'node:crypto';
import type { NodeId } from '@lmqtt/common/ids';
import type { Inbox } from '../../registry/inbox.ts';
import type { GroupItem } from './messages.ts';

const use = 'groups';

/** All items of one turn for a ds. `number` 0: the stream begins anew with the whole state. */
interface Body {
  readonly stream: string;
  readonly number: number;
  readonly items: readonly GroupItem[];
}

/** Something was missed: begin anew. */
interface Again {
  readonly again: true;
}

interface Sending {
  readonly stream: string;
  number: number;
  sentMs: number;
}

interface Receiving {
  stream: string;
  next: number;
  askedMs: number;
}

interface GroupStreamsPorts {
  readonly self: NodeId;
  readonly inbox: Inbox;
  monotonicMs(): number;
  /** Appends what is due for that ds beyond the items that were sent. */
  gather(to: NodeId, items: GroupItem[]): void;
  /** All that there is to say to a ds that knows nothing. */
  everything(to: NodeId, items: GroupItem[]): void;
  take(from: NodeId, item: GroupItem): void;
  /** Everything that the ds said before is void; its whole state follows, up to `begun`. */
  beginning(from: NodeId): void;
  begun(from: NodeId): void;
  /** All of a turn were taken. */
  taken(): void;
}

const askMs = 100;
const beatMs = 1000;
const itemsMax = 100_000;

/**
 * Items from ds to ds, each once and in order, over messages that may be lost: they are numbered,
 * and what was missed makes the sender begin anew with everything. To this ds itself they go
 * without a message. Items of one turn are one message.
 */
export class GroupStreams {
  readonly #ports: GroupStreamsPorts;
  readonly #sending = new Map<NodeId, Sending>();
  readonly #receiving = new Map<NodeId, Receiving>();
  #due = new Map<NodeId, GroupItem[]>();
  #scheduled = false;

  constructor(ports: GroupStreamsPorts) {
    this.#ports = ports;
    ports.inbox.onMessage((from, message) => {
      if (message.kind !== 'to' || message.use !== use) return;
      this.#receive(from, message.body as Body | Again);
    });
  }

  send(to: NodeId, item: GroupItem): void {
    const due = this.#dueOf(to);
    const last = due.at(-1);
    if (
      item.kind === 'done' &&
      last?.kind === 'done' &&
      last.group === item.group &&
      last.marked === item.marked
    )
      last.places.push(...item.places);
    else if (due.length < itemsMax || to === this.#ports.self) due.push(item);
    // The receiver notices the gap.
    else this.#sending.delete(to);
  }

  /** Something is due for it. */
  wake(to: NodeId): void {
    this.#dueOf(to);
  }

  /** How many items wait for it. */
  waiting(to: NodeId): number {
    return this.#due.get(to)?.length ?? 0;
  }

  /** From a timer: to whom something was said and nothing of late. */
  beat(): void {
    const nowMs = this.#ports.monotonicMs();
    for (const [to, { sentMs }] of this.#sending) if (sentMs + beatMs <= nowMs) this.wake(to);
  }

  /** The ds is gone. */
  forget(ds: NodeId): void {
    this.#sending.delete(ds);
    this.#receiving.delete(ds);
    this.#due.delete(ds);
  }

  #dueOf(to: NodeId): GroupItem[] {
    let due = this.#due.get(to);
    if (due === undefined) this.#due.set(to, (due = []));
    if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(() => this.#flush());
    }
    return due;
  }

  #flush(): void {
    this.#scheduled = false;
    const due = this.#due;
    this.#due = new Map();
    for (const [to, items] of due) {
      if (to === this.#ports.self) this.#deliver(items);
      else this.#sendTo(to, items);
    }
  }

  #deliver(items: GroupItem[]): void {
    const { self } = this.#ports;
    this.#ports.gather(self, items);
    for (const item of items) this.#ports.take(self, item);
    this.#ports.taken();
  }

  #sendTo(to: NodeId, items: GroupItem[]): void {
    const { inbox } = this.#ports;
    let sending = this.#sending.get(to);
    if (sending === undefined) {
      sending = { stream: randomUUID(), number: 0, sentMs: 0 };
      this.#sending.set(to, sending);
      this.#ports.everything(to, items);
    }
    this.#ports.gather(to, items);
    const body: Body = { stream: sending.stream, number: sending.number, items };
    sending.number += 1;
    sending.sentMs = this.#ports.monotonicMs();
    inbox.send(to, { kind: 'to', use, body });
  }

  #receive(from: NodeId, body: Body | Again): void {
    if ('again' in body) {
      this.#sending.delete(from);
      this.wake(from);
      return;
    }
    const { stream, number, items } = body;
    let receiving = this.#receiving.get(from);
    if (receiving === undefined) {
      receiving = { stream: '', next: 0, askedMs: 0 };
      this.#receiving.set(from, receiving);
    }
    if (number === 0) {
      receiving.stream = stream;
      receiving.next = 1;
      this.#ports.beginning(from);
      for (const item of items) this.#ports.take(from, item);
      this.#ports.begun(from);
      this.#ports.taken();
      return;
    }
    if (receiving.stream !== stream || receiving.next !== number) {
      this.#askAgain(from, receiving);
      return;
    }
    receiving.next += 1;
    for (const item of items) this.#ports.take(from, item);
    this.#ports.taken();
  }

  #askAgain(from: NodeId, receiving: Receiving): void {
    const nowMs = this.#ports.monotonicMs();
    receiving.stream = '';
    if (receiving.askedMs + askMs > nowMs) return;
    receiving.askedMs = nowMs;
    const body: Again = { again: true };
    this.#ports.inbox.send(from, { kind: 'to', use, body });
  }
}
