// One ordinary queue, read as it grows. Where there is nothing one long poll waits at the broker.
// Where it lags, ranges of offsets ahead are asked for at once, since an answer brings 32 messages at
// most; their answers are taken in the order of the offsets. Messages that other queues miss are
// sent on for all ranges at once; a range is told when that is done, behind those before it. The
// position is the offset below which everything was told.
import type { StoredMessage } from '../../rocketmq/message/stored-message.ts';
import { eventTag, mqttTag, producerTag } from '../../rocketmq/message/property-names.ts';
import type { BrokerConnection } from '../../rocketmq/remoting/broker-connection.ts';
import type { PullAnswer } from '../../rocketmq/remoting/requests/pull-message.ts';
import type { Copies } from './copies.ts';
import type { TailDispatch } from './dispatches.ts';
import { messageOfError } from './error-text.ts';
import type { RocketmqStoreEvents } from './events.ts';
import type { RocketmqStoreOptions, RocketmqStoreSettings } from './options.ts';
import type { OrdinaryQueue } from './ordinary-queue.ts';
import { readGroup } from './read-group.ts';

const pullMessages = 32;
/** A message that comes between a broker's look and its waiting is told only after seconds. */
const checkMs = 20;
const failedWaitMs = 200;
/**
 * How long the answer of a pull that waits may be late: a broker looks at the pulls that it holds
 * each 5 s, and later where it is busy.
 */
const heldAnswerMs = 15_000;
/** Messages stored shortly before the broker was last heard of may be those that it lost. */
const lostMarginMs = 60_000;

/** The queue that is read, and its broker as a tail sees it. */
interface TailQueue extends Pick<OrdinaryQueue, 'name' | 'topic' | 'queueId' | 'tailMoved'> {
  readonly broker: {
    readonly answers: boolean;
    readonly connection: TailConnection | undefined;
  };
}

type TailConnection = Pick<BrokerConnection, 'up' | 'pull' | 'searchOffset'>;

interface TailOptions extends Pick<RocketmqStoreOptions, 'clock' | 'allTags'> {
  readonly settings: Pick<RocketmqStoreSettings, 'tailPullsMax' | 'tailSuspendMs' | 'tailTags'>;
  readonly events: Pick<RocketmqStoreEvents, 'tailMoved' | 'tailFailed'>;
}

/** Ports that a tail needs, for its own queue where there is a choice. */
export interface TailPorts {
  readonly options: TailOptions;
  readonly dispatch: Pick<TailDispatch, 'missed' | 'send' | 'told' | 'moved' | 'stop'>;
  readonly read: (body: Buffer) => StoredMessage[];
  readonly isSuspect: Copies['isSuspect'];
  /** Without second copies. */
  readonly without: (messages: readonly StoredMessage[]) => Promise<StoredMessage[]>;
  /** In the order of the queue; told once a turn with those of other tails. */
  readonly arrived: (messages: readonly StoredMessage[]) => void;
  /** How long arrivals may gather now. */
  readonly gatherMs: () => number;
}

/** Offsets that are asked for, and what came. */
interface Range {
  /** Asked for from here. */
  next: number;
  /** Offset at which the next range begins. */
  until: number;
  readonly bodies: Buffer[];
  isDone: boolean;
  /** Without second copies; undefined: not looked at yet. */
  messages: readonly StoredMessage[] | undefined;
  /** Nothing of it has to be found out or stored any more. */
  isReady: boolean;
  /** Pulls of it that were answered. */
  answers: number;
}

export class Tail<Queue extends TailQueue = TailQueue> {
  readonly queue: Queue;
  readonly epoch: number;
  readonly #ports: TailPorts;
  readonly #dispatch: TailPorts['dispatch'];
  readonly #subscription: string;
  #position: number;
  #max = 0;
  #heardAtMs: number;
  #ranges: Range[] = [];
  /** Something is found out before the next range is looked at. */
  #isBusy = false;
  /** Ranges of which messages are sent on, those that were given up included. */
  #sending = 0;
  #isStopped = false;
  /** The next pull has waited for messages to gather. */
  #hasGathered = false;
  #timer: NodeJS.Timeout | undefined;
  #check: NodeJS.Timeout | undefined;

  constructor(queue: Queue, epoch: number, position: number, ports: TailPorts) {
    this.queue = queue;
    this.epoch = epoch;
    this.#position = position;
    this.#ports = ports;
    this.#dispatch = ports.dispatch;
    const { settings, allTags } = ports.options;
    const isWhole = allTags?.has(queue.topic) === true;
    this.#subscription = isWhole ? '*' : subscriptionOf(settings.tailTags);
    this.#heardAtMs = ports.options.clock.nowMs();
    this.#ask();
  }

  get position(): number {
    return this.#position;
  }

  get lag(): number {
    return Math.max(0, this.#max - this.#position);
  }

  get #waits(): boolean {
    return this.#isBusy || this.#sending > 0;
  }

  /** At once: nothing that is under way is told. */
  stop(): void {
    this.#isStopped = true;
    this.#dispatch.stop();
    this.#ranges = [];
    clearTimeout(this.#timer);
    clearTimeout(this.#check);
  }

  #ask(): void {
    const { tailPullsMax } = this.#ports.options.settings;
    if (this.#isStopped || this.#gathers()) return;
    if (this.queue.broker.connection?.up !== true) {
      // The log says that the broker is away, not each of its queues.
      this.#again(failedWaitMs);
      return;
    }
    while (!this.#isStopped && this.#ranges.length < tailPullsMax) {
      const next = this.#ranges.at(-1)?.until ?? this.#position;
      // Ahead only of what is there for certain: the one that waits is alone. While messages are sent on
      // others gather, and come with one answer.
      if (this.#ranges.length > 0 && next >= this.#max) return;
      const range: Range = {
        ...{ next, until: next + pullMessages, bodies: [], messages: undefined },
        ...{ isDone: false, isReady: false, answers: 0 },
      };
      this.#ranges.push(range);
      this.#pull(range);
    }
  }

  /** Asks a little later, and gets more with one answer: a pull that waits brings one message. */
  #gathers(): boolean {
    const isAtEnd = this.#ranges.length === 0 && this.#position >= this.#max;
    const waitMs = this.#isStopped || !isAtEnd || this.#hasGathered ? 0 : this.#ports.gatherMs();
    this.#hasGathered = waitMs > 0;
    if (waitMs > 0) this.#again(waitMs);
    return waitMs > 0;
  }

  /** `checks`: beside one that waits, whose answer is wanted only if there is something. */
  #pull(range: Range, checks = false): void {
    const { connection } = this.queue.broker;
    if (connection === undefined) return;
    const waits = !checks && range.next >= this.#max;
    const { answers } = range;
    const { topic, queueId } = this.queue;
    connection.pull(
      {
        group: readGroup,
        topic,
        queueId,
        offset: range.next,
        messagesMax: Math.max(1, range.until - range.next),
        suspendMs: waits ? this.#ports.options.settings.tailSuspendMs : 0,
        ...(waits ? { timeoutMs: heldAnswerMs } : {}),
        subscription: this.#subscription,
      },
      (answer) => {
        // Not those that were given up, and one of two.
        if (!this.#ranges.includes(range) || range.answers !== answers) return;
        if (checks && answer.kind !== 'found') return;
        range.answers += 1;
        clearTimeout(this.#check);
        this.#take(range, answer);
      },
    );
    if (!waits) return;
    clearTimeout(this.#check);
    this.#check = setTimeout(() => {
      if (this.#ranges.includes(range) && range.answers === answers) this.#pull(range, true);
    }, checkMs);
  }

  #take(range: Range, answer: PullAnswer): void {
    if (answer.kind === 'failed') {
      this.#failed(answer.reason);
      return;
    }
    this.#heardAtMs = this.#ports.options.clock.nowMs();
    this.#max = answer.max;
    const isMoved = answer.max < range.next || answer.min > range.next;
    if (isMoved) {
      // The head decides, with what it is answered then.
      if (range === this.#ranges[0] && !this.#waits) void this.#move(answer.min, answer.max);
      else this.#again(failedWaitMs);
      return;
    }
    const hasMoved = answer.next > range.next;
    if (answer.kind === 'found') range.bodies.push(answer.body);
    range.next = Math.max(range.next, answer.next);
    const isLast = range === this.#ranges.at(-1);
    if (isLast && (range.next >= answer.max || range.next > range.until)) range.until = range.next;
    if (range.next >= range.until) range.isDone = true;
    else if (hasMoved) this.#pull(range);
    else {
      this.#failed('nothing where something must be');
      return;
    }
    this.#deliver();
  }

  #deliver(): void {
    this.#look();
    for (;;) {
      const [range] = this.#ranges;
      if (range === undefined || !range.isReady) break;
      this.#tell(range);
    }
    this.#ask();
  }

  /** Finished ranges, in their order. */
  #look(): void {
    for (const range of this.#ranges) {
      if (this.#isBusy || !range.isDone) return;
      if (range.messages !== undefined) continue;
      const messages = this.#messagesOf(range);
      if (this.#ports.isSuspect(messages)) void this.#lookLater(range, messages);
      else this.#looked(range, messages);
    }
  }

  #looked(range: Range, messages: readonly StoredMessage[]): void {
    range.messages = messages;
    const missed = this.#dispatch.missed(messages);
    if (missed.length === 0) range.isReady = true;
    else void this.#sendOn(range, missed);
  }

  /** Without second copies. */
  async #lookLater(range: Range, messages: readonly StoredMessage[]): Promise<void> {
    this.#isBusy = true;
    try {
      const kept = await this.#ports.without(messages);
      this.#isBusy = false;
      if (this.#isStopped || !this.#ranges.includes(range)) return;
      this.#looked(range, kept);
      this.#deliver();
    } catch (error) {
      this.#isBusy = false;
      this.#failed(messageOfError(error));
    }
  }

  async #sendOn(range: Range, missed: Parameters<TailDispatch['send']>[0]): Promise<void> {
    this.#sending += 1;
    try {
      await this.#dispatch.send(missed);
      this.#sending -= 1;
      range.isReady = true;
      if (!this.#isStopped && this.#ranges[0] === range) this.#deliver();
    } catch (error) {
      this.#sending -= 1;
      if (this.#ranges.includes(range)) this.#failed(messageOfError(error));
    }
  }

  #messagesOf({ bodies, until }: Range): StoredMessage[] {
    const { read } = this.#ports;
    const [first] = bodies;
    if (first === undefined) return [];
    const messages = read(first);
    for (const body of bodies.slice(1)) messages.push(...read(body));
    // A broker that filters looks past what it was asked for: the next range has those.
    const last = messages.at(-1);
    if (last === undefined || last.queueOffset < until) return messages;
    return messages.filter(({ queueOffset }) => queueOffset < until);
  }

  #tell({ until, messages = [] }: Range): void {
    this.#ranges.shift();
    this.#position = until;
    this.#dispatch.told(messages);
    this.queue.tailMoved(until, this.#ports.options.clock.monotonicMs());
    if (messages.length > 0) this.#ports.arrived(messages);
  }

  /**
   * The broker came back without what it had not written to its disk, or has removed what was not
   * read. What came in since then is told, what is told twice does no harm.
   */
  async #move(min: number, max: number): Promise<void> {
    const from = this.#position;
    this.#isBusy = true;
    this.#ranges = [];
    let to = min;
    if (max < from) {
      const sinceMs = this.#heardAtMs - lostMarginMs;
      const found = await this.queue.broker.connection
        ?.searchOffset(this.queue, sinceMs)
        .catch(() => min);
      to = Math.max(min, Math.min(found ?? min, max));
    }
    this.#isBusy = false;
    if (this.#isStopped) return;
    const { events } = this.#ports.options;
    this.#dispatch.moved();
    events.tailMoved(max < from ? 'moved back' : 'moved on', this.queue.name, from, to);
    this.#position = to;
    this.#ask();
  }

  #failed(reason: string): void {
    const isTold = !this.#isStopped && this.queue.broker.answers;
    if (isTold) this.#ports.options.events.tailFailed(this.queue.name, reason);
    this.#again(failedWaitMs);
  }

  /** From the position, with nothing of what was asked for. */
  #again(waitMs: number): void {
    this.#ranges = [];
    clearTimeout(this.#timer);
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      // Requests under way end without a result, since their range was given up.
      if (this.#waits) this.#again(waitMs);
      else if (this.#ranges.length === 0) this.#ask();
    }, waitMs);
  }
}

/** Messages of MQTT and those meant for devices, whatever else is read. */
function subscriptionOf(tags: string): string {
  const wanted = tags.split('||').map((tag) => tag.trim());
  if (wanted.includes('*')) return '*';
  return [...new Set([mqttTag, producerTag, eventTag, ...wanted])]
    .filter((tag) => tag !== '')
    .join(' || ');
}
