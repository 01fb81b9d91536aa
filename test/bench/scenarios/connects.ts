// Sessions that come and go, a fixed number at once: TCP connection, CONNECT, CONNACK, DISCONNECT,
// close. Latency is from the first step to CONNACK.
import { measure } from '../interval.ts';
import type { ConnectsJob, Outcome } from '../job.ts';
import { Histogram, memoryOf } from '../meter.ts';
import { nowUs } from '../wire/clock.ts';
import { Connection, type Receiver, type Target } from '../wire/connection.ts';
import { type ConnectOptions, disconnectPacket } from '../wire/packets.ts';

function optionsOf({ persistent }: ConnectsJob, number: number): ConnectOptions {
  const index = typeof persistent === 'number' ? number % persistent : number;
  return { clientId: `guest-${index}`, clean: persistent === undefined };
}

export async function runConnects(job: ConnectsJob, target: Target): Promise<Outcome> {
  const rssBefore = memoryOf(target.processes);
  const histogram = new Histogram();
  const lost: string[] = [];
  const receiver: Receiver = {
    message: () => {},
    acknowledged: () => {},
    lost: (reason) => lost.push(reason),
  };
  let count = 0;
  let next = 0;
  let isRunning = true;
  const worker = async (): Promise<void> => {
    while (isRunning) {
      next += 1;
      const startUs = nowUs();
      try {
        const connection = await Connection.open(target, optionsOf(job, next), receiver);
        histogram.add(nowUs() - startUs);
        count += 1;
        await connection.end(disconnectPacket);
      } catch (error) {
        lost.push(String(error));
      }
    }
  };
  const workers = Array.from({ length: job.atOnce }, worker);
  const interval = await measure({
    processes: target.processes,
    rssBefore,
    warmMs: job.warmMs,
    measureMs: job.measureMs,
    histogram,
    count: () => count,
  });
  isRunning = false;
  await Promise.all(workers);
  const faults = { missing: 0, duplicates: 0, disorder: 0, refused: 0, lost };
  return { ...interval, faults };
}
