// Clients: sessions with or without a connection.
import { type ClientId, clientId } from '@lmqtt/common/ids';
import { networkOf } from '@lmqtt/common/networks';
import { idlePause } from '@lmqtt/common/pause';
import type { FastifyInstance } from 'fastify';

import type { OpsEvents } from './events.ts';
import { type ClientFilter, localOf, type OpsSource, type RemoteSource } from './ops-source.ts';
import { Problem } from './problem.ts';
import {
  count,
  done,
  flag,
  given,
  listOf,
  one,
  orNull,
  pageMax,
  pageOf,
  type PageQuery,
  pageQuery,
  qos,
  record,
  text,
} from './schemas.ts';
import { subscriptionFields } from './subscription-routes.ts';

const connectionSchema = {
  type: ['object', 'null'],
  description: 'null: not connected',
  required: ['nodeId', 'address', 'protocolLevel', 'userName', 'keepAliveS', 'connectedAtMs'],
  properties: {
    nodeId: text,
    address: text,
    protocolLevel: { type: 'integer', description: '3, 4 (MQTT 3.1.1) or 5' },
    userName: orNull('string'),
    listener: { type: 'string' },
    keepAliveS: count,
    connectedAtMs: { type: 'number' },
  },
};

const clientFields = {
  clientId: text,
  connection: connectionSchema,
  user: { ...orNull('string'), description: 'Owner of the session; null: anonymous' },
  subscriptions: count,
  queued: { ...count, description: 'Messages that wait for it, without those in flight' },
  inflight: count,
  lost: { ...count, description: 'Messages that it was owed and lost to a limit' },
  sessionExpiryS: { ...count, description: '4294967295: never' },
};

const willSchema = {
  type: ['object', 'null'],
  required: ['topic', 'qos', 'retain', 'delayS', 'payloadBytes'],
  properties: { topic: text, qos, retain: flag, delayS: count, payloadBytes: count },
};

const partitionSchema = record({
  partition: count,
  position: { ...orNull('integer'), description: 'All before it is done with' },
  end: { ...orNull('integer'), description: 'null: it cannot be reached now' },
});

const subscriptionSchema = record({
  ...subscriptionFields,
  partitions: listOf(partitionSchema),
  backlog: { ...count, description: 'Messages up to the end, without those in flight' },
  inFlight: count,
});

const detailSchema = record({
  ...clientFields,
  createdAtMs: { type: 'number' },
  will: willSchema,
  subscriptionList: listOf(subscriptionSchema),
  inboundQos2: { ...count, description: 'QoS 2 publishes of the client that it has not released' },
  outboundQos1: count,
  outboundQos2: count,
});

const filterProperties = {
  prefix: { type: 'string', description: 'Beginning of the client identifier' },
  user: { type: 'string', description: 'Verified user; of who is away, the owner of the session' },
  node: { type: 'string', description: 'NODE_ID of the cs' },
  address: { type: 'string', description: 'Address or network (CIDR) of the connection' },
  connected: { type: 'boolean' },
  protocol: { type: 'integer', enum: [3, 4, 5], description: '4: MQTT 3.1.1' },
  subscribed: { type: 'string', description: 'A topic filter, as its subscriber has written it' },
};

interface One {
  Params: { id: string };
}

interface Bulk {
  Body: ClientFilter & { all?: boolean; ratePerS: number };
}

const params = one('Client identifier');
const noClient = 'there is no such client';

function checkFilter({ address }: ClientFilter): void {
  if (address !== undefined && networkOf(address) === undefined)
    throw new Problem(400, 'address must be an IP address or a network such as 10.0.0.0/8');
}

export function addClients(
  rest: FastifyInstance,
  from: OpsSource | RemoteSource,
  events: OpsEvents,
): void {
  const source = localOf(from);
  const listSchema = {
    operationId: 'listClients',
    summary: 'Clients in the order of their ids, connected or not',
    querystring: pageQuery(filterProperties),
    response: { 200: pageOf('clients', record(clientFields)) },
  };
  rest.get<{ Querystring: PageQuery & ClientFilter }>(
    '/clients',
    { schema: listSchema },
    async ({ query }) => {
      const { limit, cursor, after = cursor, ...filter } = query;
      checkFilter(filter);
      const place = after === undefined ? null : clientId(after);
      return source().clients({ limit, after: place, filter });
    },
  );

  const oneSchema = {
    operationId: 'getClient',
    summary: 'One client, connected or not, with its subscriptions and how far it has come',
    params,
    response: { 200: detailSchema },
  };
  rest.get<One>('/clients/:id', { schema: oneSchema }, async (request) => {
    const client = await source().client(clientId(request.params.id));
    if (client === null) throw new Problem(404, noClient);
    return client;
  });

  const historySchema = {
    operationId: 'getClientEvents',
    summary: 'The last 32 events of a client, whether or not it has a session, the oldest first',
    params,
    response: {
      200: record({
        events: listOf(record({ atMs: { type: 'number' }, event: text, detail: text })),
      }),
    },
  };
  rest.get<One>('/clients/:id/events', { schema: historySchema }, async (request) => ({
    events: await source().history(clientId(request.params.id)),
  }));

  // The client is not connected afterwards. Where only a session is left that was so before, and is
  // no error.
  const endSchema = {
    operationId: 'disconnectClient',
    summary: 'Ends the connection (5.0: 0x98); the session stays as its expiry says',
    params,
    response: { 204: done },
  };
  rest.delete<One>('/clients/:id', { schema: endSchema }, async (request, reply) => {
    const id = clientId(request.params.id);
    const isCut = await source().disconnect(id);
    const found = isCut || (await source().client(id)) !== null;
    events.disconnectAsked(id, isCut);
    if (!found) throw new Problem(404, noClient);
    return reply.code(204).send();
  });

  const removeSchema = {
    operationId: 'removeSession',
    summary: 'Ends the session, connected or not; its will is sent',
    params,
    response: { 204: done },
  };
  rest.delete<One>('/sessions/:id', { schema: removeSchema }, async (request, reply) => {
    const isRemoved = await source().removeSession(clientId(request.params.id));
    if (!isRemoved) throw new Problem(404, 'there is no such session');
    return reply.code(204).send();
  });
  addBulk(rest, source);
}

function addBulk(rest: FastifyInstance, source: () => OpsSource): void {
  const schema = {
    operationId: 'disconnectClients',
    summary: 'Disconnects all clients that a filter fits, at a rate',
    description: 'The answer tells how many there are; they are disconnected one after another.',
    body: given({
      ...filterProperties,
      all: { type: 'boolean', description: 'Wanted where there is no filter' },
      ratePerS: { type: 'integer', minimum: 1, maximum: 10_000, default: 100 },
    }),
    response: { 202: record({ clients: count }) },
  };
  const config = { subject: 'body' } as const;
  rest.post<Bulk>('/clients/disconnect', { schema, config }, async ({ body }, reply) => {
    const { all, ratePerS, ...filter } = body;
    checkFilter(filter);
    if (all !== true && Object.keys(filter).length === 0)
      throw new Problem(400, 'a filter is needed, or "all": true');
    if (filter.connected === false) throw new Problem(400, 'who is away cannot be disconnected');
    const ids = await connectedIds(source(), filter);
    void disconnectAll(source(), ids, ratePerS);
    return reply.code(202).send({ clients: ids.length });
  });
}

async function connectedIds(source: OpsSource, given: ClientFilter): Promise<ClientId[]> {
  const filter = { ...given, connected: true };
  const ids: ClientId[] = [];
  for (let after: ClientId | null = null; ;) {
    const page = await source.clients({ limit: pageMax, after, filter });
    for (const client of page.clients) ids.push(client.clientId);
    if (page.next === null) return ids;
    after = page.next;
  }
}

const portionsPerS = 10;

/** Goes on when the answer is given. A client that cannot be reached now is passed over. */
async function disconnectAll(
  source: OpsSource,
  ids: readonly ClientId[],
  ratePerS: number,
): Promise<void> {
  const portion = Math.max(1, Math.round(ratePerS / portionsPerS));
  for (let at = 0; at < ids.length; at += portion) {
    if (at > 0) await idlePause((portion / ratePerS) * 1000);
    const some = ids.slice(at, at + portion);
    await Promise.allSettled(some.map((id) => source.disconnect(id)));
  }
}
