import type { Session } from './session/session.ts';
import { Unacknowledged } from './session/unacknowledged.ts';

interface Connected {
  readonly version: number;
  readonly session: Session | undefined;
}

interface RetransmissionRules {
  readonly retryIntervalMs: number;
  readonly maxRetryTime: number;
}

/**
 * Messages that clients before MQTT 5.0 do not acknowledge, from a timer. MQTT 5.0 forbids a second
 * copy on one connection [MQTT-4.4.0-1].
 */
export class Retransmission {
  /** Time between two looks, ms. */
  readonly everyMs: number;
  readonly #rules: RetransmissionRules;
  readonly #resent: () => void;
  readonly #sessions: WeakMap<Session, Unacknowledged> = new WeakMap();

  constructor(rules: RetransmissionRules, resent: () => void) {
    this.#rules = rules;
    this.everyMs = Math.max(50, rules.retryIntervalMs / 4);
    this.#resent = resent;
  }

  look(clients: Iterable<Connected>, nowMs: number): void {
    const { retryIntervalMs, maxRetryTime } = this.#rules;
    for (const { version, session } of clients) {
      if (version === 5 || session === undefined || session.window.count === 0) continue;
      let unacknowledged = this.#sessions.get(session);
      if (unacknowledged === undefined) {
        unacknowledged = new Unacknowledged(session);
        this.#sessions.set(session, unacknowledged);
      }
      unacknowledged.look(nowMs, retryIntervalMs, maxRetryTime, this.#resent);
    }
  }
}
