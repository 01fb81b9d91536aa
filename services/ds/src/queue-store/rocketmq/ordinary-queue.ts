import type { Broker } from './broker.ts';

/** Where an ordinary queue of a RocketMQ topic is. */
export interface QueueAt {
  readonly topic: string;
  readonly broker: Broker;
  readonly queueId: number;
}

/** One that carries MQTT. */
export class OrdinaryQueue implements QueueAt {
  readonly topic: string;
  readonly broker: Broker;
  readonly queueId: number;
  /** `{topic}/{broker}/{queueId}`: what the registry knows it by. */
  readonly name: string;
  /**
   * What is sent from now on gets no lower offset; −1: not known since the broker was lost, which
   * may have come back without what it had not flushed.
   */
  end = -1;

  constructor(topic: string, broker: Broker, queueId: number) {
    this.topic = topic;
    this.broker = broker;
    this.queueId = queueId;
    this.name = `${topic}/${broker.name}/${queueId}`;
    broker.onAnswers((answers) => {
      if (!answers) this.end = -1;
    });
  }

  /** The broker has given this offset. */
  given(offset: number): void {
    if (offset >= this.end) this.end = offset + 1;
  }
}

/** Where messages of an MQTT topic go. */
export interface Target {
  readonly queue: OrdinaryQueue;
  /** Since which placement they go there; grows whenever the topic moves. */
  readonly placement: number;
}
