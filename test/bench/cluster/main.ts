// `npm run bench:cluster`: our nodes on a real RocketMQ and a real Redis of this machine, beside
// what RocketMQ alone does, and at the end the goals beside what was measured.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

import { wantedVersion } from '../../harness/rocketmq/jars.ts';
import { UsageError } from '../options.ts';
import { write } from '../report.ts';
import { type Condition, conditionText } from './condition.ts';
import { judge } from './goals.ts';
import { type ClusterOptions, readClusterOptions, usage } from './options.ts';
import { goalTable, type Measured } from './report.ts';
import { type Row, rowsWith } from './rows.ts';
import { ClusterSeries } from './series.ts';

function openFilesMax(): number {
  const { stdout } = spawnSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' });
  const text = stdout.trim();
  return text === 'unlimited' ? Infinity : Number(text);
}

function machine(): string {
  const memoryGib = (totalmem() / 1024 ** 3).toFixed(0);
  return `${cpus().length} cores, ${memoryGib} GiB, Node ${process.version}, RocketMQ ${wantedVersion()}`;
}

function conditionsOf({ flushes, threads, store, shape }: ClusterOptions): Condition[] {
  const all = flushes.flatMap((flush) =>
    threads.map((each) => ({ flush, threads: each, store, shape }) as const),
  );
  // On its own disk none of them is different.
  return shape === 'cluster' ? all : all.slice(0, 1);
}

function json(all: readonly Measured[]): string {
  const rows = all.map(({ row, condition, runs, failures }) => ({
    row: row.name,
    title: row.title,
    condition,
    goals: row.goals.map((goal) => judge(goal, runs)),
    runs,
    failures,
  }));
  return `${JSON.stringify({ machine: machine(), rows }, null, 2)}\n`;
}

async function main(options: ClusterOptions, rows: readonly Row[]): Promise<void> {
  write(machine());
  if (options.profile !== undefined) write(`${options.profile} is slowed by the profiler.`);
  const openFiles = openFilesMax();
  const all: Measured[] = [];
  const wanted = rows.filter(({ name, isApart = false }) =>
    options.rows === undefined ? !isApart : options.rows.includes(name),
  );
  for (const row of wanted) {
    for (const condition of conditionsOf(options)) {
      write(`\n${row.title} (${row.name}), ${conditionText(condition)}`);
      if (openFiles < (row.openFiles ?? 0)) {
        write(`  skipped: the limit of open files is ${openFiles}, it needs ${row.openFiles}`);
        continue;
      }
      const series = new ClusterSeries(row, condition, options);
      await series.run();
      all.push({ row, condition, runs: series.runs, failures: series.failures });
      // After each: a long series may be cut short.
      if (options.json !== undefined) writeFileSync(options.json, json(all));
    }
  }
  write(`\n${goalTable(all)}`);
}

// An orderly exit, so that the servers end too.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const names = rowsWith(0).map(({ name }) => name);
try {
  const options = readClusterOptions(process.argv.slice(2), names);
  if (options.help) write(`${usage}\nRows: ${names.join(', ')}`);
  else await main(options, rowsWith(options.sessions));
  process.exit(0);
} catch (error) {
  // parseArgs throws a TypeError for a flag that it does not know.
  if (!(error instanceof UsageError || error instanceof TypeError)) throw error;
  process.stderr.write(`${error.message}\n${usage}\nRows: ${names.join(', ')}\n`);
  process.exit(2);
}
