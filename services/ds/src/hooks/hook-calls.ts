// The budget of hooks. Hides how long one may take (HOOK_TIMEOUT_MS), how many may be under way
// (HOOKS_AT_ONCE), and that one which throws harms nobody: whatever happens is counted, and what is
// wrong is told. A hook that gives no promise costs a call and nothing more; one that never gives
// its thread back cannot be stopped by anybody.
import type { HookName, Hooks } from './hooks.ts';

export const hookOutcomes = ['done', 'changed', 'refused', 'failed', 'late', 'full'] as const;
type HookOutcome = (typeof hookOutcomes)[number];

/** No answer of the hook: it threw, took too long, or said what nobody understands. */
export const noAnswer: unique symbol = Symbol('no answer');
export type NoAnswer = typeof noAnswer;

interface HookCallsOptions {
  readonly timeoutMs: number;
  readonly atOnce: number;
  readonly counted: (hook: HookName, outcome: HookOutcome) => void;
  /** For the log: a hook fails, and why. */
  readonly failed: (hook: HookName, problem: string) => void;
  /** HOOKS_AT_ONCE was reached. */
  readonly onFull: () => void;
}

export class HookCalls {
  readonly hooks: Hooks;
  readonly #options: HookCallsOptions;
  readonly #freed: (() => void)[] = [];
  #underWay = 0;

  constructor(hooks: Hooks, options: HookCallsOptions) {
    this.hooks = hooks;
    this.#options = options;
  }

  get underWay(): number {
    return this.#underWay;
  }

  /** No other hook may begin that gives a promise. */
  get isFull(): boolean {
    return this.#underWay >= this.#options.atOnce;
  }

  /** The listener is called whenever another hook may begin. */
  onFreed(listener: () => void): void {
    this.#freed.push(listener);
  }

  /** Calls the hook; its answer, or a promise of it that never rejects. */
  ask<Said>(
    hook: HookName,
    call: () => Said | Promise<Said>,
  ): Said | NoAnswer | Promise<Said | NoAnswer> {
    try {
      const said = call();
      return isPromise(said) ? this.#inTime(hook, said) : said;
    } catch (error) {
      return this.fails(hook, error);
    }
  }

  /** For hooks whose answer nobody waits for. */
  tell(hook: HookName, call: () => unknown): void {
    if (this.isFull) {
      this.full(hook);
      return;
    }
    const said = this.ask(hook, call);
    const told = (answer: unknown): void => {
      if (answer !== noAnswer) this.count(hook, 'done');
    };
    if (isPromise(said)) void said.then(told);
    else told(said);
  }

  count(hook: HookName, outcome: HookOutcome): void {
    this.#options.counted(hook, outcome);
  }

  full(hook: HookName): void {
    this.#options.onFull();
    this.count(hook, 'full');
  }

  fails(hook: HookName, error: unknown, outcome: 'failed' | 'late' = 'failed'): NoAnswer {
    this.count(hook, outcome);
    this.#options.failed(hook, error instanceof Error ? error.message : String(error));
    return noAnswer;
  }

  #inTime<Said>(hook: HookName, said: Promise<Said>): Promise<Said | NoAnswer> {
    const { timeoutMs } = this.#options;
    this.#underWay += 1;
    return new Promise((resolve) => {
      let isOver = false;
      const end = (answer: () => Said | NoAnswer): void => {
        if (isOver) return;
        isOver = true;
        clearTimeout(timer);
        this.#underWay -= 1;
        resolve(answer());
        for (const listener of this.#freed) listener();
      };
      const late = (): NoAnswer => this.fails(hook, `no answer in ${timeoutMs} ms`, 'late');
      const timer = setTimeout(() => end(late), timeoutMs);
      said.then(
        (answer) => end(() => answer),
        (error: unknown) => end(() => this.fails(hook, error)),
      );
    });
  }
}

export function isPromise<T>(said: T | Promise<T>): said is Promise<T> {
  return (
    typeof said === 'object' && said !== null && 'then' in said && typeof said.then === 'function'
  );
}
