// The REST interface of dead letters.
import type { FastifyInstance } from 'fastify';

import type { OpsEvents } from './events.ts';
import { localOf, type OpsSource, type RemoteSource } from './ops-source.ts';
import { Problem } from './problem.ts';
import {
  count,
  cursorOf,
  done,
  given,
  one,
  pageOf,
  type PageQuery,
  pageQuery,
  qos,
  record,
  text,
} from './schemas.ts';

const letterFields = {
  ...{ id: text, reason: text, reasonCode: count, clientId: text, filter: text, topic: text, qos },
  ...{ publisher: text, attempts: count, payloadBytes: count },
  firstAttemptAtMs: { type: 'number' },
  lastAttemptAtMs: { type: 'number' },
  deadAtMs: { type: 'number' },
};

const base64 = { type: 'string', contentEncoding: 'base64' };

interface One {
  Params: { id: string };
}

interface Replay extends One {
  Querystring: { delayMs: number };
}

const params = one('id of the dead letter');

function letterThere(isThere: boolean): void {
  if (!isThere) throw new Problem(404, 'there is no such dead letter');
}

export function addDeadLetters(
  rest: FastifyInstance,
  from: OpsSource | RemoteSource,
  events: OpsEvents,
): void {
  const letters = (): OpsSource['deadLetters'] => localOf(from)().deadLetters;
  const listSchema = {
    operationId: 'listDeadLetters',
    summary: 'Messages that could not be delivered, the oldest first',
    querystring: pageQuery(),
    response: { 200: pageOf('deadLetters', record(letterFields)) },
  };
  rest.get<{ Querystring: PageQuery }>(
    '/dead-letters',
    { schema: listSchema },
    async ({ query }) => {
      const { limit } = query;
      const deadLetters = await letters().list(cursorOf(query) ?? null, limit);
      const last = deadLetters.length < limit ? undefined : deadLetters.at(-1);
      return { deadLetters, next: last?.id ?? null };
    },
  );

  const oneSchema = {
    operationId: 'getDeadLetter',
    summary: 'One dead letter with its payload',
    params,
    response: { 200: record({ ...letterFields, payload: base64, properties: base64 }) },
  };
  rest.get<One>('/dead-letters/:id', { schema: oneSchema }, async (request) => {
    const letter = await letters().one(request.params.id);
    letterThere(letter !== null);
    return letter;
  });

  const replaySchema = {
    operationId: 'replayDeadLetter',
    summary: 'Sends a dead letter to its client again',
    params,
    querystring: given({
      delayMs: { type: 'integer', minimum: 0, maximum: 604_800_000, default: 0 },
    }),
    response: { 204: done },
  };
  rest.post<Replay>(
    '/dead-letters/:id/replay',
    { schema: replaySchema },
    async (request, reply) => {
      letterThere(await letters().replay(request.params.id, request.query.delayMs));
      events.deadLettersChanged('replay', 1);
      return reply.code(204).send();
    },
  );

  const purgeSchema = {
    operationId: 'purgeDeadLetter',
    summary: 'Removes a dead letter',
    params,
    response: { 204: done },
  };
  rest.delete<One>('/dead-letters/:id', { schema: purgeSchema }, async (request, reply) => {
    const purged = await letters().purge(request.params.id);
    letterThere(purged > 0);
    events.deadLettersChanged('purge', purged);
    return reply.code(204).send();
  });

  const purgeAllSchema = {
    operationId: 'purgeDeadLetters',
    summary: 'Removes all dead letters',
    response: { 200: record({ purged: count }) },
  };
  rest.delete('/dead-letters', { schema: purgeAllSchema }, async () => {
    const purged = await letters().purge(null);
    events.deadLettersChanged('purge', purged);
    return { purged };
  });
}
