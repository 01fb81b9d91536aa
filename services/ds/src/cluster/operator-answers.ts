import type { QueueId } from '@lmqtt/common/ids';
import type { ClusterHoldings } from './holdings.ts';
import type { PeerQuestions } from './ds-questions.ts';
import type { GroupLine } from '../use-cases/group-lines.ts';
import type { OperatorsParts } from '../use-cases/operators.ts';
import type { Routes } from '../routing/routes.ts';

/** Answers that all ds give together. */
export function clusterAnswers(
  questions: PeerQuestions,
  routes: Routes,
  holdings: ClusterHoldings,
  ownGroups: () => Promise<GroupLine[]>,
): Pick<OperatorsParts, 'countSubscriptions' | 'allGroups'> {
  const count = questions.about('subscriptions of queues', (ids: readonly QueueId[]) =>
    Promise.resolve(
      ids.map((id) => {
        const queue = routes.queue(id);
        return queue === undefined ? 0 : holdings.subscriptionsOf(queue);
      }),
    ),
  );
  const groups = questions.about('shared groups', ownGroups);
  return {
    async countSubscriptions(queues) {
      const ids = [...new Set(queues.map(({ id }) => id))];
      const answers = ids.length === 0 ? [] : await count(ids);
      return new Map(
        ids.map((id, at) => [id, answers.reduce((sum, counts) => sum + (counts[at] ?? 0), 0)]),
      );
    },
    allGroups: async () => (await groups(null)).flat(),
  };
}
