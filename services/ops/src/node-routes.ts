import type { FastifyInstance } from 'fastify';

import { nodeId } from '@lmqtt/common/ids';

import { localOf, type LocalSource, type OpsSource, type RemoteSource } from './ops-source.ts';
import { Problem } from './problem.ts';
import { count, flag, listOf, one, orNull, record, text } from './schemas.ts';

const nodeSchema = record({
  id: text,
  role: { enum: ['cs', 'ds', 'standalone'] },
  state: { enum: ['alive', 'draining', 'gone'] },
  version: orNull('string'),
  address: {
    ...orNull('string'),
    description: 'Of a ds the one for cs nodes, of a cs the one for clients',
  },
  startedAtMs: orNull('number'),
  leaseAgeMs: orNull('number'),
  connections: count,
});

interface One {
  Params: { id: string };
}

export function addNodes(
  rest: FastifyInstance,
  local: LocalSource,
  from: OpsSource | RemoteSource,
): void {
  // Undefined: another node knows them.
  const nodes = 'forward' in from ? from.nodes : () => from.nodes();
  const config = { isLocal: nodes !== undefined };
  const listed = nodes ?? (() => Promise.resolve([]));
  const schema = {
    operationId: 'listNodes',
    summary: 'All nodes',
    response: { 200: record({ nodes: listOf(nodeSchema) }) },
  };
  rest.get('/nodes', { schema, config }, async () => ({ nodes: await listed() }));

  const oneSchema = {
    operationId: 'getNode',
    summary: 'One node',
    params: one('NODE_ID'),
    response: { 200: nodeSchema },
  };
  rest.get<One>('/nodes/:id', { schema: oneSchema, config }, async (request) => {
    const node = (await listed()).find(({ id }) => id === request.params.id);
    if (node === undefined) throw new Problem(404, noNode);
    return node;
  });
  addDrain(rest, local, from);
}

const noNode = 'there is no such node';

function addDrain(rest: FastifyInstance, local: LocalSource, from: OpsSource | RemoteSource): void {
  // A node that knows how drains itself, whether or not others can be reached.
  const isOwn = ({ params }: { params: unknown }): boolean =>
    local.drain !== undefined && (params as One['Params']).id === local.nodeId;
  const add = (draining: boolean, schema: object): void => {
    const path = `/nodes/:id/${draining ? 'drain' : 'undrain'}`;
    rest.post<One>(path, { schema, config: { isLocalFor: isOwn } }, async (request, reply) => {
      const { id } = request.params;
      if (isOwn(request)) await local.drain?.(draining);
      else await drainOther(localOf(from)(), id, draining);
      return reply.code(202).send({ id, draining });
    });
  };
  const response = { 202: record({ id: text, draining: flag }) };
  add(true, {
    operationId: 'drainNode',
    summary:
      'A node sends its clients away at a pace and takes no others; a ds hands its work over',
    description:
      'The process goes on running, not ready, until it is stopped or takes clients again.',
    params: one('NODE_ID'),
    response,
  });
  add(false, {
    operationId: 'undrainNode',
    summary: 'A node that drains takes clients again',
    params: one('NODE_ID'),
    response,
  });
}

async function drainOther(source: OpsSource, id: string, draining: boolean): Promise<void> {
  const outcome = await source.drain(nodeId(id), draining);
  if (outcome === 'unknown') throw new Problem(404, noNode);
  if (outcome === 'alone')
    throw new Problem(409, 'it is the only ds: nobody else could have its sessions');
}
