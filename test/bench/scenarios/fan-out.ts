// One publisher to many subscribers: a message is in flight until the broker has acknowledged it
// and every subscriber has it.
import { faultsOf, measure } from '../interval.ts';
import type { FanOutJob, Outcome } from '../job.ts';
import { drained, Lane } from '../lane.ts';
import { Histogram, memoryOf } from '../meter.ts';
import type { Target } from '../wire/connection.ts';
import { lingerWith } from '../wire/turn.ts';
import { Group } from './group.ts';
import { payloadBytes } from './pairs.ts';

const topic = 'bench/news';
const drainMs = 5000;

export async function runFanOut(job: FanOutJob, target: Target): Promise<Outcome> {
  const rssBefore = memoryOf(target.processes);
  const { qos, subscribers, window } = job;
  const histogram = new Histogram();
  const untilReceived = true;
  const lane = new Lane({
    name: 'publisher',
    topic,
    qos,
    window,
    payloadBytes,
    index: 0,
    untilReceived,
  });
  const group = new Group(lane, subscribers, histogram);
  await group.open(target, topic, qos);
  await lane.open(target);
  lingerWith(subscribers * window);
  lane.flush();
  const interval = await measure({
    processes: target.processes,
    rssBefore,
    warmMs: job.warmMs,
    measureMs: job.measureMs,
    histogram,
    count: () => group.deliveries,
  });
  lane.stopped = true;
  lingerWith(0);
  await drained([lane], drainMs);
  const faults = faultsOf([lane], group.sequences, group.failures, subscribers);
  return { ...interval, faults };
}
