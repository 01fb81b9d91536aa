// The command line of `npm run bench`.
import { parseArgs } from 'node:util';

import {
  isPeerName,
  isShape,
  type PeerName,
  peerNames,
  type ProfiledProcess,
  profiledProcesses,
  type Shape,
  shapes,
} from './running-broker.ts';

export interface Options {
  readonly rounds: number;
  readonly seconds: number;
  /** Workloads by name; undefined: all. */
  readonly only: readonly string[] | undefined;
  /** Undefined: for each workload those that its goal names. */
  readonly peers: readonly PeerName[] | undefined;
  /** Undefined: for each workload those that have goals. */
  readonly shape: Shape | undefined;
  readonly json: string | undefined;
  readonly profile: ProfiledProcess | undefined;
  readonly help: boolean;
}

export const usage = `npm run bench -- [options]
  --rounds N      runs of each broker in a series (3)
  --seconds N     measured time of a run, after one second of warm-up (3)
  --only A,B      these workloads only, by name
  --peers A,B     these brokers beside ours: aedes, mosquitto, rumqttd; relay is no broker, it
                  shows what the generator reaches
  --shape S       ours in this shape only: standalone, or split (a ds and a cs, two in fan-out)
  --json FILE     all figures of all runs
  --profile P     a processor profile for each workload of one of our processes: broker (the
                  standalone one), cs or ds; it slows that process`;

export class UsageError extends Error {}

function positive(text: string, flag: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1000)) throw new UsageError(`${flag}: must be a number up to 1000`);
  return value;
}

function peersOf(text: string): readonly PeerName[] {
  return text
    .split(',')
    .filter((name) => name !== '')
    .map((name) => {
      if (isPeerName(name)) return name;
      throw new UsageError(`--peers ${name}: must be of ${peerNames.join(', ')}`);
    });
}

function shapeOf(text: string): Shape {
  if (isShape(text)) return text;
  throw new UsageError(`--shape ${text}: must be one of ${shapes.join(', ')}`);
}

function profiledOf(text: string, shape: Shape | undefined): ProfiledProcess {
  const found = profiledProcesses.find((name) => name === text);
  if (found === undefined) {
    throw new UsageError(`--profile ${text}: must be one of ${profiledProcesses.join(', ')}`);
  }
  if (shape !== undefined && (shape === 'standalone') !== (found === 'broker')) {
    throw new UsageError(`--profile ${text}: the ${shape} shape has no such process`);
  }
  return found;
}

export function readOptions(args: readonly string[], workloads: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '3' },
      only: { type: 'string' },
      peers: { type: 'string' },
      json: { type: 'string' },
      profile: { type: 'string' },
      shape: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const only = values.only?.split(',');
  for (const name of only ?? []) {
    if (!workloads.includes(name)) {
      throw new UsageError(`--only ${name}: must be of ${workloads.join(', ')}`);
    }
  }
  const shape = values.shape === undefined ? undefined : shapeOf(values.shape);
  return {
    rounds: Math.round(positive(values.rounds, '--rounds')),
    seconds: positive(values.seconds, '--seconds'),
    only,
    peers: values.peers === undefined ? undefined : peersOf(values.peers),
    json: values.json,
    shape,
    profile: values.profile === undefined ? undefined : profiledOf(values.profile, shape),
    help: values.help,
  };
}
