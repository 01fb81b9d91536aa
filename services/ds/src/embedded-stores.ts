import type { Clock } from '@lmqtt/common/clock';
import { type QueueId, queueName } from '@lmqtt/common/ids';
import type { Metrics } from '@lmqtt/common/metrics';
import type { Settings } from '@lmqtt/common/settings/row';
import { parseSharedFilter } from '@lmqtt/common/topic';
import type { Position } from '@lmqtt/proto/session-state';
import { countDamage } from './damage.ts';
import { EmbeddedBanStore } from './ban-store/embedded/embedded-ban-store.ts';
import { EmbeddedDelayedStore } from './delayed-store/embedded/embedded-delayed-store.ts';
import type { DsEvents } from './events.ts';
import { EmbeddedGroupStore } from './group-store/embedded/embedded-group-store.ts';
import { DiskJournal } from './journal/disk-journal.ts';
import type { Files } from './journal/files.ts';
import { EmbeddedQueueStore } from './queue-store/embedded/embedded-queue-store.ts';
import { EmbeddedRegistry } from './registry/embedded/embedded-registry.ts';
import { EmbeddedRetainedStore } from './retained-store/embedded/embedded-retained-store.ts';
import { EmbeddedRetryQueue } from './retry-queue/embedded/embedded-retry-queue.ts';
import { EmbeddedSeenClients } from './delayed-store/embedded/seen-clients.ts';
import { EmbeddedSessionStore } from './session-store/embedded/embedded-session-store.ts';
import type { StoredSubscription } from './session-store/stored-session.ts';
import type { LocalGroups } from './single/groups.ts';
import type { LocalHoldings } from './single/holdings.ts';
import type { LocalOwedQueues } from './single/owed-queues.ts';
import { RunningTime } from './single/running-time.ts';

interface EmbeddedOptions {
  readonly settings: Settings;
  readonly files?: Files;
  readonly csOutlives?: boolean;
}

/** The stores of a ds that is the only one, on one journal. */
interface EmbeddedStores {
  readonly journal: DiskJournal;
  readonly leaseClock: RunningTime;
  readonly registry: EmbeddedRegistry;
  readonly sessionStore: EmbeddedSessionStore;
  readonly groupStore: EmbeddedGroupStore;
  readonly retained: EmbeddedRetainedStore;
  readonly retryQueue: EmbeddedRetryQueue;
  readonly delayed: EmbeddedDelayedStore;
  readonly seen: EmbeddedSeenClients;
  readonly banStore: EmbeddedBanStore;
  readonly embedded: EmbeddedQueueStore;
}

/** Makes the stores; the journal is to be opened then. */
export function openEmbeddedStores(
  options: EmbeddedOptions,
  clock: Clock,
  events: DsEvents,
): EmbeddedStores {
  const { settings } = options;
  const journal = new DiskJournal(
    {
      directory: settings.dataDir,
      segmentBytes: settings.segmentBytes,
      checkpointIntervalS: settings.checkpointIntervalS,
      commitLingerUs: settings.commitLingerUs,
      commitBytesMax: settings.commitBytesMax,
      pendingAppendBytesMax: settings.pendingAppendBytesMax,
      onEvent: (event) => events.log.take(event),
    },
    options.files,
  );
  const csOutlives = options.csOutlives === true;
  const leaseClock = new RunningTime(clock, settings.leaseMs / 2);
  const registry = new EmbeddedRegistry(journal, leaseClock, {
    leaseMs: settings.leaseMs,
    csOutlives,
  });
  const sessionsMax = { total: settings.maxSessions, perUser: settings.maxSessionsPerUser };
  const sessionStore = new EmbeddedSessionStore(journal, clock, { csOutlives, sessionsMax });
  const groupStore = new EmbeddedGroupStore(journal, () => sessionStore.noteRecord());
  const retained = new EmbeddedRetainedStore(journal, clock, {
    messagesMax: settings.maxRetainedMessages,
    bytesMax: settings.maxRetainedBytes,
  });
  const retryQueue = new EmbeddedRetryQueue(journal, {
    lettersMax: settings.deadLettersMax,
    bytesMax: settings.deadLettersMaxBytes,
  });
  retryQueue.onDropped((letters) => events.deadLetters.drivenOut(letters));
  const delayed = new EmbeddedDelayedStore(journal, clock, sessionStore, {
    messagesMax: settings.maxDelayedMessages,
    bytesMax: settings.maxDelayedBytes,
  });
  const seen = new EmbeddedSeenClients(journal);
  const banStore = new EmbeddedBanStore(journal, clock, { bansMax: settings.bannedMax });
  const retention = {
    retentionBytes: settings.retentionBytes,
    retentionAgeS: settings.retentionAgeS,
  };
  const embedded = new EmbeddedQueueStore(
    journal,
    sessionStore,
    retention,
    ({ segment, position }) => events.blockDamaged(segment, position),
  );
  embedded.onDamaged((damage) => countDamage(sessionStore.sessions, events, damage));
  return {
    journal,
    leaseClock,
    registry,
    sessionStore,
    groupStore,
    retained,
    retryQueue,
    delayed,
    seen,
    banStore,
    embedded,
  };
}

export function gaugesOf(
  { sessionStore, embedded, retryQueue }: EmbeddedStores,
  metrics: Metrics,
): void {
  metrics.gauge('lmqtt_sessions', 'Sessions, connected or not', () => sessionStore.count);
  metrics.gauge(
    'lmqtt_queue_depth',
    'Messages that wait in queues; one that waits in several counts in each',
    () => embedded.depth,
  );
  metrics.gauge('lmqtt_dead_letters', 'Dead letters', () => retryQueue.count);
  metrics.gauge('lmqtt_dead_letters_bytes', 'Bytes of dead letters', () => retryQueue.bytes);
}

/**
 * Damage may have taken entries out of the log; offsets and numbers of queues that somebody knows
 * must not be given again.
 */
export function noteReached(
  { sessions }: EmbeddedSessionStore,
  { groups }: EmbeddedGroupStore,
  queueStore: EmbeddedQueueStore,
  registry: EmbeddedRegistry,
): void {
  let highest = queueStore.highestQueue;
  const note = (queue: QueueId, cursors: readonly Position[]): void => {
    highest = Math.max(highest, queue);
    for (const { position, done } of cursors) {
      queueStore.reached(queue, Math.max(position, ...done.map((offset) => offset + 1)));
    }
  };
  for (const { queue, cursors } of groups) note(queue, cursors);
  for (const { subscriptions } of sessions) {
    for (const { queue, cursors, group } of subscriptions) {
      if (group === undefined) note(queue, cursors);
    }
  }
  registry.noteQueue(highest);
}

export function* subscriptionsOf(store: EmbeddedSessionStore): Iterable<StoredSubscription> {
  for (const session of store.sessions) if (session.persistent) yield* session.subscriptions;
}

/** Routes, groups and pins are built from what is stored of sessions. */
export function restore(
  sessionStore: EmbeddedSessionStore,
  groupStore: EmbeddedGroupStore,
  retained: EmbeddedRetainedStore,
  holdings: LocalHoldings,
  groups: LocalGroups,
  owed: LocalOwedQueues,
): void {
  for (const group of groupStore.groups) {
    const filter = group.name.slice(group.name.indexOf('/') + 1);
    groups.restore(group, holdings.restore(group.queue, queueName(filter)));
  }
  for (const session of sessionStore.sessions) {
    // Sessions that ended with their connection go when the store starts.
    if (!session.persistent) continue;
    for (const subscription of session.subscriptions) {
      if (parseSharedFilter(subscription.filter) !== undefined) {
        groups.restoreMember(session, subscription);
        continue;
      }
      holdings.restore(subscription.queue, queueName(subscription.filter));
      holdings.add(subscription);
    }
    for (const { place } of session.outbound)
      if (place.kind === 'retained') retained.pin(place.topic, place.orderKey);
  }
  for (const session of sessionStore.sessions) if (session.persistent) owed.restore(session);
}
