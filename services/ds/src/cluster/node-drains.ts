import type { NodeId } from '@lmqtt/common/ids';
import type { Nodes } from '../registry/nodes.ts';
import type { DrainOutcome } from '../use-cases/drain-outcome.ts';
import type { DsDrain } from './drain.ts';
import type { PeerQuestions } from './ds-questions.ts';

interface NodeDrainsPorts {
  readonly self: NodeId;
  readonly registeredNodes: Pick<Nodes, 'list'>;
  readonly questions: PeerQuestions;
  readonly drain: Pick<DsDrain, 'begin' | 'takeBack'>;
  /** Asks a cs to drain, or to take clients again. False: it is not attached here. */
  readonly drainCs: (cs: NodeId, draining: boolean) => boolean;
}

interface DrainWish {
  readonly id: NodeId;
  readonly draining: boolean;
  /** A ds of that name hands its work over, too. */
  readonly isOfDs: boolean;
}

/** Wishes of operators that a node drains, or no more: every ds is asked whether it has the node. */
export function nodeDrains(
  ports: NodeDrainsPorts,
): (id: NodeId, draining: boolean) => Promise<DrainOutcome> {
  const { self, registeredNodes, questions, drain, drainCs } = ports;
  const ask = questions.about('drain of a node', async (wish: DrainWish) => {
    const isCsHere = drainCs(wish.id, wish.draining);
    if (wish.id !== self || !wish.isOfDs) return isCsHere;
    await (wish.draining ? drain.begin() : drain.takeBack());
    return true;
  });
  return async (id, draining) => {
    const alive = (await registeredNodes.list()).filter(({ state }) => state !== 'gone');
    const named = alive.filter((node) => node.id === id);
    const hasHeir = alive.some(
      (node) => node.role === 'ds' && node.id !== id && node.state === 'alive',
    );
    if (named.length === 0) return 'unknown';
    // A standalone is a cs, too, whose clients may go.
    if (draining && !hasHeir && named.every(({ role }) => role === 'ds')) return 'alone';
    const isOfDs = hasHeir || !draining;
    return (await ask({ id, draining, isOfDs })).includes(true) ? 'asked' : 'unknown';
  };
}
