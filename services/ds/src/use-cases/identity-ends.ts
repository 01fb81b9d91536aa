import type { ClientId } from '@lmqtt/common/ids';
import type { Clock } from '@lmqtt/common/clock';
import type { LiveSession } from '../sessions/live-session.ts';

const lookMs = 1000;

/**
 * Connected sessions whose identities end at a time, such as that of a token: each is told within a
 * second of it. Sessions stand in the second in which they are due, so that a look walks only
 * those that are.
 */
export class IdentityEnds {
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #live: ReadonlyMap<ClientId, LiveSession>;
  readonly #ended: (session: LiveSession) => void;
  readonly #due = new Map<number, Set<LiveSession>>();
  #timer: NodeJS.Timeout | undefined = undefined;

  /** `ended` is called for a session that is still connected. */
  constructor(
    clock: Pick<Clock, 'nowMs'>,
    live: ReadonlyMap<ClientId, LiveSession>,
    ended: (session: LiveSession) => void,
  ) {
    this.#clock = clock;
    this.#live = live;
    this.#ended = ended;
  }

  /** May be called again; the end of the session's present identity counts. */
  note(session: LiveSession): void {
    const { expiresAtMs } = session.principal;
    if (expiresAtMs === undefined) return;
    const second = Math.ceil(expiresAtMs / 1000);
    const there = this.#due.get(second);
    if (there === undefined) this.#due.set(second, new Set([session]));
    else there.add(session);
    this.#timer ??= setInterval(() => this.look(), lookMs).unref();
  }

  look(): void {
    const nowMs = this.#clock.nowMs();
    // As many seconds may be known as there are sessions, so this walks numbers and nothing else.
    for (const [second, sessions] of this.#due) {
      if (second * 1000 > nowMs) continue;
      this.#due.delete(second);
      for (const session of sessions) {
        const { expiresAtMs } = session.principal;
        if (this.#live.get(session.clientId) !== session) continue;
        if (expiresAtMs === undefined || expiresAtMs > nowMs) continue;
        this.#ended(session);
      }
    }
    if (this.#due.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
