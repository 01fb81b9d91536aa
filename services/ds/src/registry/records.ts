/**
 * Facts that are written once and then stand: which RocketMQ topic a topic belongs to, the numbers
 * of brokers.
 *
 * Promises
 * - `remember` answers what is stored for the key: the first value that anybody gave.
 * - `numberOf` gives each key of a kind a number of its own, from 0 on, which no other key gets.
 * - What this ds has seen is stored again after the registry has lost it. What it has seen of a
 *   key is answered without asking.
 * - Calls reject within a bounded time where the registry does not answer.
 */
export interface Records {
  remember(kind: string, key: string, value: string): Promise<string>;
  numberOf(kind: string, key: string): Promise<number>;
  /** All keys of a kind; numbers as text. */
  all(kind: string): Promise<Map<string, string>>;
}
