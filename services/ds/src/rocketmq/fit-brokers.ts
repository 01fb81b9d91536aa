// The wait of a starting ds for one broker that is fit. Brokers that are away are not waited for
// while another is there; a wrong configuration of any of them is refused.
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '@lmqtt/common/clock';
import type { Logs } from '@lmqtt/common/log';
import { SettingsError } from '@lmqtt/common/settings/parse';
import {
  type BrokerReport,
  checkBrokers,
  refusalOfBrokers,
  type RocketmqChecksOptions,
} from './checks.ts';
import { RocketmqClient, type RocketmqClientOptions } from './remoting/client.ts';

interface FitBrokersOptions {
  readonly client: RocketmqClientOptions;
  readonly checks: RocketmqChecksOptions;
  readonly logs: Logs;
  readonly clock: Clock;
  /** Aborted when it is to stop before a broker is fit. */
  readonly stopping: AbortSignal;
}

const retryMs = 500;
const sayMs = 5000;

/** Throws SettingsError: its one line says what to change. */
export async function untilBrokersAreFit(options: FitBrokersOptions): Promise<void> {
  const { logs, clock, stopping, checks } = options;
  // A probe may be written before this ds has a lease: no client of others.
  const client = new RocketmqClient(options.client);
  let saidMs = -Infinity;
  const say = (reason: string): void => {
    if (clock.monotonicMs() - saidMs < sayMs) return;
    saidMs = clock.monotonicMs();
    logs.broker.warn({ reason }, 'waiting for RocketMQ');
  };
  try {
    for (;;) {
      const reports = await lookAt(client, checks, say);
      const refusal = refusalOfBrokers(reports);
      if (refusal !== undefined) throw new SettingsError(refusal);
      if (reports.some(({ mayPass }) => !mayPass)) {
        warn(logs, reports);
        return;
      }
      for (const { findings } of reports)
        for (const { name, state, found } of findings)
          if (state === 'wrong') say(`${name}: ${found}`);
      await delay(retryMs, undefined, { signal: stopping });
    }
  } finally {
    client.close();
  }
}

/** None: no name server answers, or none knows a broker. */
async function lookAt(
  client: RocketmqClient,
  checks: RocketmqChecksOptions,
  say: (reason: string) => void,
): Promise<BrokerReport[]> {
  try {
    const reports = await checkBrokers(client, checks);
    if (reports.length === 0) say('the name servers know no broker');
    return reports;
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return [];
  }
}

function warn(logs: Logs, reports: readonly BrokerReport[]): void {
  for (const { findings } of reports)
    for (const { name, state, found, fix } of findings)
      if (state !== 'ok') logs.broker.warn({ name, found, fix }, 'RocketMQ is not as it should be');
}
