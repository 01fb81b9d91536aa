import type { Message } from '@lmqtt/common/message';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Once, QueueStore } from '../queue-store/queue-store.ts';
import type { RetainedStore } from '../retained-store/retained-store.ts';
import type { Route, Routes } from '../routing/routes.ts';
import { passedOn, PendingAppend } from './pending-append.ts';

interface OwnPublishesPorts {
  readonly routes: Routes;
  readonly queueStore: QueueStore;
  readonly retained: RetainedStore;
  readonly qos0: { readonly isQueued: boolean };
  readonly storesAll: boolean;
}

/** Calls on the publisher of the messages of clients. */
interface PublisherCalls {
  /** At QoS 0, to those that are there. */
  passOn(message: Message, route: Route): void;
  retainedRefused(topic: string): void;
}

/** Messages that ds publishes itself: wills, delayed and repeated ones, those of operators and of the process. */
export class OwnPublishes {
  readonly #routes: Routes;
  readonly #queueStore: QueueStore;
  readonly #retained: RetainedStore;
  readonly #qos0: { readonly isQueued: boolean };
  readonly #storesAll: boolean;
  readonly #calls: PublisherCalls;

  constructor(ports: OwnPublishesPorts, calls: PublisherCalls) {
    this.#routes = ports.routes;
    this.#queueStore = ports.queueStore;
    this.#retained = ports.retained;
    this.#qos0 = ports.qos0;
    this.#storesAll = ports.storesAll;
    this.#calls = calls;
  }

  /**
   * Publishes a message. `accepted` is called at once where it goes to the store: what is added to the journal
   * then is durable with it. `answered` has the reason code, in the commit's own turn, and whether
   * a failure will be the same each time.
   */
  publish(
    message: Message,
    lane: string,
    accepted: () => void,
    answered: (reasonCode: number, final: boolean) => void,
    once?: Once,
    user?: string | null,
  ): void {
    const route = this.#routes.of(message.topic);
    if (message.qos === 0 && !this.#qos0.isQueued) {
      // QoS 0 is passed on at most once: another ds that tried before may have passed it on.
      if (once?.again !== true) {
        this.#calls.passOn(message, route);
      }
      if (!this.#storesAll) {
        answered(0, false);
        return;
      }
      const append = passedOn(message, lane);
      append.once = once;
      append.user = user ?? undefined;
      this.#append(append, answered);
      return;
    }
    const append = new PendingAppend(message, route.queueIds, lane, undefined, undefined);
    append.once = once;
    append.user = user ?? undefined;
    this.#append(append, answered);
    if (append.orderKey === undefined) return;
    accepted();
    if (!message.retain) return;
    append.retained = true;
    if (this.#admits(message)) this.#retained.put(message, append.orderKey);
  }

  #append(append: PendingAppend, answered: (reasonCode: number, final: boolean) => void): void {
    this.#queueStore.append([append], () => {
      const { reasonCode, message, retained, orderKey, final } = append;
      message.orderKey ??= orderKey;
      if (reasonCode !== 0 || !message.retain || retained || !this.#admits(message)) {
        answered(reasonCode, final);
        return;
      }
      this.#retained.put(message, orderKey, (putCode) => {
        // The will is stored and delivered, and nobody waits to hear that it is not retained.
        answered(putCode === ReasonCode.quotaExceeded ? 0 : putCode, false);
      });
    });
  }

  #admits(message: Message): boolean {
    if (this.#retained.admits(message)) return true;
    this.#calls.retainedRefused(message.topic);
    return false;
  }
}
