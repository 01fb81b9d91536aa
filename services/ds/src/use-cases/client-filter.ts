// Which clients an operator asks for.
import { csOfLane } from '@lmqtt/common/ids';
import { isWithin, networkOf } from '@lmqtt/common/networks';
import { isOfMount } from '@lmqtt/common/mount';
import { addresseeOf, clientOfP2p, isP2pFilter, isP2pOfMount } from '@lmqtt/common/p2p';
import { matches, parseSharedFilter } from '@lmqtt/common/topic';
import type { LiveSession } from '../sessions/live-session.ts';
import type { StoredSession, StoredSubscription } from '../session-store/stored-session.ts';

/** All that is given has to fit. */
export interface ClientFilter {
  /** Beginning of the client identifier. */
  readonly prefix?: string | undefined;
  /** Verified user name; of a client that is away, the owner of its session. */
  readonly user?: string | undefined;
  /** Connection node. */
  readonly node?: string | undefined;
  /** Address or network of the connection. */
  readonly address?: string | undefined;
  readonly connected?: boolean | undefined;
  /** Protocol level: 3, 4 or 5. */
  readonly protocol?: number | undefined;
  /** A topic filter that it subscribes to, as its client has written it. */
  readonly subscribed?: string | undefined;
  /** A topic name that one of its subscriptions matches. */
  readonly topic?: string | undefined;
}

/**
 * Whether a message on this topic is for the subscription. `mount` is the namespace of its client,
 * as far as it is known: it is while the client is connected.
 */
export function wouldGet(
  { filter }: Pick<StoredSubscription, 'filter'>,
  topic: string,
  mount: string | undefined,
): boolean {
  if (isP2pFilter(filter)) {
    const addressee = addresseeOf(topic);
    if (addressee === undefined || clientOfP2p(filter) !== addressee) return false;
    return mount === undefined || isP2pOfMount(mount, topic);
  }
  if (mount !== undefined && !isOfMount(mount, topic)) return false;
  const shared = parseSharedFilter(filter);
  return shared !== 'malformed' && matches(shared?.filter ?? filter, topic);
}

function hasFitting(
  { subscriptions }: StoredSession,
  topic: string,
  live: LiveSession | undefined,
): boolean {
  return subscriptions.some((one) => wouldGet(one, topic, live?.principal.mount));
}

type Fits = (session: StoredSession, live: LiveSession | undefined) => boolean;

/** False: it asks for properties of connections, so no session without one fits. */
export function mayBeAway({ node, address, connected, protocol }: ClientFilter): boolean {
  return (
    connected !== true && node === undefined && address === undefined && protocol === undefined
  );
}

export function nameOfUser({ user }: StoredSession): string | null {
  return user?.split('\0', 1)[0] ?? null;
}

export function fitsOf(filter: ClientFilter): Fits {
  const { prefix, user, node, address, connected, protocol, subscribed, topic } = filter;
  const networks = address === undefined ? undefined : networkOf(address);
  const isConnection = (live: LiveSession | undefined): boolean => {
    if (live === undefined) return mayBeAway(filter);
    if (connected === false) return false;
    if (node !== undefined && csOfLane(live.node.id) !== node) return false;
    if (protocol !== undefined && live.protocolVersion !== protocol) return false;
    return (
      address === undefined || (networks !== undefined && isWithin(networks, live.peer.address))
    );
  };
  return (session, live) => {
    if (prefix !== undefined && !session.clientId.startsWith(prefix)) return false;
    if (!isConnection(live)) return false;
    if (user !== undefined && (live?.principal.user ?? nameOfUser(session)) !== user) return false;
    if (subscribed !== undefined && session.subscription(subscribed) === undefined) return false;
    return topic === undefined || hasFitting(session, topic, live);
  };
}
