// Queues, and the shared groups that read them.
import type { FastifyInstance } from 'fastify';

import { localOf, type OpsSource, type RemoteSource } from './ops-source.ts';
import { Problem } from './problem.ts';
import { messageFields, payloadFields, wholeMessage } from './retained-routes.ts';
import {
  count,
  cursorOf,
  flag,
  given,
  listOf,
  orNull,
  pageOf,
  type PageQuery,
  pageQuery,
  record,
  text,
} from './schemas.ts';

const queueFields = {
  id: count,
  filter: { ...text, description: 'Topic filter; of messages to one client, $p2p/ and its id' },
  place: { ...text, description: 'Name of the queue in RocketMQ' },
  groups: count,
};

const partitionSchema = record({
  partition: count,
  first: { ...orNull('integer'), description: 'Lowest offset that can be read' },
  end: { ...orNull('integer'), description: 'null: it cannot be reached now' },
  oldestMs: orNull('number'),
});

const memberSchema = record({ clientId: text, connected: flag, inFlight: count });

const readersMax = 100;

const readerSchema = record({
  clientId: text,
  connected: flag,
  filter: text,
  backlog: { ...count, description: 'Messages up to the end, without those in flight' },
  inFlight: count,
});

interface One {
  Params: { id: number };
}

interface PeekQuery {
  partition: number;
  from: number;
  limit: number;
}

const params = {
  type: 'object',
  required: ['id'],
  properties: { id: { type: 'integer', minimum: 0 } },
};
const noQueue = 'there is no such queue';

export function addQueues(rest: FastifyInstance, from: OpsSource | RemoteSource): void {
  const source = localOf(from);
  const listSchema = {
    operationId: 'listQueues',
    summary: 'Queues that somebody holds, in the order of their filters',
    querystring: pageQuery({ filter: { type: 'string', description: 'The queue of this filter' } }),
    response: { 200: pageOf('queues', record(queueFields)) },
  };
  rest.get<{ Querystring: PageQuery & { filter?: string } }>(
    '/queues',
    { schema: listSchema },
    async ({ query }) => {
      const { limit, filter } = query;
      const queues = await source().queues(cursorOf(query) ?? '', limit, filter);
      return { queues, next: queues.length < limit ? null : (queues.at(-1)?.filter ?? null) };
    },
  );

  const oneSchema = {
    operationId: 'getQueue',
    summary: 'One queue with its ends, and its readers with what waits for them',
    description: `At most ${readersMax} readers; /subscriptions?filter= has all.`,
    params,
    response: {
      200: record({
        ...queueFields,
        partitions: listOf(partitionSchema),
        readers: listOf(readerSchema),
      }),
    },
  };
  rest.get<One>('/queues/:id', { schema: oneSchema }, async (request) => {
    const queue = await source().queue(request.params.id);
    if (queue === null) throw new Problem(404, noQueue);
    return { ...queue, readers: await readersOf(source(), queue.filter) };
  });

  const peekSchema = {
    operationId: 'peekQueue',
    summary: 'Messages of a queue as they are stored; nobody’s position moves',
    params,
    querystring: given({
      partition: { ...count, default: 0 },
      from: { ...count, default: 0, description: 'Offset' },
      limit: { type: 'integer', minimum: 1, maximum: 100, default: 10 },
    }),
    response: {
      200: record({
        messages: listOf(record({ offset: count, ...messageFields, ...payloadFields })),
        next: { ...count, description: 'Offset from which to read on' },
      }),
    },
  };
  rest.get<One & { Querystring: PeekQuery }>(
    '/queues/:id/messages',
    { schema: peekSchema },
    async ({ params: { id }, query: { partition, from: offset, limit } }) => {
      const peek = { queue: id, partition, from: offset, messagesMax: limit };
      const peeked = await source().peek(peek);
      if (peeked === null) throw new Problem(404, noQueue);
      const messages = peeked.messages.map((one) => ({
        offset: one.offset,
        ...wholeMessage(one.message),
      }));
      return { messages, next: peeked.next };
    },
  );

  const groupsSchema = {
    operationId: 'listGroups',
    summary: 'Shared groups with their members, what is out with them and how far they are behind',
    response: {
      200: record({
        groups: listOf(
          record({
            ...{ group: text, filter: text, queue: count, members: listOf(memberSchema) },
            ...{ out: count, lag: count },
          }),
        ),
      }),
    },
  };
  rest.get('/groups', { schema: groupsSchema }, async () => ({ groups: await source().groups() }));
}

async function readersOf(source: OpsSource, filter: string): Promise<object[]> {
  const page = { limit: readersMax, after: null, filter: { subscribed: filter } };
  const { clients } = await source.clients(page);
  const details = await Promise.all(clients.map(({ clientId }) => source.client(clientId)));
  return details.flatMap((detail) => {
    const found = detail?.subscriptionList.find((one) => one.filter === filter);
    if (detail === null || found === undefined) return [];
    const { backlog, inFlight } = found;
    const connected = detail.connection !== null;
    return [{ clientId: detail.clientId, connected, filter, backlog, inFlight }];
  });
}
