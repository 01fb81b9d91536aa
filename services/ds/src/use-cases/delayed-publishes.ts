import type { Clock } from '@lmqtt/common/clock';
import { type Message, messageOf } from '@lmqtt/common/message';
import { receiptRequest, type SentReceipt } from '@lmqtt/common/receipt';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { isValidTopicFilter, isWildcardFilter } from '@lmqtt/common/topic';
import type { AccessControl } from '../auth/auth-provider.ts';
import type { DsEvents } from '../events.ts';
import type { DelayedPut, DelayedStore } from '../delayed-store/delayed-store.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import { type Delay, delayOfProperties, malformedDelay, withoutDelay } from './delay.ts';

interface DelayedPublishesOptions {
  readonly store: DelayedStore;
  readonly access: AccessControl;
  readonly clock: Clock;
  readonly events: DsEvents;
  /** The longest delay. */
  readonly delayMsMax: number;
}

/** A message that is to be published later, and when. */
export interface Later extends Delay {
  readonly message: Message;
}

/** Publishes with a delay: what they ask for, and whether they may. */
export class DelayedPublishes {
  readonly store: DelayedStore;
  readonly #access: AccessControl;
  readonly #clock: Clock;
  readonly #events: DsEvents;
  readonly #delayMsMax: number;

  constructor(options: DelayedPublishesOptions) {
    this.store = options.store;
    this.#access = options.access;
    this.#clock = options.clock;
    this.#events = options.events;
    this.#delayMsMax = options.delayMsMax;
  }

  /** undefined: the message is to be published now; a number: the reason code of its refusal. */
  of(session: LiveSession, message: Message): Later | number | undefined {
    const { delayedTopic } = session;
    if (message.properties !== undefined) {
      const reasonCode = this.#judgeReceipt(session, message.properties);
      if (reasonCode !== 0) return reasonCode;
    }
    if (delayedTopic === 'malformed') return ReasonCode.topicNameInvalid;
    const nowMs = this.#clock.nowMs();
    let delay: Delay | 'malformed' | undefined;
    if (delayedTopic !== undefined) {
      const { delayMs } = delayedTopic;
      delay = { dueAtMs: nowMs + delayMs, afterMs: delayMs };
    } else if (message.properties !== undefined)
      delay = delayOfProperties(message.properties, nowMs);
    if (delay === undefined) return undefined;
    if (delay === 'malformed') return malformedDelay;
    const { dueAtMs } = delay;
    if (dueAtMs - nowMs > this.#delayMsMax) {
      this.#events.limitReached('DELAY_S_MAX');
      return ReasonCode.quotaExceeded;
    }
    // It would be over before anybody could get it.
    if (message.expiresAtMs !== 0 && message.expiresAtMs <= dueAtMs) return malformedDelay;
    const topic = delayedTopic?.topic ?? message.topic;
    return { ...delay, message: withoutDelay(message, topic) };
  }

  /** A client that asks for a receipt must be allowed to publish to its topic. */
  #judgeReceipt({ principal, clientId, peer }: LiveSession, properties: Buffer): number {
    const topic = receiptRequest(properties)?.topic;
    if (topic === undefined) return 0;
    if (!isValidTopicFilter(topic) || isWildcardFilter(topic) || topic.startsWith('$'))
      return malformedDelay;
    const mayPublish = this.#access.authorise(principal, clientId, peer.address, 'publish', topic);
    return mayPublish ? 0 : ReasonCode.notAuthorized;
  }

  /** A receipt that a cs tells, as a message that is due now: stored, and published once. */
  receiptOf({ payload, publisher }: Message): Later {
    const { to: topic, receipt } = JSON.parse(payload.toString()) as SentReceipt;
    const parts = { topic, qos: 1, retain: false, publisher } as const;
    const message = messageOf({ ...parts, payload: Buffer.from(JSON.stringify(receipt)) });
    return { dueAtMs: this.#clock.nowMs(), afterMs: 0, message };
  }

  put(batch: readonly DelayedPut[], done: () => void): void {
    this.store.put(batch, () => {
      for (const { limit } of batch) if (limit !== undefined) this.#events.limitReached(limit);
      done();
    });
  }
}
