/** Limits of the packets that are read of one client. */
export interface ReaderLimits {
  /** Maximum bytes of a whole packet, its fixed header included. */
  readonly packetBytesMax: number;
  /** Filters of one SUBSCRIBE or UNSUBSCRIBE that are read; default: any number. */
  readonly filtersMax?: number;
  /**
   * Maximum bytes of a packet other than PUBLISH, SUBSCRIBE and UNSUBSCRIBE; unset:
   * `packetBytesMax`.
   */
  readonly connectBytesMax?: number;
  /** Maximum bytes of a SUBSCRIBE or UNSUBSCRIBE; unset: `packetBytesMax`. */
  readonly subscribeBytesMax?: number;
}
