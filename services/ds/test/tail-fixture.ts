// One ordinary queue at a broker that answers as the test says, in any order, and a tail of it.
import type { StoredMessage } from '../src/rocketmq/message/stored-message.ts';
import { StoredReader } from '../src/rocketmq/message/stored-reader.ts';
import type { PullAnswer, PullRequest } from '../src/rocketmq/remoting/requests/pull-message.ts';
import { Tail, type TailPorts } from '../src/queue-store/rocketmq/tail.ts';
import { type MovedClock, turns } from './moved-clock.ts';
import { storedBytes, textOfProperties } from './rocketmq-stored.ts';

export const pullMessages = 32;
const source = { partition: 0, queuesOf: () => [], placementOf: () => -1 };
const properties = textOfProperties([['originMqttTopic', 'a/b']]);

interface Kept {
  readonly text: string;
  readonly atMs: number;
  /** No tag that is asked for. */
  readonly isFiltered: boolean;
}

interface AskedPull {
  readonly request: PullRequest;
  readonly done: (answer: PullAnswer) => void;
}

/** A queue at a broker, and what the broker was asked. */
export class ScriptedQueue {
  readonly name = 't/broker-a/0';
  readonly topic = 't';
  readonly queueId = 0;
  readonly broker: { answers: boolean; connection: ScriptedQueue | undefined };
  up = true;
  min = 0;
  readonly kept: Kept[] = [];
  readonly asked: AskedPull[] = [];
  movedTo = -1;
  readonly #clock: MovedClock;

  constructor(clock: MovedClock) {
    this.#clock = clock;
    this.broker = { answers: true, connection: this };
  }

  tailMoved(position: number): void {
    this.movedTo = position;
  }

  store(text: string, isFiltered = false): void {
    this.kept.push({ text, isFiltered, atMs: this.#clock.nowMs() });
  }

  pull(request: PullRequest, done: (answer: PullAnswer) => void): void {
    this.asked.push({ request, done });
  }

  searchOffset(_place: object, atMs: number): Promise<number> {
    const found = this.kept.findIndex((one) => one.atMs >= atMs);
    return Promise.resolve(found === -1 ? this.kept.length : found);
  }

  /** Answers one that was asked, as a broker does that gives so many messages at most. */
  answer(at: number, messagesMax: number = pullMessages): void {
    const [pull] = this.asked.splice(at, 1);
    if (pull === undefined) return;
    const { offset, suspendMs } = pull.request;
    const [min, max] = [this.min, this.kept.length];
    if (offset < min || offset > max) {
      pull.done({
        kind: 'nothing',
        code: 21,
        next: Math.max(min, Math.min(offset, max)),
        min,
        max,
      });
      return;
    }
    if (offset === max && suspendMs > 0) {
      this.asked.splice(at, 0, pull);
      return;
    }
    const wanted = Math.min(messagesMax, pull.request.messagesMax);
    const bodies: Buffer[] = [];
    let next = offset;
    for (; next < max && bodies.length < wanted; next += 1) {
      const { text, isFiltered } = this.kept[next]!;
      if (isFiltered) continue;
      const body = Buffer.from(text);
      bodies.push(storedBytes({ topic: 't', properties, body, queueOffset: next }));
    }
    if (bodies.length === 0) {
      pull.done({ kind: 'nothing', code: next === offset ? 19 : 20, next, min, max });
      return;
    }
    pull.done({ kind: 'found', body: Buffer.concat(bodies), next, min, max });
  }

  fail(at: number): void {
    const [pull] = this.asked.splice(at, 1);
    pull?.done({ kind: 'failed', code: undefined, reason: 'no answer' });
  }

  /** The connection is lost, and what was asked over it. */
  cut(): void {
    this.up = false;
    while (this.asked.length > 0) this.fail(0);
  }
}

/** A tail over that queue, and what it has told. */
export class TailFixture {
  readonly clock: MovedClock;
  readonly queue: ScriptedQueue;
  readonly told: string[] = [];
  readonly moves: string[] = [];
  readonly failures: string[] = [];
  readonly sentOn: string[] = [];
  /** Texts of messages that other queues miss, those that are second copies. */
  readonly missed: Set<string> = new Set<string>();
  readonly copies: Set<string> = new Set<string>();
  sendOn: () => Promise<void> = () => Promise.resolve();
  gatherMs = 0;
  readonly tail: Tail;

  constructor(clock: MovedClock, position = 0, pullsMax = 4) {
    this.clock = clock;
    this.queue = new ScriptedQueue(clock);
    const settings = { tailPullsMax: pullsMax, tailSuspendMs: 15_000, tailTags: 'A' };
    const events = {
      tailMoved: (kind: string, _queue: string, from: number, to: number) => {
        this.moves.push(`${kind} ${from} ${to}`);
      },
      tailFailed: (_queue: string, reason: string) => {
        this.failures.push(reason);
      },
    };
    const ports: TailPorts = {
      options: { settings, clock, events },
      dispatch: this.#dispatch(),
      read: (body) => new StoredReader().read(body, source),
      isSuspect: (messages) => messages.some((one) => this.copies.has(textOf(one))),
      without: (messages) =>
        Promise.resolve(messages.filter((one) => !this.copies.has(textOf(one)))),
      arrived: (messages) => {
        this.told.push(...messages.map(textOf));
      },
      gatherMs: () => this.gatherMs,
    };
    this.tail = new Tail(this.queue, 1, position, ports);
  }

  /** Answers whatever is asked, until nothing more comes of it. */
  async answerAll(): Promise<void> {
    for (;;) {
      const before = `${this.queue.asked.length} ${this.tail.position}`;
      for (let at = this.queue.asked.length - 1; at >= 0; at -= 1) this.queue.answer(at);
      await turns();
      if (before === `${this.queue.asked.length} ${this.tail.position}`) return;
    }
  }

  #dispatch(): TailPorts['dispatch'] {
    const missedOf = (messages: readonly StoredMessage[]): StoredMessage[] =>
      messages.filter((one) => this.missed.has(textOf(one)));
    return {
      missed: (messages) =>
        missedOf(messages).map((stored) => ({ stored, lmqNames: [], goesHome: false })),
      send: async (missed) => {
        await this.sendOn();
        for (const { stored } of missed) this.sentOn.push(textOf(stored));
      },
      told: (messages) => {
        for (const one of missedOf(messages)) this.missed.delete(textOf(one));
      },
      moved: () => undefined,
      stop: () => undefined,
    };
  }
}

const textOf = ({ message }: StoredMessage): string => message.payload.toString();
