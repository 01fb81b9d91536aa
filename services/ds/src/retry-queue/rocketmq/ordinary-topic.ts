import type { Clock } from '@lmqtt/common/clock';
import { pause } from '@lmqtt/common/pause';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';
import type { StoredMessage } from '../../rocketmq/message/stored-message.ts';
import { StoredReader } from '../../rocketmq/message/stored-reader.ts';
import type { BrokerConnection } from '../../rocketmq/remoting/broker-connection.ts';
import type { RocketmqClient } from '../../rocketmq/remoting/client.ts';
import type { PullAnswer } from '../../rocketmq/remoting/requests/pull-message.ts';
import type { SendAnswer } from '../../rocketmq/remoting/requests/send-message.ts';

/** A queue of the topic. */
export interface TopicQueue {
  /** `{broker}/{queueId}` */
  readonly name: string;
  readonly broker: string;
  readonly queueId: number;
  readonly connection: BrokerConnection;
  readonly writable: boolean;
}

/** A message that a broker has stored. */
export interface StoredAt {
  readonly queue: TopicQueue;
  readonly offset: number;
}

export interface Pulled {
  readonly messages: readonly StoredMessage[];
  readonly next: number;
  readonly max: number;
}

const routeMs = 5000;
const createdWithinMs = 5000;
const lookAgainMs = 100;
const source = { partition: 0, queuesOf: () => [], placementOf: () => -1 };

/** A RocketMQ topic of ours without light queues, made where it is missing: sent to and pulled. */
export class OrdinaryTopic {
  readonly name: string;
  readonly #client: RocketmqClient;
  readonly #clock: Clock;
  readonly #group: string;
  readonly #reader = new StoredReader();
  #queues: readonly TopicQueue[] = [];
  #routedMs = Number.NEGATIVE_INFINITY;
  /** The queue that took the last message is asked first, so that messages keep their order. */
  #first = 0;

  /** `group`: of the positions, named `%LMQ%…`. */
  constructor(name: string, group: string, client: RocketmqClient, clock: Clock) {
    this.name = name;
    this.#group = group;
    this.#client = client;
    this.#clock = clock;
  }

  /** Queues at the brokers that a name server names; none where there is no such topic. */
  async queues(): Promise<readonly TopicQueue[]> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#routedMs < routeMs) return this.#queues;
    this.#queues = await this.#route();
    this.#routedMs = nowMs;
    return this.#queues;
  }

  /** To one queue, or to any that takes it. Rejects where no broker has certainly stored it. */
  async send(properties: string, body: Buffer, to?: TopicQueue): Promise<StoredAt> {
    const queues = to === undefined ? await this.#writable() : [to];
    let why = `RocketMQ has no queue of ${this.name} that takes messages`;
    for (let tried = 0; tried < queues.length; tried += 1) {
      const index = (this.#first + tried) % queues.length;
      const queue = queues[index]!;
      const answer = await this.#send(queue, properties, body);
      if (answer.kind === 'stored') {
        if (to === undefined) this.#first = index;
        return { queue, offset: answer.queueOffset };
      }
      why = answer.kind === 'refused' ? answer.remark : answer.reason;
    }
    throw new StoreFailure(`${this.name}: ${why}`, ReasonCode.serverUnavailable);
  }

  async pull(queue: TopicQueue, offset: number, messagesMax: number): Promise<Pulled> {
    const { name: topic } = this;
    const answer = await new Promise<PullAnswer>((resolve) => {
      queue.connection.pull(
        {
          ...{ group: this.#group, topic, queueId: queue.queueId, offset, messagesMax },
          ...{ suspendMs: 0, subscription: '*' },
        },
        resolve,
      );
    });
    if (answer.kind === 'failed')
      throw new StoreFailure(`${topic}: ${answer.reason}`, ReasonCode.serverUnavailable);
    const { next, max } = answer;
    if (answer.kind === 'nothing') return { messages: [], next, max };
    return { messages: this.#reader.read(Buffer.from(answer.body), source), next, max };
  }

  committed({ connection, queueId }: TopicQueue): Promise<number | undefined> {
    return connection.queryConsumerOffset(this.#group, { topic: this.name, queueId });
  }

  commit({ connection, queueId }: TopicQueue, offset: number): Promise<void> {
    const place = { topic: this.name, queueId };
    return connection.updateConsumerOffset(this.#group, place, offset);
  }

  async ends({ connection, queueId }: TopicQueue): Promise<{ min: number; max: number }> {
    const place = { topic: this.name, queueId };
    const [min, max] = await Promise.all([
      connection.minOffset(place),
      connection.maxOffset(place),
    ]);
    return { min, max };
  }

  /** Rejects where the topic cannot be made. */
  async #writable(): Promise<readonly TopicQueue[]> {
    const isThere = (await this.queues()).length > 0;
    if (!isThere) {
      this.#queues = await this.#create();
      this.#routedMs = this.#clock.monotonicMs();
    }
    return this.#queues.filter(({ writable }) => writable);
  }

  #send(
    { connection, queueId }: TopicQueue,
    properties: string,
    body: Buffer,
  ): Promise<SendAnswer> {
    const bornMs = this.#clock.nowMs();
    const request = { topic: this.name, queueId, properties, body, bornMs };
    return new Promise((resolve) => connection.send(request, resolve));
  }

  async #route(): Promise<TopicQueue[]> {
    const route = await this.#client.route(this.name);
    const queues: TopicQueue[] = [];
    for (const { name: broker, master, readQueues, writeQueues, writable } of route?.brokers ??
      []) {
      if (master === undefined) continue;
      const connection = this.#client.broker(master);
      for (let queueId = 0; queueId < readQueues; queueId += 1)
        queues.push({
          ...{ name: `${broker}/${queueId}`, broker, queueId, connection },
          writable: writable && queueId < writeQueues,
        });
    }
    return queues.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** One queue on each broker. */
  async #create(): Promise<TopicQueue[]> {
    const { brokers } = await this.#client.clusterInfo();
    const topic = { topic: this.name, readQueues: 1, writeQueues: 1 };
    const masters = brokers.flatMap(({ master }) => (master === undefined ? [] : [master]));
    await Promise.all(masters.map((master) => this.#client.createTopic(master, topic)));
    const endMs = this.#clock.monotonicMs() + createdWithinMs;
    for (;;) {
      const queues = await this.#route();
      if (queues.length > 0) return queues;
      if (this.#clock.monotonicMs() > endMs) {
        const reason = `RocketMQ has no topic ${this.name}`;
        throw new StoreFailure(reason, ReasonCode.serverUnavailable);
      }
      await pause(lookAgainMs);
    }
  }
}
