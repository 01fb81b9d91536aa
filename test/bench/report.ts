// The report for people: a line for each run, a table of medians for each workload, the goals.
import {
  cpuUsPerMessage,
  faultText,
  type Figure,
  generatorShare,
  generatorUsPerMessage,
  idleShare,
  isDisturbed,
  isGeneratorBound,
  ofProcess,
  otherCores,
  p50Us,
  p99Us,
  perSecond,
  type Results,
  type Run,
  rssBytes,
  rssPerCount,
} from './results.ts';
import { type Shape, shapes } from './running-broker.ts';
import type { Workload } from './workloads.ts';

const kib = 1024;
const mib = 1024 * 1024;

export function write(text: string): void {
  process.stdout.write(`${text}\n`);
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function ms(us: number): string {
  return (us / 1000).toFixed(us < 10_000 ? 2 : 0);
}

export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head, ...rest] = rows.map(line);
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [head, rule, ...rest].join('\n');
}

/** `5.10 (cs-1 3.00, ds-1 2.10)`: the broker, and each process where it has several. */
function withParts(
  text: (figure: Figure) => string,
  figure: Figure,
  processes: readonly string[],
): string {
  if (processes.length < 2) return text(figure);
  const parts = processes.map((name) => `${name} ${text(ofProcess(name, figure))}`);
  return `${text(figure)} (${parts.join(', ')})`;
}

export function runLine(workload: Workload, run: Run): string {
  const { outcome } = run;
  const processes = outcome.processes.map(({ name }) => name);
  const cpu = (figure: Figure): string => figure(outcome).toFixed(2);
  const rss = (figure: Figure): string => whole(figure(outcome) / mib);
  const parts = [
    `  ${run.broker}${run.variant === '' ? '' : ` (${run.variant})`}`.padEnd(20),
    `${whole(perSecond(outcome))} ${workload.unit}`.padEnd(24),
    `broker ${withParts(cpu, cpuUsPerMessage, processes)} µs`,
    `generator ${generatorUsPerMessage(outcome).toFixed(2)} µs, ${(100 * generatorShare(outcome)).toFixed(0)} %`,
    `p50 ${ms(p50Us(outcome))} p99 ${ms(p99Us(outcome))} ms`,
    `RSS ${withParts(rss, rssBytes, processes)} MiB`,
  ];
  const idle = idleShare(outcome);
  if (!Number.isNaN(idle)) {
    const percent = (figure: Figure): string => (100 * figure(outcome)).toFixed(2);
    parts.push(`idle ${withParts(percent, idleShare, processes)} %`);
  }
  if (outcome.lateP99Us !== undefined) parts.push(`sent late p99 ${ms(outcome.lateP99Us)} ms`);
  if (isGeneratorBound(outcome)) parts.push('INVALID: generator above 90 % of a core');
  if (isDisturbed(outcome)) {
    parts.push(`DISTURBED: other work took ${otherCores(outcome).toFixed(2)} cores`);
  }
  const wrong = faultText(outcome);
  if (wrong !== undefined) parts.push(`WRONG: ${wrong}`);
  return parts.join('  ');
}

/** `4.10x` of a shape of ours to another broker; nothing where one of them did not run. */
function lead(results: Results, shape: Shape, run: Run): string {
  if (run.broker === shape) return '';
  const ratio = results.ratio(perSecond, { broker: shape, variant: run.variant }, run);
  return Number.isNaN(ratio) ? '' : `${ratio.toFixed(2)}x`;
}

export function medians(workload: Workload, results: Results): string {
  const ours = shapes.filter((shape) => results.runs.some((run) => run.broker === shape));
  const heads = [
    'broker',
    workload.unit,
    ...ours.map((shape) => `${shape} / it`),
    'broker µs each',
    'generator µs each',
    'generator %',
    'p50 ms',
    'p99 ms',
    'RSS MiB',
  ];
  if (workload.perConnection === true) heads.push('KiB each');
  const keys = [...new Set(results.runs.map((run) => `${run.broker}|${run.variant}`))];
  const rows = keys.map((key) => {
    const run = results.runs.find((each) => `${each.broker}|${each.variant}` === key);
    if (run === undefined) return [];
    const processes = results.processes(run);
    const parts = (text: (value: number) => string, figure: Figure): string =>
      withParts((each) => text(results.median(each, run)), figure, processes);
    const row = [
      run.variant === '' ? run.broker : `${run.broker} (${run.variant})`,
      whole(results.median(perSecond, run)),
      ...ours.map((shape) => lead(results, shape, run)),
      parts((value) => value.toFixed(2), cpuUsPerMessage),
      results.median(generatorUsPerMessage, run).toFixed(2),
      (100 * results.median(generatorShare, run)).toFixed(0),
      ms(results.median(p50Us, run)),
      ms(results.median(p99Us, run)),
      parts((value) => whole(value / mib), rssBytes),
    ];
    if (workload.perConnection === true) {
      row.push(parts((value) => (value / kib).toFixed(1), rssPerCount));
    }
    return row;
  });
  return table([heads, ...rows]);
}

function wrongRuns(results: Results, shape: Shape): number {
  return results.runs.filter((run) => run.broker === shape && faultText(run.outcome) !== undefined)
    .length;
}

/** The remark beside a goal that must not be trusted. */
function doubts(results: Results, shape: Shape): string {
  const bound = results.runs.filter((run) => isGeneratorBound(run.outcome)).length;
  const disturbed = results.runs.filter((run) => isDisturbed(run.outcome)).length;
  const wrong = wrongRuns(results, shape);
  const parts: string[] = [];
  if (bound > 0) parts.push(`${bound} of ${results.runs.length} runs invalid`);
  if (disturbed > 0) parts.push(`${disturbed} disturbed`);
  if (wrong > 0) parts.push(`${wrong} of ours wrong`);
  if (results.failures.length > 0) parts.push(`${results.failures.length} failed`);
  return parts.join(', ');
}

export function goalRows(
  workload: Workload,
  shape: Shape,
  results: Results,
): readonly (readonly string[])[] {
  const doubt = doubts(results, shape);
  const isWrong = wrongRuns(results, shape) > 0;
  return (workload.goals[shape] ?? []).map((goal) => {
    const { text, measured, isMet } = goal(results, shape);
    const verdict = measured === undefined ? '-' : isMet && !isWrong ? 'yes' : 'NO';
    const ok = doubt === '' ? verdict : `${verdict} (${doubt})`;
    return [workload.title, shape, text, measured ?? 'not run', ok];
  });
}
