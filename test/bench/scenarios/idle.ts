// Connections that hold one subscription each and do nothing: what each costs the broker in memory.
// A tenth of them come first and are not counted, so that what the broker sets up once is not.
import { between } from '../interval.ts';
import type { IdleJob, Outcome } from '../job.ts';
import { Histogram, rssBytesOf, times } from '../meter.ts';
import { nowUs, sleep } from '../wire/clock.ts';
import { Connection, type Receiver, type Target } from '../wire/connection.ts';
import { inBatches } from './pairs.ts';

const connectsAtOnce = 50;

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
      const options = { clientId: `${name}-${index}` };
      const connection = await Connection.open(target, options, receiver);
      await connection.subscribe([`devices/${name}/${index}/set`], 1);
      histogram.add(nowUs() - startUs);
    });
  await open(Math.ceil(job.connections / 10), 'first');
  await sleep(job.settleMs);
  const rssBefore = rssBytesOf(target.pid);
  const before = times(target.pid);
  await open(job.connections, 'idle');
  await sleep(job.settleMs);
  const interval = between(target.pid, before, job.connections, histogram);
  const faults = { missing: 0, duplicates: 0, disorder: 0, refused: 0, lost };
  return { ...interval, rssBefore, faults };
}
