import type { Clock } from '@lmqtt/common/clock';
import { messageOf } from '@lmqtt/common/message';
import { retryDelay } from '@lmqtt/common/retry-delay';
import type { DeadLetterEvents } from '../dead-letter-events.ts';
import type { RetryQueue, TakenEntry } from '../retry-queue/retry-queue.ts';
import type { Publisher } from './publish.ts';

interface RetriesPorts {
  readonly retryQueue: RetryQueue;
  readonly publisher: Publisher;
  readonly events: DeadLetterEvents;
  readonly clock: Clock;
  readonly triesMax: number;
  readonly intervalMs: number;
}

const atOnceMax = 64;

/**
 * Publishes what waits for another try and is due, from a timer of one ds at a time. An entry is
 * acknowledged when the queue store has its message, so it may be published twice where this ds dies
 * between. One that cannot be stored waits longer each time and then is a dead letter again.
 */
export async function workRetries(ports: RetriesPorts): Promise<void> {
  for (;;) {
    try {
      const taken = await ports.retryQueue.take(atOnceMax);
      await Promise.all(taken.map((one) => retry(ports, one)));
      if (taken.length < atOnceMax) return;
    } catch (error) {
      // The store is away: what was taken is taken again by the next ds, or after a restart.
      ports.events.retriesFailed(error);
      return;
    }
  }
}

async function retry(ports: RetriesPorts, { id, entry }: TakenEntry): Promise<void> {
  const { retryQueue, events, clock } = ports;
  const reasonCode = await publishAgain(ports, entry);
  if (reasonCode >= 0x80) {
    const attempts = entry.attempts + 1;
    const failed = { ...entry, attempts, reasonCode, lastMs: clock.nowMs() };
    if (attempts < ports.triesMax)
      await retryQueue.put([failed], retryDelay(attempts, ports.intervalMs));
    else {
      const dead = { ...failed, reason: 'not stored' } as const;
      await retryQueue.deadLetter([dead]);
      events.kept([dead]);
    }
  }
  await retryQueue.acknowledge([id]);
  events.retried(reasonCode);
}

/** The message is not retained anew, and its expiry begins again. */
function publishAgain(ports: RetriesPorts, { message }: TakenEntry['entry']): Promise<number> {
  const { topic, qos, payload, properties, expiryS, publisher } = message;
  const again = messageOf({
    ...{ topic, qos, payload, properties, expiryS, publisher, retain: false },
    expiresAtMs: expiryS === 0 ? 0 : ports.clock.nowMs() + expiryS * 1000,
  });
  return new Promise((resolve) => {
    const lane = `${publisher}\0${topic}`;
    ports.publisher.publishOwn(again, lane, () => undefined, resolve);
  });
}
