import { systemClock } from '@lmqtt/common/clock';
import type { Logs } from '@lmqtt/common/log';
import type { Metrics, PlainCounter } from '@lmqtt/common/metrics';

const lineEachMs = 1000;

/** Business events of the cluster's registry: a counter and a log line each. */
export class RegistryEvents {
  readonly #logs: Logs;
  /** When a line was last written, by what failed. */
  readonly #failedMs = new Map<string, number>();
  readonly #judged: PlainCounter;
  readonly #leasesLost: PlainCounter;
  readonly #losses: PlainCounter;
  readonly #conflicts: PlainCounter;
  readonly #reloads: PlainCounter;
  readonly #failures: PlainCounter;
  readonly #waits: PlainCounter;

  constructor(logs: Logs, metrics: Metrics) {
    this.#logs = logs;
    const counter = (name: string, help: string): PlainCounter =>
      metrics.counter(`lmqtt_registry_${name}_total`, help);
    this.#judged = counter('nodes_ended', 'Ends of nodes that this ds was told');
    this.#leasesLost = counter('lease_lost', 'Times that this ds lost its lease');
    this.#losses = counter('losses', 'Times that the registry had lost changes or all it had');
    this.#conflicts = counter('conflicts', 'Facts that others had recorded otherwise after a loss');
    this.#reloads = counter('reloads', 'Times that all routes were loaded');
    this.#failures = counter('failures', 'Requests that the registry did not answer');
    this.#waits = counter('slow_barriers', 'Subscribes that waited long for another ds');
  }

  leaseBegan(id: string): void {
    this.#logs.broker.info({ ds: id }, 'member of the cluster');
  }

  leaseLost(id: string, reason: string): void {
    this.#leasesLost.value += 1;
    this.#logs.broker.warn({ ds: id, reason }, 'the lease of this ds has ended');
  }

  nameTaken(id: string): void {
    this.#logs.broker.error({ ds: id }, 'another ds has this id: set another NODE_ID');
  }

  nodeEnded(role: string, id: string, left: boolean): void {
    this.#judged.value += 1;
    this.#logs.broker.info(
      { role, id, left },
      left ? 'node has left' : 'lease of a node has ended',
    );
  }

  /** `emptied`: nothing at all was stored there. */
  lost(emptied: boolean): void {
    this.#losses.value += 1;
    this.#logs.store.error(
      { emptied },
      emptied
        ? 'Redis was found EMPTY while this cluster is running: what this ds holds is stored again; sessions of clients that are not connected now are gone'
        : 'Redis has lost changes: what this ds holds is stored again',
    );
  }

  conflict(what: string, mine: string | number, stored: string | number): void {
    this.#conflicts.value += 1;
    this.#logs.store.error(
      { what, mine, stored },
      'another ds has recorded another value after Redis lost this one',
    );
  }

  routesLoaded(queues: number, ms: number): void {
    this.#reloads.value += 1;
    this.#logs.store.info({ queues, ms: Math.round(ms) }, 'routes loaded');
  }

  failed(what: string, error: unknown): void {
    this.#failures.value += 1;
    const nowMs = systemClock.monotonicMs();
    if (nowMs - (this.#failedMs.get(what) ?? -Infinity) < lineEachMs) return;
    this.#failedMs.set(what, nowMs);
    this.#logs.store.warn({ what, err: error }, 'the registry does not answer');
  }

  barrierWaits(ds: readonly string[]): void {
    this.#waits.value += 1;
    this.#logs.store.warn({ ds }, 'subscribes wait for a ds that does not apply routes');
  }
}
