import type { Membership } from './membership.ts';
import { type AliveDs, aliveOf, textOf } from './registry-reply.ts';
import { scripts } from './registry-scripts.ts';

interface Waiting {
  readonly number: number;
  readonly untilMs: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

const lookMsMin = 20;
const looksPerLease = 30;
/** Looks after which a barrier is told to be slow. */
const slowLooks = 15;

/**
 * Waits until every ds that serves and has a lease has applied the log up to a number. They report
 * by pub/sub, which may lose a word: while somebody waits, Redis is asked as well.
 */
export class RouteBarrier {
  readonly #member: Membership;
  readonly #waiting = new Set<Waiting>();
  /** The other ds nodes, of the last answer; those that are not in it are not waited for. */
  #others = new Map<string, number>();
  /** Told the last number of the log. */
  readonly #seen: (number: number) => void;
  /** Number up to which members have been seen; one that joined later had all of it. */
  #listed = 0;
  #passed = 0;
  #looks = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(member: Membership, seen: (number: number) => void) {
    this.#member = member;
    this.#seen = seen;
  }

  /** All have applied the log up to here. */
  get passed(): number {
    return this.#passed;
  }

  /** There is somebody to report to. */
  get hasOthers(): boolean {
    return this.#others.size > 0;
  }

  reported(ds: string, number: number): void {
    const known = this.#others.get(ds);
    if (known === undefined || known >= number) return;
    this.#others.set(ds, number);
    this.check();
  }

  /** An answer of Redis, and the last number of the log when it was given. */
  alive(list: readonly AliveDs[], last: number): void {
    this.#listed = last;
    const others = new Map<string, number>();
    for (const { id, applied } of list) {
      if (id === this.#member.id || applied === undefined) continue;
      others.set(id, Math.max(applied, this.#others.get(id) ?? 0));
    }
    this.#others = others;
    this.check();
  }

  wait(number: number, untilMs: number): Promise<void> {
    this.check();
    if (number <= this.#passed) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.add({ number, untilMs, resolve, reject });
      this.#look();
    });
  }

  /** This ds has applied more. */
  check(): void {
    let passed = Math.min(this.#member.applied, this.#listed);
    for (const number of this.#others.values()) passed = Math.min(passed, number);
    this.#passed = Math.max(this.#passed, passed);
    if (this.#waiting.size === 0) return;
    for (const waiting of this.#waiting) {
      if (waiting.number > this.#passed) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
    if (this.#waiting.size === 0) this.#rest();
  }

  stop(error: Error): void {
    this.#rest();
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting.clear();
  }

  #rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#looks = 0;
  }

  #look(): void {
    if (this.#timer !== undefined) return;
    const lookMs = Math.max(lookMsMin, this.#member.leaseMs / looksPerLease);
    let asking = false;
    this.#timer = setInterval(() => {
      const nowMs = this.#member.clock.monotonicMs();
      for (const waiting of this.#waiting) {
        if (waiting.untilMs > nowMs) continue;
        this.#waiting.delete(waiting);
        waiting.reject(new Error('a ds does not apply routes, or Redis does not answer'));
      }
      if (this.#waiting.size === 0) this.#rest();
      if (asking || this.#waiting.size === 0) return;
      this.#looks += 1;
      if (this.#looks === slowLooks) this.#member.events.barrierWaits(this.#behind());
      asking = true;
      this.#member.read(scripts.alive).then(
        ([, last, alive]) => {
          asking = false;
          this.alive(aliveOf(alive), Number(textOf(last)));
          this.#seen(Number(textOf(last)));
        },
        () => {
          asking = false;
        },
      );
    }, lookMs);
  }

  #behind(): string[] {
    return [...this.#others].filter(([, number]) => number <= this.#passed).map(([id]) => id);
  }
}
