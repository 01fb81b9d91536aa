/** UNSUBSCRIBE, section 3.10, with its filters as in SUBSCRIBE. */
export interface Unsubscribe {
  readonly packetId: number;
  readonly filters: readonly string[];
  readonly filterCount: number;
}
