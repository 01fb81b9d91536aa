import { pause } from '@lmqtt/common/pause';
import type { DsEvents } from '../events.ts';
import { stopGraceMs } from '../use-cases/disconnect.ts';
import type { EndedNode, Nodes } from '../registry/nodes.ts';
import type { RouteLog } from '../registry/route-log.ts';
import type { ClusterSessionStore } from '../session-store/session-store.ts';

interface EndedCsPorts {
  readonly sessionStore: Pick<ClusterSessionStore, 'endNode'>;
  readonly registeredNodes: Pick<Nodes, 'takeEnded' | 'settled'>;
  readonly routeLog: Pick<RouteLog, 'forget'>;
  readonly events: Pick<DsEvents, 'unexpected'> & Partial<Pick<DsEvents, 'presence'>>;
}

const againMs = 250;

/**
 * The cs nodes that ended and that this ds is to settle: their sessions, then their routes. None
 * waits for another, and what fails is done again until it is done: a ds is given each once for as
 * long as it is the same member, also where its lease was away meanwhile. That another ds may do it
 * as well does no harm.
 */
export class EndedCs {
  readonly #ports: EndedCsPorts;
  #stopped = false;

  constructor(ports: EndedCsPorts) {
    this.#ports = ports;
  }

  /** From a timer. */
  async take(): Promise<void> {
    for (const ended of await this.#ports.registeredNodes.takeEnded())
      if (ended.role === 'cs') void this.#settle(ended);
  }

  /** Work that is not done is left to another ds. */
  stop(): void {
    this.#stopped = true;
  }

  async #settle(ended: EndedNode): Promise<void> {
    const { sessionStore, routeLog, registeredNodes, events } = this.#ports;
    while (!this.#stopped) {
      try {
        const graceMs = ended.left ? stopGraceMs : 0;
        await sessionStore.endNode(ended.id, graceMs, ended.judged, async (clientIds) => {
          events.presence?.lost(clientIds, ended.left ? 'node left' : 'node gone');
          await events.presence?.stored();
        });
        await routeLog.forget(ended.id, 'cs');
        await registeredNodes.settled(ended);
        return;
      } catch (error) {
        if (!this.#stopped) events.unexpected('ended nodes', error);
      }
      await pause(againMs);
    }
  }
}
