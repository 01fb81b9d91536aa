import type { Clock } from '@lmqtt/common/clock';
import type { ClientId, NodeId, QueueId } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { Detours } from '../../registry/detours.ts';
import type { Inbox } from '../../registry/inbox.ts';
import type { Ownership } from '../../registry/ownership.ts';
import type { Records } from '../../registry/records.ts';
import type { TopicMappingSettings } from '../../rocketmq/mapping/topic-mapping.ts';
import type { StoredMessage } from '../../rocketmq/message/stored-message.ts';
import type { TopicTemplates } from '../../rocketmq/mapping/topic-templates.ts';
import type { RocketmqClient } from '../../rocketmq/remoting/client.ts';
import type { Intents } from '../intents.ts';
import type { InboundId } from '../queue-store.ts';
import type { RocketmqStoreEvents } from './events.ts';

/** Places of queues that the route log knows: the LMQ of each queue that is open. */
export interface QueuePlaces {
  placeOf(queue: QueueId): string | undefined;
  /** The queues that share it; where very many do, those that match the topic. */
  atPlace(lmqName: string, topic?: string): readonly QueueId[];
  /**
   * The LMQs of queues for this topic that a message with these names is not in: those of all
   * queues that match, or, not `whole`, of the buckets of queues that it names by their own names.
   * Absent: nothing is sent on.
   */
  missed?(topic: string, lmqNames: readonly string[], whole: boolean): readonly string[];
  /**
   * The LMQ in which this client finds a message of the topic that is for it alone; undefined: it has
   * no session. Absent: nothing is sent on.
   */
  ofClient?(client: ClientId, topic: string): string | undefined;
  /** Whether one of the names is that of a queue. */
  isKnown?(topic: string, lmqNames: readonly string[]): boolean;
  /** LMQs that others hold, and that a message of the topic names as well. */
  further?(topic: string, rocketTopic: string): readonly string[];
}

/** Part of the port `Nodes`, for sharing the tails. */
export interface LiveNodes {
  readonly ds: readonly { readonly id: NodeId }[];
  readonly aliveDs: ReadonlySet<NodeId>;
  onChange(listener: () => void): void;
  onLease(listener: (held: boolean) => void): void;
}

export interface RocketmqStoreSettings extends TopicMappingSettings {
  /** Queues of a topic that is created, on each broker. */
  readonly topicQueues: number;
  /** Sends of one lane that are ahead of the answer, where the broker has one send thread. */
  readonly pipelineMax: number;
  /** Topic through which messages of back ends are sent on to buckets. */
  readonly dispatchTopic: string;
  /** RocketMQ topics that no first level of an MQTT topic names: they are for something else. */
  readonly reservedTopics: readonly string[];
  /** Messages of ordinary queues that are read as they are stored: `A || B`, `*` for all. */
  readonly tailTags: string;
  /** RocketMQ topics of back ends that are read beside those that MQTT uses, separated by commas. */
  readonly tailTopics: string;
  /** How long a message waits for its broker. */
  readonly appendWaitMs: number;
  /** Maximum bytes of all messages that wait for a broker. */
  readonly pendingBytesMax: number;
  /** BROKER_GONE_MS: how long a broker is missed before its topics are placed elsewhere. */
  readonly brokerGoneMs: number;
  readonly refreshMs: number;
  readonly tailPullsMax: number;
  /** Messages that a queue may be ahead of its tail, before its publishers wait. */
  readonly tailLagMax: number;
  readonly tailSuspendMs: number;
  readonly positionSaveMs: number;
  /** Pulls of readers that are under way at one broker. */
  readonly readPullsMax: number;
  /** Stored, but flushed late or without a slave (codes 10 to 12): a failure. */
  readonly strict: boolean;
}

export const defaultStoreSettings: RocketmqStoreSettings = {
  defaultTopic: 'lmqtt',
  topicRules: '',
  topicCreate: '',
  topicQueues: 4,
  pipelineMax: 64,
  dispatchTopic: 'lmqtt-dispatch',
  reservedTopics: [],
  tailTags: '*',
  tailTopics: '',
  appendWaitMs: 20_000,
  pendingBytesMax: 64 << 20,
  brokerGoneMs: 30_000,
  refreshMs: 10_000,
  tailPullsMax: 8,
  tailLagMax: 10_000,
  tailSuspendMs: 15_000,
  positionSaveMs: 500,
  readPullsMax: 64,
  strict: false,
};

export interface RocketmqStoreOptions {
  /** The client's `mayWrite` asks for this ds's lease. */
  readonly client: RocketmqClient;
  readonly self: NodeId;
  /** For the names of consumer groups; unset: those of Java nodes. */
  readonly clusterId?: string;
  readonly nodes: LiveNodes;
  readonly ownership: Ownership;
  readonly records: Records;
  /** Absent: an MQTT topic waits for the broker of its place, though it was never published. */
  readonly detours?: Detours;
  readonly intents: Intents;
  readonly queues: QueuePlaces;
  /** Inbox by which several ds tell each other how far their tails have come. */
  readonly inbox?: Inbox;
  readonly settings: RocketmqStoreSettings;
  /** MQTT topics of messages that say none; absent: they have none. */
  readonly templates?: TopicTemplates;
  /** RocketMQ topics of which messages with all tags are read, whatever TAIL_TAGS says. */
  readonly allTags?: { has(rocketTopic: string): boolean };
  /** MQTT topics of events of clients, which have a tag of their own unless a rule gives another. */
  readonly isOfEvents?: (topic: string) => boolean;
  readonly clock: Clock;
  readonly events: RocketmqStoreEvents;
  /** The identifier is durable and not free yet. */
  readonly isStored?: (id: InboundId) => boolean;
  /**
   * Messages that were published with RETAIN, from the tails: those that a crash left out are put
   * after all.
   */
  readonly onRetained?: (messages: Message[]) => void;
  /** From the tails of this ds: what is stored in ordinary queues of a broker. */
  readonly onStored?: (messages: readonly StoredMessage[], brokerName: string) => void;
}
