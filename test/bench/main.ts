// `npm run bench`: our broker and, where they are installed, mosquitto, rumqttd and aedes under the
// same load in alternation, and at the end the goals beside what was measured.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

import { isAvailable } from './brokers.ts';
import { type Options, readOptions, usage, UsageError } from './options.ts';
import { goalRows, medians, table, write } from './report.ts';
import type { Results } from './results.ts';
import { peerNames } from './running-broker.ts';
import { Series } from './series.ts';
import { workloads } from './workloads.ts';

function openFilesMax(): number {
  const { stdout } = spawnSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' });
  const text = stdout.trim();
  return text === 'unlimited' ? Infinity : Number(text);
}

function machine(): string {
  const memoryGib = (totalmem() / 1024 ** 3).toFixed(0);
  const peers = peerNames
    .filter((name) => name !== 'relay')
    .map((name) => (isAvailable(name) ? name : `${name} (not installed)`));
  return `${cpus().length} cores, ${memoryGib} GiB, Node ${process.version}; peers: ${peers.join(', ')}`;
}

async function main(options: Options): Promise<void> {
  write(machine());
  if (options.profile !== undefined) {
    write(`${options.profile} runs under the profiler: the figures of its broker are too low.`);
  }
  const openFiles = openFilesMax();
  const rows: (readonly string[])[] = [['workload', 'shape', 'goal', 'measured', 'ok']];
  const all: { name: string; title: string; results: Results }[] = [];
  for (const workload of workloads) {
    if (options.only?.includes(workload.name) === false) continue;
    write(`\n${workload.title} (${workload.name})`);
    if (openFiles < (workload.openFiles ?? 0)) {
      write(`  skipped: the limit of open files is ${openFiles}, it needs ${workload.openFiles}`);
      continue;
    }
    const series = new Series(workload, options);
    const results = await series.run();
    for (const name of results.skipped) write(`  skipped: ${name} is not installed`);
    if (results.runs.length > 0) write(medians(workload, results));
    for (const shape of series.shapes) rows.push(...goalRows(workload, shape, results));
    all.push({ name: workload.name, title: workload.title, results });
  }
  write(`\n${table(rows)}`);
  if (options.json !== undefined) {
    writeFileSync(
      options.json,
      `${JSON.stringify({ machine: machine(), workloads: all }, null, 2)}\n`,
    );
  }
}

// An orderly exit, so that the brokers end too.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const names = workloads.map((workload) => workload.name);
try {
  const options = readOptions(process.argv.slice(2), names);
  if (options.help) write(`${usage}\nWorkloads: ${names.join(', ')}`);
  else await main(options);
  process.exit(0);
} catch (error) {
  // parseArgs throws a TypeError for a flag that it does not know.
  if (!(error instanceof UsageError || error instanceof TypeError)) throw error;
  process.stderr.write(`${error.message}\n${usage}\nWorkloads: ${names.join(', ')}\n`);
  process.exit(2);
}
