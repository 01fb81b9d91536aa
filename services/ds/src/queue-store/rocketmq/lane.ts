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
 * The states of an append, with what has to be durable around a QoS 2 publish:
 *
 * - to intend: its intent is not stored yet; only at QoS 2
 * - intending: its intent is being stored, or the place for it asked for
 * - waiting: to be sent, or sent again
 * - sent: no answer yet
 * - refused: for certain not stored
 * - unknown: perhaps stored
 * - telling: stored for certain; its identifier is being stored; only at QoS 2
 * - stored: for certain; answered when all before it in its lane are
 * - failed: its publisher is told so, in its turn
 * - failed, intending: the same, and its intent is dropped when it is known to be stored
 *
 * Transitions:
 *
 * - to intend → intending, failed
 * - intending → waiting; to intend (the broker does not say where its queue ends); or
 *   "failed, intending"
 * - waiting → sent, failed; to intend (its topic has moved)
 * - sent → telling, stored, refused, unknown, failed
 * - refused → waiting, failed
 * - unknown → waiting (at QoS 1), refused, telling, stored, failed
 * - telling → stored
 * - failed, intending → failed
 *
 * A lane is troubled while one that it has sent is refused or unknown: it sends nothing new. It is
 * held, and sends nothing, while it waits for something else than an answer: a place to send to,
 * or what became of those that are unknown.
 */
export type SendState =
  | 'to intend'
  | 'intending'
  | 'waiting'
  | 'sent'
  | 'refused'
  | 'unknown'
  | 'telling'
  | 'stored'
  | 'failed'
  | 'failed, intending';

/** An append on its way to a broker. */
export class PendingSend {
  readonly append: Append;
  readonly batch: Batch;
  readonly lane: SendLane;
  readonly bytes: number;
  /** Monotonic: its publisher is told of a failure then. */
  readonly deadlineMs: number;
  state: SendState;
  /** Monotonic: of the last try. */
  sentMs = 0;
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

  constructor(append: Append, batch: Batch, lane: SendLane, bytes: number, deadlineMs: number) {
    this.append = append;
    this.batch = batch;
    this.lane = lane;
    this.bytes = bytes;
    this.deadlineMs = deadlineMs;
    this.state = append.inbound === undefined ? 'waiting' : 'to intend';
    this.key = append.once?.key ?? '';
  }

  /** Stored once: where nothing certain came back of a send, it is looked for. */
  get isExact(): boolean {
    return this.append.inbound !== undefined || this.append.once !== undefined;
  }

  get isFailed(): boolean {
    return this.state === 'failed' || this.state === 'failed, intending';
  }

  /** Not sent, or to be sent again. */
  get isWaiting(): boolean {
    return this.state === 'waiting' || this.state === 'to intend' || this.state === 'intending';
  }

  /** Nothing more happens to it. */
  get isSettled(): boolean {
    return this.state === 'stored' || this.isFailed;
  }
}

export class SendLane {
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
      if (send.state === 'stored' || send.state === 'telling') storedBehind = true;
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

/** QoS 0 that is in no queue: subscribers have it, the store has it for those who read RocketMQ. */
export function isPassing({ message, queues, inbound, once }: Append): boolean {
  return message.qos === 0 && queues.length === 0 && inbound === undefined && once === undefined;
}
