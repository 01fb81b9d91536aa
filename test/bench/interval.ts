// The measured part of a run: warm-up, then a span over which messages, processor time and memory
// are taken.
import type { Faults, Outcome } from './job.ts';
import type { Lane } from './lane.ts';
import { type BrokerProcess, type Histogram, memoryOf, times, type Times } from './meter.ts';
import type { Sequence } from './sequence.ts';
import { sleep } from './wire/clock.ts';

export interface Watch {
  readonly processes: readonly BrokerProcess[];
  /** Memory of each process. */
  readonly rssBefore: readonly number[];
  readonly histogram: Histogram;
}

export interface Span extends Watch {
  readonly warmMs: number;
  readonly measureMs: number;
  /** Messages up to now. */
  readonly count: () => number;
  /** When the measured part begins. */
  readonly begin?: () => void;
}

export type Interval = Omit<Outcome, 'faults'>;

export function between(watch: Watch, before: Times, count: number): Interval {
  const { processes, rssBefore, histogram } = watch;
  const after = times(processes);
  const rssAfter = memoryOf(processes);
  const uses = processes.map(({ name }, index) => ({
    name,
    cpuUs: (after.brokerUs[index] ?? 0) - (before.brokerUs[index] ?? 0),
    waitedUs: (after.waitedUs[index] ?? 0) - (before.waitedUs[index] ?? 0),
    rssBefore: rssBefore[index] ?? 0,
    rssAfter: rssAfter[index] ?? 0,
  }));
  const brokerCpuUs = uses.reduce((sum, use) => sum + use.cpuUs, 0);
  const generatorCpuUs = after.generatorUs - before.generatorUs;
  const seconds = (after.us - before.us) / 1e6;
  return {
    count,
    seconds,
    startedMs: Date.now() - seconds * 1000,
    latency: histogram.latency(),
    processes: uses,
    generatorCpuUs,
    otherCpuUs: after.machineUs - before.machineUs - brokerCpuUs - generatorCpuUs,
  };
}

export async function measure(span: Span): Promise<Interval> {
  await sleep(span.warmMs);
  span.histogram.clear();
  span.begin?.();
  const before = times(span.processes);
  const first = span.count();
  await sleep(span.measureMs);
  return between(span, before, span.count() - first);
}

/** `copies`: how many subscribers each message goes to. */
export function faultsOf(
  lanes: readonly Lane[],
  sequences: readonly Sequence[],
  lost: readonly string[] = [],
  copies = 1,
): Faults {
  const total = (of: (sequence: Sequence) => number): number =>
    sequences.reduce((sum, each) => sum + of(each), 0);
  const sent = lanes.reduce((sum, lane) => sum + lane.sent, 0) * copies;
  return {
    missing: sent - total((each) => each.received),
    duplicates: total((each) => each.duplicates),
    disorder:
      total((each) => each.disorder) +
      lanes.reduce((sum, lane) => sum + lane.acknowledgedOutOfOrder, 0),
    refused: lanes.reduce((sum, lane) => sum + lane.refusals, 0),
    lost: [...lanes.flatMap((lane) => lane.failures), ...lost],
  };
}
