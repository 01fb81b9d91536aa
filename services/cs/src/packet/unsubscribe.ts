import type { UserProperty } from './property.ts';

/** UNSUBSCRIBE, section 3.10. At least one filter; the syntax of filters is not checked yet. */
export interface Unsubscribe {
  readonly packetId: number;
  readonly filters: readonly string[];
  readonly userProperties: readonly UserProperty[];
}
