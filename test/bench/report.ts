// What a person reads: a line for each run, a table of medians for each workload, the goals.
import type { Workload } from './workloads.ts';
import {
  cpuUsPerMessage,
  faultText,
  generatorShare,
  generatorUsPerMessage,
  isDisturbed,
  isGeneratorBound,
  otherCores,
  p50Us,
  p99Us,
  perSecond,
  type Results,
  type Run,
  rssPerCount,
} from './results.ts';

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

export function runLine(workload: Workload, run: Run): string {
  const { outcome } = run;
  const parts = [
    `  ${run.broker}${run.variant === '' ? '' : ` (${run.variant})`}`.padEnd(20),
    `${whole(perSecond(outcome))} ${workload.unit}`.padEnd(24),
    `broker ${cpuUsPerMessage(outcome).toFixed(2)} µs`,
    `generator ${generatorUsPerMessage(outcome).toFixed(2)} µs, ${(100 * generatorShare(outcome)).toFixed(0)} %`,
    `p50 ${ms(p50Us(outcome))} p99 ${ms(p99Us(outcome))} ms`,
    `RSS ${whole(outcome.rssAfter / mib)} MiB`,
  ];
  if (outcome.lateP99Us !== undefined) parts.push(`sent late p99 ${ms(outcome.lateP99Us)} ms`);
  if (isGeneratorBound(outcome)) parts.push('INVALID: generator above 90 % of a core');
  if (isDisturbed(outcome)) {
    parts.push(`DISTURBED: other work took ${otherCores(outcome).toFixed(2)} cores`);
  }
  const wrong = faultText(outcome);
  if (wrong !== undefined) parts.push(`WRONG: ${wrong}`);
  return parts.join('  ');
}

export function medians(workload: Workload, results: Results): string {
  const heads = [
    'broker',
    workload.unit,
    'ours / it',
    'broker µs each',
    'generator µs each',
    'generator %',
    'p50 ms',
    'p99 ms',
    'RSS MiB',
  ];
  if (workload.name.startsWith('memory')) heads.push('KiB each');
  const keys = [...new Set(results.runs.map((run) => `${run.broker}|${run.variant}`))];
  const rows = keys.map((key) => {
    const run = results.runs.find((each) => `${each.broker}|${each.variant}` === key);
    if (run === undefined) return [];
    const ours = { broker: 'ours', variant: run.variant } as const;
    const ratio = results.ratio(perSecond, ours, run);
    const row = [
      run.variant === '' ? run.broker : `${run.broker} (${run.variant})`,
      whole(results.median(perSecond, run)),
      run.broker === 'ours' || Number.isNaN(ratio) ? '' : `${ratio.toFixed(2)}x`,
      results.median(cpuUsPerMessage, run).toFixed(2),
      results.median(generatorUsPerMessage, run).toFixed(2),
      (100 * results.median(generatorShare, run)).toFixed(0),
      ms(results.median(p50Us, run)),
      ms(results.median(p99Us, run)),
      whole(results.median((outcome) => outcome.rssAfter / mib, run)),
    ];
    if (workload.name.startsWith('memory')) {
      row.push((results.median(rssPerCount, run) / 1024).toFixed(1));
    }
    return row;
  });
  return table([heads, ...rows]);
}

/** What stands beside a goal that must not be trusted. */
function doubts(results: Results): string {
  const bound = results.runs.filter((run) => isGeneratorBound(run.outcome)).length;
  const disturbed = results.runs.filter((run) => isDisturbed(run.outcome)).length;
  const wrong = results.runs.filter(
    (run) => run.broker === 'ours' && faultText(run.outcome) !== undefined,
  ).length;
  const parts: string[] = [];
  if (bound > 0) parts.push(`${bound} of ${results.runs.length} runs invalid`);
  if (disturbed > 0) parts.push(`${disturbed} disturbed`);
  if (wrong > 0) parts.push(`${wrong} of ours wrong`);
  if (results.failures.length > 0) parts.push(`${results.failures.length} failed`);
  return parts.join(', ');
}

export function goalRows(workload: Workload, results: Results): readonly (readonly string[])[] {
  const doubt = doubts(results);
  const isWrong = results.runs.some(
    (run) => run.broker === 'ours' && faultText(run.outcome) !== undefined,
  );
  return workload.goals(results).map((goal) => {
    const verdict = goal.measured === undefined ? '-' : goal.isMet && !isWrong ? 'yes' : 'NO';
    const measured = goal.measured ?? 'not run';
    return [workload.title, goal.text, measured, doubt === '' ? verdict : `${verdict} (${doubt})`];
  });
}
