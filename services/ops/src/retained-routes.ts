// Retained messages.
import { isUtf8 } from 'node:buffer';
import { isValidTopicFilter } from '@lmqtt/common/topic';
import type { FastifyInstance } from 'fastify';

import { callerOf } from './callers.ts';
import {
  localOf,
  type OpsSource,
  type PublishRequest,
  type RemoteSource,
  type StoredMessage,
} from './ops-source.ts';
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
  qos,
  record,
  text,
} from './schemas.ts';

export const messageFields: Readonly<Record<string, object>> = {
  topic: text,
  qos,
  payloadBytes: count,
  publisher: { ...text, description: 'Client identifier; empty: not known' },
  expiresAtMs: orNull('number'),
  storedAtMs: orNull('number'),
};

export const payloadFields: Readonly<Record<string, object>> = {
  payload: { ...orNull('string'), description: 'null: it is no text' },
  payloadBase64: text,
};

const timeOf = (ms: number): number | null => (ms === 0 ? null : ms);

export function messageLine(message: StoredMessage): object {
  const { topic, qos: level, payload, publisher, expiresAtMs, storedMs } = message;
  return {
    ...{ topic, qos: level, payloadBytes: payload.length, publisher },
    expiresAtMs: timeOf(expiresAtMs),
    storedAtMs: timeOf(storedMs),
  };
}

export function wholeMessage(message: StoredMessage): object {
  const { payload } = message;
  return {
    ...messageLine(message),
    payload: isUtf8(payload) ? payload.toString() : null,
    payloadBase64: payload.toString('base64'),
  };
}

interface One {
  Params: { id: string };
}

const noMessage = 'nothing is retained for this topic';

export function addRetained(rest: FastifyInstance, from: OpsSource | RemoteSource): void {
  const source = localOf(from);
  const listSchema = {
    operationId: 'listRetained',
    summary: 'Retained messages in the order of their topics',
    querystring: pageQuery({
      filter: { type: 'string', default: '#', description: 'Topic filter' },
    }),
    response: { 200: pageOf('messages', record(messageFields)) },
  };
  rest.get<{ Querystring: PageQuery & { filter: string } }>(
    '/retained',
    { schema: listSchema },
    async ({ query }) => {
      const { limit, filter } = query;
      if (!isValidTopicFilter(filter) || filter.startsWith('$share/'))
        throw new Problem(400, 'filter must be a topic filter');
      const { messages, next } = await source().retained(filter, cursorOf(query) ?? '', limit);
      return { messages: messages.map(messageLine), next };
    },
  );

  const oneSchema = {
    operationId: 'getRetained',
    summary: 'The retained message of a topic, with its payload',
    params: one('Topic name'),
    response: { 200: record({ ...messageFields, ...payloadFields }) },
  };
  rest.get<One>('/retained/:id', { schema: oneSchema }, async ({ params }) => {
    const message = await source().retainedOf(params.id);
    if (message === null) throw new Problem(404, noMessage);
    return wholeMessage(message);
  });

  const deleteSchema = {
    operationId: 'deleteRetained',
    summary: 'Deletes the retained message of a topic, by an empty one as MQTT does it',
    params: one('Topic name'),
    response: { 204: done },
  };
  rest.delete<One>('/retained/:id', { schema: deleteSchema }, async (request, reply) => {
    const topic = request.params.id;
    if ((await source().retainedOf(topic)) === null) throw new Problem(404, noMessage);
    const empty: PublishRequest = {
      ...{ topic, qos: 1 as const, retain: true, payload: Buffer.alloc(0), expiryS: 0 },
      ...{ contentType: undefined, responseTopic: undefined, correlationData: undefined },
      ...{ payloadFormatIndicator: undefined, userProperties: [] },
    };
    const [published] = await source().publish(callerOf(request), [empty]);
    const { reasonCode } = published!;
    if (reasonCode === 0x87) throw new Problem(403, 'the user of this token may not publish there');
    if (reasonCode >= 0x80) throw new Problem(503, 'the deletion could not be stored');
    return reply.code(204).send();
  });
}
