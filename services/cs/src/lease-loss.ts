import { ReasonCode } from '@lmqtt/common/reason-code';
import type { CsConfig } from './config.ts';
import type { Connections } from './connections.ts';
import type { CsEvents } from './events.ts';
import type { LeaseGate } from './lease-gate.ts';

/** The node whose lease may end. */
interface LeasedNode {
  readonly config: CsConfig;
  readonly connections: Connections;
  readonly events: CsEvents;
  readonly leaseGate: LeaseGate;
}

/** Treatment of a node's sessions when its lease has ended, and when it is renewed. */
export class LeaseLoss {
  readonly #node: LeasedNode;

  constructor(node: LeasedNode) {
    this.#node = node;
  }

  /** The lease has ended, or is there again. */
  changed(frozen: boolean): void {
    const { connections, events } = this.#node;
    const { sessionCount } = connections;
    if (sessionCount === 0) return;
    if (frozen) {
      events.frozen(sessionCount);
      return;
    }
    events.thawed(sessionCount);
    for (const session of connections.sessions()) session.wake();
  }

  /** Clients are not kept for ever by a node that can do nothing for them. */
  closeLost(): void {
    const { config, connections, events, leaseGate } = this.#node;
    const { sessionCount } = connections;
    if (sessionCount === 0 || leaseGate.overMs < config.dsLostMs) return;
    events.dsLost(sessionCount);
    for (const connection of connections.all()) {
      if (connection.session !== undefined) {
        connection.close(ReasonCode.serverBusy, 'dispatch node lost');
      }
    }
  }
}
