// The HTTP side of a node: `/metrics`, `/healthz` and `/readyz` for every role, REST of all nodes
// where they are known, of clients where ds is.
import type { AddressInfo } from 'node:net';

import type { Readiness } from '@lmqtt/common/lifecycle';
import type { Logger } from '@lmqtt/common/log';
import type { Metrics } from '@lmqtt/common/metrics';
import { fastify, type FastifyInstance } from 'fastify';

import { restAccess } from './access.ts';
import { opsEvents, type OpsEvents } from './events.ts';
import type { NodesSource, OpsSource } from './ops-source.ts';
import { addRest } from './rest.ts';

export interface OpsOptions {
  readonly bind: string;
  /** 0: any free one. */
  readonly port: number;
  /** For the REST interface; `null`: loopback only. */
  readonly token: string | null;
  readonly readiness: Readiness;
  readonly metrics: Metrics;
  /** Absent where there is nothing to ask about: then there is no REST interface. */
  readonly source?: NodesSource | OpsSource | undefined;
  readonly log: Logger;
}

export interface RunningOps {
  readonly port: number;
  close(): Promise<void>;
}

/** A client id of 65,535 bytes, each written as %xx, stands in the address of a request. */
const addressBytesMax = 3 * 65_535;

function addHealth(server: FastifyInstance, readiness: Readiness): void {
  server.get('/healthz', async (_request, reply) => reply.type('text/plain').send('ok\n'));
  server.get('/readyz', async (_request, reply) => {
    const { state, missing } = readiness;
    const text = missing === null ? state : `${state}: ${missing}`;
    return reply
      .code(state === 'ready' ? 200 : 503)
      .type('text/plain')
      .send(`${text}\n`);
  });
}

function addMetrics(server: FastifyInstance, metrics: Metrics): void {
  server.get('/metrics', async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
}

function addErrors(server: FastifyInstance, events: OpsEvents): void {
  server.setErrorHandler<Error & { statusCode?: number }>(async (error, request, reply) => {
    const code = error.statusCode ?? 500;
    if (code >= 500) events.requestFailed(request.routeOptions.url ?? '', error);
    // What went wrong inside is for the log, not for whoever asks.
    return reply.code(code).send({ error: code >= 500 ? 'internal error' : error.message });
  });
}

/** Rejects where it cannot listen, with the error of the socket (`EADDRINUSE`). */
export async function startOps(options: OpsOptions): Promise<RunningOps> {
  const events = opsEvents(options.log, options.metrics);
  const server = fastify({
    forceCloseConnections: true,
    http: { maxHeaderSize: addressBytesMax + 16_384 },
    routerOptions: { maxParamLength: addressBytesMax },
  });
  addErrors(server, events);
  addHealth(server, options.readiness);
  addMetrics(server, options.metrics);
  const { source } = options;
  if (source !== undefined) {
    const access = restAccess(options.bind, options.token);
    await server.register(async (rest) => addRest(rest, source, access, events), {
      prefix: '/api/v1',
    });
  }
  await server.listen({ host: options.bind, port: options.port });
  const { port } = server.server.address() as AddressInfo;
  events.listening(options.bind, port);
  return { port, close: () => server.close() };
}
