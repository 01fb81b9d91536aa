import type { Publish } from '@lmqtt/proto/link';
import type { Outlet } from './outlet.ts';
import type { StoredSession } from './session-store/stored-session.ts';

/** What a client waits for. */
export interface Answer {
  readonly node: Outlet;
  readonly stored: StoredSession;
  /** Of its session, in the order of its publishes. */
  readonly unanswered: Answer[];
  readonly publish: Publish;
  readonly session: { turnedAway: boolean };
  readonly protocolVersion: number;
  /** How many stores have not answered. */
  waiting: number;
}
