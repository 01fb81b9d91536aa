// Bans of client identifiers, users and addresses.
import { networkText } from '@lmqtt/common/network-map';
import type { FastifyInstance } from 'fastify';

import { callerOf } from './callers.ts';
import {
  type BanKind,
  banKinds,
  localOf,
  type OpsSource,
  type RemoteSource,
} from './ops-source.ts';
import { Problem } from './problem.ts';
import {
  cursorOf,
  done,
  given,
  orNull,
  pageOf,
  type PageQuery,
  pageQuery,
  record,
  text,
} from './schemas.ts';

const reasonLengthMax = 256;
/** The longest name of a client or user that MQTT has room for. */
const whoLengthMax = 65_535;
/** 9999-12-31. */
const timeMsMax = 253_402_300_799_999;
const forSMax = 3_153_600_000;

const kind = { type: 'string', enum: banKinds } as const;
const endSchema = { ...orNull('number'), description: 'Clock of the broker; null: it has no end' };

const banSchema = record({
  kind,
  who: { ...text, description: 'Client identifier, user, or address or network (CIDR)' },
  reason: text,
  by: { ...text, description: 'Name of the token of who put it; flapping: the broker' },
  createdAtMs: { type: 'number' },
  endsAtMs: endSchema,
});

const params = {
  type: 'object',
  required: ['kind', 'who'],
  properties: {
    kind,
    who: {
      type: 'string',
      minLength: 1,
      maxLength: whoLengthMax,
      description: 'Client identifier, user, or address or network (10.0.0.0%2F8)',
    },
  },
};

interface One {
  Params: { kind: BanKind; who: string };
}

interface Put extends One {
  Body: { reason?: string; forS?: number; endsAtMs?: number | null };
}

/** One form for an address or network, however it is written. */
function whoOf({ kind: of, who }: One['Params']): string {
  if (of !== 'address') return who;
  const network = networkText(who);
  if (network === undefined)
    throw new Problem(400, 'who must be an IP address or a network such as 10.0.0.0/8');
  return network;
}

export function addBans(rest: FastifyInstance, from: OpsSource | RemoteSource): void {
  const source = localOf(from);
  const listSchema = {
    operationId: 'listBanned',
    summary: 'Bans of client identifiers, users and addresses, in the order of kinds and names',
    querystring: pageQuery({ kind }),
    response: { 200: pageOf('banned', banSchema) },
  };
  rest.get<{ Querystring: PageQuery & { kind?: BanKind } }>(
    '/banned',
    { schema: listSchema },
    async ({ query }) => {
      const { limit } = query;
      const banned = await source().bans.list(cursorOf(query) ?? '', limit, query.kind);
      const last = banned.length < limit ? undefined : banned.at(-1);
      return { banned, next: last === undefined ? null : `${last.kind} ${last.who}` };
    },
  );

  const putSchema = {
    operationId: 'ban',
    summary: 'Bans a client identifier, a user or an address; those connected are sent away',
    description:
      'In force at every node within a second. CONNECT gets 0x8A (3.1.1: return code 5), connected clients get DISCONNECT 0x98. A ban of the same kind and name is replaced. Without forS and endsAtMs it has no end.',
    params,
    body: given({
      reason: { type: 'string', maxLength: reasonLengthMax, default: '' },
      forS: { type: 'integer', minimum: 1, maximum: forSMax, description: 'Duration from now on' },
      endsAtMs: { ...endSchema, ...orNull('integer'), minimum: 0, maximum: timeMsMax },
    }),
    response: { 200: banSchema },
  };
  const config = { subject: 'body' } as const;
  rest.put<Put>('/banned/:kind/:who', { schema: putSchema, config }, async (request) => {
    const { reason = '', forS, endsAtMs } = request.body;
    if (forS !== undefined && endsAtMs !== undefined)
      throw new Problem(400, 'either forS or endsAtMs can be given');
    const outcome = await source().bans.put({
      ...{ kind: request.params.kind, who: whoOf(request.params), reason },
      by: callerOf(request).name,
      end:
        forS !== undefined
          ? { forMs: forS * 1000 }
          : typeof endsAtMs === 'number'
            ? { atMs: endsAtMs }
            : null,
    });
    if (outcome === 'over')
      throw new Problem(400, 'endsAtMs has passed by the clock of the broker');
    if (outcome === 'full')
      throw new Problem(409, 'there are as many bans as BANNED_MAX allows; remove one first');
    return outcome;
  });

  const removeSchema = {
    operationId: 'unban',
    summary: 'Removes a ban',
    params,
    response: { 204: done },
  };
  rest.delete<One>('/banned/:kind/:who', { schema: removeSchema }, async (request, reply) => {
    const isRemoved = await source().bans.remove(request.params.kind, whoOf(request.params));
    if (!isRemoved) throw new Problem(404, 'there is no such ban');
    return reply.code(204).send();
  });
}
