// Settings and log level of the node that is asked, and figures of all.
import type { FastifyInstance } from 'fastify';

import { localOf, type LocalSource, type OpsSource, type RemoteSource } from './ops-source.ts';
import { given, listOf, record, text } from './schemas.ts';

const levels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];
const level = { type: 'string', enum: levels };
const rate = { type: 'number', description: 'Per second' };

interface LevelBody {
  Body: { level: string };
}

export function addLocal(
  rest: FastifyInstance,
  local: LocalSource,
  from: OpsSource | RemoteSource,
): void {
  const configSchema = {
    operationId: 'getConfig',
    summary: 'Settings of this node, without secrets, each with where it came from',
    response: {
      200: record({
        nodeId: text,
        settings: listOf(
          record({
            name: text,
            value: { type: ['string', 'number', 'boolean', 'null'] },
            from: { enum: ['default', 'file', 'environment', 'flag'] },
            source: { ...text, description: 'Flag, variable, or file and line' },
          }),
        ),
      }),
    },
  };
  const isLocal = true;
  rest.get('/config', { schema: configSchema, config: { isLocal, role: 'admin' } }, async () => ({
    nodeId: local.nodeId,
    settings: local.config(),
  }));

  const levelAnswer = { 200: record({ nodeId: text, level }) };
  const getLevel = {
    operationId: 'getLogLevel',
    summary: 'Log level of this node',
    response: levelAnswer,
  };
  const answer = (): object => ({ nodeId: local.nodeId, level: local.logLevel() });
  rest.get('/log-level', { schema: getLevel, config: { isLocal } }, async () => answer());

  const putLevel = {
    operationId: 'setLogLevel',
    summary: 'Sets the log level of this node, until its next start or LOG_LEVEL changes in a file',
    body: given({ level }, ['level']),
    response: levelAnswer,
  };
  const config = { isLocal, role: 'admin', subject: 'body' } as const;
  rest.put<LevelBody>('/log-level', { schema: putLevel, config }, async ({ body }) => {
    local.setLogLevel(body.level);
    return answer();
  });

  const statsSchema = {
    operationId: 'getStats',
    summary: 'Connections, and counters with their rates over 1, 5 and 15 minutes',
    response: {
      200: record({
        connections: { type: 'integer' },
        counters: {
          type: 'object',
          additionalProperties: record({
            total: { type: 'number' },
            ...{ rate1m: rate, rate5m: rate, rate15m: rate },
          }),
        },
      }),
    },
  };
  rest.get('/stats', { schema: statsSchema }, async () => {
    const source = localOf(from)();
    const nodes = await source.nodes();
    const connections = nodes.reduce((sum, node) => sum + node.connections, 0);
    return { connections, counters: source.counters() };
  });
}
