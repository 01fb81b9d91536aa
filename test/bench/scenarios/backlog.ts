// An absent session collects messages; then it comes back with a receive maximum and takes them
// all. Measured from its CONNECT to the last message; the memory is the most that was seen.
import { between, faultsOf } from '../interval.ts';
import type { BacklogJob, Outcome } from '../job.ts';
import { drained, Lane } from '../lane.ts';
import { Histogram, memoryOf, times } from '../meter.ts';
import { Sequence } from '../sequence.ts';
import { nowUs, sleep } from '../wire/clock.ts';
import { Connection, received, type Receiver, type Target } from '../wire/connection.ts';
import { disconnectPacket } from '../wire/packets.ts';
import { lingerWith } from '../wire/turn.ts';
import { payloadBytes } from './pairs.ts';

const publishers = 10;
const window = 64;
const fillMs = 120_000;
const drainMs = 60_000;
const pollMs = 5;
const rssPollMs = 100;

class Absentee implements Receiver {
  readonly sequences: readonly Sequence[];
  readonly failures: string[] = [];
  readonly gaps: Histogram = new Histogram();
  count = 0;
  #lastUs = nowUs();

  constructor(publisherCount: number) {
    this.sequences = Array.from({ length: publisherCount }, () => new Sequence());
  }

  message(at: number, us: number): void {
    this.sequences[received.getUint32(at + 8)]?.take(received.getUint32(at));
    this.gaps.add(us - this.#lastUs);
    this.#lastUs = us;
    this.count += 1;
  }

  acknowledged(): void {}

  lost(reason: string): void {
    this.failures.push(`subscriber: ${reason}`);
  }
}

function session(target: Target, job: BacklogJob, receiver: Receiver): Promise<Connection> {
  const { receiveMaximum } = job;
  const options = { version: 5, clean: false, sessionExpiryS: 3600, receiveMaximum } as const;
  return Connection.open(target, { clientId: 'absent', ...options }, receiver);
}

async function fill(target: Target, job: BacklogJob): Promise<readonly Lane[]> {
  const limit = Math.ceil(job.messages / publishers);
  const lanes = Array.from(
    { length: publishers },
    (_, index) =>
      new Lane({
        name: `publisher-${index}`,
        topic: `backlog/${index}`,
        qos: 1,
        window,
        payloadBytes,
        index,
        untilReceived: false,
        limit,
      }),
  );
  for (const lane of lanes) await lane.open(target);
  lingerWith(publishers * window);
  for (const lane of lanes) lane.flush();
  const end = nowUs() + fillMs * 1000;
  while (nowUs() < end && lanes.some((lane) => lane.done < limit && !lane.stopped)) {
    await sleep(pollMs);
  }
  lingerWith(0);
  for (const lane of lanes) lane.stopped = true;
  await drained(lanes, 5000);
  return lanes;
}

export async function runBacklog(job: BacklogJob, target: Target): Promise<Outcome> {
  const before = new Absentee(publishers);
  const first = await session(target, job, before);
  await first.subscribe(['backlog/#'], 1);
  await first.end(disconnectPacket);
  const lanes = await fill(target, job);
  const sent = lanes.reduce((sum, lane) => sum + lane.sent, 0);

  const { processes } = target;
  const rssBefore = memoryOf(processes);
  const absentee = new Absentee(publishers);
  let rssMax = rssBefore;
  const lookAtMemory = (): void => {
    const rss = memoryOf(processes);
    rssMax = rssMax.map((most, index) => Math.max(most, rss[index] ?? 0));
  };
  const rssTimer = setInterval(lookAtMemory, rssPollMs);
  const start = times(processes);
  const endUs = nowUs() + drainMs * 1000;
  await session(target, job, absentee);
  while (nowUs() < endUs && absentee.count < sent && absentee.failures.length === 0) {
    await sleep(pollMs);
  }
  clearInterval(rssTimer);
  lookAtMemory();
  const watch = { processes, rssBefore, histogram: absentee.gaps };
  const interval = between(watch, start, absentee.count);
  const uses = interval.processes.map((use, index) => ({ ...use, rssAfter: rssMax[index] ?? 0 }));
  const faults = faultsOf(lanes, absentee.sequences, absentee.failures);
  return { ...interval, processes: uses, faults };
}
