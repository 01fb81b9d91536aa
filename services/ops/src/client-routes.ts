// Clients: sessions with or without a connection.
import { clientId } from '@lmqtt/common/ids';
import type { FastifyInstance } from 'fastify';

import type { OpsEvents } from './events.ts';
import { localOf, type OpsSource, type RemoteSource } from './ops-source.ts';
import { Problem } from './problem.ts';
import {
  count,
  cursorOf,
  done,
  one,
  orNull,
  pageOf,
  type PageQuery,
  pageQuery,
  record,
  text,
} from './schemas.ts';

const connectionSchema = {
  type: ['object', 'null'],
  description: 'null: not connected',
  required: ['nodeId', 'address', 'protocolLevel', 'userName', 'keepAliveS', 'connectedAtMs'],
  properties: {
    nodeId: text,
    address: text,
    protocolLevel: { type: 'integer', description: '3, 4 (MQTT 3.1.1) or 5' },
    userName: orNull('string'),
    keepAliveS: count,
    connectedAtMs: { type: 'number' },
  },
};

const clientFields = {
  clientId: text,
  connection: connectionSchema,
  subscriptions: count,
  queued: { ...count, description: 'Messages that wait for it, without those in flight' },
  inflight: count,
  lost: { ...count, description: 'Messages that it was owed and lost to a limit' },
  sessionExpiryS: { ...count, description: '4294967295: never' },
};

interface One {
  Params: { id: string };
}

const params = one('Client identifier');
const noClient = 'there is no such client';

export function addClients(
  rest: FastifyInstance,
  from: OpsSource | RemoteSource,
  events: OpsEvents,
): void {
  const source = localOf(from);
  const listSchema = {
    operationId: 'listClients',
    summary: 'Clients in the order of their ids',
    querystring: pageQuery(),
    response: { 200: pageOf('clients', record(clientFields)) },
  };
  rest.get<{ Querystring: PageQuery }>('/clients', { schema: listSchema }, async ({ query }) => {
    const { limit } = query;
    const after = cursorOf(query);
    const page = { limit, after: after === undefined ? null : clientId(after) };
    const clients = await source().clients(page);
    const last = clients.length < limit ? undefined : clients.at(-1);
    return { clients, next: last?.clientId ?? null };
  });

  const oneSchema = {
    operationId: 'getClient',
    summary: 'One client, connected or not',
    params,
    response: { 200: record(clientFields) },
  };
  rest.get<One>('/clients/:id', { schema: oneSchema }, async (request) => {
    const client = await source().client(clientId(request.params.id));
    if (client === null) throw new Problem(404, noClient);
    return client;
  });

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
}
