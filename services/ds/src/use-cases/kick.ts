import type { DsEvents } from '../events.ts';
import type { LiveSession } from '../sessions/live-session.ts';

/** Tells the session's cs to close the connection, with the reason code in 5.0. */
export function kick(events: DsEvents, session: LiveSession, reasonCode: number): void {
  if (session.kicked) return;
  session.kicked = true;
  events.kicked(session, reasonCode);
  session.node.downstream.kick(session.handle, reasonCode);
}
