// Pairs that send by a timetable: latency from the scheduled send to the receipt.
import { faultsOf, measure } from '../interval.ts';
import type { OpenLoopJob, Outcome } from '../job.ts';
import { drained } from '../lane.ts';
import { memoryOf } from '../meter.ts';
import { Timetable } from '../timetable.ts';
import type { Target } from '../wire/connection.ts';
import { openPairs, receivedBy } from './pairs.ts';

const drainMs = 5000;
/** Slots of a lane: what may wait when the broker falls behind, 2 s of it. */
const secondsBehindMax = 2;

export async function runOpenLoop(job: OpenLoopJob, target: Target): Promise<Outcome> {
  const rssBefore = memoryOf(target.processes);
  const { pairs, perSecond, qos } = job;
  const window = Math.ceil((perSecond * secondsBehindMax) / pairs);
  const { lanes, ears, histogram } = await openPairs(target, pairs, qos, window, false);
  const timetable = new Timetable(lanes, perSecond);
  timetable.start();
  const interval = await measure({
    processes: target.processes,
    rssBefore,
    warmMs: job.warmMs,
    measureMs: job.measureMs,
    histogram,
    count: () => receivedBy(ears),
    begin: () => timetable.lateness.clear(),
  });
  const lateP99Us = timetable.lateness.quantile(0.99);
  timetable.stop();
  await drained(lanes, drainMs);
  const sequences = ears.map((ear) => ear.sequence);
  const failures = ears.flatMap((ear) => ear.failures);
  return { ...interval, lateP99Us, faults: faultsOf(lanes, sequences, failures) };
}
