// A light queue that is full, pulled empty without MQTT and without nodes: what a broker gives of a
// backlog. Offsets have no gaps, so several pulls are outstanding at once, each for its own part.
import type { BrokerConnection } from '@lmqtt/ds/rocketmq/remoting/broker-connection';
import { propertyText, type SendAnswer } from '@lmqtt/ds/rocketmq/remoting/requests/send-message';

import { sleep } from '../wire/clock.ts';

export interface BarePullsOptions {
  readonly broker: BrokerConnection;
  /** There already, with `queues` queues. */
  readonly topic: string;
  readonly queues: number;
  readonly messages: number;
  readonly outstanding: number;
}

const lmq = '%LMQ%bare-backlog';
const bodyBytes = 256;
const fillWindow = 256;
/** More than this a broker does not give. */
const messagesPerPull = 32;
const indexedMs = 60_000;
const pollMs = 20;

async function fill({ broker, topic, queues, messages }: BarePullsOptions): Promise<void> {
  const body = Buffer.alloc(bodyBytes);
  const properties = propertyText([
    ['TAGS', 'MQTT_COMMON'],
    ['INNER_MULTI_DISPATCH', lmq],
  ]);
  let sent = 0;
  let stored = 0;
  await new Promise<void>((resolve, reject) => {
    const send = (queueId: number): void => {
      broker.send({ topic, queueId, properties, body, bornMs: Date.now() }, answered);
    };
    const next = (): void => {
      if (sent >= messages) return;
      sent += 1;
      send(sent % queues);
    };
    const answered = (answer: SendAnswer): void => {
      if (answer.kind === 'refused') {
        setImmediate(() => send(0));
        return;
      }
      if (answer.kind !== 'stored') {
        reject(new Error(`bare pulls: ${answer.reason}`));
        return;
      }
      stored += 1;
      if (stored === messages) resolve();
      next();
    };
    for (let count = 0; count < fillWindow; count += 1) next();
  });
}

/** Resolves when all that was sent can be pulled. */
async function indexed(options: BarePullsOptions, messages: number): Promise<void> {
  const end = performance.now() + indexedMs;
  while ((await options.broker.maxOffset({ topic: lmq, queueId: 0 })) < messages) {
    if (performance.now() > end) throw new Error('bare pulls: the queue is not indexed');
    await sleep(pollMs);
  }
}

function pullAll({ broker, messages, outstanding }: BarePullsOptions): Promise<void> {
  let next = 0;
  let received = 0;
  return new Promise((resolve, reject) => {
    const pull = (from: number, to: number): void => {
      const range = { offset: from, messagesMax: Math.min(messagesPerPull, to - from) };
      const place = { group: lmq, topic: lmq, queueId: 0, suspendMs: 0, subscription: '*' };
      broker.pull({ ...place, ...range }, (answer) => {
        if (answer.kind !== 'found') {
          reject(new Error(`bare pulls: ${answer.kind} at ${from}`));
          return;
        }
        received += answer.next - from;
        if (received === messages) resolve();
        if (answer.next < to) pull(answer.next, to);
        else take();
      });
    };
    const take = (): void => {
      if (next >= messages) return;
      const from = next;
      next = Math.min(messages, from + messagesPerPull);
      pull(from, next);
    };
    for (let count = 0; count < outstanding; count += 1) take();
  });
}

/** Messages per second, the filling not counted; it is done once for a store. */
export async function barePulls(options: BarePullsOptions): Promise<number> {
  const { broker, messages } = options;
  const there = await broker.maxOffset({ topic: lmq, queueId: 0 });
  if (there < messages) await fill({ ...options, messages: messages - there });
  await indexed(options, messages);
  const startMs = performance.now();
  await pullAll(options);
  return (messages * 1000) / (performance.now() - startMs);
}
