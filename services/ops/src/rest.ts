// The REST interface: nodes, clients, dead letters and delayed messages.
import { clientId } from '@lmqtt/common/ids';
import type { FastifyInstance } from 'fastify';

import type { Access } from './access.ts';
import { addDeadLetters } from './dead-letter-routes.ts';
import type { OpsEvents } from './events.ts';
import type { NodesSource, OpsSource } from './ops-source.ts';

const pageMax = 1000;

const pageSchema = {
  querystring: {
    type: 'object',
    additionalProperties: false,
    properties: {
      limit: { type: 'integer', minimum: 1, maximum: pageMax, default: 100 },
      after: { type: 'string' },
    },
  },
} as const;

interface PageQuery {
  Querystring: { limit: number; after?: string };
}

interface One {
  Params: { id: string };
}

const nodeSchema = {
  type: 'object',
  required: ['id', 'role', 'state', 'connections'],
  properties: {
    id: { type: 'string' },
    role: { enum: ['cs', 'ds', 'standalone'] },
    state: { enum: ['alive', 'draining', 'gone'] },
    version: { type: ['string', 'null'] },
    address: { type: ['string', 'null'] },
    startedAtMs: { type: ['number', 'null'] },
    leaseAgeMs: { type: ['number', 'null'] },
    connections: { type: 'integer' },
  },
} as const;

const noQuery = { type: 'object', additionalProperties: false } as const;

const nodesSchema = {
  querystring: noQuery,
  response: {
    200: { type: 'object', properties: { nodes: { type: 'array', items: nodeSchema } } },
  },
} as const;

const oneNodeSchema = { querystring: noQuery, response: { 200: nodeSchema } } as const;
const oneClientSchema = { querystring: noQuery } as const;

const delayedPattern = '^[0-9]{1,15}$';
const afterPattern = '^[0-9]{1,15}\\.[0-9]{1,15}$';

const delayedPageSchema = {
  querystring: {
    ...pageSchema.querystring,
    properties: {
      ...pageSchema.querystring.properties,
      after: { type: 'string', pattern: afterPattern },
    },
  },
} as const;

const oneDelayedSchema = {
  querystring: noQuery,
  params: { type: 'object', properties: { id: { type: 'string', pattern: delayedPattern } } },
} as const;

const noDelayed = { error: 'no message of that id waits' };
const noNode = { error: 'there is no such node' };
const noClient = { error: 'there is no such client' };

export function addRest(
  server: FastifyInstance,
  source: NodesSource | OpsSource,
  access: Access,
  events: OpsEvents,
): void {
  server.addHook('onRequest', async (request, reply) => {
    if (access(request.headers.authorization, request.headers.host)) return;
    events.restRefused(request.ip);
    await reply.code(401).header('www-authenticate', 'Bearer').send({ error: 'needs OPS_TOKEN' });
  });

  server.get('/nodes', { schema: nodesSchema }, async () => ({ nodes: await source.nodes() }));

  server.get<One>('/nodes/:id', { schema: oneNodeSchema }, async (request, reply) => {
    const node = (await source.nodes()).find(({ id }) => id === request.params.id);
    return node ?? reply.code(404).send(noNode);
  });

  if ('clients' in source) {
    addClients(server, source, events);
    addDeadLetters(server, source.deadLetters, events);
    addDelayed(server, source, events);
  }
}

function addClients(server: FastifyInstance, source: OpsSource, events: OpsEvents): void {
  server.get<PageQuery>('/clients', { schema: pageSchema }, async (request) => {
    const { limit, after } = request.query;
    const page = { limit, after: after === undefined ? null : clientId(after) };
    const clients = await source.clients(page);
    const last = clients.length < limit ? undefined : clients.at(-1);
    return { clients, next: last?.clientId ?? null };
  });

  server.get<One>('/clients/:id', { schema: oneClientSchema }, async (request, reply) => {
    const client = await source.client(clientId(request.params.id));
    return client ?? reply.code(404).send(noClient);
  });

  // The client is not connected afterwards. Where only a session is left that was so before, and is
  // no error.
  server.delete<One>('/clients/:id', { schema: oneClientSchema }, async (request, reply) => {
    const id = clientId(request.params.id);
    const isCut = await source.disconnect(id);
    const found = isCut || (await source.client(id)) !== null;
    events.disconnectAsked(id, isCut);
    return found ? reply.code(204).send() : reply.code(404).send(noClient);
  });
}

function addDelayed(server: FastifyInstance, source: OpsSource, events: OpsEvents): void {
  server.get<PageQuery>('/delayed', { schema: delayedPageSchema }, async (request) => {
    const { limit, after } = request.query;
    const [dueAtMs, id] = after?.split('.').map(Number) ?? [];
    const place = dueAtMs === undefined || id === undefined ? undefined : { dueAtMs, id };
    const messages = await source.delayed(place, limit);
    const last = messages.length < limit ? undefined : messages.at(-1);
    return { messages, next: last === undefined ? null : `${last.dueAtMs}.${last.id}` };
  });

  server.delete<One>('/delayed/:id', { schema: oneDelayedSchema }, async (request, reply) => {
    const id = Number(request.params.id);
    const isCancelled = await source.cancelDelayed(id);
    events.delayedCancelAsked(id, isCancelled);
    return isCancelled ? reply.code(204).send() : reply.code(404).send(noDelayed);
  });
}
