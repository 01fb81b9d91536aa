// A lane keeps the order of one publisher's messages on one topic. In front are those that were
// sent (or failed before), behind them those that wait. Brokers store what is sent ahead of an
// answer in any order, so there is one send at a time, or a window of them where the broker has one
// thread.
//
// A send that was refused or lost is sent again only while none that was sent after it is stored:
// otherwise it would be stored behind it. Then its publisher is told of a failure.
import type { Append } from '../queue-store.ts';
import type { Batch } from './batches.ts';
import { noAnswer } from './refusal.ts';
import type { OrdinaryQueue, Target } from './ordinary-queue.ts';

const firstWaitMs = 10;
const longestWaitMs = 500;

/**
 * - waiting: to be sent, or sent again
 * - sent: no answer yet
 * - refused: for certain not stored
 * - unknown: perhaps stored
 * - stored: for certain; answered when all before it in its lane are
 * - failed: its publisher is told so, in its turn
 */
export type SendState = 'waiting' | 'sent' | 'refused' | 'unknown' | 'stored' | 'failed';

/** An append on its way to a broker. */
export class PendingSend {
  readonly append: Append;
  readonly batch: Batch;
  readonly lane: Lane;
  readonly bytes: number;
  /** Monotonic: its publisher is told of a failure then. */
  readonly deadlineMs: number;
  state: SendState = 'waiting';
  /** Monotonic: of the last try. */
  sentMs = 0;
  /** Progress of a QoS 2 publish: its intent is durable before the send, its identifier after. */
  inbound: 'none' | 'to intend' | 'intending' | 'intended' | 'telling' | 'told';
  /** Destination of the message; for a QoS 2 publish fixed with its intent. */
  target: Target | undefined;
  /** The run of the broker's program that it was sent to last; undefined: not known. */
  run: string | undefined;
  /** UNIQ_KEY; '': not given yet. */
  key = '';
  /** Lowest offset that a QoS 2 publish can have. */
  from = 0;
  /** Monotonic: how long it waits for the reading of its queue at the most; 0: it did not. */
  pacedUntilMs = 0;
  /** Set for a message that was sent before and may be stored a second time. */
  again = false;
  /**
   * Reason code for the publisher of a message that has waited too long: that of the last answer.
   */
  lastReasonCode: number = noAnswer.reasonCode;

  constructor(append: Append, batch: Batch, lane: Lane, bytes: number, deadlineMs: number) {
    this.append = append;
    this.batch = batch;
    this.lane = lane;
    this.bytes = bytes;
    this.deadlineMs = deadlineMs;
    this.inbound = append.inbound === undefined ? 'none' : 'to intend';
    this.key = append.once?.key ?? '';
  }

  /** Stored once: where nothing certain came back of a send, it is looked for. */
  get isExact(): boolean {
    return this.append.inbound !== undefined || this.append.once !== undefined;
  }

  /** Nothing more happens to it. */
  get isSettled(): boolean {
    if (this.state === 'failed') return true;
    return this.state === 'stored' && (this.inbound === 'none' || this.inbound === 'told');
  }
}

export class Lane {
  readonly name: string;
  readonly sends: PendingSend[] = [];
  /** How many of `sends` are not waiting. */
  begun = 0;
  /** How many of those have no answer. */
  outstanding = 0;
  /** Ordinary queue of its messages. */
  queue: OrdinaryQueue | undefined;
  /** Something other than an answer is awaited: nothing is sent. */
  held = false;
  /** Some that were sent are not stored, and have to be dealt with before the next. */
  isTroubled = false;
  /** Monotonic: the next send is not before this. */
  resumeAtMs = 0;
  #waitMs = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** The first that waits. */
  get next(): PendingSend | undefined {
    return this.sends[this.begun];
  }

  /** The longer, the more often it comes to nothing. */
  backOff(nowMs: number): void {
    this.#waitMs = Math.min(longestWaitMs, Math.max(firstWaitMs, this.#waitMs * 2));
    this.resumeAtMs = nowMs + this.#waitMs;
  }

  succeeded(): void {
    this.#waitMs = 0;
    this.resumeAtMs = 0;
  }

  /** One at a time again until one succeeds. */
  get isCautious(): boolean {
    return this.#waitMs > 0;
  }

  /** Sends that cannot be repeated any more, since a later one is stored. */
  overtaken(): PendingSend[] {
    let storedBehind = false;
    const found: PendingSend[] = [];
    for (let at = this.begun - 1; at >= 0; at -= 1) {
      const send = this.sends[at]!;
      if (send.state === 'stored') storedBehind = true;
      else if (storedBehind && (send.state === 'refused' || send.state === 'unknown'))
        found.push(send);
    }
    return found.toReversed();
  }

  /** The first that has to be sent again, when nothing is outstanding any more. */
  get firstUndone(): number {
    for (let at = 0; at < this.begun; at += 1) {
      const { state } = this.sends[at]!;
      if (state === 'refused' || state === 'unknown') return at;
    }
    return -1;
  }

  /** Sends of which it has to be found out whether they are stored, when nothing is outstanding. */
  get unsure(): PendingSend[] {
    return this.sends.filter(
      ({ state, isExact }, index) => index < this.begun && state === 'unknown' && isExact,
    );
  }

  /** Takes the send at the front, if its outcome is known. */
  takeSettled(): PendingSend | undefined {
    const first = this.sends[0];
    if (this.begun === 0 || first === undefined || !first.isSettled) return undefined;
    this.sends.shift();
    this.begun -= 1;
    return first;
  }
}
