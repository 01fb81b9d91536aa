// The HTTP side of a node: `/metrics`, `/healthz` and `/readyz` for every role, REST of all nodes
// where they are known, of clients where ds is.
import type { AddressInfo, Socket } from 'node:net';

import { keepDescriptors } from '@lmqtt/common/descriptors';
import type { Readiness } from '@lmqtt/common/lifecycle';
import type { Logger } from '@lmqtt/common/log';
import type { Metrics } from '@lmqtt/common/metrics';
import { StoreFailure } from '@lmqtt/common/store-failure';
import { visible } from '@lmqtt/common/visible';
import { type ConnectionError, fastify, type FastifyInstance, type FastifyReply } from 'fastify';

import { restAccess } from './access.ts';
import { type ConnectionLimits, limitConnections, timeoutOptions } from './connection-limits.ts';
import { opsEvents, type OpsEvents } from './events.ts';
import type { NodesSource, OpsSource } from './ops-source.ts';
import { addRest } from './rest.ts';

interface OpsOptions {
  readonly bind: string;
  /** 0: any free one. */
  readonly port: number;
  /** For the REST interface; `null`: loopback only. */
  readonly token: string | null;
  readonly limits: ConnectionLimits;
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
    const { state, missing, notices } = readiness;
    const first = missing === null ? state : `${state}: ${missing}`;
    const text = [first, ...notices.map((notice) => `note: ${notice}`)].join('\n');
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

/** Every answer that is an error is `{ error }`, a sentence for who asked. */
function addErrors(server: FastifyInstance, readiness: Readiness, events: OpsEvents): void {
  server.setErrorHandler<Error & { statusCode?: number }>(async (error, request, reply) => {
    const code = error.statusCode ?? 500;
    if (code < 500) return reply.code(code).send({ error: error.message });
    const route = request.routeOptions.url ?? '';
    const missing = error instanceof StoreFailure ? error.message : readiness.missing;
    if (missing !== null) {
      events.notReady(route, missing);
      return reply.code(503).send({ error: `not ready: ${missing}` });
    }
    events.requestFailed(route, error);
    // Internal errors are for the log, not for whoever asks.
    return reply.code(code).send({ error: 'internal error' });
  });
  server.setNotFoundHandler(async (_request, reply) =>
    reply.code(404).send({ error: 'there is no such address' }),
  );
}

/** Answers malformed requests, before any route is looked for. */
function refuseMalformed(error: ConnectionError, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [status, text] = malformed[error.code] ?? ['400 Bad Request', 'this is no HTTP request'];
  const body = JSON.stringify({ error: text });
  const head = [
    `HTTP/1.1 ${status}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

const malformed: Readonly<Record<string, readonly [status: string, text: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'the request did not come in time'],
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'the head is too large'],
};

/** Rejects where it cannot listen, with the error of the socket (`EADDRINUSE`). */
export async function startOps(options: OpsOptions): Promise<RunningOps> {
  const events = opsEvents(options.log, options.metrics);
  const server = fastify({
    forceCloseConnections: true,
    http: { maxHeaderSize: addressBytesMax + 16_384, ...timeoutOptions(options.limits) },
    // Fastify has defaults of its own for these times.
    requestTimeout: options.limits.timeoutMs,
    keepAliveTimeout: options.limits.timeoutMs,
    clientErrorHandler: refuseMalformed,
    frameworkErrors: (error, _request, reply: FastifyReply) =>
      void reply.code(error.statusCode ?? 400).send({ error: error.message }),
    // Query parameters that a route does not know are an error; by default they would be dropped.
    ajv: { customOptions: { removeAdditional: false } },
    routerOptions: { maxParamLength: addressBytesMax },
  });
  // Names of clients and users are read in terminals, too.
  server.setReplySerializer((payload) => visible(JSON.stringify(payload)));
  limitConnections(server.server, options.limits, () => {
    options.metrics.limits.OPS_CONNECTIONS_MAX += 1;
  });
  addErrors(server, options.readiness, events);
  addHealth(server, options.readiness);
  addMetrics(server, options.metrics);
  const { source } = options;
  if (source !== undefined) {
    const access = restAccess(options.bind, options.token);
    await server.register(async (rest) => addRest(rest, source, access, events), {
      prefix: '/api/v1',
    });
  }
  keepDescriptors(
    server.server,
    (closed, limit) => {
      options.log.warn({ closed, limit }, 'connections closed: the limit of open files is near');
    },
    'operators',
  );
  await server.listen({ host: options.bind, port: options.port });
  const { port } = server.server.address() as AddressInfo;
  events.listening(options.bind, port);
  return { port, close: () => server.close() };
}
