// The readiness of a process, and the steps that it undoes when it stops. Stopping runs in the
// reverse order of starting, goes on past a step that fails, and happens once however often it is
// asked for.

type LifecycleState = 'starting' | 'ready' | 'not ready' | 'stopping';

export interface Readiness {
  readonly state: LifecycleState;
  /** The thing that is missing; `null` if nothing is, or nothing will be. */
  readonly missing: string | null;
  /** Faults with which the process still serves. */
  readonly notices: readonly string[];
}

type Stop = () => void | Promise<void>;
/** Answers with the thing that is missing at this moment; `null`: nothing. */
type Need = () => string | null;

export class Lifecycle implements Readiness {
  #phase: 'starting' | 'started' | 'stopping' = 'starting';
  readonly #needs: Need[] = [];
  readonly #notes: Need[] = [];
  readonly #stops: { readonly name: string; readonly stop: Stop }[] = [];
  #stopped: Promise<void> | undefined;
  readonly #onStopFailed: (name: string, error: unknown) => void;

  constructor(onStopFailed: (name: string, error: unknown) => void) {
    this.#onStopFailed = onStopFailed;
  }

  get state(): LifecycleState {
    if (this.#phase !== 'started') return this.#phase;
    return this.missing === null ? 'ready' : 'not ready';
  }

  get missing(): string | null {
    if (this.#phase === 'stopping') return null;
    for (const need of this.#needs) {
      const missing = need();
      if (missing !== null) return missing;
    }
    return null;
  }

  /** Everything runs that has to. */
  started(): void {
    if (this.#phase === 'starting') this.#phase = 'started';
  }

  /** Not ready while `need` says that something is missing; asked whenever somebody looks. */
  needs(need: Need): void {
    this.#needs.push(need);
  }

  get notices(): string[] {
    if (this.#phase === 'stopping') return [];
    return this.#notes.map((note) => note()).filter((text) => text !== null);
  }

  /** Ready all the same while `note` says something; asked whenever somebody looks. */
  notes(note: Need): void {
    this.#notes.push(note);
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
    this.#phase = 'stopping';
    for (let step = this.#stops.pop(); step !== undefined; step = this.#stops.pop()) {
      try {
        await step.stop();
      } catch (error) {
        this.#onStopFailed(step.name, error);
      }
    }
  }
}
