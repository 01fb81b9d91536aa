// Events that a Java node did not take, in the topic where Java nodes put theirs: a second later one of
// those that are there tells the node again, and counts the tries.
import { systemClock } from '@lmqtt/common/clock';
import type { BrokerConnection } from '../rocketmq/remoting/broker-connection.ts';
import type { RocketmqClient } from '../rocketmq/remoting/client.ts';
import { propertyText, type SendAnswer } from '../rocketmq/remoting/requests/send-message.ts';
import type { JavaNodeEvents } from './java-events.ts';

/** Event for a Java node: an MQTT topic has new messages. */
export interface JavaEvent {
  readonly pubTopic: string;
  readonly queueId: number;
  readonly brokerName: string;
}

interface Client extends Pick<RocketmqClient, 'route'> {
  broker(address: string): Pick<BrokerConnection, 'send'>;
}

/** RocketMQ's delay level of one second. */
const delayLevel = '1';
const firstTry = '1';
const batchMax = 500;

export class EventRetries {
  readonly #client: Client;
  readonly #topic: string;
  readonly #events: JavaNodeEvents;

  constructor(client: Client, topic: string, events: JavaNodeEvents) {
    this.#client = client;
    this.#topic = topic;
    this.#events = events;
  }

  /** An event that cannot be stored is dropped: Java nodes find new messages by themselves too. */
  async put(node: string, events: readonly JavaEvent[]): Promise<void> {
    const { told } = this.#events;
    for (let from = 0; from < events.length; from += batchMax) {
      const batch = events.slice(from, from + batchMax);
      try {
        await this.#send(node, batch);
        told.retried += batch.length;
      } catch (error) {
        told.dropped += batch.length;
        this.#events.notRetried(this.#topic, error);
      }
    }
  }

  async #send(node: string, batch: readonly JavaEvent[]): Promise<void> {
    const topic = this.#topic;
    const route = await this.#client.route(topic);
    const place = route?.brokers.find(
      ({ master, writable, writeQueues }) => master !== undefined && writable && writeQueues > 0,
    );
    if (place?.master === undefined) throw new Error('no broker has that topic');
    const connection = this.#client.broker(place.master);
    const properties = propertyText([
      ['DELAY', delayLevel],
      ['retryNode', node],
      ['retryTime', firstTry],
    ]);
    const body = Buffer.from(JSON.stringify(batch));
    const request = { topic, queueId: 0, properties, body, bornMs: systemClock.nowMs() };
    const answer = await new Promise<SendAnswer>((resolve) => connection.send(request, resolve));
    if (answer.kind !== 'stored') throw new Error(`${place.name}: ${answer.kind}`);
  }
}
