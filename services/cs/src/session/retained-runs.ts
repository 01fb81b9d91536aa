import type { Message } from '@lmqtt/common/message';
import type { Subscription } from './cursor.ts';
import { LiveTopics } from './live-topics.ts';
import type { OutboundSession } from './outbound-session.ts';
import { RetainedRun } from './retained-run.ts';

/** The retained messages that a session is owed: one subscription after the other. */
export class RetainedRuns {
  readonly #session: OutboundSession;
  readonly #liveTopics: LiveTopics = new LiveTopics();
  #runs: RetainedRun[] = [];

  constructor(session: OutboundSession) {
    this.#session = session;
  }

  /** From after a topic on. */
  add(subscription: Subscription, after: string): void {
    this.#runs.push(new RetainedRun(this.#session, subscription, after, this.#liveTopics));
  }

  drop(subscription: Subscription): void {
    this.#runs = this.#runs.filter((run) => run.subscription !== subscription);
  }

  /** True when all is sent; what waits for its identifier to be stored may still be outrun. */
  pump(): boolean {
    for (let run = this.#runs[0]; run !== undefined; run = this.#runs[0]) {
      if (!run.pump()) return false;
      this.#runs.shift();
    }
    return this.#session.window.storing === 0;
  }

  /** A page waited for live messages, which have gone out by now. */
  get released(): boolean {
    return this.#runs[0]?.released === true;
  }

  /** A live message was sent. */
  wentOut(message: Message): void {
    if (!this.#liveTopics.wentOut(message)) this.#runs[0]?.readAgain();
  }

  /** A live message at QoS 0 was not sent, because the client is slow. */
  dropped(): void {
    this.#runs[0]?.outdated();
  }

  /** A retained message was about to be sent when a newer one was. */
  isOutrun(message: Message): boolean {
    return this.#liveTopics.isOutrun(message);
  }

  /** After which topic messages are owed; undefined: none are. */
  sentAfter(subscription: Subscription): string | undefined {
    // Subscribed again meanwhile, the last run has the longest way to go.
    return this.#runs.findLast((run) => run.subscription === subscription)?.sentAfter;
  }
}
