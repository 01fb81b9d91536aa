import type { NodeId } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import { pause } from '@lmqtt/common/pause';
import { receiptsTopic } from '@lmqtt/common/receipt';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { isBridgeState } from '@lmqtt/common/topic';
import type { Publish } from '@lmqtt/proto/link';
import { AbsentClients, type HasSession } from './absent-clients.ts';
import type { Answer, AnsweredSession } from '../sessions/answer.ts';
import type { AccessControl } from '../auth/auth-provider.ts';
import type { CsNode } from '../sessions/cs-node.ts';
import type { Outlet } from '../routing/outlet.ts';
import type { DsEvents } from '../events.ts';
import type { DelayedInbound } from '../delayed-store/delayed-store.ts';
import { DelayedAppend } from './delayed-append.ts';
import type { DelayedPublishes, Later } from './delayed-publishes.ts';
import { HeldLanes } from './held-lanes.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import type { InboundId, Once, Outcome, QueueStore } from '../queue-store/queue-store.ts';
import { OwnPublishes } from './own-publishes.ts';
import { passedOn, PendingAppend } from './pending-append.ts';
import { PublishAnswers } from './publish-answers.ts';
import { PublishChecks } from './publish-checks.ts';
import type { RetainedStore } from '../retained-store/retained-store.ts';
import type { Route, Routes } from '../routing/routes.ts';

/** How often the store is asked what became of a publish. */
const outcomeAgainMs = 100;

export interface PublisherOptions {
  readonly nodes: ReadonlyMap<NodeId, Outlet>;
  readonly access: AccessControl;
  readonly routes: Routes;
  readonly queueStore: QueueStore;
  readonly retained: RetainedStore;
  readonly delayed: DelayedPublishes;
  readonly events: DsEvents;
  /** Whether QoS 0 messages are stored like those of QoS 1. */
  readonly qos0: { readonly isQueued: boolean };
  /** Maximum number of retained messages. */
  readonly retainedMax: number;
  /** Whether the store takes every message, also one that no queue is held for. */
  readonly storesAll: boolean;
  /** Whether a client has a session anywhere; absent: who has a queue has one. */
  readonly hasSession?: HasSession | undefined;
}

/**
 * PUBLISH: who may, where to, stored, answered. The hot path: no promise, closure or await for a
 * message. The answers of one session leave in the order of its publishes [MQTT-4.6.0-2], whatever
 * the order in which the store answers; no session waits for another.
 */
export class Publisher {
  readonly #nodes: ReadonlyMap<NodeId, Outlet>;
  readonly #checks: PublishChecks;
  readonly #queueStore: QueueStore;
  readonly #retained: RetainedStore;
  readonly #delayed: DelayedPublishes;
  readonly #events: DsEvents;
  readonly #qos0: { readonly isQueued: boolean };
  readonly #storesAll: boolean;
  readonly #absent: AbsentClients | undefined;
  readonly #answers = new PublishAnswers();
  readonly #openInbound = new Map<string, PendingAppend>();
  readonly #held: HeldLanes<PendingAppend>;
  readonly #own: OwnPublishes;

  constructor(options: PublisherOptions) {
    this.#nodes = options.nodes;
    this.#checks = new PublishChecks(options);
    this.#queueStore = options.queueStore;
    this.#retained = options.retained;
    this.#delayed = options.delayed;
    this.#events = options.events;
    this.#qos0 = options.qos0;
    this.#storesAll = options.storesAll;
    if (options.hasSession !== undefined)
      this.#absent = new AbsentClients(options.hasSession, this.#answers, options.events);
    this.#held = new HeldLanes((appends) => this.#unhold(appends));
    this.#own = new OwnPublishes(options, {
      passOn: (message, route) => {
        this.#passOn(message, route);
        this.#flush();
      },
      retainedRefused: (topic) => this.#checks.retainedRefused(topic),
    });
  }

  publish(node: CsNode, batch: Publish[]): void {
    const appends: PendingAppend[] = [];
    /** At QoS 0. */
    let refused: Publish[] | undefined;
    let session: LiveSession | undefined;
    for (const publish of batch) {
      if (publish.packetId === 0 && publish.message.topic === receiptsTopic) {
        this.#receipt(node, publish);
        continue;
      }
      // Most come many at a time from one session.
      if (session === undefined || session.handle !== publish.session)
        session = node.sessions.get(publish.session);
      const { message } = publish;
      if (session === undefined) {
        // Fenced: the kick tells its cs.
        if (message.qos === 0) continue;
        publish.reasonCode = ReasonCode.sessionTakenOver;
        this.#answers.send(node, publish);
        continue;
      }
      const route = this.#checks.routeOf(session, message.topic);
      publish.reasonCode = this.#checks.reasonCodeOf(session, publish);
      if (publish.reasonCode !== 0) {
        // The answer does not name the topic. A bridge whose state is not wanted goes on.
        if (message.qos > 0) this.#answers.now(node, session, publish);
        else if (!isBridgeState(message.topic)) (refused ??= []).push(publish);
        continue;
      }
      if (message.properties !== undefined || session.delayedTopic !== undefined) {
        const later = this.#delayed.of(session, message);
        if (later !== undefined) {
          this.#delay(node, session, publish, later);
          continue;
        }
      }
      if (message.qos === 0 && !this.#qos0.isQueued) {
        this.#passOn(message, route);
        if (this.#storesAll) {
          const append = passedOn(message, session.lane);
          append.user = session.principal.user;
          if (message.retain) append.settling = session.settling.begin();
          appends.push(append);
        }
        continue;
      }
      if (session.turnedAway && message.qos > 0) {
        publish.reasonCode = ReasonCode.quotaExceeded;
        this.#answers.now(node, session, publish);
        continue;
      }
      let inbound: InboundId | undefined;
      if (message.qos === 2) {
        const { clientId, epoch } = session;
        inbound = { clientId, epoch, packetId: publish.packetId };
        if (this.#isKnown(node, session, publish, inbound)) continue;
      }
      if (route.queues.length === 0) publish.reasonCode = ReasonCode.noMatchingSubscribers;
      const answer = message.qos === 0 ? undefined : this.#answers.expect(node, session, publish);
      const append = new PendingAppend(message, route.queueIds, session.lane, inbound, answer);
      append.user = session.principal.user;
      if (inbound !== undefined && this.#holds(node, session, inbound, append)) continue;
      if (answer === undefined && message.retain) append.settling = session.settling.begin();
      if (answer !== undefined && route.absent !== undefined)
        this.#absent?.ask(route.absent, answer);
      appends.push(append);
    }
    this.#flush();
    this.#answers.sendAll();
    if (refused !== undefined)
      for (const { session, reasonCode } of refused) node.downstream.refused(session, reasonCode);
    if (appends.length > 0) this.#append(appends);
  }

  /** A receipt counts though its session has ended meanwhile, or is another's by now. */
  #receipt(node: CsNode, publish: Publish): void {
    const { message } = publish;
    const receipt = new DelayedAppend(this.#delayed.receiptOf(message), '', undefined, undefined);
    this.#delayed.put([receipt], () => {
      if (message.qos === 0) return;
      publish.reasonCode = receipt.reasonCode;
      this.#answers.send(node, publish);
      this.#answers.sendAll();
    });
  }

  /** A publish that onPublish refuses, with the reason code that it has. */
  refuse(node: CsNode, session: LiveSession, publish: Publish): void {
    const { message, reasonCode } = publish;
    this.#events.hookRefused();
    if (message.qos === 0) {
      node.downstream.refused(session.handle, reasonCode);
      return;
    }
    // Before 5.0 the connection is closed, and the client sends it again with all after it.
    if (session.protocolVersion !== 5 && reasonCode !== ReasonCode.notAuthorized)
      session.turnedAway = true;
    this.#answers.now(node, session, publish);
    this.#answers.sendAll();
  }

  /** Whether a QoS 2 publish was stored before, or is on its way, so that it is only answered. */
  #isKnown(node: CsNode, session: LiveSession, publish: Publish, inbound: InboundId): boolean {
    // Known and not released: stored before [MQTT-4.3.3-10].
    if (session.stored.hasInbound(publish.packetId)) {
      this.#answers.now(node, session, publish);
      return true;
    }
    const open = this.#openInbound.get(nameOf(inbound));
    if (open?.inbound?.epoch !== session.epoch) return false;
    (open.repeats ??= []).push(this.#answers.expect(node, session, publish));
    return true;
  }

  /** A publish whose time is to come, or the reason code of its refusal. */
  #delay(node: CsNode, session: LiveSession, publish: Publish, later: Later | number): void {
    const { qos } = publish.message;
    if (typeof later === 'number' || (session.turnedAway && qos > 0)) {
      publish.reasonCode = typeof later === 'number' ? later : ReasonCode.quotaExceeded;
      if (qos > 0) this.#answers.now(node, session, publish);
      return;
    }
    let inbound: DelayedInbound | undefined;
    if (qos === 2) {
      const { clientId, epoch, stored } = session;
      const { packetId } = publish;
      inbound = { clientId, epoch, madeEpoch: stored.madeEpoch, packetId };
      if (this.#isKnown(node, session, publish, inbound)) return;
    }
    const answer = qos === 0 ? undefined : this.#answers.expect(node, session, publish);
    const append = new DelayedAppend(later, session.lane, inbound, answer);
    if (inbound !== undefined && this.#holds(node, session, inbound, append)) return;
    this.#putDelayed(append);
  }

  #putDelayed(append: DelayedAppend): void {
    this.#delayed.put([append], () => this.#appended([append]));
  }

  /** Appends that were held go to their store. */
  #unhold(appends: PendingAppend[]): void {
    const now: PendingAppend[] = [];
    for (const append of appends) {
      if (append instanceof DelayedAppend) this.#putDelayed(append);
      else now.push(append);
    }
    if (now.length > 0) this.#append(now);
  }

  #append(appends: PendingAppend[]): void {
    this.#queueStore.append(appends, (answered) => this.#appended(answered as PendingAppend[]));
    for (const append of appends)
      if (append.message.retain && append.orderKey !== undefined) this.#retain(append);
  }

  /** A message of this ds itself: {@link OwnPublishes.publish}. */
  publishOwn(
    message: Message,
    lane: string,
    accepted: () => void,
    answered: (reasonCode: number, final: boolean) => void,
    once?: Once,
    user?: string | null,
  ): void {
    this.#own.publish(message, lane, accepted, answered, once, user);
  }

  /** QoS 0: to whoever is there, at once. */
  #passOn(message: Message, route: Route): void {
    if (message.retain && !this.#storesAll && this.#retained.admits(message))
      this.#retained.put(message, undefined);
    message.entries = route.unstored;
    for (const node of route.nodes) node.push(message);
    for (const group of route.groups) group.give(message);
  }

  #retain(append: PendingAppend): void {
    append.retained = true;
    const { answer, settling } = append;
    if (!this.#retained.admits(append.message)) {
      settling?.end();
      return;
    }
    if (answer !== undefined) answer.waiting += 1;
    this.#retained.put(append.message, append.orderKey, (reasonCode) => {
      settling?.end();
      if (answer === undefined) return;
      // 3.1.1 has no answer for it: delivered, not retained.
      const said = reasonCode === ReasonCode.quotaExceeded && answer.session.protocolVersion !== 5;
      if (reasonCode !== 0 && !said) answer.publish.reasonCode = reasonCode;
      this.#answers.came(answer);
      this.#answers.sendAll();
    });
  }

  #flush(): void {
    for (const node of this.#nodes.values()) node.flush();
  }

  /**
   * Whether it waits: an earlier connection of its session, here or at another ds, may have stored
   * it, or something before it in its lane. From now on it is the one that is on its way.
   */
  #holds(node: CsNode, session: LiveSession, inbound: InboundId, append: PendingAppend): boolean {
    const { stored, lane } = session;
    const { packetId } = inbound;
    const open = this.#openInbound.get(nameOf(inbound));
    this.#openInbound.set(nameOf(inbound), append);
    const isIntended = stored.intents.some((intent) => intent.packetId === packetId);
    if (open === undefined && !isIntended && !this.#held.has(lane)) return false;
    if (open !== undefined) {
      const settle = this.#held.hold(append);
      open.onAnswered = (reasonCode) => {
        const isOurs = reasonCode === ReasonCode.sessionTakenOver;
        if (!isOurs) this.#settled(append, reasonCode);
        settle(isOurs ? 'goes' : 'over');
      };
    } else if (isIntended) void this.#seekOutcome(node, session, append);
    else this.#held.follow(append);
    return true;
  }

  /** Nobody knows what became of it: the store is asked until it does, or nobody waits any more. */
  async #seekOutcome(node: CsNode, session: LiveSession, append: PendingAppend): Promise<void> {
    const settle = this.#held.hold(append);
    const { stored, clientId, epoch } = session;
    const packetId = append.inbound!.packetId;
    const isLive = (): boolean => node.sessions.get(session.handle) === session;
    let outcome: Outcome = 'unknown';
    while (isLive()) {
      try {
        outcome = await this.#queueStore.outcome(clientId, epoch, packetId);
      } catch (error) {
        this.#events.unexpected('outcome of a publish', error);
      }
      if (outcome !== 'unknown') break;
      await pause(outcomeAgainMs);
    }
    if (outcome !== 'unknown')
      stored.intents = stored.intents.filter((intent) => intent.packetId !== packetId);
    if (outcome === 'not stored') {
      settle('goes');
      return;
    }
    this.#settled(append, outcome === 'stored' ? 0 : ReasonCode.sessionTakenOver);
    settle('over');
  }

  /** It need not go to the store. */
  #settled(append: PendingAppend, reasonCode: number): void {
    append.reasonCode = reasonCode;
    append.retained = true;
    this.#appended([append]);
  }

  #appended(appends: PendingAppend[]): void {
    let session: AnsweredSession | undefined;
    for (const append of appends) {
      const { answer, inbound, reasonCode } = append;
      if (inbound !== undefined && this.#openInbound.get(nameOf(inbound)) === append)
        this.#openInbound.delete(nameOf(inbound));
      for (const repeat of append.repeats ?? []) {
        repeat.publish.reasonCode = toldOf(repeat, reasonCode);
        this.#answers.came(repeat);
      }
      if (reasonCode !== 0) {
        if (answer !== undefined) answer.publish.reasonCode = toldOf(answer, reasonCode);
        // Before 5.0 the connection is closed, and the client sends it again with all after it.
        if (answer !== undefined && answer.session.protocolVersion !== 5)
          answer.session.turnedAway = true;
        else if (answer !== undefined && inbound !== undefined) this.#queueStore.givenUp?.(inbound);
        if (!append.retained) append.settling?.end();
        this.#events.publishNotStored(reasonCode);
      } else {
        append.message.orderKey ??= append.orderKey;
        if (inbound !== undefined) answer?.session.stored.addInbound(inbound.packetId);
        if (append.message.retain && !append.retained) this.#retain(append);
      }
      if (answer !== undefined) {
        answer.waiting -= 1;
        // Many of one session come in a row.
        if (session !== undefined && session !== answer.session) this.#answers.release(session);
        session = answer.session;
      }
      append.onAnswered?.(reasonCode);
    }
    if (session !== undefined) this.#answers.release(session);
    this.#answers.sendAll();
  }

  /** The node is no more: nobody waits for its answers. */
  forget(node: CsNode): void {
    this.#answers.forget(node);
  }
}

/**
 * Reason code for the client of a publish that is not stored. The store's own "not authorized" is no
 * rule for this client: before 5.0 the publish would be dropped for it where ACL_DENY_PUBLISH says
 * so.
 */
function toldOf({ session }: Answer, reasonCode: number): number {
  const isOld = session.protocolVersion !== 5;
  return isOld && reasonCode === ReasonCode.notAuthorized
    ? ReasonCode.implementationSpecificError
    : reasonCode;
}

function nameOf(inbound: InboundId): string {
  return `${inbound.packetId} ${inbound.clientId}`;
}
