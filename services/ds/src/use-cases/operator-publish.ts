// PUBLISH of an operator, by the way of any publisher: the access rules of its user, routes, the
// store. Reason codes are those of a PUBACK (3.4.2.1).
import { clientId } from '@lmqtt/common/ids';
import type { Clock } from '@lmqtt/common/clock';
import { messageOf, type OrderKey } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';
import { internalTopics } from '@lmqtt/common/receipt';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { isValidTopicName, levelCount } from '@lmqtt/common/topic';
import type { AccessControl } from '../auth/auth-provider.ts';
import { isDelayed } from './delay.ts';
import type { Publisher } from './publish.ts';
import type { RetainedStore } from '../retained-store/retained-store.ts';
import type { Queue, Routes } from '../routing/routes.ts';

export interface OperatorMessage {
  readonly topic: string;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly payload: Buffer;
  /** As encoded in a PUBLISH of 5.0, without their length and the expiry. */
  readonly properties: Buffer | undefined;
  /** 0: it does not expire. */
  readonly expiryS: number;
}

/** Whoever publishes. */
export interface OperatorUser {
  /** `null`: access rules do not count. */
  readonly user: string | null;
  readonly address: string;
}

export interface OperatorPublished {
  readonly reasonCode: number;
  /** `null`: it is not stored. */
  readonly stored: OrderKey | null;
  /** Filters of the queues that it is for, those of shared groups among them. */
  readonly filters: readonly string[];
  readonly queues: readonly Queue[];
}

export interface OperatorPublishPorts {
  readonly publisher: Publisher;
  readonly access: AccessControl;
  readonly routes: Routes;
  readonly retained: RetainedStore;
  readonly clock: Clock;
  readonly topicLevelsMax: number;
  readonly packetBytesMax: number;
}

/** Room for the other fields of a packet. */
const headBytes = 16;

export async function publishForOperator(
  ports: OperatorPublishPorts,
  operator: OperatorUser,
  given: OperatorMessage,
): Promise<OperatorPublished> {
  const { topic, qos, retain, payload, properties, expiryS } = given;
  const expiresAtMs = expiryS > 0 ? ports.clock.nowMs() + expiryS * 1000 : 0;
  const parts = { topic, qos, retain, payload, properties, expiryS, expiresAtMs };
  const message = messageOf(parts);
  const refused = (reasonCode: number): OperatorPublished => ({
    ...{ reasonCode, stored: null, filters: [], queues: [] },
  });
  const isTopic = isValidTopicName(topic) && levelCount(topic) <= ports.topicLevelsMax;
  if (!isTopic || isDelayed(message)) return refused(ReasonCode.topicNameInvalid);
  const bytes = Buffer.byteLength(topic) + payload.length + (properties?.length ?? 0) + headBytes;
  if (bytes > ports.packetBytesMax) return refused(ReasonCode.quotaExceeded);
  if (!mayPublish(ports, operator, topic)) return refused(ReasonCode.notAuthorized);
  if (retain && !ports.retained.admits(message)) return refused(ReasonCode.quotaExceeded);
  const { queues } = ports.routes.of(topic);
  const filters = queues.map(({ name }) => name);
  const lane = `\0operator ${operator.user ?? ''}\0${topic}`;
  const reasonCode = await new Promise<number>((resolve) => {
    ports.publisher.publishOwn(message, lane, () => {}, resolve, undefined, operator.user);
  });
  return { reasonCode, stored: message.orderKey ?? null, filters, queues };
}

function mayPublish(
  { access }: OperatorPublishPorts,
  { user, address }: OperatorUser,
  topic: string,
): boolean {
  if (topic.startsWith(internalTopics) || topic.startsWith('$SYS/')) return false;
  return user === null || access.authorise({ user }, clientId(''), address, 'publish', topic);
}
