import type { DsEvents } from './events.ts';
import { stopGraceMs } from './disconnect.ts';
import type { EndedNode, Nodes } from './registry/nodes.ts';
import type { RouteLog } from './registry/route-log.ts';
import type { ClusterSessionStore } from './session-store/session-store.ts';

export interface EndedCsPorts {
  readonly sessionStore: Pick<ClusterSessionStore, 'endNode'>;
  readonly registeredNodes: Pick<Nodes, 'takeEnded' | 'settled' | 'onLease'>;
  readonly routeLog: Pick<RouteLog, 'forget'>;
  readonly events: Pick<DsEvents, 'unexpected'>;
}

const againMs = 250;

/**
 * The cs nodes that ended and that this ds is to settle: their sessions, then their routes. None
 * waits for another, and what fails is done again until it is done or this ds has lost its lease:
 * another one takes it then, or this one anew.
 */
export class EndedCs {
  readonly #ports: EndedCsPorts;
  #lease = new AbortController();

  constructor(ports: EndedCsPorts) {
    this.#ports = ports;
    ports.registeredNodes.onLease((held) => {
      this.#lease.abort();
      if (held) this.#lease = new AbortController();
    });
  }

  /** From a timer. */
  async take(): Promise<void> {
    const { signal } = this.#lease;
    for (const ended of await this.#ports.registeredNodes.takeEnded())
      if (ended.role === 'cs') void this.#settle(ended, signal);
  }

  /** What is not done is another's. */
  stop(): void {
    this.#lease.abort();
  }

  async #settle(ended: EndedNode, signal: AbortSignal): Promise<void> {
    const { sessionStore, routeLog, registeredNodes, events } = this.#ports;
    while (!signal.aborted) {
      try {
        await sessionStore.endNode(ended.id, ended.left ? stopGraceMs : 0, ended.judged);
        await routeLog.forget(ended.id, 'cs');
        await registeredNodes.settled(ended);
        return;
      } catch (error) {
        if (!signal.aborted) events.unexpected('ended nodes', error);
      }
      await new Promise((resolve) => setTimeout(resolve, againMs));
    }
  }
}
