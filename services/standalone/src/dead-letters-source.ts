// Dead letters for operators.
import type { DsService } from '@lmqtt/ds/service';
import type { DeadLettersSource, DeadLetterStatus } from '@lmqtt/ops/ops-source';

type DeadLetters = DsService['deadLetters'];
type Letter = Awaited<ReturnType<DeadLetters['list']>>[number];

export function deadLettersSource(letters: DeadLetters): DeadLettersSource {
  return {
    list: async (after, limit) => (await letters.list(after ?? undefined, limit)).map(statusOf),
    one: async (id) => {
      const letter = await letters.find(id);
      if (letter === undefined) return null;
      const { payload, properties } = letter.entry.message;
      return {
        ...statusOf(letter),
        payload: payload.toString('base64'),
        properties: properties?.toString('base64') ?? '',
      };
    },
    replay: async (id, delayMs) => (await letters.replay([id], delayMs)) > 0,
    purge: (id) => letters.purge(id === null ? 'all' : [id]),
  };
}

function statusOf({ id, deadMs, entry }: Letter): DeadLetterStatus {
  const { topic, qos, publisher, payloadBytes } = entry.message;
  const { reason, reasonCode, clientId, filter, attempts, firstMs, lastMs } = entry;
  return {
    ...{ id, reason, reasonCode, clientId, filter, topic, qos, publisher, attempts },
    firstAttemptAtMs: firstMs,
    lastAttemptAtMs: lastMs,
    deadAtMs: deadMs,
    payloadBytes,
  };
}
