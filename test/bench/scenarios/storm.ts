// All clients of a broker lose their connection and come back in the same instant: the time until
// the last CONNACK, and how many were refused. Their sessions are persistent, with a subscription.
import { between } from '../interval.ts';
import type { Outcome, StormJob } from '../job.ts';
import { Histogram, memoryOf, times } from '../meter.ts';
import { nowUs, sleep } from '../wire/clock.ts';
import { Connection, type Receiver, type Target } from '../wire/connection.ts';
import { inBatches } from './pairs.ts';

const connectsAtOnce = 50;
const settleMs = 500;

export async function runStorm(job: StormJob, target: Target): Promise<Outcome> {
  const lost: string[] = [];
  const receiver: Receiver = {
    message: () => {},
    acknowledged: () => {},
    lost: (reason) => lost.push(reason),
  };
  const open = (index: number): Promise<Connection> =>
    Connection.open(target, { clientId: `device-${index}`, clean: false }, receiver);
  const connections: Connection[] = [];
  await inBatches(job.clients, connectsAtOnce, async (index) => {
    const connection = await open(index);
    await connection.subscribe([`devices/${index}/set`], 1);
    connections.push(connection);
  });
  await sleep(settleMs);
  const { processes } = target;
  const rssBefore = memoryOf(processes);
  const histogram = new Histogram();
  const before = times(processes);
  const startUs = nowUs();
  for (const connection of connections) connection.drop();
  let count = 0;
  const back = async (index: number): Promise<void> => {
    try {
      await open(index);
      histogram.add(nowUs() - startUs);
      count += 1;
    } catch (error) {
      lost.push(String(error));
    }
  };
  await Promise.all(Array.from({ length: job.clients }, (_, index) => back(index)));
  const interval = between({ processes, rssBefore, histogram }, before, count);
  const faults = { missing: job.clients - count, duplicates: 0, disorder: 0, refused: 0, lost };
  return { ...interval, faults };
}
