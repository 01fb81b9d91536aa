import { pause } from '@lmqtt/common/pause';
import { type QueueId, queueId } from '@lmqtt/common/ids';
import { failureOf, type Membership, NotMember } from './membership.ts';
import { type AliveDs, aliveOf, listOf, textOf } from './registry-reply.ts';
import { scripts } from './registry-scripts.ts';
import { entryIn, type LogEntry } from './route-entry.ts';

/** One of the script `change`, of six fields. */
type RequestFields = readonly [
  op: 'o' | 'r' | 'u',
  queue: string,
  name: string,
  place: string,
  holder: string,
  cs: string,
];

export interface Opened {
  readonly queue: QueueId;
  /** Number of the entry that has it, or of the last one before the answer. */
  readonly number: number;
}

interface Waiter {
  readonly resolve: (opened: Opened) => void;
  readonly reject: (error: Error) => void;
}

interface Request {
  readonly fields: RequestFields;
  readonly untilMs: number;
  /** Only of an opening: others are tried until they are done. */
  readonly opened: Waiter | undefined;
}

const requestsMax = 1000;
const againMs = 50;

/**
 * Changes that this ds asks for, stored in the order in which they were asked for: one request at
 * a time, with all that has gathered meanwhile. Each may be done twice, so that what was not
 * answered is simply asked for again.
 */
export class RouteRequests {
  readonly #member: Membership;
  readonly #answered: (entry: LogEntry, alive: AliveDs[]) => void;
  #waiting: Request[] = [];
  #scheduled = false;
  #held = true;
  #stopped = false;
  #idle: (() => void)[] = [];
  /** Number of the log when the last request was answered. */
  #number = 0;

  constructor(member: Membership, answered: (entry: LogEntry, alive: AliveDs[]) => void) {
    this.#member = member;
    this.#answered = answered;
  }

  open(fields: RequestFields, untilMs: number): Promise<Opened> {
    return new Promise((resolve, reject) => {
      this.#add({ fields, untilMs, opened: { resolve, reject } });
    });
  }

  ask(fields: RequestFields): void {
    this.#add({ fields, untilMs: Infinity, opened: undefined });
  }

  /** Nothing is sent until `go`. */
  hold(): void {
    this.#held = true;
  }

  go(): void {
    this.#held = false;
    this.#soon();
  }

  /** Resolves with the number of the log when all that was asked for is stored. */
  async settled(): Promise<number> {
    if (this.#waiting.length > 0 || this.#scheduled) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
    return this.#number;
  }

  stop(): void {
    this.#stopped = true;
    for (const { opened } of this.#waiting) opened?.reject(failureOf(new Error('stopped')));
    this.#waiting = [];
    this.#told();
  }

  #add(request: Request): void {
    if (this.#stopped) request.opened?.reject(failureOf(new Error('stopped')));
    else this.#waiting.push(request);
    this.#soon();
  }

  #soon(): void {
    if (this.#scheduled || this.#stopped || this.#waiting.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#stopped) {
      if (this.#held || !(await this.#send())) {
        this.#expire();
        await pause(againMs);
      }
    }
    this.#scheduled = false;
    this.#told();
  }

  #told(): void {
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }

  #expire(): void {
    const nowMs = this.#member.clock.monotonicMs();
    const expired = this.#waiting.filter(({ untilMs }) => untilMs <= nowMs);
    if (expired.length === 0) return;
    this.#waiting = this.#waiting.filter(({ untilMs }) => untilMs > nowMs);
    const failure = failureOf(new Error('not answered in time'));
    for (const { opened } of expired) opened?.reject(failure);
  }

  /** False: not answered. */
  async #send(): Promise<boolean> {
    const sent = this.#waiting.splice(0, requestsMax);
    try {
      const args = sent.flatMap(({ fields }) => fields);
      const reply = await this.#member.call(scripts.change, ...args);
      const entry = entryIn(reply);
      this.#number = entry.number;
      this.#answered(entry, aliveOf(reply[4]));
      return this.#resolve(sent, listOf(reply[5]).map(textOf));
    } catch (error) {
      this.#waiting.unshift(...sent);
      if (!(error instanceof NotMember)) this.#member.events.failed('route change', error);
      return false;
    }
  }

  /** Requests whose queue is being deleted are made again. */
  #resolve(sent: readonly Request[], queues: readonly string[]): boolean {
    const again: Request[] = [];
    let at = 0;
    for (const request of sent) {
      if (request.fields[0] !== 'o') continue;
      const queue = Number(queues[at]);
      at += 1;
      if (queue === 0) again.push(request);
      else request.opened?.resolve({ queue: queueId(queue), number: this.#number });
    }
    this.#waiting.push(...again);
    return again.length === 0;
  }
}
