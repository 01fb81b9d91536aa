// The measured part of a run: warm-up, then a span over which messages, processor time and memory
// are taken.
import type { Faults, Outcome } from './job.ts';
import type { Lane } from './lane.ts';
import { type Histogram, rssBytesOf, times, type Times } from './meter.ts';
import type { Sequence } from './sequence.ts';
import { sleep } from './wire/clock.ts';

export interface Span {
  readonly pid: number;
  readonly warmMs: number;
  readonly measureMs: number;
  readonly histogram: Histogram;
  /** Messages up to now. */
  readonly count: () => number;
  /** When the measured part begins. */
  readonly begin?: () => void;
}

export type Interval = Omit<Outcome, 'faults' | 'rssBefore'>;

export function between(pid: number, before: Times, count: number, histogram: Histogram): Interval {
  const after = times(pid);
  const brokerCpuUs = after.brokerUs - before.brokerUs;
  const generatorCpuUs = after.generatorUs - before.generatorUs;
  return {
    count,
    seconds: (after.us - before.us) / 1e6,
    latency: histogram.latency(),
    brokerCpuUs,
    generatorCpuUs,
    otherCpuUs: after.machineUs - before.machineUs - brokerCpuUs - generatorCpuUs,
    rssAfter: rssBytesOf(pid),
  };
}

export async function measure(span: Span): Promise<Interval> {
  await sleep(span.warmMs);
  span.histogram.clear();
  span.begin?.();
  const before = times(span.pid);
  const first = span.count();
  await sleep(span.measureMs);
  return between(span.pid, before, span.count() - first, span.histogram);
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
