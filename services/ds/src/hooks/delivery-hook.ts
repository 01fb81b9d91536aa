import type { HookCalls } from './hook-calls.ts';

/** onDeliver: told how many messages clients were sent, from a timer. */
export class DeliveryHook {
  readonly #calls: HookCalls;
  readonly #sent: () => number;
  #before: number;

  /** `sent`: all that were sent; less than before where a cs has left. */
  constructor(calls: HookCalls, sent: () => number) {
    this.#calls = calls;
    this.#sent = sent;
    this.#before = sent();
  }

  run(): void {
    const { onDeliver } = this.#calls.hooks;
    if (onDeliver === undefined) return;
    const sent = this.#sent();
    const messages = sent - this.#before;
    this.#before = sent;
    if (messages > 0) this.#calls.tell('onDeliver', () => onDeliver({ messages }));
  }
}
