// Fuzzing of a running broker over sockets. While many clients send what packet-script.ts makes up,
// a well-behaved pair exchanges messages at QoS 1 and the broker's memory is read from /proc.
//
// One connection in ten is a WebSocket. Checked for each connection: the broker closes it, whatever
// came; after a malformed packet by itself. Where its CONNECT was legal, all that the broker sent
// is legal, and a 5.0 client that sent a malformed packet was told so.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Broker } from '../harness/broker.ts';
import type { Version } from '../harness/packets.ts';
import type { ServerPacket } from '../harness/parser.ts';
import { parse } from '../harness/parser.ts';
import { connected, unique } from '../harness/wire.ts';
import type { PacketScript } from './packet-script.ts';
import { packetBytesMax, packetScript } from './packet-script.ts';
import { Random } from './random.ts';
import { webSocketBytes } from './web-socket-bytes.ts';

export interface FuzzPlan {
  readonly packetCount: number;
  readonly seed: number;
  /** Between the middle of the run and its end. */
  readonly grownBytesMax: number;
}

export interface FuzzReport {
  readonly packetCount: number;
  readonly connectionCount: number;
  readonly malformedCount: number;
  /** Messages of the well-behaved pair, and the longest time from sending to receipt. */
  readonly servedCount: number;
  readonly slowestMs: number;
  readonly rssMiddleBytes: number;
  readonly rssEndBytes: number;
}

/** State that legal packets leave behind is bounded, so that memory can be judged. */
export const fuzzSettings: Readonly<Record<string, string>> = {
  MAX_PACKET_SIZE: String(packetBytesMax),
  MAX_RETAINED_MESSAGES: '500',
  MAX_QUEUED_MESSAGES: '1000',
  MAX_SUBSCRIPTIONS_PER_SESSION: '100',
  SESSION_EXPIRY_S_MAX: '20',
  WILL_DELAY_S_MAX: '5',
  LOG_LEVEL: 'error',
};

/**
 * Little room for V8 to put off collecting: memory that is flat shows, and a leak ends the broker.
 */
export const fuzzEnv: Readonly<Record<string, string>> = {
  NODE_OPTIONS: '--max-old-space-size=96',
};

const connectionCountAtOnce = 24;
const closeMs = 15_000;
const webSocketShare = 0.1;
const receivedBytesMax = 4 << 20;

interface Outcome {
  readonly received: Buffer;
  readonly reset: boolean;
  readonly timedOut: boolean;
}

/** Sends the bytes in two writes; ends unless the broker has to. */
async function play(
  host: string,
  port: number,
  bytes: Buffer,
  split: number,
  ends: boolean,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host, noDelay: true });
    const received: Buffer[] = [];
    let receivedBytes = 0;
    let reset = false;
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      socket.destroy();
    }, closeMs);
    socket.on('data', (chunk) => {
      receivedBytes += chunk.length;
      if (receivedBytes <= receivedBytesMax) received.push(chunk);
    });
    socket.on('error', () => {
      reset = true;
    });
    socket.on('close', () => {
      clearTimeout(timer);
      resolve({ received: Buffer.concat(received), reset, timedOut });
    });
    socket.on('connect', () => {
      socket.write(bytes.subarray(0, split));
      setImmediate(() => {
        socket.write(bytes.subarray(split));
        if (ends) socket.end();
      });
    });
  });
}

function parseAll(bytes: Buffer, version: Version): ServerPacket[] {
  const found: ServerPacket[] = [];
  let rest = bytes;
  for (;;) {
    const next = parse(rest, version);
    if (!next) return found;
    found.push(next.packet);
    rest = rest.subarray(next.length);
  }
}

async function overWebSocket(broker: Broker, script: PacketScript, random: Random): Promise<void> {
  const bytes = webSocketBytes(random, script.bytes);
  // It ends in any case: a closing handshake would have to be answered.
  const split = random.below(bytes.length);
  const outcome = await play(broker.host, broker.wsPort, bytes, split, true);
  assert.ok(!outcome.timedOut, 'the broker did not close the WebSocket');
}

async function overTcp(broker: Broker, script: PacketScript, random: Random): Promise<void> {
  const { bytes, malformed } = script;
  const split = random.below(bytes.length);
  judge(script, await play(broker.host, broker.mqttPort, bytes, split, !malformed));
}

function judge(script: PacketScript, outcome: Outcome): void {
  assert.ok(!outcome.timedOut, 'the broker did not close');
  const { version } = script;
  if (version === undefined || outcome.received.length >= receivedBytesMax) return;
  const answers = parseAll(outcome.received, version);
  if (!script.malformed || script.shared || version < 5 || outcome.reset) return;
  const last = answers.at(-1);
  const told = (last?.type === 'disconnect' || last?.type === 'connack') && last.reason >= 0x80;
  assert.ok(told, `a malformed packet of 5.0 was not answered: ${JSON.stringify(last)}`);
}

/** Resident memory of a process; 0 where there is no /proc. */
function rssBytes(pid: number): number {
  try {
    const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(line?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** A publisher and a subscriber that are served throughout, or it throws. */
class Pair {
  servedCount = 0;
  slowestMs = 0;
  #going = true;
  readonly #run: Promise<void>;

  constructor(broker: Broker) {
    this.#run = this.#exchange(broker);
    this.#run.catch(() => {});
  }

  async #exchange(broker: Broker): Promise<void> {
    const topic = unique('pair');
    const subscriber = await connected(broker.mqttPort, { version: 5 });
    const publisher = await connected(broker.mqttPort, { version: 4 });
    await subscriber.subscribe(topic, 1);
    while (this.#going) {
      const payload = String(this.servedCount);
      const start = performance.now();
      await publisher.publish(topic, payload, { qos: 1 });
      await subscriber.receive({ topic, payload });
      this.slowestMs = Math.max(this.slowestMs, performance.now() - start);
      this.servedCount += 1;
      await sleep(5);
    }
    await subscriber.disconnect();
    await publisher.disconnect();
  }

  async stop(): Promise<void> {
    this.#going = false;
    await this.#run;
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

export async function fuzz(broker: Broker, plan: FuzzPlan): Promise<FuzzReport> {
  const pair = new Pair(broker);
  const samples: { readonly packetCount: number; readonly bytes: number }[] = [];
  let packetCount = 0;
  let connectionCount = 0;
  let malformedCount = 0;
  const sampling = setInterval(() => {
    samples.push({ packetCount, bytes: rssBytes(broker.pid) });
  }, 100);
  const worker = async (lane: number): Promise<void> => {
    while (packetCount < plan.packetCount) {
      const seed = (Math.imul(plan.seed, 0x9e3779b1) + connectionCount) | 0;
      connectionCount += 1;
      const random = new Random(seed);
      const script = packetScript(random, lane);
      packetCount += script.packetCount;
      if (script.malformed) malformedCount += 1;
      const way = random.chance(webSocketShare) && broker.wsPort > 0 ? overWebSocket : overTcp;
      try {
        await way(broker, script, random);
      } catch (error) {
        const sent = script.bytes.subarray(-300).toString('hex');
        throw new Error(
          `${String(error)}\nlane ${lane}, seed ${seed}, sent …${sent}\n${broker.logs().slice(-2000)}`,
          {
            cause: error,
          },
        );
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: connectionCountAtOnce }, (_, lane) => worker(lane)));
    await pair.stop();
  } finally {
    clearInterval(sampling);
  }
  const between = (low: number, high: number): number[] =>
    samples
      .filter((sample) => sample.packetCount >= low * packetCount)
      .filter((sample) => sample.packetCount <= high * packetCount)
      .map((sample) => sample.bytes);
  const report = {
    packetCount,
    connectionCount,
    malformedCount,
    servedCount: pair.servedCount,
    slowestMs: Math.round(pair.slowestMs),
    rssMiddleBytes: median(between(0.4, 0.6)),
    rssEndBytes: median(between(0.85, 1)),
  };
  const grownBytes = report.rssEndBytes - report.rssMiddleBytes;
  assert.ok(grownBytes <= plan.grownBytesMax, `memory grew: ${JSON.stringify(report)}`);
  assert.ok(report.servedCount > 0, 'the well-behaved pair was not served');
  return report;
}
