// One run of a row and what is read off it: figures of ours, and beside them those of the loops
// without nodes that ran just before and after it.
import type { Outcome } from '../job.ts';
import { ofProcess, perSecond, type Figure } from '../results.ts';
import type { BareFigures } from './bare-job.ts';
import type { Condition } from './condition.ts';
import type { RedisCounts } from './redis-monitor.ts';

export interface ClusterRun {
  readonly row: string;
  readonly condition: Condition;
  readonly round: number;
  readonly outcome: Outcome;
  /** Before and after; none where nothing is run beside the row. */
  readonly bare: readonly BareFigures[];
  readonly redis?: RedisCounts;
}

export type RunFigure = (run: ClusterRun) => number;

function isOurs(process: string): boolean {
  return /^(cs|ds)-\d+$/.test(process);
}

export function oursOf({ outcome }: ClusterRun): readonly string[] {
  return outcome.processes.map(({ name }) => name).filter(isOurs);
}

/** The sum over our processes, without those of the stores. */
export function ours(figure: Figure): RunFigure {
  return (run) => oursOf(run).reduce((sum, name) => sum + ofProcess(name, figure)(run.outcome), 0);
}

/** The mean of the runs before and after; NaN where there is none. */
export function bareMean(figure: (bare: BareFigures) => number): RunFigure {
  return ({ bare }) => bare.reduce((sum, each) => sum + figure(each), 0) / bare.length;
}

export const rate: RunFigure = ({ outcome }) => perSecond(outcome);
export const p50Ms: RunFigure = ({ outcome }) => outcome.latency.p50Us / 1000;
export const p99Ms: RunFigure = ({ outcome }) => outcome.latency.p99Us / 1000;
export const bareRate: RunFigure = bareMean(({ perS }) => perS);
export const bareTailRate: RunFigure = bareMean(({ receivedPerS }) => receivedPerS);
export const bareP50Ms: RunFigure = bareMean((bare) => bare.p50Ms);
export const bareP99Ms: RunFigure = bareMean((bare) => bare.p99Ms);
export const ofBareRate: RunFigure = (run) => rate(run) / bareRate(run);
export const disorder: RunFigure = ({ outcome }) => outcome.faults.disorder;
export const missing: RunFigure = ({ outcome }) => outcome.faults.missing;
export const redisCommands: RunFigure = ({ redis, outcome }) =>
  redis === undefined ? NaN : redis.commands / outcome.count;
