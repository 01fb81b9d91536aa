// The answer of a service or a module about a client, in the names that an HTTP service gives it:
//
//   {"result": "allow" | "deny" | "ignore", "is_superuser", "acl", "expire_at", "username"}

import { ReasonCode } from '@lmqtt/common/reason-code';
import type { AuthDecision, AuthRequest, Principal } from './auth-provider.ts';
import { identityRules, superuserRules } from './identity-rules.ts';

/** An answer in no form that is known. */
export class UnknownAnswer extends Error {}

const denied: AuthDecision = { kind: 'deny', reasonCode: ReasonCode.badUserNameOrPassword };

/** Throws `UnknownAnswer`. */
export function decisionIn(said: unknown, request: AuthRequest): AuthDecision {
  if (typeof said !== 'object' || said === null) throw new UnknownAnswer('no object');
  const {
    result,
    is_superuser: isSuperuser,
    acl,
    expire_at: expireAt,
    username,
  } = said as Record<string, unknown>;
  if (result === 'deny') return denied;
  if (result === 'ignore') return { kind: 'pass' };
  if (result !== 'allow') throw new UnknownAnswer('no result of allow, deny or ignore');
  const user = typeof username === 'string' && username !== '' ? username : request.userName;
  const names = { user, clientId: request.clientId };
  const hasRules = acl !== undefined && acl !== null;
  const rules =
    isSuperuser === true ? superuserRules : hasRules ? identityRules(acl, names) : undefined;
  if (hasRules && rules === undefined) throw new UnknownAnswer('an acl that is not valid');
  const principal: Principal = {
    user,
    ...rules,
    ...(typeof expireAt === 'number' ? { expiresAtMs: expireAt * 1000 } : {}),
  };
  return { kind: 'allow', principal };
}
