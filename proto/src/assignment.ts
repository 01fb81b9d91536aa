import type { GroupId, QueueId, SessionHandle } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';

/** A message that the owner of a shared group gives to one session. */
export interface Assignment {
  readonly session: SessionHandle;
  readonly group: GroupId;
  /** Filter of the subscription as the client sent it. */
  readonly filter: string;
  readonly queue: QueueId;
  readonly partition: number;
  readonly offset: number;
  readonly message: Message;
  /** Grows with each owner of the group, where one may follow another. */
  readonly epoch?: number;
  /** Number of the last fence before it, of that epoch; at least 1. */
  readonly fence?: number;
}

/**
 * The session lets go of what the group gave it and what did not go out, takes nothing more of a
 * lesser epoch or from before the fence, which may have gone another way, and answers with the
 * write `fenced`.
 */
export interface GroupFence {
  readonly session: SessionHandle;
  readonly group: GroupId;
  /** Epoch of the owner of the group. */
  readonly epoch: number;
  /** Grows with each fence of that epoch; at least 1. */
  readonly number: number;
}
