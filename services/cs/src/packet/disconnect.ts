/** DISCONNECT from a client, section 3.14; reason 0 and nothing else before 5.0. */
export interface Disconnect {
  readonly reasonCode: number;
  /** Seconds; undefined: not in the packet. */
  readonly sessionExpiryS: number | undefined;
  readonly reasonString: string | undefined;
}
