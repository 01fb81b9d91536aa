import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Publish } from '@lmqtt/proto/link';
import type { AccessControl } from '../auth/auth-provider.ts';
import type { DsEvents } from '../events.ts';
import type { RetainedStore } from '../retained-store/retained-store.ts';
import type { Route, Routes } from '../routing/routes.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import { delayedTopicOf } from './delay.ts';
import { isChanged } from './publish-hook.ts';

interface PublishChecksPorts {
  readonly access: AccessControl;
  readonly routes: Routes;
  readonly retained: RetainedStore;
  readonly events: DsEvents;
  readonly retainedMax: number;
}

/** Checks of a PUBLISH before it is stored: who may publish, where it goes, what may be retained. */
export class PublishChecks {
  readonly #access: AccessControl;
  readonly #routes: Routes;
  readonly #retained: RetainedStore;
  readonly #events: DsEvents;
  readonly #retainedMax: number;

  constructor(ports: PublishChecksPorts) {
    this.#access = ports.access;
    this.#routes = ports.routes;
    this.#retained = ports.retained;
    this.#events = ports.events;
    this.#retainedMax = ports.retainedMax;
  }

  retainedRefused(topic: string): void {
    const full = this.#retained.count >= this.#retainedMax;
    const limit = full ? 'MAX_RETAINED_MESSAGES' : 'MAX_RETAINED_BYTES';
    this.#events.retainedRefused(topic, limit);
  }

  /** Reason code of a refusal; 0: the publish is taken. */
  reasonCodeOf(session: LiveSession, publish: Publish): number {
    if (!session.topicAllowed && !isChanged(publish)) {
      this.#events.publishDenied(session, publish.message.topic);
      return ReasonCode.notAuthorized;
    }
    const { message } = publish;
    if (message.retain && !this.#retained.admits(message)) {
      this.retainedRefused(message.topic);
      // 3.1.1 and QoS 0 have no answer for it: delivered, not retained.
      if (session.protocolVersion === 5 && message.qos !== 0) return ReasonCode.quotaExceeded;
    }
    return 0;
  }

  /**
   * Queues and nodes of a topic, and whether the session may publish to it: cached for as long as
   * the session stays on the topic.
   */
  routeOf(session: LiveSession, topic: string): Route {
    if (session.topic !== topic || session.accessVersion !== this.#access.version) {
      session.topic = topic;
      const delayed = delayedTopicOf(topic);
      session.delayedTopic = delayed;
      // Rules, order and routes are of the topic that the message will have.
      const real = typeof delayed === 'object' ? delayed.topic : topic;
      session.accessVersion = this.#access.version;
      session.lane = `${session.clientId}\0${real}`;
      session.topicAllowed = this.#access.authorise(
        session.principal,
        session.clientId,
        session.peer.address,
        'publish',
        real,
      );
      session.route = undefined;
    }
    let route = session.route;
    if (route === undefined || !this.#routes.isCurrent(route)) {
      route = this.#routes.of(topic);
      session.route = route;
    }
    return route;
  }
}
