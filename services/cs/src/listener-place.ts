/** The connections of one listener that have a session. */
export interface ListenerPlace {
  readonly name: string;
  readonly connectionsMax: number;
  open: number;
}
