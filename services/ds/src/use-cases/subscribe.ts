import { isDeepStrictEqual } from 'node:util';
import { Cursor, isTime } from '@lmqtt/common/cursor';
import type { Clock } from '@lmqtt/common/clock';
import { type GroupId, type QueueId, type QueueName, queueName } from '@lmqtt/common/ids';
import { replayQueueName, type ReplayStart } from '@lmqtt/common/replay-filter';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { isP2pFilter } from '@lmqtt/common/p2p';
import { isValidTopicFilter, parseSharedFilter } from '@lmqtt/common/topic';
import type { SubscribeAnswer, SubscribeEntry } from '@lmqtt/proto/link';
import type { PartitionOffset } from '@lmqtt/proto/session-state';
import type { DsEvents } from '../events.ts';
import type { Groups } from './groups.ts';
import type { Holdings } from './holdings.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import { openGroups } from './open-groups.ts';
import type { OwedQueues } from './owed-queues.ts';
import type { PartitionEnd, QueueStore } from '../queue-store/queue-store.ts';
import {
  readsReplayQueue,
  type ReplayCursors,
  replayCursors,
  replayOf,
  replayQueueOf,
} from './replay.ts';
import type { Queue } from '../routing/routes.ts';
import type { SessionRights } from './session-rights.ts';
import type { SessionPositions } from './session-positions.ts';
import type { SessionStore } from '../session-store/session-store.ts';
import { stateOf, type StoredSubscription } from '../session-store/stored-session.ts';
import { StoreFailure } from '@lmqtt/common/store-failure';

export interface SubscribePorts {
  readonly rights: SessionRights;
  readonly holdings: Holdings;
  readonly queueStore: QueueStore;
  readonly sessionStore: SessionStore;
  readonly groups: Groups;
  readonly events: DsEvents;
  readonly subscriptionsMax: number;
  /** Maximum bytes of the filters of one session. */
  readonly subscriptionBytesMax: number;
  /** Maximum number of one session's subscriptions that one topic may match; shared ones count apart. */
  readonly overlappingMax: number;
  readonly positions?: SessionPositions;
  /** The queue of all topics, which keeps what may be replayed; absent or undefined: none does. */
  readonly replayQueue?: () => QueueId | undefined;
  readonly clock: Clock;
  /** Whether the store can hold any topic that this filter matches; absent: all can be held. */
  readonly canMatch?: (filter: string) => boolean;
}

/** A filter that may be subscribed to. */
interface Plan {
  /** With the name that the subscription has in its session. */
  readonly entry: SubscribeEntry;
  /** Where it begins, if not now. */
  readonly replay: ReplayStart | undefined;
  readonly queue: QueueName;
  /** Without `$share/{group}/`. */
  readonly filter: string;
  readonly group: string | undefined;
  readonly known: StoredSubscription | undefined;
}

/**
 * SUBSCRIBE, 3.8.4: route, barrier, positions read and stored, answer. All filters of one packet
 * are one commit. A filter that is there already keeps its position and changes its options
 * [MQTT-3.8.4-3].
 */
export async function subscribe(
  ports: SubscribePorts,
  session: LiveSession,
  entries: SubscribeEntry[],
): Promise<SubscribeAnswer[]> {
  const { stored } = session;
  let room = ports.subscriptionsMax - stored.askedCount;
  let roomBytes = ports.subscriptionBytesMax - stored.filterBytes;
  const planned = new Set<string>();
  const kinds = stored.kinds();
  let readsAll = false;
  const plans = entries.map((asked): Plan | number => {
    const plan = judge(ports, session, asked);
    if (typeof plan === 'number') return plan;
    const { entry } = plan;
    if (plan.queue === replayQueueName && plan.group === undefined) {
      if (readsAll || readsReplayQueue(session, entry.filter, ports.replayQueue?.()))
        return ReasonCode.quotaExceeded;
      readsAll = true;
    }
    if (plan.known === undefined && !planned.has(entry.filter)) {
      if (room <= 0) {
        ports.events.limitReached('MAX_SUBSCRIPTIONS_PER_SESSION');
        return ReasonCode.quotaExceeded;
      }
      const bytes = Buffer.byteLength(entry.filter);
      if (bytes > roomBytes) {
        ports.events.limitReached('MAX_SUBSCRIPTION_BYTES');
        return ReasonCode.quotaExceeded;
      }
      if (!kinds.admits(entry.filter, ports.overlappingMax)) {
        ports.events.limitReached('MAX_OVERLAPPING_SUBSCRIPTIONS');
        return ReasonCode.quotaExceeded;
      }
      kinds.add(entry.filter);
      room -= 1;
      roomBytes -= bytes;
      planned.add(entry.filter);
    }
    return plan;
  });
  const granted = plans.filter((plan): plan is Plan => typeof plan !== 'number');
  if (granted.length === 0) return plans.map((plan) => refused(plan as number));
  let queues: Queue[] = [];
  const opened: { readonly id: GroupId }[] = [];
  let ends: PartitionEnd[][];
  let made: Map<string, StoredSubscription>;
  const replays = new Map<Plan, ReplayCursors>();
  let isAttached = false;
  try {
    const wanted = granted.map(({ queue, group }) => ({ name: queue, group }));
    queues = await ports.holdings.open(wanted, session);
    // Together, since the store may wait for the disk before it says where a queue ends.
    const { comesBack } = session;
    ends = await Promise.all(
      granted.map((plan, index) => endsFor(ports, plan, queues[index]!, comesBack)),
    );
    for (const [index, plan] of granted.entries()) {
      if (plan.replay === undefined) continue;
      const { id } = queues[index]!;
      replays.set(plan, await replayCursors(ports.queueStore, id, ends[index]!, plan.replay));
    }
    made = await store(ports, session, granted, { queues, ends, replays }, opened);
    isAttached = !session.closing;
    const knownBefore = new Map(granted.map(({ entry, known }) => [entry.filter, known]));
    for (const subscription of made.values()) {
      const known = knownBefore.get(subscription.filter);
      ports.holdings.add(subscription);
      if (isAttached) attach(ports, session, subscription);
      if (known !== undefined) detach(ports, session, known);
    }
  } catch (error) {
    const failed = error instanceof StoreFailure ? error.reasonCode : ReasonCode.unspecifiedError;
    ports.events.subscribeFailed(session, error);
    return plans.map((plan) => refused(typeof plan === 'number' ? plan : failed));
  } finally {
    for (const group of opened) ports.groups.unpin(group);
    for (const queue of queues) {
      if (!isAttached) ports.holdings.unwanted(queue);
      ports.holdings.unpin(queue);
    }
  }
  ports.events.subscribed(session, made.values());
  let index = -1;
  return plans.map((plan) => {
    if (typeof plan === 'number') return refused(plan);
    const subscription = made.get(plan.entry.filter)!;
    index += 1;
    const isReplay = plan.replay !== undefined;
    const retained = !isReplay && wantsRetained(subscription, plan.known === undefined);
    const replacedAt = plan.known === undefined ? [] : offsetsOf(ends[index]!);
    const answer = { subscription: stateOf(subscription), retained, replacedAt } as const;
    if (replays.get(plan)?.isOldest !== true) return { kind: 'granted', ...answer };
    return { kind: 'granted', ...answer, note: oldestNote };
  });
}

const oldestNote = 'the replay begins at the oldest message that is kept';

function judge(ports: SubscribePorts, session: LiveSession, asked: SubscribeEntry): Plan | number {
  const replay = replayOf(asked.filter, ports.clock.nowMs());
  if (replay === 'malformed') return ReasonCode.topicFilterInvalid;
  const entry = replay === undefined ? asked : { ...asked, filter: replay.filter };
  if (!isValidTopicFilter(entry.filter)) return ReasonCode.topicFilterInvalid;
  const shared = parseSharedFilter(entry.filter);
  if (shared === 'malformed') return ReasonCode.topicFilterInvalid;
  // A group keeps its own offsets: its members get all that it has not taken, so no replay.
  if (shared !== undefined && replay !== undefined) return ReasonCode.topicFilterInvalid;
  const filter = shared?.filter ?? entry.filter;
  // Each client has its own queue without asking, and may not have another's.
  if (isP2pFilter(filter)) return ReasonCode.topicFilterInvalid;
  if (ports.canMatch?.(filter) === false) return ReasonCode.topicFilterInvalid;
  if (!ports.rights.admits(session, filter)) {
    ports.events.subscribeDenied(session, filter);
    return ReasonCode.notAuthorized;
  }
  const known = session.stored.subscription(entry.filter);
  const isKept = replay !== undefined && ports.replayQueue?.() !== undefined;
  const queue = (isKept ? replayQueueOf(filter) : undefined) ?? queueName(filter);
  return { entry, filter, group: shared?.group, known, queue, replay: replay?.start };
}

/** Where the subscriptions of a packet are and begin, by the indexes of their plans. */
interface Starts {
  readonly queues: readonly Queue[];
  readonly ends: readonly PartitionEnd[][];
  readonly replays: ReadonlyMap<Plan, ReplayCursors>;
}

/** Stores the subscriptions; where that fails, those that are new are not there. */
async function store(
  ports: SubscribePorts,
  session: LiveSession,
  plans: Plan[],
  starts: Starts,
  opened: { readonly id: GroupId }[],
): Promise<Map<string, StoredSubscription>> {
  const { stored, epoch } = session;
  const made = await prepare(ports, session, plans, starts, opened);
  try {
    const kept = await ports.sessionStore.subscribe(stored, epoch, [...made.values()]);
    if (!kept || stored.removed) throw new Error('the session has ended');
  } catch (error) {
    const added = plans.filter((plan) => plan.known === undefined);
    const filters = added.map((plan) => plan.entry.filter);
    // The same store has just failed, so a failure of this is no news.
    await ports.sessionStore.unsubscribe(stored, epoch, filters).catch(() => false);
    throw error;
  }
  return made;
}

/** The messages of the subscription come to the session from now on. */
export function attach(
  ports: Pick<SubscribePorts, 'holdings' | 'groups'>,
  session: LiveSession,
  subscription: StoredSubscription,
): void {
  if (subscription.group === undefined) ports.holdings.connect(subscription, session.node);
  else ports.groups.join(session, subscription);
}

function detach(
  ports: Pick<SubscribePorts, 'holdings' | 'groups'>,
  session: LiveSession,
  subscription: StoredSubscription,
): void {
  ports.holdings.disconnect(subscription, session.node);
  ports.holdings.remove(subscription, session.stored);
}

/** The subscriptions to store; the last of several with one filter counts. */
async function prepare(
  ports: SubscribePorts,
  session: LiveSession,
  plans: Plan[],
  { queues, ends, replays }: Starts,
  opened: { readonly id: GroupId }[],
): Promise<Map<string, StoredSubscription>> {
  const made = new Map<string, StoredSubscription>();
  const starts = await Promise.all(
    plans.map(async (plan, index) => {
      const { group, known } = plan;
      const { id } = queues[index]!;
      if (group !== undefined) return [];
      const replay = replays.get(plan);
      if (replay !== undefined) return replay.cursors;
      if (known === undefined && ports.positions !== undefined)
        return ports.positions.startOf(session, id, ends[index]!);
      return ends[index]!.map(({ partition, end }) => Cursor.at(partition, end));
    }),
  );
  const wanted = plans.map(({ group }, index) => ({ name: group, queue: queues[index]! }));
  const groups = await openGroups(ports.groups, session.stored, wanted, opened);
  for (const [index, { entry, known, replay }] of plans.entries()) {
    const queue = queues[index]!;
    const shared = groups[index];
    const cursors =
      (known?.queue === queue.id ? known.cursors : made.get(entry.filter)?.cursors) ??
      starts[index]!;
    const subscription: StoredSubscription = {
      filter: entry.filter,
      options: entry.options,
      group: shared?.id,
      queue: queue.id,
      cursors,
      retainedAfter: known?.retainedAfter,
      live: false,
    };
    if (
      shared === undefined &&
      replay === undefined &&
      wantsRetained(subscription, known === undefined)
    )
      subscription.retainedAfter = '';
    made.set(entry.filter, subscription);
  }
  return made;
}

/**
 * Ends of the queue, for a subscription that begins there or has other options from there on. Others
 * begin at an offset that must still be there.
 */
async function endsFor(
  { queueStore }: SubscribePorts,
  { entry, group, known, replay }: Plan,
  { id }: Queue,
  comesBack: boolean,
): Promise<PartitionEnd[]> {
  if (group !== undefined) return [];
  if (known?.queue === id && isDeepStrictEqual(known.options, entry.options)) return [];
  const beginsEarlier = replay !== undefined || comesBack;
  return queueStore.ends(id, beginsEarlier ? 'all' : 'without first');
}

function offsetsOf(ends: readonly PartitionEnd[]): PartitionOffset[] {
  const known = ends.filter(({ end }) => !isTime(end));
  return known.map(({ partition, end }) => ({ partition, offset: end }));
}

/** Retain handling, 3.8.3.1; shared subscriptions get none. */
function wantsRetained(subscription: StoredSubscription, isNew: boolean): boolean {
  if (subscription.group !== undefined) return false;
  const { retainHandling } = subscription.options;
  return retainHandling === 0 || (retainHandling === 1 && isNew);
}

function refused(reasonCode: number): SubscribeAnswer {
  return { kind: 'refused', reasonCode };
}

/**
 * The rules may have changed while the subscriptions were stored: one by which nothing may be read
 * any more is taken back. The answer goes out with the rules that it was judged by.
 */
export async function withdrawDenied(
  ports: SubscribePorts & UnsubscribePorts,
  session: LiveSession,
  answers: SubscribeAnswer[],
): Promise<SubscribeAnswer[]> {
  const isDenied = (answer: SubscribeAnswer): boolean =>
    answer.kind === 'granted' && !ports.rights.admits(session, answer.subscription.filter);
  let left = answers;
  while (left.some(isDenied)) {
    const denied = new Set<string>();
    left = left.map((answer) => {
      if (answer.kind === 'refused' || !isDenied(answer)) return answer;
      denied.add(answer.subscription.filter);
      return refused(ReasonCode.notAuthorized);
    });
    for (const filter of denied) ports.events.subscribeDenied(session, filter);
    await unsubscribe(ports, session, [...denied]);
  }
  return left;
}

export interface UnsubscribePorts {
  readonly holdings: Holdings;
  readonly sessionStore: SessionStore;
  readonly groups: Groups;
  readonly owed: OwedQueues;
  readonly events: DsEvents;
  readonly positions?: SessionPositions;
}

/** UNSUBSCRIBE, 3.10.4: one reason code for each filter, when stored. */
export async function unsubscribe(
  ports: UnsubscribePorts,
  session: LiveSession,
  filters: string[],
): Promise<number[]> {
  const removed = new Map<string, StoredSubscription>();
  const reasonCodes = filters.map((filter) => {
    const known = session.stored.subscription(filter);
    if (known === undefined || removed.has(filter) || isP2pFilter(filter))
      return ReasonCode.noSubscriptionExisted;
    removed.set(filter, known);
    return ReasonCode.success;
  });
  if (removed.size === 0) return reasonCodes;
  for (const { queue, group } of removed.values())
    if (group === undefined) ports.owed.keep(session.stored, queue);
  const stored = ports.sessionStore.unsubscribe(session.stored, session.epoch, [...removed.keys()]);
  for (const subscription of removed.values()) {
    if (subscription.group !== undefined) ports.groups.leave(session.stored, subscription);
    ports.positions?.unsubscribed(session.stored, subscription);
    detach(ports, session, subscription);
  }
  try {
    await stored;
  } catch (error) {
    ports.events.subscribeFailed(session, error);
    const failed = error instanceof StoreFailure ? error.reasonCode : ReasonCode.unspecifiedError;
    return reasonCodes.map((code) => (code === ReasonCode.success ? failed : code));
  }
  ports.events.unsubscribed(session, [...removed.keys()]);
  return reasonCodes;
}
