// The runs of one workload and what is read off them: medians, and ratios between runs that were
// neighbours in time, so that what else the machine does falls on both.
import type { Outcome } from './job.ts';
import type { ProcessUse } from './meter.ts';
import type { BrokerName } from './running-broker.ts';

export interface Run {
  readonly broker: BrokerName;
  readonly variant: string;
  readonly round: number;
  readonly outcome: Outcome;
}

export type Figure = (outcome: Outcome) => number;

function sumOf(figure: (use: ProcessUse) => number, { processes }: Outcome): number {
  return processes.reduce((sum, use) => sum + figure(use), 0);
}

/** The same outcome as if this had been the only process of the broker. */
function only(process: string, outcome: Outcome): Outcome {
  return { ...outcome, processes: outcome.processes.filter(({ name }) => name === process) };
}

/** Figure of one process; NaN: it is not there. */
export function ofProcess(process: string, figure: Figure): Figure {
  return (outcome) => {
    const part = only(process, outcome);
    return part.processes.length === 0 ? NaN : figure(part);
  };
}

export const perSecond: Figure = (outcome) => outcome.count / outcome.seconds;
export const cpuUsPerMessage: Figure = (outcome) =>
  sumOf(({ cpuUs }) => cpuUs, outcome) / outcome.count;
export const generatorUsPerMessage: Figure = (outcome) => outcome.generatorCpuUs / outcome.count;
export const generatorShare: Figure = (outcome) => outcome.generatorCpuUs / outcome.seconds / 1e6;
/** Share of the time in which they were ready to run and had no core. */
export const waitedShare: Figure = (outcome) =>
  sumOf((use) => use.waitedUs ?? NaN, outcome) / outcome.seconds / 1e6;
/** Cores that something else kept busy. */
export const otherCores: Figure = (outcome) => outcome.otherCpuUs / outcome.seconds / 1e6;
export const p50Us: Figure = (outcome) => outcome.latency.p50Us;
export const p99Us: Figure = (outcome) => outcome.latency.p99Us;
export const seconds: Figure = (outcome) => outcome.seconds;
export const rssBytes: Figure = (outcome) => sumOf(({ rssAfter }) => rssAfter, outcome);
export const rssGrowth: Figure = (outcome) =>
  sumOf(({ rssAfter, rssBefore }) => rssAfter - rssBefore, outcome);
export const rssPerCount: Figure = (outcome) => rssGrowth(outcome) / outcome.count;
/** Share of a core; NaN: it was not measured. */
export const idleShare: Figure = (outcome) => sumOf((use) => use.idleShare ?? NaN, outcome);

/** Past this the machine was not ours alone. */
const otherCoresMax = 0.25;

export function isDisturbed(outcome: Outcome): boolean {
  return otherCores(outcome) > otherCoresMax;
}

/** Past this the generator may be what was measured. */
const generatorShareMax = 0.9;

export function isGeneratorBound(outcome: Outcome): boolean {
  return generatorShare(outcome) > generatorShareMax;
}

/** Undefined for a run without faults. */
export function faultText({ faults }: Outcome): string | undefined {
  const counts = [
    ['missing', faults.missing],
    ['duplicates', faults.duplicates],
    ['out of order', faults.disorder],
    ['refused', faults.refused],
    ['connections lost', faults.lost.length],
  ] as const;
  const parts = counts
    .filter(([, count]) => count !== 0)
    .map(([what, count]) => `${count} ${what}`);
  if (faults.lost[0] !== undefined) parts.push(`(${faults.lost[0]})`);
  return parts.length === 0 ? undefined : parts.join(', ');
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2;
}

export interface Place {
  readonly broker: BrokerName;
  readonly variant: string;
}

export class Results {
  readonly runs: Run[] = [];
  readonly failures: string[] = [];
  /** Peers that are not installed. */
  readonly skipped: BrokerName[] = [];

  of({ broker, variant }: Place): readonly Run[] {
    return this.runs.filter((run) => run.broker === broker && run.variant === variant);
  }

  /** Names of the processes of this broker, as its runs have them. */
  processes(place: Place): readonly string[] {
    return this.of(place)[0]?.outcome.processes.map(({ name }) => name) ?? [];
  }

  /** NaN where there is no run. */
  median(figure: Figure, place: Place): number {
    return median(this.of(place).map((run) => figure(run.outcome)));
  }

  /** The median of the ratios of runs of the same round. */
  ratio(figure: Figure, above: Place, below: Place): number {
    const ratios = this.of(above).flatMap((run) => {
      const other = this.of(below).find((each) => each.round === run.round);
      return other === undefined ? [] : [figure(run.outcome) / figure(other.outcome)];
    });
    return median(ratios);
  }
}
