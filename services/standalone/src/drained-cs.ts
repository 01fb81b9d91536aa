import type { Logger } from '@lmqtt/common/log';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Settings } from '@lmqtt/common/settings/row';
import { StoreFailure } from '@lmqtt/common/store-failure';
import type { CsService } from '@lmqtt/cs/service';
import type { NodeStatus } from '@lmqtt/ops/ops-source';

type DrainableCs = Pick<CsService, 'draining' | 'drain' | 'undrain'>;

/** The cs of this process, once it runs, as operators drain it: here, or by way of its ds. */
export class DrainedCs {
  readonly #log: Logger;
  #cs: DrainableCs | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  runs(cs: DrainableCs): void {
    this.#cs = cs;
  }

  get draining(): boolean {
    return this.#cs?.draining ?? false;
  }

  readonly drain = async (draining: boolean): Promise<void> => {
    if (this.#cs === undefined)
      throw new StoreFailure('this node has not started yet', ReasonCode.serverUnavailable);
    await (draining ? this.#cs.drain() : this.#cs.undrain());
  };

  /** ds says so with each answer to a renewal, until this node says that it is so. */
  wished(draining: boolean): void {
    if (draining === this.draining) return;
    this.drain(draining).catch((err: unknown) => {
      this.#log.error({ err, draining }, 'the wish of an operator could not be followed');
    });
  }
}

type Listed = Pick<NodeStatus, 'id' | 'role' | 'state' | 'address'>;

/**
 * Addresses of the other nodes that take clients. They are for clients only where ADVERTISE says at
 * which address they come: any other one may be known to this network alone.
 */
export function othersOf(
  { advertise, nodeId }: Settings,
  nodes: () => Promise<readonly Listed[]>,
): () => Promise<readonly string[]> {
  if (advertise === null) return () => Promise.resolve([]);
  return async () =>
    (await nodes()).flatMap(({ id, role, state, address }) =>
      role === 'cs' && state === 'alive' && id !== nodeId && address !== null && address !== ''
        ? [address]
        : [],
    );
}
