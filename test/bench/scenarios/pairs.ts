// N pairs: N publishers, each with its own topic and its own subscriber, each with a full window.
// With `filters`, other clients hold that many filters, exact and wildcard, around the same topics.
import { faultsOf, measure } from '../interval.ts';
import type { Outcome, PairsJob } from '../job.ts';
import { drained, Lane } from '../lane.ts';
import { Histogram, memoryOf } from '../meter.ts';
import { Sequence } from '../sequence.ts';
import { Connection, received, type Receiver, type Target } from '../wire/connection.ts';
import type { Qos } from '../wire/packets.ts';
import { lingerWith } from '../wire/turn.ts';

export const payloadBytes = 256;
const drainMs = 5000;
const connectsAtOnce = 50;

export class Ear implements Receiver {
  readonly sequence: Sequence = new Sequence();
  readonly failures: string[] = [];
  readonly #lane: Lane;
  readonly #histogram: Histogram;

  constructor(lane: Lane, histogram: Histogram) {
    this.#lane = lane;
    this.#histogram = histogram;
  }

  message(at: number, us: number): void {
    this.#histogram.add(us - received.getUint32(at + 4));
    if (this.sequence.take(received.getUint32(at))) this.#lane.receipt();
  }

  acknowledged(): void {}

  lost(reason: string): void {
    this.failures.push(`subscriber: ${reason}`);
  }
}

export async function inBatches(
  count: number,
  atOnce: number,
  one: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await one(next - 1);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
}

export interface Stage {
  readonly lanes: readonly Lane[];
  readonly ears: readonly Ear[];
  readonly histogram: Histogram;
}

export async function openPairs(
  target: Target,
  pairs: number,
  qos: Qos,
  window: number,
  pumped = true,
): Promise<Stage> {
  const histogram = new Histogram();
  const lanes = Array.from(
    { length: pairs },
    (_, index) =>
      new Lane({
        name: `publisher-${index}`,
        topic: `bench/${index}/state`,
        qos,
        window,
        payloadBytes,
        index,
        untilReceived: true,
        pumped,
      }),
  );
  const ears = lanes.map((lane) => new Ear(lane, histogram));
  await inBatches(pairs, connectsAtOnce, async (index) => {
    const [lane, ear] = [lanes[index], ears[index]];
    if (lane === undefined || ear === undefined) return;
    const options = { clientId: `subscriber-${index}` };
    const connection = await Connection.open(target, options, ear);
    await connection.subscribe([`bench/${index}/state`], qos);
    await lane.open(target);
  });
  return { lanes, ears, histogram };
}

export function receivedBy(ears: readonly Ear[]): number {
  let sum = 0;
  for (const ear of ears) sum += ear.sequence.received;
  return sum;
}

const filtersPerClient = 1000;
const filtersPerPacket = 100;

/** None of them matches what is published; half are exact, half have wildcards. */
function filterOf(client: number, number: number): string {
  return number % 2 === 0 ? `bench/${client}/${number}/state` : `bench/+/${client}-${number}/set/#`;
}

async function holdFilters(target: Target, filters: number, lost: string[]): Promise<void> {
  const receiver: Receiver = {
    message: () => lost.push('a message that its filter does not match'),
    acknowledged: () => {},
    lost: (reason) => lost.push(`holder of filters: ${reason}`),
  };
  await inBatches(Math.ceil(filters / filtersPerClient), 10, async (client) => {
    const connection = await Connection.open(target, { clientId: `holder-${client}` }, receiver);
    const end = Math.min(filtersPerClient, filters - client * filtersPerClient);
    for (let at = 0; at < end; at += filtersPerPacket) {
      const length = Math.min(filtersPerPacket, end - at);
      await connection.subscribe(
        Array.from({ length }, (_, index) => filterOf(client, at + index)),
        0,
      );
    }
  });
}

export async function runPairs(job: PairsJob, target: Target): Promise<Outcome> {
  const rssBefore = memoryOf(target.processes);
  const lost: string[] = [];
  if (job.filters !== undefined) await holdFilters(target, job.filters, lost);
  const { lanes, ears, histogram } = await openPairs(target, job.pairs, job.qos, job.window);
  lingerWith(job.pairs * job.window);
  for (const lane of lanes) lane.flush();
  const interval = await measure({
    processes: target.processes,
    rssBefore,
    warmMs: job.warmMs,
    measureMs: job.measureMs,
    histogram,
    count: () => receivedBy(ears),
  });
  for (const lane of lanes) lane.stopped = true;
  lingerWith(0);
  await drained(lanes, drainMs);
  const sequences = ears.map((ear) => ear.sequence);
  const failures = [...ears.flatMap((ear) => ear.failures), ...lost];
  return { ...interval, faults: faultsOf(lanes, sequences, failures) };
}
