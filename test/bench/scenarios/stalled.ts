// One publisher by a timetable to many subscribers, of which one may stop reading. Only the others
// are measured: their latency must not show it, nor the broker's memory.
import { faultsOf, measure } from '../interval.ts';
import type { Outcome, StalledJob } from '../job.ts';
import { drained, Lane } from '../lane.ts';
import { Histogram, memoryOf } from '../meter.ts';
import { Timetable } from '../timetable.ts';
import { Connection, type Receiver, type Target } from '../wire/connection.ts';
import { Group } from './group.ts';

const topic = 'bench/news';
const drainMs = 5000;
const secondsBehindMax = 4;

const nobody: Receiver = { message: () => {}, acknowledged: () => {}, lost: () => {} };

export async function runStalled(job: StalledJob, target: Target): Promise<Outcome> {
  const { qos, subscribers, perSecond, payloadBytes, stall } = job;
  const histogram = new Histogram();
  const lane = new Lane({
    name: 'publisher',
    topic,
    qos: 1,
    window: perSecond * secondsBehindMax,
    payloadBytes,
    index: 0,
    untilReceived: true,
    pumped: false,
  });
  const others = stall ? subscribers - 1 : subscribers;
  const group = new Group(lane, others, histogram);
  await group.open(target, topic, qos);
  if (stall) {
    const stalled = await Connection.open(target, { clientId: 'stalled' }, nobody);
    await stalled.subscribe([topic], qos);
    stalled.stall();
  }
  await lane.open(target);
  const rssBefore = memoryOf(target.processes);
  const timetable = new Timetable([lane], perSecond);
  timetable.start();
  const interval = await measure({
    processes: target.processes,
    rssBefore,
    warmMs: job.warmMs,
    measureMs: job.measureMs,
    histogram,
    count: () => group.deliveries,
    begin: () => timetable.lateness.clear(),
  });
  const lateP99Us = timetable.lateness.quantile(0.99);
  timetable.stop();
  await drained([lane], drainMs);
  const faults = faultsOf([lane], group.sequences, group.failures, others);
  return { ...interval, lateP99Us, faults };
}
