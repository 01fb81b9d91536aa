/** An MQTT topic that is published for the first time, as far as this ds knows. */
export interface Claim {
  readonly topic: string;
  /** Where it goes instead of its own place, as text; '' where it goes to that. */
  readonly detour: string;
}

/**
 * Which MQTT topics have been published, and detours: places of topics that were first published
 * while the broker of their own place was away. A topic that was never published has no order to
 * keep.
 *
 * Promises
 * - A topic gets a detour only by the first claim of it that any ds makes, and keeps it: `of`
 *   answers it at every ds that has claimed the topic.
 * - Past the maximum number of detours a topic gets none.
 * - Topics are kept in a bounded number of bits: a topic may, rarely, count as claimed before
 *   though it was not. Then it gets no detour.
 * - What this ds has seen is stored again after the registry has lost it.
 * - Calls reject within a bounded time where the registry does not answer.
 */
export interface Detours {
  /** Whether `of` is right for the topic. */
  isClaimed(topic: string): boolean;
  of(topic: string): string | undefined;
  claim(claims: readonly Claim[]): Promise<void>;
  /** Reads those that other ds nodes have made; true: there were some. */
  read(): Promise<boolean>;
  readonly count: number;
}
