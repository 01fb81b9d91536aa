import type { ClientId } from '@lmqtt/common/ids';
import { pause } from '@lmqtt/common/pause';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { DsEvents } from '../events.ts';
import { kick } from './kick.ts';
import type { Connecting } from '../sessions/connecting.ts';
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

/** The CONNECT that a claim is made for, as its ds knows of it now. */
export type Claimant = Pick<Connecting, 'wanted' | 'heard'>;

const kickEachMs = 1000;
const heardCheckMs = 50;

/**
 * A connection at another ds goes first, as one here does. A CONNECT that was given up meanwhile
 * displaces nobody: the connection that holds the session may be that of the same client's next
 * CONNECT. While its cs is not heard, nobody knows whether it was.
 */
export async function claimFreed(
  ports: TakeoverPorts,
  claim: Claim,
  claimant: Claimant,
): Promise<Claimed | Held | ClaimRefused> {
  const first = await ports.sessionStore.claim(claim);
  if (first.kind !== 'held' || !claimant.wanted) return first;
  const isFreed = await freed(ports, first, claimant);
  if (!claimant.wanted || (!isFreed && !claimant.heard)) return first;
  // A ds may die between a claim and its answer: then nobody knows of that connection.
  if (!isFreed) await ports.sessionStore.endHeld(first);
  return claimant.wanted ? ports.sessionStore.claim(claim) : first;
}

/** Whether the connection has ended; false as well once the claimant is not wanted any more. */
async function freed(ports: TakeoverPorts, held: Held, claimant: Claimant): Promise<boolean> {
  let again: NodeJS.Timeout | undefined;
  const givenUp = new Promise<boolean>((resolve) => {
    const ask = (): void => {
      if (!claimant.wanted) resolve(false);
      else if (claimant.heard) ports.kickAt(held); // [MQTT-3.1.4-3]
    };
    ask();
    // Between ds nodes a word may be lost.
    again = setInterval(ask, kickEachMs);
  });
  try {
    return await Promise.race([ports.sessionStore.freed(held, ports.takeoverMs), givenUp]);
  } finally {
    clearInterval(again);
  }
}

/**
 * A CONNECT whose cs is not heard waits until it is, or is given up: its cs may have asked another
 * ds by now, and an answer would not reach it.
 */
export async function heardAgain(ports: TakeoverPorts, claimant: Claimant): Promise<void> {
  for (let waitedMs = 0; waitedMs < ports.takeoverMs; waitedMs += heardCheckMs) {
    if (claimant.heard || !claimant.wanted) return;
    await pause(heardCheckMs);
  }
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
