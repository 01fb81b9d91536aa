import type { DsEvents } from '../events.ts';
import type { RouteLog } from '../registry/route-log.ts';

/** A place where queues are stored, which may have them again after its crash. */
export interface ReturnedStore {
  readonly name: string;
  /** Monotonic: since then it answers; undefined: it does not. */
  readonly answersSinceMs: number | undefined;
  /** Whether a queue of that place has anything there. */
  has(place: string): Promise<boolean>;
}

interface SweepAgainPorts {
  readonly routeLog: Pick<RouteLog, 'sweptLately' | 'open'>;
  readonly events: Pick<DsEvents, 'sweptAgain'>;
  readonly stores: () => Iterable<ReturnedStore>;
  readonly monotonicMs: () => number;
}

/** Time in which a broker builds its index from its log. */
const settledMs = 20_000;
const askedAtOnce = 100;

/**
 * Queues that were swept and that a broker brings back: after a crash it builds its index from its
 * log, which still has their messages. They are opened without anybody who holds them, so that they
 * are swept once more in the ordinary way, with everything that guards it.
 */
export class SweepAgain {
  readonly #ports: SweepAgainPorts;
  /** By name: the life in which it was looked through. */
  readonly #looked = new Map<string, number>();

  constructor(ports: SweepAgainPorts) {
    this.#ports = ports;
  }

  async run(): Promise<void> {
    const { stores, monotonicMs } = this.#ports;
    for (const store of stores()) {
      const { name, answersSinceMs } = store;
      if (answersSinceMs === undefined || this.#looked.get(name) === answersSinceMs) continue;
      if (monotonicMs() - answersSinceMs < settledMs) continue;
      await this.#look(store);
      this.#looked.set(name, answersSinceMs);
    }
  }

  async #look(store: ReturnedStore): Promise<void> {
    const { routeLog, events } = this.#ports;
    const swept = await routeLog.sweptLately();
    let found = 0;
    for (let at = 0; at < swept.length; at += askedAtOnce) {
      const some = swept.slice(at, at + askedAtOnce);
      const isThere = await Promise.all(some.map(({ place }) => store.has(place)));
      const back = some.filter((_, index) => isThere[index]);
      if (back.length === 0) continue;
      found += back.length;
      await routeLog.open(
        back.map(({ name, place }) => ({ name, place, holder: undefined, node: undefined })),
      );
    }
    if (found > 0) events.sweptAgain(store.name, found);
  }
}
