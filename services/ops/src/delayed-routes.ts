// Messages that wait for their time.
import type { FastifyInstance } from 'fastify';

import type { OpsEvents } from './events.ts';
import { localOf, type OpsSource, type RemoteSource } from './ops-source.ts';
import { Problem } from './problem.ts';
import {
  count,
  cursorOf,
  done,
  flag,
  pageOf,
  type PageQuery,
  pageQuery,
  qos,
  record,
  text,
} from './schemas.ts';

const idPattern = '^[0-9]{1,15}$';
const cursorPattern = '^[0-9]{1,15}\\.[0-9]{1,15}$';

const delayedSchema = record({
  ...{ id: count, topic: text, qos, retain: flag, payloadBytes: count, clientId: text },
  dueAtMs: { type: 'number' },
});

interface One {
  Params: { id: string };
}

export function addDelayed(
  rest: FastifyInstance,
  from: OpsSource | RemoteSource,
  events: OpsEvents,
): void {
  const source = localOf(from);
  const schema = {
    operationId: 'listDelayed',
    summary: 'Messages that wait for their time, the next one first',
    querystring: pageQuery({}, { type: 'string', pattern: cursorPattern }),
    response: { 200: pageOf('messages', delayedSchema) },
  };
  rest.get<{ Querystring: PageQuery }>('/delayed', { schema }, async ({ query }) => {
    const { limit } = query;
    const [dueAtMs, id] = cursorOf(query)?.split('.').map(Number) ?? [];
    const place = dueAtMs === undefined || id === undefined ? undefined : { dueAtMs, id };
    const messages = await source().delayed(place, limit);
    const last = messages.length < limit ? undefined : messages.at(-1);
    return { messages, next: last === undefined ? null : `${last.dueAtMs}.${last.id}` };
  });

  const oneSchema = {
    operationId: 'cancelDelayed',
    summary: 'Cancels a message that waits',
    params: { type: 'object', properties: { id: { type: 'string', pattern: idPattern } } },
    response: { 204: done },
  };
  rest.delete<One>('/delayed/:id', { schema: oneSchema }, async (request, reply) => {
    const id = Number(request.params.id);
    const isCancelled = await source().cancelDelayed(id);
    events.delayedCancelAsked(id, isCancelled);
    if (!isCancelled) throw new Problem(404, 'no message of that id waits');
    return reply.code(204).send();
  });
}
