import type { SessionHandle } from '@lmqtt/common/ids';
import type { CallType } from '@lmqtt/proto/calls';
import { LinkLost } from '@lmqtt/proto/link-lost';
import type { CallSubject } from './publish-order.ts';

/**
 * Fate of a call that another ds is asked to answer, or that outlasts the lease. `again`: it waits
 * and is sent again. `claim`: it is about a connection that only the ds of before knows, so it
 * fails.
 */
export type CallKind = 'again' | 'claim';

interface WaitingCall extends CallSubject {
  /** Among all calls on the link. */
  readonly ticket: number;
  readonly id: number;
  readonly method: number;
  readonly body: Buffer;
}

interface Waiting extends WaitingCall {
  readonly kind: CallKind;
  /** The session that a claim would bring about. */
  readonly claimed: SessionHandle | undefined;
  answered(body: Buffer): void;
  rejected(error: Error): void;
}

/** Calls without an answer, in their order. */
export class PendingCalls {
  readonly #calls: Map<number, Waiting> = new Map();

  get count(): number {
    return this.#calls.size;
  }

  add<Request, Answer>(
    call: WaitingCall,
    kind: CallKind,
    claimed: SessionHandle | undefined,
    type: CallType<Request, Answer>,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const answered = (answer: Buffer) => resolve(type.answer.decode(answer));
      this.#calls.set(call.id, { ...call, kind, claimed, answered, rejected: reject });
    });
  }

  answered(id: number, body: Buffer): void {
    const call = this.#take(id);
    try {
      call?.answered(body);
    } catch (error) {
      call?.rejected(new Error('the answer of ds cannot be read', { cause: error }));
    }
  }

  failed(id: number, error: string): void {
    this.#take(id)?.rejected(new Error(error));
  }

  /** Rejects the claims with {@link LinkLost}; answers the sessions that they would bring about. */
  rejectClaims(reason: string): SessionHandle[] {
    const sessions = new Set<SessionHandle>();
    for (const call of this.#calls.values()) {
      if (call.kind !== 'claim') continue;
      this.#calls.delete(call.id);
      if (call.claimed !== undefined) sessions.add(call.claimed);
      call.rejected(new LinkLost(reason));
    }
    return [...sessions];
  }

  rejectAll(reason: string): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.rejected(new Error(reason));
  }

  unanswered(): Iterable<WaitingCall> {
    return this.#calls.values();
  }

  #take(id: number): Waiting | undefined {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    return call;
  }
}
