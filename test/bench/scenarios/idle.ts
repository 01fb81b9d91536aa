// Connections that hold one subscription each and do nothing: what each costs the broker in memory,
// and what all of them cost it in processor time while nobody does anything. Some come first and
// are not counted, so that what the broker sets up once is not.
import { between } from '../interval.ts';
import type { IdleJob, Outcome } from '../job.ts';
import { type BrokerProcess, Histogram, memoryOf, times } from '../meter.ts';
import { nowUs, sleep } from '../wire/clock.ts';
import { Connection, type Receiver, type Target } from '../wire/connection.ts';
import { inBatches } from './pairs.ts';

const connectsAtOnce = 50;

/** Share of a core, for each process. */
async function idleShares(processes: readonly BrokerProcess[], ms: number): Promise<number[]> {
  const before = times(processes);
  await sleep(ms);
  const after = times(processes);
  const us = after.us - before.us;
  return processes.map((_, index) => {
    return ((after.brokerUs[index] ?? 0) - (before.brokerUs[index] ?? 0)) / us;
  });
}

export async function runIdle(job: IdleJob, target: Target): Promise<Outcome> {
  const lost: string[] = [];
  const receiver: Receiver = {
    message: () => lost.push('a message that nobody sent'),
    acknowledged: () => {},
    lost: (reason) => lost.push(reason),
  };
  const histogram = new Histogram();
  const open = (count: number, name: string): Promise<void> =>
    inBatches(count, connectsAtOnce, async (index) => {
      const startUs = nowUs();
      const options = { clientId: `${name}-${index}`, clean: job.persistent !== true };
      const connection = await Connection.open(target, options, receiver);
      await connection.subscribe([`devices/${name}/${index}/set`], 1);
      histogram.add(nowUs() - startUs);
    });
  await open(job.firstConnections ?? Math.ceil(job.connections / 10), 'first');
  await sleep(job.settleMs);
  const { processes } = target;
  const rssBefore = memoryOf(processes);
  const before = times(processes);
  await open(job.connections, 'idle');
  await sleep(job.settleMs);
  const interval = between({ processes, rssBefore, histogram }, before, job.connections);
  const shares = job.idleMs === undefined ? [] : await idleShares(processes, job.idleMs);
  const faults = { missing: 0, duplicates: 0, disorder: 0, refused: 0, lost };
  const uses = interval.processes.map((use, index) => {
    const idleShare = shares[index];
    return idleShare === undefined ? use : { ...use, idleShare };
  });
  return { ...interval, processes: uses, faults };
}
