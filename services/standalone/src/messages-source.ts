// Messages, subscriptions and queues for operators, and their own publishes.
import type { DsService } from '@lmqtt/ds/service';
import type { OpsSource, PublishRequest } from '@lmqtt/ops/ops-source';

import { publishProperties } from './publish-properties.ts';

type Operators = DsService['operators'];
type Given = Parameters<Operators['publish']>[1][number];

function messageOf(request: PublishRequest): Given {
  const { topic, qos, retain, payload, expiryS } = request;
  return { topic, qos, retain, payload, expiryS, properties: publishProperties(request) };
}

export function messagesSource({
  operators,
  clients,
}: Pick<DsService, 'operators' | 'clients'>): Pick<
  OpsSource,
  'subscriptions' | 'publish' | 'retained' | 'retainedOf' | 'groups' | 'queues' | 'queue' | 'peek'
> {
  return {
    async subscriptions({ limit, after, filter }) {
      const request = { after, clientsMax: limit, filter, subscriptions: true };
      const { lines, next } = await clients(request);
      const found = lines.map(({ id, connection, subscriptionLines = [] }) => ({
        ...{ id, connected: connection !== null, lines: subscriptionLines },
      }));
      return { clients: found, next };
    },
    publish: ({ user, address }, messages) =>
      operators.publish({ user, address }, messages.map(messageOf)),
    async retained(filter, after, limit) {
      const { messages, next } = await operators.retained(filter, after, limit);
      return { messages, next: next ?? null };
    },
    retainedOf: async (topic) => (await operators.retainedOf(topic)) ?? null,
    groups: () => operators.groups(),
    queues: (after, limit, filter) => operators.queues(after, limit, filter),
    queue: (id) => operators.queue(id),
    peek: (peek) => operators.peek(peek),
  };
}
