// The service to operators by a ds of any shape: messages, queues, shared groups.
import type { Clock } from '@lmqtt/common/clock';
import type { Message, OrderKey } from '@lmqtt/common/message';
import type { Settings } from '@lmqtt/common/settings/row';
import type { AccessControl } from '../auth/auth-provider.ts';
import { type GroupLine, groupLines } from './group-lines.ts';
import type { Groups } from './groups.ts';
import { type OperatorMessage, type OperatorUser, publishForOperator } from './operator-publish.ts';
import type { Publisher } from './publish.ts';
import {
  listQueues,
  type Peek,
  type Peeked,
  peekQueue,
  queueDetail,
  type QueueDetail,
  type QueueLine,
} from './queue-lines.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { RetainedPage, RetainedStore } from '../retained-store/retained-store.ts';
import type { Queue, Routes } from '../routing/routes.ts';

interface Published {
  readonly reasonCode: number;
  /** `null`: it is not stored. */
  readonly stored: OrderKey | null;
  readonly filters: readonly string[];
  /** Subscriptions that match; in a cluster those of clients that are connected. */
  readonly subscriptions: number;
}

export interface Operators {
  publish(operator: OperatorUser, messages: readonly OperatorMessage[]): Promise<Published[]>;
  retained(filter: string, after: string, messagesMax: number): Promise<RetainedPage>;
  /** undefined: nothing is retained for the topic. */
  retainedOf(topic: string): Promise<Message | undefined>;
  groups(): Promise<GroupLine[]>;
  queues(after: string, queuesMax: number, filter: string | undefined): Promise<QueueLine[]>;
  queue(id: number): Promise<QueueDetail | null>;
  peek(peek: Peek): Promise<Peeked | null>;
}

export interface OperatorsParts {
  readonly settings: Pick<Settings, 'maxTopicLevels' | 'maxPacketSize'>;
  readonly publisher: Publisher;
  readonly access: AccessControl;
  readonly routes: Routes;
  readonly retained: RetainedStore;
  readonly queueStore: QueueStore;
  readonly groups: Groups;
  readonly clock: Clock;
  /** Subscriptions of each queue, by the identifiers of queues; not those of groups. */
  countSubscriptions(queues: readonly Queue[]): Promise<ReadonlyMap<number, number>>;
  /** Groups of all ds. */
  allGroups(own: () => Promise<GroupLine[]>): Promise<GroupLine[]>;
}

const retainedBytesMax = 1024 * 1024;

export function operatorsOf(parts: OperatorsParts): Operators {
  const { settings, publisher, access, routes, retained, queueStore, groups, clock } = parts;
  const publishPorts = {
    ...{ publisher, access, routes, retained, clock },
    topicLevelsMax: settings.maxTopicLevels,
    packetBytesMax: settings.maxPacketSize,
  };
  return {
    async publish(operator, messages) {
      const all = await Promise.all(
        messages.map((message) => publishForOperator(publishPorts, operator, message)),
      );
      const counts = await parts.countSubscriptions(all.flatMap(({ queues }) => queues));
      return all.map(({ queues, ...published }) => ({
        ...published,
        subscriptions: queues.reduce(
          (sum, { id, groups: shared }) => sum + (counts.get(id) ?? 0) + (shared?.length ?? 0),
          0,
        ),
      }));
    },
    retained: (filter, after, messagesMax) =>
      retained.match(filter, after, messagesMax, retainedBytesMax),
    async retainedOf(topic) {
      const { messages } = await retained.match(topic, '', 1, 1);
      return messages.find((message) => message.topic === topic);
    },
    groups: () => parts.allGroups(() => groupLines(queueStore, groups.owned())),
    queues: (after, queuesMax, filter) =>
      listQueues({ routes, queueStore }, after, queuesMax, filter),
    queue: (id) => queueDetail({ routes, queueStore }, id),
    peek: (peek) => peekQueue({ routes, queueStore }, peek),
  };
}
