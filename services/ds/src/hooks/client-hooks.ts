import type { HookCalls } from './hook-calls.ts';
import { hookClient, type HookSession } from './hooked-message.ts';

/** onConnect and onDisconnect: nobody waits for them. */
export class ClientHooks {
  readonly #calls: HookCalls;

  constructor(calls: HookCalls) {
    this.#calls = calls;
  }

  connected(session: HookSession, cleanStart: boolean, sessionPresent: boolean): void {
    const { onConnect } = this.#calls.hooks;
    if (onConnect === undefined) return;
    const client = { clean_start: cleanStart, session_present: sessionPresent };
    this.#calls.tell('onConnect', () => onConnect({ ...hookClient(session), ...client }));
  }

  disconnected(session: HookSession, reason: string): void {
    const { onDisconnect } = this.#calls.hooks;
    if (onDisconnect === undefined) return;
    this.#calls.tell('onDisconnect', () => onDisconnect({ ...hookClient(session), reason }));
  }
}
