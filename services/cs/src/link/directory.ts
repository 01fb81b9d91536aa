/** Address at which a ds node listens for cs nodes. */
export interface DsAddress {
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
}

export interface DsNode extends DsAddress {
  /** Identifier of the node, not of its process: one that starts again has it again. */
  readonly id: string;
  /**
   * True for a ds that is about to stop: no client is sent there, and those that are there move.
   */
  readonly draining: boolean;
}

/**
 * Which ds nodes there are.
 *
 * Promises
 * - `nodes` answers at once with what is known now; it may be empty. Where nothing can be learnt
 *   any more, that is what was known last.
 * - No two nodes have the same id.
 * - Listeners are called after `nodes` has changed, and never from within `onChange`.
 */
export interface Directory {
  nodes(): readonly DsNode[];
  /** Resolves when `nodes` is no older than the call, or that cannot be learnt. */
  refresh?(): Promise<void>;
  /** Answers how to stop listening. */
  onChange(listener: () => void): () => void;
}

/** As the setting DS has it. */
export function addressText({ host, port }: DsAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export function sameAddress(one: DsAddress, other: DsAddress): boolean {
  return one.host === other.host && one.port === other.port;
}
