// The HTTP side of a node: `/metrics`, `/healthz`, `/readyz` and REST. A cs passes most requests of
// REST on to a ds.
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
import type { ForeignRequest, InnerAnswer } from './inner-requests.ts';
import type { LocalSource, OpsSource, RemoteSource } from './ops-source.ts';
import { problemOf, problemType } from './problem.ts';
import { addRest, answerInner } from './rest.ts';
import { TokenFile } from './tokens.ts';

interface OpsOptions {
  readonly bind: string;
  /** 0: any free one; `null`: it does not listen, and answers only what other nodes pass on. */
  readonly port: number | null;
  /** For the REST interface; without it and a file of tokens: loopback only. */
  readonly token: string | null;
  readonly tokensFile: string | null;
  readonly limits: ConnectionLimits;
  readonly readiness: Readiness;
  readonly metrics: Metrics;
  readonly source: OpsSource | RemoteSource;
  readonly local: LocalSource;
  readonly log: Logger;
}

export interface RunningOps {
  /** 0: it does not listen. */
  readonly port: number;
  /** Answers a request that another node has let in. */
  readonly answer: (request: ForeignRequest) => Promise<InnerAnswer>;
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

function sendProblem(reply: FastifyReply, status: number, detail: string): FastifyReply {
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  return reply.code(status).type(problemType).send(problemOf(status, detail));
}

/** Every answer that is an error is a problem, with a sentence for who asked. */
function addErrors(server: FastifyInstance, readiness: Readiness, events: OpsEvents): void {
  server.setErrorHandler<Error & { statusCode?: number }>(async (error, request, reply) => {
    const code = error.statusCode ?? 500;
    if (code < 500) return sendProblem(reply, code, error.message);
    const route = request.routeOptions.url ?? '';
    const missing = error instanceof StoreFailure ? error.message : readiness.missing;
    if (missing !== null) {
      events.notReady(route, missing);
      return sendProblem(reply, 503, `not ready: ${missing}`);
    }
    events.requestFailed(route, error);
    // Internal errors are for the log, not for whoever asks.
    return sendProblem(reply, code, 'internal error');
  });
  server.setNotFoundHandler(async (_request, reply) =>
    sendProblem(reply, 404, 'there is no such address'),
  );
}

/** Answers malformed requests, before any route is looked for. */
function refuseMalformed(error: ConnectionError, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [status, text] = malformed[error.code] ?? [400, 'this is no HTTP request'];
  const problem = problemOf(status, text);
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${status} ${problem.title}`,
    `content-type: ${problemType}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

const malformed: Readonly<Record<string, readonly [status: number, text: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request did not come in time'],
  HPE_HEADER_OVERFLOW: [431, 'the head is too large'],
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
      void sendProblem(reply, error.statusCode ?? 400, error.message),
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
  const file = await openTokens(options.tokensFile, events);
  const { bind, port, token, source } = options;
  const access = restAccess({ bind, token, file });
  const close = async (): Promise<void> => {
    file?.close();
    await server.close();
  };
  keepDescriptors(
    server.server,
    (closed, limit) => {
      options.log.warn({ closed, limit }, 'connections closed: the limit of open files is near');
    },
    'operators',
  );
  try {
    await addRest(server, { source, local: options.local, access, events });
    if (port === null) await server.ready();
    else await server.listen({ host: bind, port });
  } catch (error) {
    await close();
    throw error;
  }
  const address = server.server.address() as AddressInfo | null;
  if (address !== null) events.listening(bind, address.port);
  return { port: address?.port ?? 0, answer: (request) => answerInner(server, request), close };
}

async function openTokens(path: string | null, events: OpsEvents): Promise<TokenFile | undefined> {
  if (path === null) return undefined;
  return TokenFile.open(path, {
    read: (from, tokens) => events.tokensRead(from, tokens),
    refused: (from, reason) => events.tokensRefused(from, reason),
  });
}
