import type { Clock } from '@lmqtt/common/clock';
import type { Message } from '@lmqtt/common/message';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { UndeliveredMessage } from '@lmqtt/proto/undelivered';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { DeadLetter, DeadReason, RetryEntry, RetryQueue } from '../retry-queue/retry-queue.ts';
import type { StoredSession } from '../session-store/stored-session.ts';
import type { DeadLetterEvents } from '../dead-letter-events.ts';

interface DeadLettersPorts {
  readonly queueStore: QueueStore;
  readonly retryQueue: RetryQueue;
  readonly events: DeadLetterEvents;
  readonly clock: Clock;
  /** Messages are kept at all. */
  readonly keeps: boolean;
  /** Those, too, that a session which ends has in flight. */
  readonly keepsOfEnded: boolean;
  /** Maximum number of messages that are kept in a second. */
  readonly rateMax: number;
}

/** A message that was not delivered, by its place. */
export type Undelivered = Omit<UndeliveredMessage, 'reason'> & { readonly reason: DeadReason };

type Told = Omit<Undelivered, 'queue' | 'partition' | 'offset'>;

/** By a member of a shared group, whose cs says only that it did. */
export function refused(filter: string): Told {
  const reasonCode = ReasonCode.unspecifiedError;
  return { reason: 'refused', reasonCode, filter, attempts: 1, firstMs: 0, lastMs: 0 };
}

/** So many members have gone without an acknowledgement. */
export function unacknowledged(filter: string, attempts: number): Told {
  return { reason: 'unacknowledged', reasonCode: 0, filter, attempts, firstMs: 0, lastMs: 0 };
}

interface Waiting {
  readonly entry: RetryEntry;
  readonly done: () => void;
}

const batchMax = 256;
const readBytesMax = 1 << 20;
/** Whoever ends a session, a CONNECT among others, does not wait longer. */
const endedWaitMs = 1000;

/**
 * Messages that could not be delivered, on their way to the dead letters: read by their places, as
 * long as somebody holds them there, and stored in batches. Whoever waits for that does not wait for
 * what is past the rate, and an entry that cannot be read or stored is counted and given up: the
 * delivery of other messages never depends on dead letters.
 */
export class DeadLetters {
  readonly #ports: DeadLettersPorts;
  #waiting: Waiting[] = [];
  #writing = false;
  /** How many may still be kept now; it fills up with time. */
  #allowance: number;
  #countedMs: number;

  constructor(ports: DeadLettersPorts) {
    this.#ports = ports;
    this.#allowance = ports.rateMax;
    this.#countedMs = ports.clock.monotonicMs();
  }

  /** Resolves when the messages are stored as dead letters, or are not to be. Never rejects. */
  async undelivered(clientId: string, messages: readonly Undelivered[]): Promise<void> {
    if (!this.#ports.keeps) {
      this.#ports.events.notKept('off', messages.length);
      return;
    }
    const allowed = this.#allow(messages.length);
    const kept = messages.slice(0, allowed);
    if (kept.length < messages.length)
      this.#ports.events.notKept('rate', messages.length - kept.length);
    await Promise.all(kept.map((one) => this.#keep(clientId, one)));
  }

  /** Before what the session holds is let go. */
  async sessionEnded(stored: StoredSession): Promise<void> {
    if (!this.#ports.keeps || !this.#ports.keepsOfEnded || stored.outboundCount === 0) return;
    const messages: Undelivered[] = [];
    for (const { place, qos, state, filter } of stored.outbound) {
      // A message that other members can get is not lost, and after PUBREC the client has it.
      if (place.kind === 'retained' || state === 'released') continue;
      if (place.kind === 'group' && qos === 1) continue;
      const { queue, partition, offset } = place;
      messages.push({
        ...{ reason: 'session ended', reasonCode: 0, filter, queue, partition, offset },
        ...{ attempts: 1, firstMs: 0, lastMs: 0 },
      });
    }
    if (messages.length === 0) return;
    await within(endedWaitMs, this.undelivered(stored.clientId, messages));
  }

  list(after: string | undefined, lettersMax: number): Promise<DeadLetter[]> {
    return this.#ports.retryQueue.list(after, lettersMax);
  }

  find(id: string): Promise<DeadLetter | undefined> {
    return this.#ports.retryQueue.find(id);
  }

  async replay(ids: readonly string[], delayMs: number): Promise<number> {
    const letters = await this.#ports.retryQueue.replay(ids, delayMs);
    this.#ports.events.replayed(letters);
    return letters;
  }

  async purge(ids: readonly string[] | 'all'): Promise<number> {
    const letters = await this.#ports.retryQueue.purge(ids);
    this.#ports.events.purged(letters);
    return letters;
  }

  #allow(count: number): number {
    const { clock, rateMax } = this.#ports;
    const nowMs = clock.monotonicMs();
    this.#allowance += ((nowMs - this.#countedMs) * rateMax) / 1000;
    this.#allowance = Math.min(rateMax, this.#allowance);
    this.#countedMs = nowMs;
    const allowed = Math.min(count, Math.floor(this.#allowance));
    this.#allowance -= allowed;
    return allowed;
  }

  async #keep(clientId: string, one: Undelivered): Promise<void> {
    const { clock, events } = this.#ports;
    let message: Message | undefined;
    try {
      message = await this.#read(one);
    } catch (error) {
      events.notRead(clientId, error);
      return;
    }
    if (message === undefined) {
      events.notKept('gone', 1);
      return;
    }
    const nowMs = clock.nowMs();
    const entry: RetryEntry = {
      ...{ message, clientId, filter: one.filter, reason: one.reason },
      ...{ reasonCode: one.reasonCode, attempts: one.attempts },
      firstMs: one.firstMs || message.storedMs || nowMs,
      lastMs: one.lastMs || nowMs,
    };
    await new Promise<void>((done) => {
      this.#waiting.push({ entry, done });
      if (!this.#writing) void this.#write();
    });
  }

  async #read({ queue, partition, offset }: Undelivered): Promise<Message | undefined> {
    const request = { queue, partition, from: offset, messagesMax: 1, bytesMax: readBytesMax };
    const { messages } = await this.#ports.queueStore.read(request);
    return messages.find(({ entries }) =>
      entries.some(
        (entry) =>
          entry.queue === queue && entry.partition === partition && entry.offset === offset,
      ),
    );
  }

  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, batchMax);
      const entries = batch.map(({ entry }) => entry);
      try {
        await this.#ports.retryQueue.deadLetter(entries);
        this.#ports.events.kept(entries);
      } catch (error) {
        this.#ports.events.notStored(entries.length, error);
      }
      for (const { done } of batch) done();
    }
    this.#writing = false;
  }
}

async function within(waitMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, waitMs);
  });
  await Promise.race([work, tooLate]);
  clearTimeout(timer);
}
