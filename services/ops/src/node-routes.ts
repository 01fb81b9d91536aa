import type { FastifyInstance } from 'fastify';

import type { NodeStatus } from './ops-source.ts';
import { Problem } from './problem.ts';
import { count, listOf, one, orNull, record, text } from './schemas.ts';

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

/** `nodes` undefined: another node knows them. */
export function addNodes(
  rest: FastifyInstance,
  nodes: (() => Promise<readonly NodeStatus[]>) | undefined,
): void {
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
    if (node === undefined) throw new Problem(404, 'there is no such node');
    return node;
  });
}
