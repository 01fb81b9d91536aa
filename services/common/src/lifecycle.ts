// What a process is ready for, and what it undoes when it stops. Stopping runs in the reverse order
// of starting, goes on past a step that fails, and happens once however often it is asked for.

export type LifecycleState = 'starting' | 'ready' | 'failed' | 'stopping';

export interface Readiness {
  readonly state: LifecycleState;
  /** Why it is `failed`; otherwise `null`. */
  readonly failure: string | null;
}

type Stop = () => void | Promise<void>;

export class Lifecycle implements Readiness {
  #state: LifecycleState = 'starting';
  #failure: string | null = null;
  readonly #stops: { readonly name: string; readonly stop: Stop }[] = [];
  #stopped: Promise<void> | undefined;
  readonly #onStopFailed: (name: string, error: unknown) => void;

  constructor(onStopFailed: (name: string, error: unknown) => void) {
    this.#onStopFailed = onStopFailed;
  }

  get state(): LifecycleState {
    return this.#state;
  }

  get failure(): string | null {
    return this.#failure;
  }

  ready(): void {
    if (this.#state === 'starting') this.#state = 'ready';
  }

  /** Not ready until `recovered`; the first reason stays. */
  failed(reason: string): void {
    if (this.#state === 'stopping' || this.#state === 'failed') return;
    this.#state = 'failed';
    this.#failure = reason;
  }

  recovered(): void {
    if (this.#state !== 'failed') return;
    this.#state = 'ready';
    this.#failure = null;
  }

  /** `stop` is called after those of all that is added later. */
  onStop(name: string, stop: Stop): void {
    this.#stops.push({ name, stop });
  }

  /** Resolves when every step has ended; never rejects. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll();
    return this.#stopped;
  }

  async #stopAll(): Promise<void> {
    this.#state = 'stopping';
    for (let step = this.#stops.pop(); step !== undefined; step = this.#stops.pop()) {
      try {
        await step.stop();
      } catch (error) {
        this.#onStopFailed(step.name, error);
      }
    }
  }
}
