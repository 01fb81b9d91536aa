// The budget of hooks. Hides how long one may take (HOOK_TIMEOUT_MS), how many may be under way
// (HOOKS_AT_ONCE), and that one which throws harms nobody: whatever happens is counted, and what is
// wrong is told. A hook that gives no promise costs a call and nothing more; one that never gives
// its thread back cannot be stopped by anybody.
import { type Clock, systemClock } from '@lmqtt/common/clock';
import type { HookName, Hooks } from './hooks.ts';
import { OpenHooks } from './open-hooks.ts';

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
  readonly clock?: Clock;
}

export class HookCalls {
  readonly hooks: Hooks;
  readonly #options: HookCallsOptions;
  readonly #freed: (() => void)[] = [];
  readonly #open: OpenHooks;

  constructor(hooks: Hooks, options: HookCallsOptions) {
    this.hooks = hooks;
    this.#options = options;
    this.#open = new OpenHooks(options.timeoutMs, options.clock ?? systemClock);
  }

  get underWay(): number {
    return this.#open.size;
  }

  /** No other hook may begin that gives a promise. */
  get isFull(): boolean {
    return this.#open.size >= this.#options.atOnce;
  }

  /** The listener is called whenever another hook may begin. */
  onFreed(listener: () => void): void {
    this.#freed.push(listener);
  }

  /** Calls the hook; its answer, or its promise, which is to be given to `follow`. */
  begin<Said>(hook: HookName, call: () => Said | Promise<Said>): Said | NoAnswer | Promise<Said> {
    try {
      const said = call();
      return isPromise(said) ? Promise.resolve(said) : said;
    } catch (error) {
      return this.fails(hook, error);
    }
  }

  /** `answered` is called once, with what the promise says or when its time is over. */
  follow<Said>(
    hook: HookName,
    said: Promise<Said>,
    answered: (answer: Said | NoAnswer) => void,
  ): void {
    const open = this.#open.add(() => {
      answered(this.fails(hook, `no answer in ${this.#options.timeoutMs} ms`, 'late'));
      this.#free();
    });
    said.then(
      (answer) => {
        if (!this.#open.take(open)) return;
        answered(answer);
        this.#free();
      },
      (error: unknown) => {
        if (!this.#open.take(open)) return;
        answered(this.fails(hook, error));
        this.#free();
      },
    );
  }

  /** Calls the hook; its answer, or a promise of it that never rejects. */
  ask<Said>(
    hook: HookName,
    call: () => Said | Promise<Said>,
  ): Said | NoAnswer | Promise<Said | NoAnswer> {
    const said = this.begin(hook, call);
    if (!isPromise(said)) return said;
    return new Promise((resolve) => this.follow(hook, said, resolve));
  }

  /** For hooks whose answer nobody waits for. */
  tell(hook: HookName, call: () => unknown): void {
    if (this.isFull) {
      this.full(hook);
      return;
    }
    const said = this.begin(hook, call);
    const told = (answer: unknown): void => {
      if (answer !== noAnswer) this.count(hook, 'done');
    };
    if (isPromise(said)) this.follow(hook, said, told);
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

  #free(): void {
    for (const listener of this.#freed) listener();
  }
}

export function isPromise(said: unknown): said is Promise<unknown> {
  return (
    typeof said === 'object' && said !== null && 'then' in said && typeof said.then === 'function'
  );
}
