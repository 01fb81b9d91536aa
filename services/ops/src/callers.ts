import type { FastifyRequest } from 'fastify';

import type { Caller } from './access.ts';

const callers = new WeakMap<FastifyRequest, Caller>();

export function setCaller(request: FastifyRequest, caller: Caller): void {
  callers.set(request, caller);
}

/** Undefined: it was not let in. */
export function knownCaller(request: FastifyRequest): Caller | undefined {
  return callers.get(request);
}

/** Whoever asks, where it was let in. */
export function callerOf(request: FastifyRequest): Caller {
  const caller = callers.get(request);
  if (caller === undefined) throw new Error('a request without a caller');
  return caller;
}
