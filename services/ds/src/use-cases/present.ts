import { Cursor, isTime } from '@lmqtt/common/cursor';
import { type QueueId, queueName, type SessionHandle } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { nextTurn } from '@lmqtt/common/pause';
import { parseSharedFilter } from '@lmqtt/common/topic';
import type { PresentedSession, SessionWrite } from '@lmqtt/proto/link';
import type { SubscriptionState } from '@lmqtt/proto/session-state';
import type { DelayedStore } from '../delayed-store/delayed-store.ts';
import type { Bans } from './bans.ts';
import type { CsNode } from '../sessions/cs-node.ts';
import { type DisconnectPorts, endSession, takeOffNode } from './disconnect.ts';
import { inPortions, portionMax } from '@lmqtt/common/in-portions';
import { LiveSession } from '../sessions/live-session.ts';
import { principalOf, userOf } from '../auth/principal-text.ts';
import { type SessionWritePorts, writeSession } from './session-write.ts';
import type { Presentation, Presented } from '../session-store/session-store.ts';
import type { StoredSubscription } from '../session-store/stored-session.ts';
import type { SessionRights } from './session-rights.ts';
import { samePlace } from '../session-store/apply-write.ts';
import { attach } from './subscribe.ts';

export interface PresentPorts extends DisconnectPorts, SessionWritePorts {
  readonly rights: SessionRights;
  readonly bans: Bans;
  readonly delayed: DelayedStore;
  /** The queue's generation is over. */
  readonly isDropped: (queue: QueueId) => boolean;
  /** A subscription that only its cs knew: its queue is there, and held by it. */
  hold(subscription: StoredSubscription): void;
}

export type TakenUp =
  | {
      readonly kind: 'taken up';
      readonly session: LiveSession;
      /** A session of this client that another node had presented. */
      readonly displaced: LiveSession | undefined;
      /** The end of its take-up, which goes over some turns; undefined: it is done. */
      readonly rest: Promise<unknown> | undefined;
    }
  | { readonly kind: 'refused'; readonly reasonCode: number };

/** No client uses it: for what a cs is done with under an identifier that was never stored. */
const noPacketId = 0;

/**
 * One session that its cs has kept while ds was away, taken up where it is. What cs says is never
 * older than what is stored, so the store is brought to it. Many subscriptions are taken up over
 * some turns, in which its cs says nothing: it waits for the answer to all of its sessions.
 */
export function takeUp(
  ports: PresentPorts,
  node: CsNode,
  presented: PresentedSession,
  answer: Presented,
): TakenUp {
  const { clientId, epoch } = presented;
  if (answer.kind === 'claimed') return refusal(ReasonCode.sessionTakenOver);
  if (answer.kind === 'ended') return refusal(ReasonCode.serverBusy);
  const { session: stored, ended } = answer;
  const displaced = ended === undefined ? undefined : ports.live.get(clientId);
  if (displaced !== undefined) {
    takeOffNode(ports, displaced);
    displaced.end();
  }
  if (ended !== undefined) void endSession(ports, ended);
  const principal = principalOf(presented.principal);
  const session = new LiveSession(node, presented.session, epoch, stored, presented, principal);
  node.sessions.set(session.handle, session);
  ports.live.set(clientId, session);
  // Messages given to a member are restored below, before the group can give them to others.
  for (const subscription of stored.subscriptions)
    if (subscription.group !== undefined) attach(ports, session, subscription);
  ports.delayed.identified?.(clientId, stored.madeEpoch, stored.inbound);
  bringInFlightUpToDate(ports, session, presented);
  ports.rights.due(session);
  ports.bans.due(session);
  ports.groups.restoreOut(session);
  ports.owed.restore(stored);
  ports.events.takenUp(session);
  const attached = inPortions(stored.subscriptions, (subscription) => {
    if (session.closing || subscription.group !== undefined) return;
    if (!stored.persistent && parseSharedFilter(subscription.filter) === undefined)
      ports.hold(subscription);
    attach(ports, session, subscription);
  });
  const moved = bringPositionsUpToDate(ports, session, presented);
  const rest = attached && moved ? Promise.all([attached, moved]) : (attached ?? moved);
  return { kind: 'taken up', session, displaced, rest };
}

/**
 * Waits for the rest of the take-up of a session, and after many sessions of few subscriptions for
 * the next turn.
 */
export class TakeUpTurns {
  #subscriptions = 0;

  /** Undefined: the next session can be taken up at once. */
  after(taken: TakenUp): Promise<unknown> | undefined {
    if (taken.kind === 'refused') return undefined;
    if (taken.rest !== undefined) return taken.rest;
    this.#subscriptions += 1 + taken.session.stored.subscriptions.length;
    if (this.#subscriptions < portionMax) return undefined;
    this.#subscriptions = 0;
    return nextTurn();
  }
}

/** The question to the store about a presented session; about many subscriptions over turns. */
export function presentationOf(
  ports: PresentPorts,
  node: CsNode,
  { clientId, epoch, session, principal, sessionExpiryS, state }: PresentedSession,
): Presentation | Promise<Presentation> {
  const subscriptions: StoredSubscription[] = [];
  // The store knows the subscriptions of a session that it has.
  const states = sessionExpiryS > 0 ? [] : state.subscriptions;
  const rest = inPortions(states, (one) => {
    if (isKnown(ports, one)) subscriptions.push(storedOf(one));
  });
  const presentation: Presentation = {
    clientId,
    epoch,
    node: node.id,
    handle: session,
    user: userOf(principalOf(principal)),
    sessionExpiryS,
    subscriptions,
    inbound: state.inbound,
  };
  return rest === undefined ? presentation : rest.then(() => presentation);
}

function refusal(reasonCode: number): TakenUp {
  return { kind: 'refused', reasonCode };
}

/**
 * Whether a session that only its cs knows still has the subscription. One that was let go is left
 * out: its UNSUBSCRIBE or the end of the connection is on its way again.
 */
function isKnown(ports: PresentPorts, { filter, group, queue }: SubscriptionState): boolean {
  if (group !== undefined) return ports.groups.has(group);
  if (ports.isDropped(queue)) return false;
  if (ports.routes.queue(queue) !== undefined) return true;
  const named = ports.routes.named(queueName(filter));
  return named === undefined || named.id === queue;
}

function storedOf(state: SubscriptionState): StoredSubscription {
  const { filter, options, group, queue, positions, retainedAfter } = state;
  return {
    filter,
    options,
    group,
    queue,
    cursors: positions.map((position) => Cursor.from(position)),
    retainedAfter,
    live: false,
  };
}

function bringInFlightUpToDate(
  ports: PresentPorts,
  session: LiveSession,
  { state, storing }: PresentedSession,
): void {
  const { stored, handle } = session;
  const write = (one: SessionWrite): void => writeSession(ports, session, one);
  const kept = new Map(state.outbound.map((entry) => [entry.packetId, entry]));
  for (const { packetId, place } of [...stored.outbound]) {
    const now = kept.get(packetId);
    if (now === undefined || !samePlace(now.place, place))
      write({ kind: 'done', session: handle, packetId, failed: false });
  }
  for (const { packetId, qos, state: step, sequence, place, filter } of state.outbound) {
    const known = stored.outboundOf(packetId);
    if (known === undefined)
      write({ kind: 'sent', session: handle, packetId, qos, sequence, place, filter });
    if (step === 'released' && known?.state !== 'released')
      write({ kind: 'released', session: handle, packetId });
  }
  const open = new Set([...state.inbound, ...storing]);
  for (const packetId of [...stored.inbound])
    if (!open.has(packetId)) write({ kind: 'inbound-done', session: handle, packetId });
}

/** How far each subscription has come; of many, over some turns. */
function bringPositionsUpToDate(
  ports: PresentPorts,
  session: LiveSession,
  { state }: PresentedSession,
): Promise<void> | undefined {
  const { stored, handle } = session;
  if (!stored.persistent) return undefined;
  const write = (one: SessionWrite): void => writeSession(ports, session, one);
  return inPortions(state.subscriptions, (subscription) => {
    if (session.closing) return;
    const { filter, retainedAfter: after } = subscription;
    const known = stored.subscription(filter);
    if (known === undefined || known.queue !== subscription.queue) return;
    if (known.group === undefined) movePositions(handle, subscription, known, write);
    if (known.retainedAfter !== after)
      write({ kind: 'retained-cursor', session: handle, filter, after });
  });
}

function movePositions(
  session: SessionHandle,
  subscription: SubscriptionState,
  known: StoredSubscription,
  write: (one: SessionWrite) => void,
): void {
  const { queue, filter } = subscription;
  for (const { partition, start, position, done } of subscription.positions) {
    const cursor = known.cursors.find((one) => one.partition === partition);
    // The offset that is written first becomes the start.
    if (cursor !== undefined && isTime(cursor.start) && !isTime(start))
      write({ kind: 'position', session, queue, partition, position: start });
    if (!isTime(position) && (cursor === undefined || cursor.position < position))
      write({ kind: 'position', session, queue, partition, position });
    for (const offset of done) {
      if (cursor?.isDone(offset) === true) continue;
      const place = { kind: 'queue', queue, partition, offset } as const;
      const sent = { packetId: noPacketId, qos: 1, sequence: 0, place, filter } as const;
      write({ kind: 'sent', session, ...sent });
      write({ kind: 'done', session, packetId: noPacketId, failed: false });
    }
  }
}
