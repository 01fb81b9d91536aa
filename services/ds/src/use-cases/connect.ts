import type { Clock } from '@lmqtt/common/clock';
import { pause } from '@lmqtt/common/pause';
import type { ClientIdRule } from '@lmqtt/common/client-id-rule';
import type { ClientId, SessionHandle } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';
import type { ConnectAnswer, ConnectRequest } from '@lmqtt/proto/link';
import type { Authenticator, Principal } from '../auth/auth-provider.ts';
import type { EnhancedAuth } from '../auth/enhanced-auth.ts';
import type { Bans } from './bans.ts';
import type { ClientLocks } from './client-locks.ts';
import { isDelayed } from './delay.ts';
import type { DelayedStore } from '../delayed-store/delayed-store.ts';
import type { ConnectPace } from './connect-pace.ts';
import { Connecting } from '../sessions/connecting.ts';
import type { CsNode } from '../sessions/cs-node.ts';
import { disconnect, endSession, type DisconnectPorts } from './disconnect.ts';
import { inPortions } from '@lmqtt/common/in-portions';
import { openOwnQueue, type P2pPorts } from './p2p.ts';
import { mountedPrincipal, mountedWill } from './namespace.ts';
import { LiveSession } from '../sessions/live-session.ts';
import { principalText, userOf } from '../auth/principal-text.ts';
import type { PublishHook } from './publish-hook.ts';
import { enhancedFor } from './reauthenticate.ts';
import type { SessionRights } from './session-rights.ts';
import { cutBacklog, type QueueLimitsPorts } from './queue-limits.ts';
import type { Claim, ClaimRefused, Held } from '../session-store/session-store.ts';
import { isSameName, type StoredWill } from '../session-store/stored-session.ts';
import { attach } from './subscribe.ts';
import { claimFreed, displaced, heardAgain, type TakeoverPorts } from './takeover.ts';

export interface ConnectPorts extends DisconnectPorts, TakeoverPorts, P2pPorts {
  readonly authenticator: Authenticator;
  readonly enhancedAuth: readonly EnhancedAuth[];
  readonly locks: ClientLocks;
  readonly pace: ConnectPace;
  readonly clock: Clock;
  readonly sessionExpirySMax: number;
  readonly willDelaySMax: number;
  /** The rule of CLIENT_ID_RULE; undefined: anybody may name any client identifier. */
  readonly clientIdRule: ClientIdRule | undefined;
  /** Treatment of a session, connected or not, that another user claims. */
  readonly sessionUserChange: Claim['userChange'];
  /** The largest packet that the store takes; absent: any. */
  readonly packetBytesMax?: () => number | undefined;
  readonly limits: QueueLimitsPorts;
  readonly delayed: DelayedStore;
  readonly rights: SessionRights;
  readonly bans: Bans;
  readonly publishHook?: PublishHook | undefined;
}

/**
 * Time within which the end of another user's connection comes from its own node, and pause between
 * looks for it.
 */
const endComesMs = 1000;
const endCheckMs = 100;
/** Subscriptions that the answer to a CONNECT, and each further answer, has at most. */
export const subscriptionsPortion = 250;

/**
 * CONNECT, 3.1.4: who is it, then the claim. What CONNACK promises is durable before the answer.
 * Claims of one client identifier run one after another; the displaced connection is asked to go
 * and has flushed before the state of the session is taken.
 */
export async function connect(
  ports: ConnectPorts,
  node: CsNode,
  request: ConnectRequest,
): Promise<ConnectAnswer> {
  const connecting = new Connecting(request, node.downstream);
  node.connecting.set(request.session, connecting);
  const ban = ports.bans.ofConnect(request);
  if (ban !== undefined) {
    const reason = ports.events.bans.refused(ban.kind);
    return refuse(ports, node, connecting, ReasonCode.banned, reason);
  }
  const method = request.authenticationMethod;
  if (method !== undefined) {
    const enhanced = enhancedFor(ports.enhancedAuth, method, request.peer);
    if (enhanced === undefined) {
      return refuse(ports, node, connecting, ReasonCode.badAuthenticationMethod, 'method');
    }
    connecting.exchange = enhanced.start(request);
    return step(ports, node, connecting, request.authenticationData);
  }
  const isWanted = (): boolean => connecting.gone === undefined;
  const decision = await ports.authenticator.authenticate({ ...request, isWanted });
  if (decision.kind === 'allow') return admit(ports, node, connecting, decision.principal);
  const reasonCode = decision.kind === 'deny' ? decision.reasonCode : ReasonCode.notAuthorized;
  const reason = decision.kind === 'deny' ? decision.reason : undefined;
  return refuse(ports, node, connecting, reasonCode, reason ?? 'not authenticated');
}

/** The client's answer to a challenge, 4.12. */
export async function continueConnect(
  ports: ConnectPorts,
  node: CsNode,
  handle: SessionHandle,
  authenticationData: Buffer | undefined,
): Promise<ConnectAnswer> {
  const connecting = node.connecting.get(handle);
  if (connecting?.exchange === undefined) {
    // The cs knows of an earlier claim: it was under way at a ds that is no more, or before the
    // lease ended.
    const reasonCode = ReasonCode.serverUnavailable;
    return { kind: 'refused', reasonCode, reason: 'no authentication under way' };
  }
  return step(ports, node, connecting, authenticationData);
}

async function step(
  ports: ConnectPorts,
  node: CsNode,
  connecting: Connecting,
  authenticationData: Buffer | undefined,
): Promise<ConnectAnswer> {
  const answer = await connecting.exchange!.step(authenticationData);
  if (answer.kind === 'continue') {
    return { kind: 'continue', authenticationData: answer.authenticationData };
  }
  if (answer.kind === 'failure') {
    return refuse(ports, node, connecting, answer.reasonCode, 'not authenticated');
  }
  return admit(ports, node, connecting, answer.principal, answer.authenticationData);
}

async function admit(
  ports: ConnectPorts,
  node: CsNode,
  connecting: Connecting,
  principal: Principal,
  authenticationData?: Buffer,
): Promise<ConnectAnswer> {
  const { clientId, randomClientId, peer, protocolVersion, will: asked } = connecting.request;
  // CONNACK before 5.0 has no code for a topic: return code 5 says that it may not be published.
  const badWillTopic =
    protocolVersion === 5 ? ReasonCode.topicNameInvalid : ReasonCode.notAuthorized;
  const ban = ports.bans.ofUser(principal);
  if (ban !== undefined) {
    const reason = ports.events.bans.refused(ban.kind);
    return refuse(ports, node, connecting, ReasonCode.banned, reason);
  }
  const mounted = mountedPrincipal(principal, clientId, peer);
  if (mounted === undefined) {
    const reason = 'it has no name for its namespace';
    return refuse(ports, node, connecting, ReasonCode.notAuthorized, reason);
  }
  const will = asked && mountedWill(mounted.mount, asked);
  if (asked !== undefined && will === undefined) {
    const reason = 'a topic of its will is too long, or not one of a client';
    return refuse(ports, node, connecting, badWillTopic, reason);
  }
  principal = mounted;
  if (!randomClientId && !mayName(ports, principal, clientId)) {
    const reasonCode = ReasonCode.clientIdentifierNotValid;
    return refuse(ports, node, connecting, reasonCode, 'not a client identifier of this user');
  }
  if (will !== undefined && isDelayed(will.message)) {
    const reason = 'its will asks for a delay, which a will has of its own';
    return refuse(ports, node, connecting, badWillTopic, reason);
  }
  if (
    will !== undefined &&
    !ports.wills.admits(principal, clientId, peer.address, will.message.topic)
  ) {
    const reason = 'its will may not be published';
    return refuse(ports, node, connecting, ReasonCode.notAuthorized, reason);
  }
  if (will !== undefined && ports.publishHook !== undefined) {
    const client = { clientId, principal, peer, protocolVersion };
    const said = await ports.publishHook.will(client, will.message);
    // CONNACK has no such code as PUBACK has for an identifier in use.
    const code = said === ReasonCode.packetIdentifierInUse ? ReasonCode.unspecifiedError : said;
    if (typeof code === 'number')
      return refuse(ports, node, connecting, code, 'its will is refused by onPublish');
    connecting.willMessage = code;
  }
  const turn = ports.pace.turn();
  if (turn !== undefined) await turn;
  if (!connecting.heard) await heardAgain(ports, connecting);
  try {
    const endMs = ports.clock.monotonicMs() + endComesMs;
    for (;;) {
      const answer = await ports.locks.run(clientId, () =>
        admitAlone(ports, node, connecting, principal, authenticationData),
      );
      if (answer.kind !== 'kept') return answer;
      // The owner of the session may have left by another node just before.
      if (
        !answer.whileConnected ||
        ports.clock.monotonicMs() >= endMs ||
        connecting.gone !== undefined
      )
        return refuseClaim(ports, node, connecting, 'other user');
      // Not within the lock: its owner may come again.
      await pause(endCheckMs);
    }
  } catch (error) {
    const failure = error instanceof StoreFailure;
    if (!failure) ports.events.unexpected('connect', error);
    const reasonCode = failure ? error.reasonCode : ReasonCode.unspecifiedError;
    return refuse(ports, node, connecting, reasonCode, 'the session cannot be stored');
  }
}

/** The session stays with another user; `whileConnected`: for as long as that is connected. */
interface Kept {
  readonly kind: 'kept';
  readonly whileConnected: boolean;
}

async function admitAlone(
  ports: ConnectPorts,
  node: CsNode,
  connecting: Connecting,
  principal: Principal,
  authenticationData: Buffer | undefined,
): Promise<ConnectAnswer | Kept> {
  const { clientId } = connecting.request;
  const kept = keptBy(ports, clientId, principal);
  if (kept !== undefined) return { kind: 'kept', whileConnected: !kept.stored.persistent };
  // A CONNECT that was given up while it waited displaces no later one.
  if (!connecting.wanted) return refuseGone(ports, node, connecting);
  if (!(await displaced(ports, clientId))) {
    return refuse(ports, node, connecting, ReasonCode.serverBusy, 'the session is in use');
  }
  if (!connecting.wanted) return refuseGone(ports, node, connecting);
  const claimed = await claim(ports, node, connecting, principal, authenticationData);
  if (claimed.kind !== 'held') return claimed;
  if (!connecting.wanted) return refuseGone(ports, node, connecting);
  return refuse(ports, node, connecting, ReasonCode.serverBusy, 'the session is in use');
}

function mayName(ports: ConnectPorts, { user }: Principal, clientId: ClientId): boolean {
  if (ports.clientIdRule === undefined) return true;
  return user !== undefined && ports.clientIdRule.allows(user, clientId);
}

/** The client identifier's session at this ds, where it stays with its user. */
function keptBy(
  ports: ConnectPorts,
  clientId: ClientId,
  principal: Principal,
): LiveSession | undefined {
  const live = ports.live.get(clientId);
  // The store decides about a session whose connection has ended already.
  if (live === undefined || live.closing || ports.sessionUserChange !== 'refuse') return undefined;
  const user = userOf(principal);
  const mayHave = live.stored.isOf(user) || isSameName(live.stored.user ?? null, user);
  return mayHave ? undefined : live;
}

async function claim(
  ports: ConnectPorts,
  node: CsNode,
  connecting: Connecting,
  principal: Principal,
  authenticationData: Buffer | undefined,
): Promise<ConnectAnswer | Held | Kept> {
  const { request } = connecting;
  const user = userOf(principal);
  // A client that may not name this identifier could not come back to the session.
  const isLast = request.randomClientId && !mayName(ports, principal, request.clientId);
  const sessionExpiryS = isLast ? 0 : Math.min(request.sessionExpiryS, ports.sessionExpirySMax);
  if (!isLast && sessionExpiryS < request.sessionExpiryS && request.protocolVersion === 5)
    ports.events.limitReached('SESSION_EXPIRY_S_MAX');
  const asked: Claim = {
    clientId: request.clientId,
    node: node.id,
    handle: request.session,
    user,
    userChange: ports.sessionUserChange,
    cleanStart: request.cleanStart,
    sessionExpiryS,
    will: willOf(ports, connecting, principal),
  };
  const claimed = await claimFreed(ports, asked, connecting);
  if (claimed.kind === 'held') return claimed;
  if (claimed.kind === 'refused') {
    const { reason, whileConnected = false } = claimed;
    if (reason === 'other user') return { kind: 'kept', whileConnected };
    return refuseClaim(ports, node, connecting, reason);
  }
  const { clientId } = request;
  const { session: stored, epoch, present } = claimed;
  const session = new LiveSession(node, request.session, epoch, stored, request, principal);
  const isOthers = claimed.ended?.isOf(user) === false;
  session.comesBack = !present && !request.cleanStart && !isOthers;
  if (claimed.ended !== undefined) await endSession(ports, claimed.ended);
  if (isOthers) ports.events.userReplaced(session);
  ports.delayed.identified?.(clientId, stored.madeEpoch, stored.inbound);
  if (present) await cutBacklog(ports.limits, stored);
  node.connecting.delete(request.session);
  if (connecting.gone !== undefined) {
    await disconnect(ports, session, connecting.gone);
    return { kind: 'refused', reasonCode: ReasonCode.unspecifiedError, reason: 'gone' };
  }
  node.sessions.set(session.handle, session);
  ports.live.set(session.clientId, session);
  ports.owed.connected(stored);
  await inPortions(stored.subscriptions, (one) => {
    if (!session.closing) attach(ports, session, one);
  });
  // The user may have gone while the password was checked. Later removals are told to this session.
  ports.rights.endIfGone(session);
  // The same of a ban that has come meanwhile.
  ports.bans.endIfBanned(session);
  const obstacle = await obstacleOf(ports, session, claimed.willsDue);
  if (obstacle !== undefined) {
    // The connection ends again, and leaves no will.
    const end = { publishWill: false, sessionExpiryS: undefined, reason: obstacle };
    await disconnect(ports, session, end);
    ports.events.refused(request, ReasonCode.serverUnavailable, obstacle);
    return { kind: 'refused', reasonCode: ReasonCode.serverUnavailable, reason: obstacle };
  }
  ports.events.connected(session, present, request.cleanStart);
  if (!request.randomClientId) ports.bans.connected(session);
  return {
    kind: 'accepted',
    epoch,
    sessionPresent: present,
    state: stored.state(subscriptionsPortion),
    subscriptionsLeft: present
      ? Math.max(0, stored.subscriptions.length - subscriptionsPortion)
      : 0,
    sessionExpiryS,
    principal: principalText(principal),
    rights: ports.rights.claimed(session),
    packetBytesMax: ports.packetBytesMax?.(),
    authenticationData,
  };
}

/**
 * Why it cannot be connected. Wills that earlier connections left and that are due are stored before
 * CONNACK, so that nothing of this connection is before them.
 */
async function obstacleOf(
  ports: ConnectPorts,
  session: LiveSession,
  willsDue: boolean,
): Promise<string | undefined> {
  const settled = ports.holdings.settled()?.then(
    () => true,
    () => false,
  );
  const opened = openOwnQueue(ports, session);
  const flushed = willsDue ? ports.wills.flushed(session.clientId, ports.takeoverMs) : undefined;
  if (flushed !== undefined && !(await flushed)) return 'its last will is not stored';
  await opened;
  return (await settled) === false ? 'its queues are not routed' : undefined;
}

function willOf(
  ports: ConnectPorts,
  { request, willMessage }: Connecting,
  principal: Principal,
): StoredWill | undefined {
  const will = request.will && mountedWill(principal.mount, request.will);
  if (will === undefined) return undefined;
  const delayS = Math.min(will.delayS, ports.willDelaySMax);
  if (delayS < will.delayS) ports.events.limitReached('WILL_DELAY_S_MAX');
  return {
    clientId: request.clientId,
    will: { ...will, message: willMessage ?? will.message, delayS },
    principal: { principal, address: request.peer.address },
  };
}

function refuseClaim(
  ports: ConnectPorts,
  node: CsNode,
  connecting: Connecting,
  reason: ClaimRefused['reason'],
): ConnectAnswer {
  ports.events.claimRefused(reason);
  if (reason !== 'other user')
    return refuse(ports, node, connecting, ReasonCode.quotaExceeded, 'too many stored sessions');
  const reasonCode = ReasonCode.notAuthorized;
  return refuse(ports, node, connecting, reasonCode, 'the session is that of another user');
}

function refuseGone(ports: ConnectPorts, node: CsNode, connecting: Connecting): ConnectAnswer {
  return refuse(ports, node, connecting, ReasonCode.unspecifiedError, 'gone');
}

function refuse(
  ports: ConnectPorts,
  node: CsNode,
  connecting: Connecting,
  reasonCode: number,
  reason: string,
): ConnectAnswer {
  node.connecting.delete(connecting.request.session);
  ports.events.refused(connecting.request, reasonCode, reason);
  return { kind: 'refused', reasonCode, reason };
}
