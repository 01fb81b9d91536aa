import type { Clock } from '@lmqtt/common/clock';
import { OnceATurn } from '@lmqtt/common/once-a-turn';
import type { NodeId } from '@lmqtt/common/ids';
import { failureOf } from './membership.ts';

interface CsRenewal {
  readonly cs: NodeId;
  readonly instance: string;
  readonly connections: number;
  readonly draining: boolean;
}

interface AskedRenewal extends CsRenewal {
  readonly untilMs: number;
  readonly resolve: (renewed: boolean) => void;
  readonly reject: (error: Error) => void;
}

const againMs = 20;

/** Renewals of cs nodes, gathered for one request a turn. */
export class CsRenewals {
  readonly #sending: OnceATurn;
  readonly #clock: Clock;
  readonly #patienceMs: number;
  #asked: AskedRenewal[] = [];
  #stopped = false;

  /** `patienceMs`: how long one is asked again while this ds is no member. */
  constructor(clock: Clock, patienceMs: number, send: () => void) {
    this.#clock = clock;
    this.#patienceMs = patienceMs;
    this.#sending = new OnceATurn(() => {
      if (!this.#stopped) send();
    });
  }

  soon(): void {
    if (!this.#stopped) this.#sending.soon();
  }

  renew(renewal: CsRenewal): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const untilMs = this.#clock.monotonicMs() + this.#patienceMs;
      this.#asked.push({ ...renewal, untilMs, resolve, reject });
      this.soon();
    });
  }

  take(): AskedRenewal[] {
    const asked = this.#asked;
    this.#asked = [];
    return asked;
  }

  /** A digit for each. */
  answer(asked: readonly AskedRenewal[], results: string): void {
    asked.forEach(({ resolve }, index) => resolve(results[index] === '1'));
  }

  again(asked: readonly AskedRenewal[], error: unknown): void {
    const nowMs = this.#clock.monotonicMs();
    this.fail(
      asked.filter(({ untilMs }) => untilMs <= nowMs),
      error,
    );
    const rest = asked.filter(({ untilMs }) => untilMs > nowMs);
    if (rest.length === 0) return;
    this.#asked.unshift(...rest);
    setTimeout(() => this.soon(), againMs).unref();
  }

  fail(asked: readonly AskedRenewal[], error: unknown): void {
    for (const { reject } of asked) reject(failureOf(error));
  }

  stop(): void {
    this.#stopped = true;
    this.fail(this.take(), new Error('stopped'));
  }
}
