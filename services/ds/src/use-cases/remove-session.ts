import type { ClientId } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { ClientLocks } from './client-locks.ts';
import { endSession, type DisconnectPorts } from './disconnect.ts';
import { kick } from './kick.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import type { StoredSession } from '../session-store/stored-session.ts';

export interface RemoveSessionPorts extends DisconnectPorts {
  readonly locks: ClientLocks;
  readonly takeoverMs: number;
}

/** The session ends with its connection, which is told to go (5.0: 0x98). */
export async function endWithConnection(
  ports: RemoveSessionPorts,
  session: LiveSession,
): Promise<void> {
  session.endsWithConnection = true;
  kick(ports.events, session, ReasonCode.administrativeAction);
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ports.takeoverMs);
    session.onEnded(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/**
 * Removes a session without a connection, and sends its will. `find` gives it as it is stored now.
 * False: there is none, or it is connected.
 */
export function removeAbsent(
  ports: RemoveSessionPorts,
  clientId: ClientId,
  find: () => Promise<StoredSession | undefined>,
): Promise<boolean> {
  return ports.locks.run(clientId, async () => {
    const stored = await find();
    if (stored === undefined || stored.connected) return false;
    await ports.sessionStore.remove(stored);
    ports.wills.fire(clientId);
    await endSession(ports, stored);
    ports.events.sessionRemoved(clientId);
    return true;
  });
}
