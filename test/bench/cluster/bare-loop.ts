// Sends and tailing without MQTT and without nodes: what RocketMQ itself gives on this machine,
// beside which the cluster's figures are read. One process, one connection; a lane has one send
// outstanding, a pipeline one window over everything; each queue is tailed with one long poll.
import type { BrokerConnection } from '@lmqtt/ds/rocketmq/remoting/broker-connection';
import { propertyText, type SendAnswer } from '@lmqtt/ds/rocketmq/remoting/requests/send-message';

export type BareLoopOptions = {
  readonly broker: BrokerConnection;
  /** There already, with `queues` queues. */
  readonly topic: string;
  readonly queues: number;
  readonly seconds: number;
  /** Before anything is measured. Default: 1. */
  readonly warmUpSeconds?: number;
  /** Messages are due at this rate, and late ones wait for their lane. Default: as many as go. */
  readonly ratePerS?: number;
} & ({ readonly lanes: number } | { readonly pipelineWindow: number });

export interface BareLoopResult {
  readonly sentPerS: number;
  readonly receivedPerS: number;
  /** Messages that came behind a later one of the same lane, or of the same queue in a pipeline. */
  readonly late: number;
  /** From the send, or from when it was due, to its arrival at the tail. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Refused as busy, and sent again. */
  readonly refused: number;
  /** CPU time of this process for sending and receiving one message. */
  readonly cpuUsPerMessage: number;
}

const bodyBytes = 256;
const sequenceBytes = 4;
/** Lane, sequence, moment of the send, each behind the one before. */
const at = { lane: 0, sequence: sequenceBytes, sentMs: 2 * sequenceBytes };
/**
 * Layout of a stored message: a part of fixed length with IPv4 addresses, then the body with its
 * size.
 */
const bodySizeAt = 84;
const suspendMs = 5000;
const messagesPerPull = 32;
const drainMs = 30_000;

interface Lane {
  readonly number: number;
  readonly queueId: number;
  readonly properties: string;
  sequence: number;
  /** Sends that may be outstanding at the same time. */
  free: number;
  /** Moments at which messages were due that wait. */
  readonly due: number[];
}

/** Counts of this process in one run. */
class Counts {
  stored = 0;
  received = 0;
  late = 0;
  refused = 0;
  storedMeasured = 0;
  readonly latenciesMs: number[] = [];
  fromMs = Number.POSITIVE_INFINITY;
  toMs = Number.POSITIVE_INFINITY;

  measures(nowMs: number): boolean {
    return nowMs >= this.fromMs && nowMs < this.toMs;
  }
}

function lanesOf(options: BareLoopOptions): Lane[] {
  const { queues } = options;
  const [count, window] =
    'lanes' in options ? [options.lanes, 1] : [queues, Math.ceil(options.pipelineWindow / queues)];
  return Array.from({ length: count }, (_, number) => ({
    number,
    queueId: number % queues,
    properties: propertyText([
      ['TAGS', 'MQTT_COMMON'],
      ['INNER_MULTI_DISPATCH', `%LMQ%bare-${number}`],
    ]),
    sequence: 0,
    free: window,
    due: [],
  }));
}

class Senders {
  readonly #options: BareLoopOptions;
  readonly #counts: Counts;
  readonly #lanes: readonly Lane[];
  #outstanding = 0;
  #ending = false;
  #ended: () => void = () => {};

  constructor(options: BareLoopOptions, counts: Counts) {
    this.#options = options;
    this.#counts = counts;
    this.#lanes = lanesOf(options);
  }

  /** Resolves when `ms` are over and every send is answered. */
  async run(ms: number): Promise<void> {
    const { ratePerS } = this.#options;
    const ended = new Promise<void>((resolve) => {
      this.#ended = resolve;
    });
    const ticks = ratePerS === undefined ? undefined : this.#paced(ratePerS);
    if (ratePerS === undefined) for (const lane of this.#lanes) this.#fill(lane);
    setTimeout(() => {
      clearInterval(ticks);
      this.#ending = true;
      if (this.#outstanding === 0) this.#ended();
    }, ms);
    await ended;
  }

  #paced(ratePerS: number): NodeJS.Timeout {
    const startMs = performance.now();
    let sent = 0;
    return setInterval(() => {
      const nowMs = performance.now();
      for (; startMs + (sent * 1000) / ratePerS <= nowMs; sent += 1) {
        const lane = this.#lanes[sent % this.#lanes.length];
        lane?.due.push(startMs + (sent * 1000) / ratePerS);
        if (lane !== undefined) this.#fill(lane);
      }
    }, 1);
  }

  #fill(lane: Lane): void {
    while (lane.free > 0 && !this.#ending) {
      const dueMs = this.#options.ratePerS === undefined ? performance.now() : lane.due.shift();
      if (dueMs === undefined) return;
      lane.free -= 1;
      this.#outstanding += 1;
      const body = Buffer.alloc(bodyBytes);
      body.writeUInt32BE(lane.number, at.lane);
      body.writeUInt32BE((lane.sequence += 1), at.sequence);
      body.writeDoubleBE(dueMs, at.sentMs);
      this.#send(lane, body);
    }
  }

  #send(lane: Lane, body: Buffer): void {
    const { broker, topic } = this.#options;
    const { queueId, properties } = lane;
    const request = { topic, queueId, properties, body, bornMs: Date.now() };
    broker.send(request, (answer) => this.#answered(lane, body, answer));
  }

  #answered(lane: Lane, body: Buffer, answer: SendAnswer): void {
    if (answer.kind === 'refused') {
      this.#counts.refused += 1;
      setImmediate(() => this.#send(lane, body));
      return;
    }
    if (answer.kind !== 'stored') throw new Error(`bare loop: ${answer.reason}`);
    this.#counts.stored += 1;
    if (this.#counts.measures(performance.now())) this.#counts.storedMeasured += 1;
    lane.free += 1;
    this.#outstanding -= 1;
    this.#fill(lane);
    if (this.#ending && this.#outstanding === 0) this.#ended();
  }
}

class Tail {
  readonly #options: BareLoopOptions;
  readonly #counts: Counts;
  readonly #queueId: number;
  readonly #onFound: () => void;
  /** The highest sequence that came, by lane. */
  readonly #highest: number[] = [];
  #stopped = false;

  constructor(options: BareLoopOptions, counts: Counts, queueId: number, onFound: () => void) {
    this.#options = options;
    this.#counts = counts;
    this.#queueId = queueId;
    this.#onFound = onFound;
  }

  stop(): void {
    this.#stopped = true;
  }

  pull(offset: number): void {
    const { broker, topic } = this.#options;
    broker.pull(
      {
        ...{ group: '%LMQ%bare', topic, queueId: this.#queueId, offset, suspendMs },
        ...{ messagesMax: messagesPerPull, subscription: '*' },
      },
      (answer) => {
        if (this.#stopped) return;
        if (answer.kind === 'failed') throw new Error(`bare loop: ${answer.reason}`);
        this.pull(answer.next);
        if (answer.kind === 'found') this.#take(answer.body);
      },
    );
  }

  #take(found: Buffer): void {
    const nowMs = performance.now();
    const measures = this.#counts.measures(nowMs);
    for (let from = 0; from + bodySizeAt < found.length; from += found.readUInt32BE(from)) {
      const body = from + bodySizeAt + sequenceBytes;
      const lane = found.readUInt32BE(body + at.lane);
      const sequence = found.readUInt32BE(body + at.sequence);
      const highest = this.#highest[lane] ?? 0;
      if (sequence < highest) this.#counts.late += 1;
      else this.#highest[lane] = sequence;
      this.#counts.received += 1;
      if (measures) this.#counts.latenciesMs.push(nowMs - found.readDoubleBE(body + at.sentMs));
    }
    this.#onFound();
  }
}

export async function bareLoop(options: BareLoopOptions): Promise<BareLoopResult> {
  const { broker, topic, queues, seconds, warmUpSeconds = 1 } = options;
  const counts = new Counts();
  let onFound: () => void = () => {};
  const tails: Tail[] = [];
  for (let queueId = 0; queueId < queues; queueId += 1) {
    const tail = new Tail(options, counts, queueId, () => onFound());
    tail.pull(await broker.maxOffset({ topic, queueId }));
    tails.push(tail);
  }
  const startMs = performance.now();
  counts.fromMs = startMs + warmUpSeconds * 1000;
  counts.toMs = counts.fromMs + seconds * 1000;
  const cpuStart = process.cpuUsage();
  await new Senders(options, counts).run((warmUpSeconds + seconds) * 1000);
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      const { received, stored } = counts;
      reject(new Error(`bare loop: ${received} of ${stored} in ${drainMs} ms`));
    }, drainMs);
    onFound = (): void => {
      if (counts.received < counts.stored) return;
      clearTimeout(timer);
      resolve();
    };
    onFound();
  });
  const cpu = process.cpuUsage(cpuStart);
  for (const tail of tails) tail.stop();
  const sorted = Float64Array.from(counts.latenciesMs).sort();
  return {
    sentPerS: counts.storedMeasured / seconds,
    receivedPerS: sorted.length / seconds,
    late: counts.late,
    p50Ms: sorted[Math.floor(sorted.length / 2)] ?? 0,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
    refused: counts.refused,
    cpuUsPerMessage: (cpu.user + cpu.system) / Math.max(1, counts.received),
  };
}
