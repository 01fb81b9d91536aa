// Subscriptions, and who would get a message.
import { type ClientId, clientId } from '@lmqtt/common/ids';
import type { FastifyInstance } from 'fastify';

import { localOf, type OpsSource, type RemoteSource } from './ops-source.ts';
import {
  count,
  flag,
  orNull,
  pageOf,
  type PageQuery,
  pageQuery,
  qos,
  record,
  text,
} from './schemas.ts';

export const subscriptionFields: Readonly<Record<string, object>> = {
  ...{ filter: text, qos, noLocal: flag, retainAsPublished: flag, retainHandling: count },
  subscriptionIdentifier: orNull('integer'),
  group: { ...orNull('string'), description: 'null: not shared' },
  queue: count,
};

interface Query extends PageQuery {
  topic?: string;
  filter?: string;
  prefix?: string;
}

export function addSubscriptions(rest: FastifyInstance, from: OpsSource | RemoteSource): void {
  const schema = {
    operationId: 'listSubscriptions',
    summary: 'Subscriptions in the order of client ids; with topic: who would get a message on it',
    description:
      'All subscriptions of a client are on one page. Of a shared group one member gets it.',
    querystring: pageQuery({
      topic: { type: 'string', description: 'Topic name that matches' },
      filter: { type: 'string', description: 'Topic filter, as its subscriber has written it' },
      prefix: { type: 'string', description: 'Beginning of the client identifier' },
    }),
    response: {
      200: pageOf(
        'subscriptions',
        record({ clientId: text, connected: flag, ...subscriptionFields }),
      ),
    },
  };
  rest.get<{ Querystring: Query }>('/subscriptions', { schema }, async ({ query }) => {
    const { limit, cursor, after = cursor, topic, filter, prefix } = query;
    const page = await localOf(from)().subscriptions({
      limit,
      after: after === undefined ? null : clientId(after),
      filter: {
        ...(topic === undefined ? {} : { topic }),
        ...(filter === undefined ? {} : { subscribed: filter }),
        ...(prefix === undefined ? {} : { prefix }),
      },
    });
    const subscriptions: object[] = [];
    let last: ClientId | null = null;
    for (const { id, connected, lines } of page.clients) {
      if (subscriptions.length > 0 && subscriptions.length + lines.length > limit) break;
      subscriptions.push(...lines.map((line) => ({ clientId: id, connected, ...line })));
      last = id;
    }
    const isCut = page.clients.length > 0 && last !== page.clients.at(-1)?.id;
    return { subscriptions, next: isCut ? last : page.next };
  });
}
