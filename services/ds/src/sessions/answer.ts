import type { Publish } from '@lmqtt/proto/link';
import type { Outlet } from '../routing/outlet.ts';
import type { StoredSession } from '../session-store/stored-session.ts';

/** A session as those see it who answer its publishes. */
export interface AnsweredSession {
  readonly stored: StoredSession;
  readonly protocolVersion: number;
  /** In the order of its publishes. */
  readonly unanswered: Answer[];
  turnedAway: boolean;
}

/** Answer that a client waits for. */
export interface Answer {
  readonly node: Outlet;
  readonly session: AnsweredSession;
  readonly publish: Publish;
  /** How many stores have not answered. */
  waiting: number;
}
