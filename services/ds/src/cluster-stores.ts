import type { Clock } from '@lmqtt/common/clock';
import { nodeId } from '@lmqtt/common/ids';
import type { Logs } from '@lmqtt/common/log';
import type { Metrics } from '@lmqtt/common/metrics';
import { addresseeOf, clientOfP2p, isP2pFilter } from '@lmqtt/common/p2p';
import { isWildcardFilter } from '@lmqtt/common/topic';
import { SettingsError } from '@lmqtt/common/settings/parse';
import type { Settings } from '@lmqtt/common/settings/row';
import { storeLeftAlone } from './cluster/left-alone.ts';
import { ClusterGroups } from './cluster/groups/cluster-groups.ts';
import type { ClusterStores } from './cluster/stores.ts';
import { RedisBanStore } from './ban-store/redis/redis-ban-store.ts';
import { JavaNodeEvents } from './java-nodes/java-events.ts';
import { JavaNodes, type JavaNodesOptions } from './java-nodes/java-nodes.ts';
import type { MetaFunctions } from './meta/meta.ts';
import { openMeta } from './meta/open-meta.ts';
import { RedisDelayedStore } from './delayed-store/redis/redis-delayed-store.ts';
import { RedisGroupStore } from './group-store/redis/redis-group-store.ts';
import { defaultStoreSettings } from './queue-store/rocketmq/options.ts';
import { RocketmqStoreEvents } from './queue-store/rocketmq/events.ts';
import { RocketmqQueueStore } from './queue-store/rocketmq/rocketmq-queue-store.ts';
import { RedisKeys } from './redis/keys.ts';
import { openCheckedRedis, untilRedisServes } from './redis/open-checked.ts';
import { openRedisRegistry } from './registry/redis/registry.ts';
import { RegistryEvents } from './registry/redis/registry-events.ts';
import { RedisRetainedStore } from './retained-store/redis/redis-retained-store.ts';
import { isStorableFilter } from './rocketmq/message/judge.ts';
import { clientSettings } from './rocketmq/client-settings.ts';
import { untilBrokersAreFit } from './rocketmq/fit-brokers.ts';
import {
  clusterDeadLetterTopic,
  clusterDefaultTopic,
  clusterDispatchTopic,
  clusterLmqName,
  clusterRetryTopic,
  plainCluster,
} from './rocketmq/names/cluster-names.ts';
import {
  bucketName,
  bucketOf,
  clientBucketName,
  isBucketName,
  wildcardBucketName,
} from './rocketmq/names/lmq-name.ts';
import { hasTagsByRule } from './rocketmq/mapping/topic-mapping.ts';
import { tailTopicsOf } from './rocketmq/mapping/tail-topics.ts';
import { TopicTemplates } from './rocketmq/mapping/topic-templates.ts';
import { RocketmqClient } from './rocketmq/remoting/client.ts';
import { RecordedRemotingEvents } from './rocketmq/remoting/recorded-events.ts';
import { RocketmqRetryQueue } from './retry-queue/rocketmq/rocketmq-retry-queue.ts';
import type { Routes } from './routing/routes.ts';
import { RedisAbsentMembers } from './session-store/redis/absent-members.ts';
import { RedisSessionStore } from './session-store/redis/redis-session-store.ts';
import { presenceLane } from './use-cases/presence-topic.ts';

interface ClusterStoresOptions {
  readonly settings: Settings;
  readonly logs: Logs;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Aborted when it is to stop before everything is there. */
  readonly stopping: AbortSignal;
  /** Functions in place of a module of META_MODULE. */
  readonly meta?: MetaFunctions | undefined;
}

/** A broker with the file store carries about 20,000, and its own. */
const fileQueuesMax = 10_000;

const requestTimeoutMs = 5000;
const noNames: readonly string[] = [];
/** Name of the lease whose holder writes to the KV configuration of the name servers. */
const javaFiltersThing = 'java-filters';
/** How often this ds tells what it left alone. */
const leftAloneMs = 5000;

/**
 * Redis and RocketMQ as the settings say, waited for where they are not there yet: the processes of
 * a cluster start in any order. Throws SettingsError where a server is there and is not fit.
 */
export async function openClusterStores(
  options: ClusterStoresOptions,
  routes: Routes,
): Promise<ClusterStores> {
  const { settings, logs, metrics, clock, stopping } = options;
  const self = nodeId(settings.nodeId);
  const templates = new TopicTemplates(settings.topicTemplates);
  const keys = new RedisKeys(settings.clusterId);
  const redis = await openCheckedRedis(options);
  const closing: (() => void | Promise<void>)[] = [() => redis.close()];
  const close = async (): Promise<void> => {
    for (let one = closing.pop(); one !== undefined; one = closing.pop()) await one();
  };
  try {
    const registryOptions = {
      ...{ redis, keys, clock },
      leaseMs: settings.leaseMs,
      events: new RegistryEvents(logs, metrics),
      detoursMax: settings.detouredTopicsMax,
    };
    const registry = await untilRedisServes(options, () => openRedisRegistry(registryOptions));
    closing.push(() => registry.close());
    const { nodes, inbox } = registry;
    const sessionsMax = { total: settings.maxSessions, perUser: settings.maxSessionsPerUser };
    const sessionStore = new RedisSessionStore({
      ...{ redis, keys, ds: self, inbox, sessionsMax },
      takenMs: 2 * settings.leaseMs,
    });
    closing.push(() => sessionStore.close());
    const retainedMax = {
      messagesMax: settings.maxRetainedMessages,
      bytesMax: settings.maxRetainedBytes,
    };
    const ownRetained = await untilRedisServes(options, () =>
      RedisRetainedStore.open(redis, keys, retainedMax),
    );
    const meta = await openMeta({ ...options, functions: options.meta }, ownRetained);
    closing.push(() => meta.close());
    await meta.load(false);
    const { retained } = meta;
    const delayed = new RedisDelayedStore({
      ...{ redis, keys, intents: sessionStore.intents, takenMs: 2 * settings.leaseMs },
      limits: { messagesMax: settings.maxDelayedMessages, bytesMax: settings.maxDelayedBytes },
    });
    closing.push(() => delayed.close());
    const banStore = await untilRedisServes(options, () =>
      RedisBanStore.open(redis, keys, { bansMax: settings.bannedMax }),
    );
    const clientOptions = {
      ...clientSettings(settings),
      clock,
      events: new RecordedRemotingEvents(logs, metrics, clock),
      requestTimeoutMs,
    };
    const retryTopics = {
      retryTopic: clusterRetryTopic(settings.clusterId),
      deadLetterTopic: settings.deadLetterTopic ?? clusterDeadLetterTopic(settings.clusterId),
    };
    const defaultTopic = settings.defaultTopic ?? clusterDefaultTopic(settings.clusterId);
    const checks = { clusterId: settings.clusterId, topic: defaultTopic };
    await untilBrokersAreFit({ client: clientOptions, checks, logs, clock, stopping });
    const client = new RocketmqClient({
      ...clientOptions,
      mayWrite: () => clock.monotonicMs() < nodes.leaseEndsMs,
    });
    closing.push(() => client.close());
    const storeEvents = new RocketmqStoreEvents(logs, metrics, clock);
    const hasTags = hasTagsByRule(settings.topicRules);
    const javaNodes = javaNodesOf(options, routes, client, {
      writes: async () => {
        const [owned] = await registry.ownership.acquire([javaFiltersThing]);
        return owned?.owner === self;
      },
      read: (topic) => queueStore.opened(topic),
      seeds: meta.seeds,
    });
    const queueStore: RocketmqQueueStore = new RocketmqQueueStore({
      client,
      self,
      clusterId: settings.clusterId,
      nodes,
      ownership: registry.ownership,
      records: registry.records,
      detours: registry.detours,
      intents: sessionStore.intents,
      inbox,
      templates,
      allTags: { has: (topic) => templates.has(topic) || hasTags(topic) },
      queues: {
        placeOf: (queue) => routes.queue(queue)?.place,
        atPlace: (lmqName, topic) =>
          topic !== undefined && isBucketName(lmqName)
            ? routes.placedFor(lmqName, topic)
            : routes.placed(lmqName),
        missed: (topic, lmqNames, whole) =>
          missedPlaces(settings.clusterId, routes, { topic, lmqNames, whole }),
        ofClient: (client, topic) => {
          const place = routes.ofClient(client)?.place;
          const isShared = place !== undefined && isBucketName(place);
          return isShared && addresseeOf(topic) !== client ? undefined : place;
        },
        isKnown: (topic, lmqNames) =>
          lmqNames.some((name) => routes.placed(name).length > 0) ||
          missedPlaces(settings.clusterId, routes, { topic, lmqNames, whole: false }).length > 0 ||
          javaNodes.mayHold(topic, lmqNames),
        further: (topic, rocketTopic) => javaNodes.namesFor(topic, rocketTopic),
      },
      settings: {
        ...defaultStoreSettings,
        defaultTopic,
        dispatchTopic: clusterDispatchTopic(settings.clusterId),
        reservedTopics: [
          ...Object.values(retryTopics),
          settings.clientRetryTopic ?? '',
          settings.eventNotifyRetryTopic ?? '',
        ],
        tailTags: settings.tailTags,
        tailTopics: tailTopicsOf(settings, templates),
        topicRules: settings.topicRules,
        topicCreate: settings.topicCreate,
        pipelineMax: settings.laneWindow,
        appendWaitMs: settings.appendWaitMs,
        brokerGoneMs: settings.brokerGoneMs,
        pendingBytesMax: settings.pendingAppendBytesMax,
        tailLagMax: settings.tailLagMax,
      },
      isOfEvents: (topic) =>
        settings.presence === 'on' &&
        (topic === settings.presenceTopic || presenceLane(topic) !== undefined),
      clock,
      events: storeEvents,
      onStored: (messages, brokerName) => javaNodes.stored(messages, brokerName),
      isStored: ({ clientId, packetId }) => sessionStore.hasInbound(clientId, packetId),
      onRetained: (messages) => {
        for (const message of messages)
          if (message.orderKey !== undefined) retained.put(message, message.orderKey);
      },
    });
    closing.push(() => queueStore.close());
    const telling = setInterval(() => {
      // Lines that are not stored now are counted in the metrics all the same.
      storeLeftAlone(redis, keys, storeEvents.leftAlone.take()).catch(() => {});
    }, leftAloneMs);
    closing.push(() => clearInterval(telling));
    const sharesBuckets = (): void => {
      queueStore.sharesBuckets().catch(() => {
        // Made with the first message that is sent on.
      });
    };
    const retryQueue = new RocketmqRetryQueue({
      ...{ client, clock },
      ...retryTopics,
      lettersMax: settings.deadLettersMax,
    });
    return {
      registry,
      sessionStore,
      retained,
      delayed,
      banStore,
      queueStore,
      retryQueue,
      positions: queueStore.positions,
      placeOf: (name) => {
        const { clusterId, lightQueuesMax, lightQueueBuckets: buckets } = settings;
        const max = lightQueuesMax ?? (queueStore.holdsManyQueues ? Infinity : fileQueuesMax);
        const own = clusterLmqName(clusterId, name);
        const client = clientOfP2p(name);
        if (client !== undefined) {
          if (routes.clientPlaceCount < max) return { own };
          sharesBuckets();
          return { own: clientBucketName(clusterId, client, buckets) };
        }
        if (isWildcardFilter(name)) return { own, shared: wildcardBucketName(clusterId, name) };
        if (routes.placeCount < max) return { own };
        sharesBuckets();
        return { own: bucketName(clusterId, bucketOf(name, buckets)) };
      },
      opened: (name, place) => {
        if (isBucketName(place) && (isP2pFilter(name) || isWildcardFilter(name))) sharesBuckets();
        if (isP2pFilter(name)) return;
        queueStore.opened(name).catch(() => {
          // Read again with the routes of RocketMQ, each few seconds.
        });
      },
      start: () => queueStore.start(),
      dropPlace: (place) => queueStore.dropPlace(place),
      others: javaNodes,
      returnedStores: () => queueStore.returnedStores(),
      get packetBytesMax() {
        return queueStore.packetBytesMax;
      },
      canMatch: isStorableFilter,
      sweepRetained: async () => ownRetained.sweep(),
      groups: (ports) =>
        new ClusterGroups({
          ...ports,
          self,
          groupStore: new RedisGroupStore(redis, keys),
          absentMembers: new RedisAbsentMembers(redis, keys),
          ownership: registry.ownership,
          inbox,
          nodes,
          routeLog: registry.routeLog,
          queueStore,
          readMessages: settings.readBatch,
        }),
      get gatherMs() {
        return queueStore.gatherMs;
      },
      get notice() {
        return queueStore.notice;
      },
      get failure() {
        if (!redis.up) return `no Redis: ${redis.reason}`;
        if (clock.monotonicMs() >= nodes.leaseEndsMs) return 'the lease of this ds has ended';
        return queueStore.failure;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function javaNodesOf(
  { settings, logs, metrics, clock }: ClusterStoresOptions,
  routes: Routes,
  client: RocketmqClient,
  ports: Pick<JavaNodesOptions, 'writes' | 'read' | 'seeds'>,
): JavaNodes {
  const { clusterId } = settings;
  if (settings.javaNodes === 'on' && clusterId !== plainCluster)
    throw new SettingsError(
      `JAVA_NODES=on needs CLUSTER_ID=${plainCluster}: Java nodes know no other names of light queues`,
    );
  return new JavaNodes({
    ...{ settings, clusterId, client, ...ports },
    hasTheirNames: clusterId === plainCluster,
    held: () => namesOf(routes.queues),
    events: new JavaNodeEvents(logs, metrics, clock),
  });
}

function* namesOf(queues: Iterable<{ readonly name: string }>): Iterable<string> {
  for (const { name } of queues) if (!isP2pFilter(name)) yield name;
}

/**
 * Places of queues for the topic that are not among the names: all of them, or, not `whole`, the
 * buckets of queues that the names stand for.
 */
function missedPlaces(
  clusterId: string,
  routes: Routes,
  of: { readonly topic: string; readonly lmqNames: readonly string[]; readonly whole: boolean },
): readonly string[] {
  const { topic, lmqNames, whole } = of;
  let missed: Set<string> | undefined;
  for (const { name, place } of routes.of(topic).queues) {
    if (place === '' || lmqNames.includes(place)) continue;
    const isNamed = isBucketName(place) && lmqNames.includes(clusterLmqName(clusterId, name));
    if (whole || isNamed) (missed ??= new Set()).add(place);
  }
  return missed === undefined ? noNames : [...missed];
}
