// The REST interface of dead letters.
import type { FastifyInstance } from 'fastify';

import type { OpsEvents } from './events.ts';
import type { DeadLettersSource } from './ops-source.ts';

const pageSchema = {
  querystring: {
    type: 'object',
    additionalProperties: false,
    properties: {
      limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
      after: { type: 'string' },
    },
  },
} as const;

const replaySchema = {
  querystring: {
    type: 'object',
    additionalProperties: false,
    properties: { delayMs: { type: 'integer', minimum: 0, maximum: 604_800_000, default: 0 } },
  },
} as const;

const oneSchema = { querystring: { type: 'object', additionalProperties: false } } as const;

interface PageQuery {
  Querystring: { limit: number; after?: string };
}

interface One {
  Params: { id: string };
}

interface Replay extends One {
  Querystring: { delayMs: number };
}

const noLetter = { error: 'there is no such dead letter' };

export function addDeadLetters(
  server: FastifyInstance,
  source: DeadLettersSource,
  events: OpsEvents,
): void {
  server.get<PageQuery>('/dead-letters', { schema: pageSchema }, async (request) => {
    const { limit, after } = request.query;
    const deadLetters = await source.list(after ?? null, limit);
    const last = deadLetters.length < limit ? undefined : deadLetters.at(-1);
    return { deadLetters, next: last?.id ?? null };
  });

  server.get<One>('/dead-letters/:id', { schema: oneSchema }, async (request, reply) => {
    const letter = await source.one(request.params.id);
    return letter ?? reply.code(404).send(noLetter);
  });

  server.post<Replay>(
    '/dead-letters/:id/replay',
    { schema: replaySchema },
    async (request, reply) => {
      const isThere = await source.replay(request.params.id, request.query.delayMs);
      if (!isThere) return reply.code(404).send(noLetter);
      events.deadLettersChanged('replay', 1);
      return reply.code(204).send();
    },
  );

  server.delete<One>('/dead-letters/:id', { schema: oneSchema }, async (request, reply) => {
    const purged = await source.purge(request.params.id);
    if (purged === 0) return reply.code(404).send(noLetter);
    events.deadLettersChanged('purge', purged);
    return reply.code(204).send();
  });

  server.delete('/dead-letters', { schema: oneSchema }, async () => {
    const purged = await source.purge(null);
    events.deadLettersChanged('purge', purged);
    return { purged };
  });
}
