import type { ClientId } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { DsEvents } from '../events.ts';
import { kick } from './kick.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import type {
  Claim,
  Claimed,
  ClaimRefused,
  Held,
  SessionStore,
} from '../session-store/session-store.ts';

export interface TakeoverPorts {
  readonly sessionStore: SessionStore;
  readonly events: DsEvents;
  /** The connected sessions of all nodes. */
  readonly live: Map<ClientId, LiveSession>;
  /**
   * How long a displaced connection has to say that its sends are drained; where its node is gone,
   * that node's lease ends before.
   */
  readonly takeoverMs: number;
  /** Asks a connection that is at another ds to go. */
  kickAt(held: Held): void;
}

const kickEachMs = 1000;

/** A connection at another ds goes first, as one here does. */
export async function claimFreed(
  ports: TakeoverPorts,
  claim: Claim,
): Promise<Claimed | Held | ClaimRefused> {
  const first = await ports.sessionStore.claim(claim);
  if (first.kind !== 'held') return first;
  ports.kickAt(first); // [MQTT-3.1.4-3]
  // Between ds nodes a word may be lost.
  const again = setInterval(() => ports.kickAt(first), kickEachMs);
  const isFreed = await ports.sessionStore
    .freed(first, ports.takeoverMs)
    .finally(() => clearInterval(again));
  // A ds may die between a claim and its answer: then nobody knows of that connection.
  if (!isFreed) await ports.sessionStore.endHeld(first);
  return ports.sessionStore.claim(claim);
}

/** A client has one connection in the cluster: the one before goes first. False: it does not. */
export async function displaced(ports: TakeoverPorts, clientId: ClientId): Promise<boolean> {
  const old = ports.live.get(clientId);
  if (old === undefined) return true;
  kick(ports.events, old, ReasonCode.sessionTakenOver); // [MQTT-3.1.4-3]
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ports.takeoverMs);
    old.onEnded(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
