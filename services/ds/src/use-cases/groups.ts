import type { GroupId } from '@lmqtt/common/ids';
import type { SessionWrite } from '@lmqtt/proto/link';
import type { LiveSession } from '../sessions/live-session.ts';
import type { OwnedGroupLine } from './group-lines.ts';
import type { Queue } from '../routing/routes.ts';
import type { StoredSession, StoredSubscription } from '../session-store/stored-session.ts';

/**
 * Shared groups, as use cases see them: who is a member, and what members have done with. A group
 * lives while it has members.
 */
export interface Groups {
  readonly count: number;
  /** Groups that this ds owns: for operators. */
  owned(): Iterable<OwnedGroupLine>;
  /** The group of a subscription that is being made; `unpin` it afterwards. */
  open(groupName: string, queue: Queue, member: StoredSession): Promise<{ readonly id: GroupId }>;
  unpin(group: { readonly id: GroupId }): void;
  has(id: GroupId): boolean;
  /** A member is connected. */
  join(session: LiveSession, subscription: StoredSubscription): void;
  /** A connected member was presented: what it has in flight is out with it. */
  restoreOut(session: LiveSession): void;
  /** The rights of a connected session to read have changed. */
  rightsChanged(session: LiveSession): void;
  /** The session's connection ended. */
  disconnect(session: LiveSession): void;
  /** The session ended, or unsubscribed. */
  leave(session: StoredSession, subscription: StoredSubscription): void;
  /** Before the session's own part of the write is made. */
  write(session: LiveSession, write: SessionWrite): void;
  /**
   * For the session store's commit: calls `durable` when what was written here is stored as well,
   * in the order of these calls.
   */
  behindWrites(durable: () => void): () => void;
  credit(session: LiveSession, messagesTotal: number): void;
}
