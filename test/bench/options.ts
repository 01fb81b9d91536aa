// The command line of `npm run bench`.
import { parseArgs } from 'node:util';

import { type BrokerName, brokerNames } from './brokers.ts';

export interface Options {
  readonly rounds: number;
  readonly seconds: number;
  /** Workloads by name; undefined: all. */
  readonly only: readonly string[] | undefined;
  /** Undefined: for each workload those that its goal names. */
  readonly peers: readonly BrokerName[] | undefined;
  readonly json: string | undefined;
  readonly profile: boolean;
  readonly help: boolean;
}

export const usage = `npm run bench -- [options]
  --rounds N      runs of each broker in a series (3)
  --seconds N     measured time of a run, after one second of warm-up (3)
  --only A,B      these workloads only, by name
  --peers A,B     these brokers beside ours: aedes, mosquitto, rumqttd; relay is no broker, it
                  shows what the generator reaches
  --json FILE     all figures of all runs
  --profile       a processor profile of our broker for each workload; it slows the broker`;

export class UsageError extends Error {}

function positive(text: string, flag: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1000)) throw new UsageError(`${flag}: must be a number up to 1000`);
  return value;
}

function isBrokerName(name: string): name is BrokerName {
  return brokerNames.some((each) => each === name);
}

function brokersOf(text: string): readonly BrokerName[] {
  return text
    .split(',')
    .filter((name) => name !== '')
    .map((name) => {
      if (isBrokerName(name)) return name;
      throw new UsageError(`--peers ${name}: must be of ${brokerNames.join(', ')}`);
    });
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
      profile: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const only = values.only?.split(',');
  for (const name of only ?? []) {
    if (!workloads.includes(name)) {
      throw new UsageError(`--only ${name}: must be of ${workloads.join(', ')}`);
    }
  }
  return {
    rounds: Math.round(positive(values.rounds, '--rounds')),
    seconds: positive(values.seconds, '--seconds'),
    only,
    peers: values.peers === undefined ? undefined : brokersOf(values.peers),
    json: values.json,
    profile: values.profile,
    help: values.help,
  };
}
