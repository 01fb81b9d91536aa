/** Events of a session: messages that were not delivered, or not accepted. */
export interface SessionEvents {
  expired(): void;
  /** Larger than the client's maximum packet size. */
  tooLarge(): void;
  /** QoS 0 to a client whose write buffer is full. */
  droppedSlow(): void;
  /** A message waits because as many as may be are in flight. */
  windowFull(): void;
  /** PUBACK, PUBREC or PUBCOMP with an error. */
  refusedByClient(): void;
  /** A message in flight is no longer in the store. */
  lost(): void;
}
