// Very many persistent sessions, each with a topic of its own: all are made and leave, one message
// is published to each, and all come back and take it. The count and the time are of the return.
import { between } from '../interval.ts';
import type { Outcome, Phase, SessionsJob } from '../job.ts';
import { Histogram, memoryOf, type Times, times } from '../meter.ts';
import { nowUs, sleep } from '../wire/clock.ts';
import { Connection, received, type Receiver, type Target } from '../wire/connection.ts';
import { disconnectPacket } from '../wire/packets.ts';
import { inBatches } from './pairs.ts';
import { SpreadPublisher } from './spread-publisher.ts';

const connectsAtOnce = 64;
const publishers = 10;
const rssPollMs = 500;
const messageMs = 30_000;
const triesMax = 20;
const retryMs = 500;

function topicOf(session: number): string {
  return `own/${session}/set`;
}

/** Messages that one session gets. */
class Mailbox implements Receiver {
  readonly #session: number;
  #lostFor: string | undefined;
  count = 0;
  wrong = 0;
  onMessage: () => void = () => {};

  constructor(session: number) {
    this.#session = session;
  }

  message(at: number): void {
    this.count += 1;
    if (received.getUint32(at) !== this.#session) this.wrong += 1;
    this.onMessage();
  }

  acknowledged(): void {}

  lost(reason: string): void {
    this.#lostFor = reason;
    this.onMessage();
  }

  /**
   * Resolves with the first message, or when it did not come; rejects where the connection went.
   */
  async filled(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, messageMs);
      this.onMessage = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.count > 0 || this.#lostFor !== undefined) this.onMessage();
    });
    if (this.count === 0 && this.#lostFor !== undefined) throw new Error(this.#lostFor);
  }
}

/** Runs one step and notes its time and the memory meanwhile. */
class Phases {
  readonly done: Phase[] = [];
  retries = 0;
  readonly #target: Target;

  constructor(target: Target) {
    this.#target = target;
  }

  async run(name: string, count: number, step: () => Promise<void>): Promise<void> {
    const { processes } = this.#target;
    let rssMax = memoryOf(processes);
    const look = (): void => {
      const rss = memoryOf(processes);
      rssMax = rssMax.map((most, index) => Math.max(most, rss[index] ?? 0));
    };
    const timer = setInterval(look, rssPollMs);
    const startUs = nowUs();
    this.retries = 0;
    await step();
    const seconds = (nowUs() - startUs) / 1e6;
    clearInterval(timer);
    look();
    this.done.push({ name, count, seconds, retries: this.retries, rssMax });
  }
}

export async function runSessions(job: SessionsJob, target: Target): Promise<Outcome> {
  const { sessions } = job;
  const { processes } = target;
  const rssBefore = memoryOf(processes);
  const lost: string[] = [];
  const histogram = new Histogram();
  const phases = new Phases(target);
  const options = (index: number): { readonly clientId: string; readonly clean: boolean } => ({
    clientId: `session-${index}`,
    clean: false,
  });
  /** As a client does: what is refused or cut is tried again. */
  const attempt = async (what: string, one: () => Promise<void>): Promise<void> => {
    for (let tries = 1; ; tries += 1) {
      try {
        await one();
        return;
      } catch (error) {
        phases.retries += 1;
        if (tries === triesMax) {
          lost.push(`${what}: ${String(error)}`);
          return;
        }
        await sleep(retryMs);
      }
    }
  };

  await phases.run('connect, subscribe, disconnect', sessions, () =>
    inBatches(sessions, connectsAtOnce, (index) =>
      attempt(`session-${index}`, async () => {
        const mailbox = new Mailbox(index);
        const connection = await Connection.open(target, options(index), mailbox, index);
        await connection.subscribe([topicOf(index)], 1);
        await connection.end(disconnectPacket);
      }),
    ),
  );

  const senders = Array.from({ length: publishers }, (_, index) => {
    const own = (number: number): number => number * publishers + index;
    const count = Math.ceil((sessions - index) / publishers);
    return new SpreadPublisher(`publisher-${index}`, count, (number) => ({
      topic: topicOf(own(number)),
      number: own(number),
    }));
  });
  await phases.run('one message each', sessions, async () => {
    await Promise.all(senders.map((sender) => sender.run(target)));
  });
  for (const sender of senders) lost.push(...sender.failures);

  let count = 0;
  let missing = 0;
  let duplicates = 0;
  let refused = 0;
  for (const sender of senders) refused += sender.refusals;
  const takeOne = async (index: number): Promise<void> => {
    const startUs = nowUs();
    let mailbox = new Mailbox(index);
    await attempt(`session-${index}`, async () => {
      mailbox = new Mailbox(index);
      const connection = await Connection.open(target, options(index), mailbox, index);
      await mailbox.filled();
      histogram.add(nowUs() - startUs);
      // The acknowledgement leaves at the end of the turn.
      await sleep(1);
      await connection.end(disconnectPacket);
    });
    const got = mailbox.count - mailbox.wrong;
    if (got > 0) count += 1;
    else missing += 1;
    duplicates += Math.max(0, mailbox.count - 1);
  };
  const before: Times = times(processes);
  await phases.run('connect, take it, disconnect', sessions, () =>
    inBatches(sessions, connectsAtOnce, takeOne),
  );
  const interval = between({ processes, rssBefore, histogram }, before, count);
  const faults = { missing, duplicates, disorder: 0, refused, lost: lost.slice(0, lostMax) };
  return { ...interval, faults, phases: phases.done };
}

/** Told in the outcome. */
const lostMax = 100;
