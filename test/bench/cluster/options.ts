// The command line of `npm run bench:cluster`.
import { parseArgs } from 'node:util';

import { UsageError } from '../options.ts';
import {
  type ClusterShape,
  type Flush,
  flushes,
  shapes,
  type StoreType,
  storeTypes,
  type Threads,
  threadCounts,
} from './condition.ts';
import { type ProfiledNode, profiledNodes } from './nodes.ts';

export interface ClusterOptions {
  /** By name; undefined: all but those that are run apart. */
  readonly rows: readonly string[] | undefined;
  readonly flushes: readonly Flush[];
  readonly threads: readonly Threads[];
  readonly store: StoreType;
  readonly seconds: number;
  readonly rounds: number;
  readonly sessions: number;
  readonly shape: ClusterShape;
  /** Settings of our nodes, over those of the row. */
  readonly settings: Readonly<Record<string, string>>;
  readonly profile: ProfiledNode | undefined;
  readonly json: string | undefined;
  readonly help: boolean;
}

export const usage = `npm run bench:cluster -- [options]
  --row A,B       these rows only, by name
  --flush F       async or sync: when RocketMQ flushes (both)
  --threads T     its send threads: default or one (both)
  --store S       its store: file or rocksdb (file)
  --seconds N     measured time of a run, after three seconds of warm-up (10)
  --rounds N      runs of a row; the median is judged (1)
  --sessions N    of the row sessions-100k (100000)
  --shape S       cluster; or split: a ds on its own disk, without RocketMQ and Redis (cluster)
  --set NAME=V    a setting of our nodes; may be given several times
  --profile P     a processor profile of cs or ds; it slows that process
  --json FILE     all figures of all runs`;

const most = { seconds: 600, rounds: 100, sessions: 1_000_000 };

function numberOf(text: string, flag: keyof typeof most): number {
  const value = Number(text);
  if (value > 0 && value <= most[flag]) return value;
  throw new UsageError(`--${flag}: must be a number up to ${most[flag]}`);
}

function oneOf<T extends string>(text: string, flag: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new UsageError(`--${flag} ${text}: must be ${choices.join(' or ')}`);
}

function settingOf(text: string): readonly [string, string] {
  const [, name = '', value = ''] = /^([A-Z_0-9]+)=(.*)$/.exec(text) ?? [];
  if (name === '') throw new UsageError(`--set ${text}: must be NAME=VALUE`);
  return [name, value];
}

export function readClusterOptions(
  args: readonly string[],
  rowNames: readonly string[],
): ClusterOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      row: { type: 'string' },
      flush: { type: 'string' },
      threads: { type: 'string' },
      store: { type: 'string', default: 'file' },
      seconds: { type: 'string', default: '10' },
      rounds: { type: 'string', default: '1' },
      sessions: { type: 'string', default: '100000' },
      shape: { type: 'string', default: 'cluster' },
      set: { type: 'string', multiple: true, default: [] },
      profile: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const { flush, threads, profile } = values;
  const rows = values.row?.split(',').filter((name) => name !== '');
  for (const name of rows ?? []) {
    if (!rowNames.includes(name)) {
      throw new UsageError(`--row ${name}: must be of ${rowNames.join(', ')}`);
    }
  }
  return {
    rows,
    flushes: flush === undefined ? flushes : [oneOf(flush, 'flush', flushes)],
    threads:
      threads === undefined
        ? threadCounts
        : [oneOf(threads === '1' ? 'one' : threads, 'threads', threadCounts)],
    store: oneOf(values.store, 'store', storeTypes),
    seconds: numberOf(values.seconds, 'seconds'),
    rounds: Math.round(numberOf(values.rounds, 'rounds')),
    sessions: Math.round(numberOf(values.sessions, 'sessions')),
    shape: oneOf(values.shape, 'shape', shapes),
    settings: Object.fromEntries(values.set.map(settingOf)),
    profile: profile === undefined ? undefined : oneOf(profile, 'profile', profiledNodes),
    json: values.json,
    help: values.help,
  };
}
