import { asksSource } from '@lmqtt/common/auth-sources';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Peer, ReauthenticateAnswer } from '@lmqtt/proto/link';
import type { EnhancedAuth } from '../auth/enhanced-auth.ts';
import { userOf } from '../auth/principal-text.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import type { SessionRights } from './session-rights.ts';

interface ReauthenticatePorts {
  readonly enhancedAuth: readonly EnhancedAuth[];
  readonly rights: SessionRights;
}

/** The authentication of a method, where the listener of the client asks its source. */
export function enhancedFor(
  all: readonly EnhancedAuth[],
  method: string | undefined,
  { authentication }: Peer,
): EnhancedAuth | undefined {
  return all.find((one) => one.method === method && asksSource(authentication, one.source));
}

/** AUTH with reason 0x19 and what follows, 4.12.1. */
export async function reauthenticate(
  ports: ReauthenticatePorts,
  session: LiveSession,
  authenticationData: Buffer | undefined,
  start: boolean,
): Promise<ReauthenticateAnswer> {
  const { clientId, peer, authenticationMethod: method } = session;
  if (start) {
    const enhanced = enhancedFor(ports.enhancedAuth, method, peer);
    session.exchange = enhanced?.start({ clientId, peer });
  }
  if (session.exchange === undefined) {
    return { kind: 'refused', reasonCode: ReasonCode.protocolError };
  }
  const answer = await session.exchange.step(authenticationData);
  if (answer.kind === 'continue') {
    return { kind: 'continue', authenticationData: answer.authenticationData };
  }
  session.exchange = undefined;
  if (answer.kind === 'failure') {
    return { kind: 'refused', reasonCode: answer.reasonCode };
  }
  // The session and its messages belong to its user.
  if (!session.stored.isOf(userOf(answer.principal)))
    return { kind: 'refused', reasonCode: ReasonCode.notAuthorized };
  const { mount } = session.principal;
  session.principal = mount === undefined ? answer.principal : { ...answer.principal, mount };
  session.accessVersion = -1;
  session.rightsVersion = -1;
  ports.rights.due(session);
  return { kind: 'success', authenticationData: answer.authenticationData };
}
