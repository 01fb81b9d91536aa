import { systemClock } from '@lmqtt/common/clock';
import type { BrokerConnection } from '@lmqtt/ds/rocketmq/remoting/broker-connection';
import { RocketmqClient, type RocketmqClientOptions } from '@lmqtt/ds/rocketmq/remoting/client';
import type { RemotingEvents } from '@lmqtt/ds/rocketmq/remoting/events';
import type { PullAnswer, PullRequest } from '@lmqtt/ds/rocketmq/remoting/requests/pull-message';
import {
  propertyText,
  type SendAnswer,
  type SendRequest,
} from '@lmqtt/ds/rocketmq/remoting/requests/send-message';

export const silentEvents: RemotingEvents = {
  connected: () => {},
  lost: () => {},
  notConnected: () => {},
  garbage: () => {},
  timedOut: () => {},
  answeredLate: () => {},
  tooManyOutstanding: () => {},
  written: () => {},
  received: () => {},
};

/** A RocketMQ, real or scripted, by its name server. */
export interface NameServed {
  readonly namesrv: { readonly address: string };
}

export function clientOf(
  cluster: NameServed,
  more: Partial<RocketmqClientOptions> = {},
): RocketmqClient {
  return new RocketmqClient({
    nameServers: [cluster.namesrv.address],
    clock: systemClock,
    events: silentEvents,
    requestTimeoutMs: 10_000,
    ...more,
  });
}

/** To queue 0 of `topic`, and to light queues by their names without the prefix. */
export function messageTo(topic: string, text: string, lmqs: readonly string[] = []): SendRequest {
  const names = lmqs.map((name) => `%LMQ%${name}`).join(',');
  const properties = propertyText([
    ['TAGS', 'MQTT_COMMON'],
    ['text', `${text} "\\ü`],
    ...(names === '' ? [] : [['INNER_MULTI_DISPATCH', names] as const]),
  ]);
  return { topic, queueId: 0, properties, body: Buffer.from(text), bornMs: Date.now() };
}

export function sendOnce(broker: BrokerConnection, request: SendRequest): Promise<SendAnswer> {
  return new Promise((resolve) => {
    broker.send(request, resolve);
  });
}

export function pullOnce(
  broker: BrokerConnection,
  topic: string,
  offset: number,
  more: Partial<PullRequest> = {},
): Promise<PullAnswer> {
  const request = { group: '%LMQ%test', topic, queueId: 0, offset, messagesMax: 32, suspendMs: 0 };
  return new Promise((resolve) => {
    broker.pull({ ...request, subscription: '*', ...more }, resolve);
  });
}

/** Bodies of stored messages: total size first, the body's size behind a part that is fixed. */
export function bodiesIn(found: Buffer): string[] {
  const bodies: string[] = [];
  for (let at = 0; at + 4 <= found.length; at += found.readUInt32BE(at)) {
    const bodySizeAt = at + 84;
    const from = bodySizeAt + 4;
    bodies.push(found.toString('utf8', from, from + found.readUInt32BE(bodySizeAt)));
  }
  return bodies;
}

/** All of a queue from `offset` to its end, the end as seen when it is reached. */
export async function readAll(broker: BrokerConnection, topic: string): Promise<string[]> {
  const bodies: string[] = [];
  for (let offset = 0; ;) {
    const answer = await pullOnce(broker, topic, offset);
    if (answer.kind === 'failed') throw new Error(answer.reason);
    if (answer.kind === 'nothing') return bodies;
    bodies.push(...bodiesIn(answer.body));
    offset = answer.next;
  }
}
