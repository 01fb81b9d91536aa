// The end of a run: everybody gets what is owed, or the ledger says what is missing.
import { setTimeout as delay } from 'node:timers/promises';
import type { LedgerPublisher } from './ledger-publisher.ts';
import { LedgerSubscriber } from './ledger-subscriber.ts';
import type { LedgerWills } from './ledger-wills.ts';
import type { Ledger, LedgerTopic } from './ledger.ts';

/** Time in which a message that comes twice would come. */
const quietMs = 300;
const lookMs = 50;
const retainedMs = 3000;

async function until(isDone: () => boolean, deadlineMs: number): Promise<void> {
  while (!isDone() && performance.now() < deadlineMs) await delay(lookMs);
}

/** Nothing is published any more, and those who publish are connected. */
export async function settlePublishers(
  ledger: Ledger,
  publishers: readonly LedgerPublisher[],
  deadlineMs: number,
): Promise<void> {
  await until(() => publishers.every((publisher) => publisher.inflight === 0), deadlineMs);
  for (const publisher of publishers) {
    if (publisher.inflight === 0) continue;
    const { clientId } = publisher.options;
    ledger.problems.push(`${clientId}: ${publisher.inflight} never acknowledged`);
  }
}

/** All subscribers are there. */
export async function settleSubscribers(
  ledger: Ledger,
  wills: LedgerWills,
  deadlineMs: number,
): Promise<void> {
  await until(() => ledger.owed() === 0 && wills.missing === 0, deadlineMs);
  await delay(quietMs);
  wills.settle();
}

/**
 * A new subscriber gets the last message that was published, or nothing if that deleted. Answers
 * the number of topics.
 */
export async function checkRetained(
  ledger: Ledger,
  retainers: readonly LedgerPublisher[],
  port: number,
): Promise<number> {
  const found = new Map<string, string>();
  const reader = new LedgerSubscriber(ledger, {
    clientId: 'retained-reader',
    version: 5,
    filters: [{ filter: 'kept/#', qos: 1 }],
    clean: true,
    arrived: (topic, payload) => found.set(topic, payload),
  });
  const kept = retainers.flatMap(({ options }) =>
    options.topics.map((topic) => ({
      name: topic.name,
      wanted: lastOf(topic).map((number) => options.payload?.(topic, number) ?? ''),
    })),
  );
  const wrong = (): typeof kept =>
    kept.filter(({ name, wanted }) => !wanted.includes(found.get(name) ?? ''));
  await reader.come(port);
  await delay(quietMs);
  await until(() => wrong().length === 0, performance.now() + retainedMs);
  reader.leave();
  for (const { name, wanted } of wrong()) {
    ledger.problems.push(`${name}: retained is "${found.get(name) ?? ''}", not "${wanted.join()}"`);
  }
  return kept.length;
}

/** The last that was acknowledged, and those after it: a refusal does not say that it was not. */
function lastOf({ sent, acknowledged }: LedgerTopic): number[] {
  if (acknowledged.size === 0) return [sent];
  const first = Math.max(...acknowledged);
  return Array.from({ length: sent - first + 1 }, (_, index) => first + index);
}
