// The frame of the REST interface: who may come in and do what, the one form of errors, the line of
// the audit, the description for programs and people, and requests that another node answers.
import { randomBytes, timingSafeEqual } from 'node:crypto';

import swagger from '@fastify/swagger';
import type { FastifyInstance, FastifyRequest } from 'fastify';

import { version } from '@lmqtt/common/version';

import { type Access, type Caller, mayDo } from './access.ts';
import { addBans } from './ban-routes.ts';
import { callerOf, knownCaller, setCaller } from './callers.ts';
import { addClients } from './client-routes.ts';
import { addDeadLetters } from './dead-letter-routes.ts';
import { addDelayed } from './delayed-routes.ts';
import { docsHeaders, docsPage } from './docs-page.ts';
import type { OpsEvents } from './events.ts';
import type { ForeignRequest, Forward, InnerAnswer } from './inner-requests.ts';
import { addLocal } from './local-routes.ts';
import { addMessages } from './message-routes.ts';
import { addNodes } from './node-routes.ts';
import type { LocalSource, OpsSource, RemoteSource } from './ops-source.ts';
import { Problem, problemSchema } from './problem.ts';
import { addQueues } from './queue-routes.ts';
import { addRetained } from './retained-routes.ts';
import { given } from './schemas.ts';
import { addSubscriptions } from './subscription-routes.ts';
import { type Role, roles } from './tokens.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** This node answers such a request, whatever else it passes on. */
    isLocalFor?: (request: FastifyRequest) => boolean;
    /** Least role that may ask; by default viewer for GET, operator for the others. */
    role?: Role;
    /** This node answers, whatever else it passes on. */
    isLocal?: boolean;
    /** The body tells what an action is about, and holds nothing that is secret or large. */
    subject?: 'body';
  }
}

interface RestOptions {
  readonly source: OpsSource | RemoteSource;
  readonly local: LocalSource;
  readonly access: Access;
  readonly events: OpsEvents;
}

const prefix = '/api/v1';
const innerHeader = 'x-lmqtt-inner';

/** Requests of this process to itself are known by a key that nobody else has. */
const innerKey = randomBytes(32).toString('hex');

/** The caller of a request that another node has let in. */
function innerCaller(request: FastifyRequest): Caller | undefined {
  const header = request.headers[innerHeader];
  if (typeof header !== 'string' || header.length <= innerKey.length) return undefined;
  const key = Buffer.from(header.slice(0, innerKey.length));
  if (key.length !== innerKey.length || !timingSafeEqual(key, Buffer.from(innerKey)))
    return undefined;
  const text = Buffer.from(header.slice(innerKey.length), 'base64url').toString();
  return JSON.parse(text) as Caller;
}

function neededRole({ routeOptions }: FastifyRequest): Role {
  const { config, method } = routeOptions;
  return config.role ?? (method === 'GET' || method === 'HEAD' ? 'viewer' : 'operator');
}

function isAction({ method }: FastifyRequest): boolean {
  return method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS';
}

/** The subject of an action. */
function subjectOf({ params, query, body, routeOptions }: FastifyRequest): object {
  const isTold = routeOptions.config.subject === 'body';
  const parts = [params, query, isTold ? body : undefined];
  return Object.assign({}, ...parts.filter((part) => typeof part === 'object')) as object;
}

async function addFrame(
  rest: FastifyInstance,
  { source, access, events }: RestOptions,
): Promise<void> {
  await rest.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'lmqtt REST',
        version,
        description:
          'Every node answers for the whole cluster. Errors are problem details (RFC 9457). ' +
          'Roles: viewer reads, operator acts, admin changes settings.',
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
  });
  rest.addHook('onRoute', (route) => {
    const schema = route.schema ?? {};
    route.schema = {
      ...schema,
      querystring: schema.querystring ?? given({}),
      response: {
        ...(schema.response as object | undefined),
        default: {
          description: 'Problem',
          content: { 'application/problem+json': { schema: problemSchema } },
        },
      },
    };
  });
  rest.addHook('onRequest', async (request) => {
    const inner = innerCaller(request);
    const { authorization, host } = request.headers;
    const caller = inner ?? access({ authorization, host, address: request.ip });
    if (caller === null) {
      events.restRefused(request.ip);
      throw new Problem(401, 'a valid token is needed (Authorization: Bearer …)');
    }
    setCaller(request, caller);
    const needed = neededRole(request);
    if (!mayDo(caller.role, needed))
      throw new Problem(403, `the role ${needed} is needed, this token has ${caller.role}`);
  });
  rest.addHook('preValidation', async ({ body, routeOptions }) => {
    if (routeOptions.schema?.body !== undefined || body === undefined || body === null) return;
    throw new Problem(400, 'this request has no body');
  });
  const { forward } = 'forward' in source ? source : {};
  if (forward !== undefined) addForwarding(rest, forward);
  rest.addHook('onResponse', async (request, { statusCode }) => {
    const caller = knownCaller(request);
    if (caller === undefined || !isAction(request) || passedOn.has(request)) return;
    const { operationId } = request.routeOptions.schema ?? {};
    if (operationId === undefined) return;
    events.acted({
      who: caller.name,
      role: caller.role,
      address: caller.address,
      action: operationId,
      on: subjectOf(request),
      status: statusCode,
    });
  });
}

/** Requests that were answered elsewhere, which has the line of the audit. */
const passedOn = new WeakSet<FastifyRequest>();

function addForwarding(rest: FastifyInstance, forward: Forward): void {
  rest.addHook('preHandler', async (request, reply) => {
    const { isLocal, isLocalFor } = request.routeOptions.config;
    if (isLocal === true || isLocalFor?.(request) === true) return;
    const { method, url, body } = request;
    const caller = callerOf(request);
    const text = body === undefined || body === null ? '' : JSON.stringify(body);
    const answer = await forward({ caller, method, url, body: text });
    passedOn.add(request);
    reply.code(answer.status).serializer(String);
    if (answer.contentType !== '') reply.type(answer.contentType);
    await reply.send(answer.body === '' ? undefined : answer.body);
  });
}

function addDescription(rest: FastifyInstance): void {
  const config = { isLocal: true };
  const schema = { hide: true };
  rest.get('/openapi.json', { schema, config }, async () => rest.swagger());
  rest.get('/docs', { schema, config }, async (_request, reply) =>
    reply.headers(docsHeaders).serializer(String).send(docsPage),
  );
}

/** The answer gives the description, once the server is ready. */
export async function addRest(
  server: FastifyInstance,
  options: RestOptions,
): Promise<() => { readonly paths?: object }> {
  let described: FastifyInstance | undefined;
  await server.register(
    async (rest) => {
      described = rest;
      await addFrame(rest, options);
      addDescription(rest);
      const { source, local, events } = options;
      addLocal(rest, local, source);
      addNodes(rest, local, source);
      addClients(rest, source, events);
      addDeadLetters(rest, source, events);
      addDelayed(rest, source, events);
      addBans(rest, source);
      addMessages(rest, source);
      addSubscriptions(rest, source);
      addRetained(rest, source);
      addQueues(rest, source);
    },
    { prefix },
  );
  return () => described!.swagger();
}

/** The answer to a request that another node has let in. */
export async function answerInner(
  server: FastifyInstance,
  { caller: foreign, method, url, body }: ForeignRequest,
): Promise<InnerAnswer> {
  const role = roles.find((one) => one === foreign.role) ?? 'viewer';
  const caller: Caller = { ...foreign, role };
  const isKnown = method === 'GET' || method === 'POST' || method === 'PUT' || method === 'DELETE';
  if (!isKnown || !url.startsWith(`${prefix}/`)) return { status: 404, contentType: '', body: '' };
  const answer = await server.inject({
    method,
    url,
    headers: {
      [innerHeader]: innerKey + Buffer.from(JSON.stringify(caller)).toString('base64url'),
      ...(body === '' ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === '' ? {} : { payload: body }),
  });
  const contentType = answer.headers['content-type'];
  return {
    status: answer.statusCode,
    contentType: typeof contentType === 'string' ? contentType : '',
    body: answer.body,
  };
}
