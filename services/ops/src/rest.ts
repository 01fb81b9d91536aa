// The REST interface: nodes and clients.
import { clientId } from '@lmqtt/common/ids';
import type { FastifyInstance } from 'fastify';

import type { Access } from './access.ts';
import type { OpsEvents } from './events.ts';
import type { OpsSource } from './ops-source.ts';

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

interface OneClient {
  Params: { id: string };
}

const noClient = { error: 'there is no such client' };

export function addRest(
  server: FastifyInstance,
  source: OpsSource,
  access: Access,
  events: OpsEvents,
): void {
  server.addHook('onRequest', async (request, reply) => {
    if (access(request.headers.authorization, request.headers.host)) return;
    events.restRefused(request.ip);
    await reply.code(401).header('www-authenticate', 'Bearer').send({ error: 'needs OPS_TOKEN' });
  });

  server.get('/nodes', async () => ({ nodes: await source.nodes() }));

  server.get<PageQuery>('/clients', { schema: pageSchema }, async (request) => {
    const { limit, after } = request.query;
    const page = { limit, after: after === undefined ? null : clientId(after) };
    const clients = await source.clients(page);
    const last = clients.length < limit ? undefined : clients.at(-1);
    return { clients, next: last?.clientId ?? null };
  });

  server.get<OneClient>('/clients/:id', async (request, reply) => {
    const client = await source.client(clientId(request.params.id));
    return client ?? reply.code(404).send(noClient);
  });

  server.delete<OneClient>('/clients/:id', async (request, reply) => {
    const id = clientId(request.params.id);
    const found = await source.disconnect(id);
    events.disconnectAsked(id, found);
    return found ? reply.code(204).send() : reply.code(404).send(noClient);
  });
}
