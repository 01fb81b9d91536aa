import type { Session } from './session.ts';

/** What a session tells of messages that were not delivered, or not accepted. */
export interface SessionEvents {
  expired(session: Session): void;
  /** Larger than the client's maximum packet size. */
  tooLarge(session: Session): void;
  /** QoS 0 to a client whose write buffer is full. */
  droppedSlow(session: Session): void;
  /** PUBACK, PUBREC or PUBCOMP with an error. */
  refusedByClient(session: Session): void;
  /** A message in flight is no longer in the store. */
  lost(session: Session): void;
}
