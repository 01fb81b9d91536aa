// The report for people: a line for each run, and at the end the goals of all rows beside what was
// measured under each condition.
import { table } from '../report.ts';
import {
  cpuUsPerMessage,
  faultText,
  type Figure,
  generatorShare,
  idleShare,
  isDisturbed,
  isGeneratorBound,
  ofProcess,
  otherCores,
  rssBytes,
  waitedShare,
} from '../results.ts';
import type { BareFigures } from './bare-job.ts';
import { type Condition, conditionText } from './condition.ts';
import { judge } from './goals.ts';
import type { RedisCounts } from './redis-monitor.ts';
import type { Row } from './rows.ts';
import {
  bareTailRate,
  type ClusterRun,
  ofBareRate,
  ours,
  oursOf,
  p50Ms,
  p99Ms,
  rate,
} from './run.ts';

const mib = 1024 * 1024;
const namesShown = 8;

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function latency(p50: number, p99: number): string {
  return `p50 ${p50.toFixed(1)} p99 ${p99.toFixed(1)} ms`;
}

export function bareLine(row: Row, bare: BareFigures): string {
  const parts = [
    '  bare'.padEnd(8),
    `${whole(bare.perS)} ${row.unit}`.padEnd(22),
    `tails ${whole(bare.receivedPerS)}/s`,
    latency(bare.p50Ms, bare.p99Ms),
    `${bare.late} late`,
  ];
  if (bare.refused > 0) parts.push(`${bare.refused} refused`);
  return parts.join('  ');
}

/** `(cs-1 20.0, ds-1 31.2, rocketmq 90.1, …)`; the stores included where nothing else is said. */
function parts(
  run: ClusterRun,
  figure: Figure,
  text: (value: number) => string,
  names: readonly string[] = run.outcome.processes.map(({ name }) => name),
): string {
  const { outcome } = run;
  const each = names.map((name) => `${name} ${text(ofProcess(name, figure)(outcome))}`);
  return `(${each.join(', ')})`;
}

function redisText({ commands, leases, byName }: RedisCounts): string {
  const names = Object.entries(byName).slice(0, namesShown);
  const list = names.map(([name, count]) => `${name} ${count}`).join(', ');
  return `Redis: ${whole(commands)} commands and ${leases} of leases (${list})`;
}

/** Reasons for which a figure must not be trusted. */
function doubtsOf(run: ClusterRun): string[] {
  const { outcome } = run;
  const doubts: string[] = [];
  if (isGeneratorBound(outcome)) doubts.push('INVALID: generator above 90 % of a core');
  if (isDisturbed(outcome)) {
    doubts.push(`DISTURBED: other work took ${otherCores(outcome).toFixed(2)} cores`);
  }
  const wrong = faultText(outcome);
  if (wrong !== undefined) doubts.push(`WRONG: ${wrong}`);
  return doubts;
}

export function runLine(row: Row, run: ClusterRun): string {
  const { outcome, redis } = run;
  const us = (value: number): string => value.toFixed(1);
  const cpu = us(ours(cpuUsPerMessage)(run));
  const rss = whole(ours(rssBytes)(run) / mib);
  const lines = [
    [
      '  ours'.padEnd(8),
      `${whole(rate(run))} ${row.unit}`.padEnd(22),
      latency(p50Ms(run), p99Ms(run)),
      `generator ${(100 * generatorShare(outcome)).toFixed(0)} %`,
      ...doubtsOf(run),
    ].join('  '),
    `    cs + ds ${cpu} µs each ${parts(run, cpuUsPerMessage, us)}`,
    `    without a core ${parts(run, waitedShare, (value) => `${(100 * value).toFixed(0)} %`, oursOf(run))}`,
    `    RSS ${rss} MiB ${parts(run, rssBytes, (value) => whole(value / mib))}`,
  ];
  if (run.bare.length > 0) {
    const ofTails = (rate(run) / bareTailRate(run)).toFixed(2);
    lines[0] += `  ${ofBareRate(run).toFixed(2)}x of bare, ${ofTails}x of its tails`;
  }
  const idle = ours(idleShare)(run);
  if (!Number.isNaN(idle)) {
    const percent = (value: number): string => (100 * value).toFixed(2);
    lines.push(`    idle ${percent(idle)} % of a core ${parts(run, idleShare, percent)}`);
  }
  for (const phase of outcome.phases ?? []) {
    const most = outcome.processes.map(
      ({ name }, index) => `${name} ${whole((phase.rssMax[index] ?? 0) / mib)}`,
    );
    const each = whole(phase.count / phase.seconds);
    lines.push(
      `    ${phase.name}: ${phase.seconds.toFixed(1)} s, ${each}/s, ${phase.retries} retries, RSS at most ${most.join(', ')} MiB`,
    );
  }
  if (redis !== undefined) lines.push(`    ${redisText(redis)}`);
  return lines.join('\n');
}

export interface Measured {
  readonly row: Row;
  readonly condition: Condition;
  readonly runs: readonly ClusterRun[];
  readonly failures: readonly string[];
}

function cellOf(goalIndex: number, { row, runs, failures }: Measured): string {
  const goal = row.goals[goalIndex];
  if (goal === undefined) return '';
  const { measured, isMet } = judge(goal, runs);
  if (measured === undefined) return failures.length > 0 ? 'FAILED' : 'not run';
  const wrong = runs.some(({ outcome }) => faultText(outcome) !== undefined);
  const disturbed = runs.some(({ outcome }) => isDisturbed(outcome) || isGeneratorBound(outcome));
  const marks = [...(wrong ? ['WRONG'] : []), ...(disturbed ? ['disturbed'] : [])];
  const doubt = marks.length === 0 ? '' : ` (${marks.join(', ')})`;
  return `${measured} ${isMet && !wrong ? 'yes' : 'NO'}${doubt}`;
}

/** Goals downwards, conditions to the right. */
export function goalTable(all: readonly Measured[]): string {
  const conditions = [...new Set(all.map(({ condition }) => conditionText(condition)))];
  const rows = [...new Map(all.map(({ row }) => [row.name, row])).values()];
  const heads = ['row', 'goal', ...conditions];
  const body = rows.flatMap((row) =>
    row.goals.map(({ text }, index) => [
      row.name,
      text,
      ...conditions.map((condition) => {
        const found = all.find(
          (each) => each.row === row && conditionText(each.condition) === condition,
        );
        return found === undefined ? '' : cellOf(index, found);
      }),
    ]),
  );
  return table([heads, ...body]);
}
