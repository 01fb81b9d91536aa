/** Where a ds node listens for cs nodes. */
export interface DsAddress {
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * Which ds nodes there are.
 *
 * Promises
 * - `nodes` answers at once with what is known now; it may be empty.
 * - Listeners are called after `nodes` has changed, and never from within `onChange`.
 */
export interface Directory {
  nodes(): readonly DsAddress[];
  /** Answers how to stop listening. */
  onChange(listener: () => void): () => void;
}

/** As the setting DS has it. */
export function addressText({ host, port }: DsAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
