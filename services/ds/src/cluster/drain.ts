import type { NodeId } from '@lmqtt/common/ids';
import { idlePause, pause } from '@lmqtt/common/pause';
import type { Nodes } from '../registry/nodes.ts';

interface DsDrainPorts {
  readonly self: NodeId;
  readonly registeredNodes: Pick<Nodes, 'drain' | 'undrain' | 'ds'>;
  /** Work for all, which one ds does. */
  readonly work: { handOver(): Promise<void>; keep(): void };
  readonly groups: {
    handOver(groupsMax: number, isEmpty: boolean): Promise<number>;
    keep(): void;
  };
  /** Number of sessions that live here, by lanes that are heard. */
  readonly sessions: () => number;
  readonly failed: (error: unknown) => void;
}

const tickMs = 50;
/** So many groups are handed over at one time: their members join the next owner. */
const groupsAtOnce = 50;

/**
 * Handing over of a ds that is to leave. Cs nodes see in the registry that it drains and present the
 * sessions of its lanes to other ds; tails of the store follow the list of ds; groups go when their
 * members have gone.
 */
export class DsDrain {
  readonly #ports: DsDrainPorts;
  #draining = false;
  /** Another one for each run, so that the one before ends. */
  #run = 0;

  constructor(ports: DsDrainPorts) {
    this.#ports = ports;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Another ds is alive and does not drain. */
  get hasHeir(): boolean {
    const { registeredNodes, self } = this.#ports;
    return registeredNodes.ds.some(({ id }) => id !== self);
  }

  /** The others know of it when it resolves; it is done when `left` says so. */
  async begin(): Promise<void> {
    const { registeredNodes, work, failed } = this.#ports;
    if (this.#draining) return;
    await registeredNodes.drain();
    this.#draining = true;
    this.#run += 1;
    await work.handOver();
    this.#handOver(this.#run).catch(failed);
  }

  async takeBack(): Promise<void> {
    if (!this.#draining) return;
    const { registeredNodes, work, groups } = this.#ports;
    await registeredNodes.undrain();
    this.#draining = false;
    this.#run += 1;
    work.keep();
    groups.keep();
  }

  /**
   * Before the ds stops. Resolves when nothing lives here any more, after that time, or where no
   * other ds is left that could have it.
   */
  async leave(withinMs: number): Promise<void> {
    const untilMs = performance.now() + withinMs;
    if (!this.hasHeir) return;
    await Promise.race([this.begin(), idlePause(withinMs)]);
    const { groups, sessions } = this.#ports;
    while (performance.now() < untilMs && this.hasHeir) {
      if (sessions() === 0 && (await groups.handOver(groupsAtOnce, true)) === 0) return;
      await pause(tickMs);
    }
  }

  async #handOver(run: number): Promise<void> {
    const { groups, sessions } = this.#ports;
    while (this.#run === run) {
      await groups.handOver(groupsAtOnce, sessions() === 0);
      await idlePause(tickMs * 5);
    }
  }
}
