/** The connections of one listener that have a session, or are being served. */
export interface ListenerPlace {
  readonly name: string;
  readonly connectionsMax: number;
  open: number;
}
