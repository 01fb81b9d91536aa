// Goals on one machine with two cores that runs the stores as well: each is a figure of a run and
// its bound. Of several rounds the median is judged.
import { cpuUsPerMessage, idleShare, median, rssBytes, seconds } from '../results.ts';
import {
  bareP50Ms,
  bareP99Ms,
  type ClusterRun,
  disorder,
  missing,
  ofBareRate,
  ours,
  p50Ms,
  p99Ms,
  rate,
  redisCommands,
  type RunFigure,
} from './run.ts';

export interface Goal {
  readonly text: string;
  readonly figure: RunFigure;
  readonly isMet: (value: number) => boolean;
  readonly show: (value: number) => string;
}

export interface Verdict {
  readonly text: string;
  /** Undefined where it was not measured. */
  readonly measured: string | undefined;
  readonly isMet: boolean;
}

export function judge({ text, figure, isMet, show }: Goal, runs: readonly ClusterRun[]): Verdict {
  const value = median(runs.map(figure));
  if (Number.isNaN(value)) return { text, measured: undefined, isMet: false };
  return { text, measured: show(value), isMet: isMet(value) };
}

const mib = 1024 * 1024;

const times = (value: number): string => `${value.toFixed(2)}x`;
const ms = (value: number): string => `${value.toFixed(1)} ms`;
const whole = (value: number): string => Math.round(value).toLocaleString('en-US');

export function rateAtLeast(min: number, unit: string): Goal {
  const text = `≥ ${whole(min)} ${unit}`;
  return { text, figure: rate, isMet: (value) => value >= min, show: whole };
}

export function ofBareAtLeast(min: number): Goal {
  const isMet = (value: number): boolean => value >= min;
  return { text: `≥ ${min}x of the bare loop`, figure: ofBareRate, isMet, show: times };
}

export const inOrder: Goal = {
  text: '0 out of order',
  figure: disorder,
  isMet: (value) => value === 0,
  show: whole,
};

/** By Little's law a full window waits for in flight ÷ rate in the mean. */
export function p50OfWindow(max: number, inFlight: number): Goal {
  return {
    text: `p50 ≤ ${max} × in flight ÷ rate`,
    figure: (run) => p50Ms(run) / ((1000 * inFlight) / rate(run)),
    isMet: (value) => value <= max,
    show: times,
  };
}

export function latencyOverBare(p50Max: number, p99Max: number): readonly Goal[] {
  const over = (name: string, figure: RunFigure, bare: RunFigure, max: number): Goal => ({
    text: `${name} ≤ bare + ${max} ms`,
    figure: (run) => figure(run) - bare(run),
    isMet: (value) => value <= max,
    show: (value) => `${value < 0 ? '' : '+'}${ms(value)}`,
  });
  return [over('p50', p50Ms, bareP50Ms, p50Max), over('p99', p99Ms, bareP99Ms, p99Max)];
}

export function cpuAtMost(usMax: number): Goal {
  return {
    text: `CPU of cs + ds ≤ ${usMax} µs a delivery`,
    figure: ours(cpuUsPerMessage),
    isMet: (value) => value <= usMax,
    show: (value) => `${value.toFixed(1)} µs`,
  };
}

export function allInWithin(secondsMax: number): readonly Goal[] {
  const isMet = (value: number): boolean => value <= secondsMax;
  const text = `all in within ${secondsMax} s`;
  return [
    {
      text,
      figure: ({ outcome }) => seconds(outcome),
      isMet,
      show: (value) => `${value.toFixed(2)} s`,
    },
    { text: 'none refused', figure: missing, isMet: (value) => value === 0, show: whole },
  ];
}

const rssBefore: RunFigure = ours(({ processes }) =>
  processes.reduce((sum, use) => sum + use.rssBefore, 0),
);

export function memoryAtMost(freshMib: number, connectedMib: number): readonly Goal[] {
  const goal = (what: string, max: number, figure: RunFigure): Goal => ({
    text: `cs + ds ${what} ≤ ${max} MiB`,
    figure: (run) => figure(run) / mib,
    isMet: (value) => value <= max,
    show: (value) => `${whole(value)} MiB`,
  });
  return [
    goal('fresh', freshMib, rssBefore),
    goal('with all connections', connectedMib, ours(rssBytes)),
  ];
}

export function idleAtMost(coresMax: number): Goal {
  return {
    text: `idle cs + ds ≤ ${coresMax} core`,
    figure: ours(idleShare),
    isMet: (value) => value <= coresMax,
    show: (value) => value.toFixed(3),
  };
}

export function redisCommandsAtMost(max: number, per: number, what: string): Goal {
  return {
    text: `≤ ${max} Redis commands per ${what}`,
    figure: (run) => redisCommands(run) * per,
    isMet: (value) => value <= max,
    show: (value) => value.toFixed(1),
  };
}
