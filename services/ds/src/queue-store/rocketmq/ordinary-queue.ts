import type { Broker } from './broker.ts';

/** Place of an ordinary queue of a RocketMQ topic. */
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
   * Lower bound of the offsets of messages that are sent from now on; −1: not known since the
   * broker was lost, which may have come back without messages that it had not flushed.
   */
  end = -1;
  /** Below this all was told, as far as is known here; −1: not known. */
  tailAt = -1;
  /** Monotonic: when `tailAt` was heard last to have moved. */
  tailMovedAtMs = 0;

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

  /** The tail of the queue has come to this offset, at this ds or another. */
  tailMoved(position: number, nowMs: number): void {
    if (position === this.tailAt) return;
    this.tailAt = position;
    this.tailMovedAtMs = nowMs;
  }
}

/** Place of a topic at another broker, which it has left not long ago. */
export class LeftQueue {
  readonly queue: OrdinaryQueue;
  /** Time from which all that is there counts as indexed, wall clock. */
  readonly untilMs: number;
  /** Names of those that have waited. */
  readonly lanes: Set<string> = new Set();

  constructor(queue: OrdinaryQueue, untilMs: number) {
    this.queue = queue;
    this.untilMs = untilMs;
  }
}

/** Destination of the messages of an MQTT topic. */
export interface Target {
  readonly queue: OrdinaryQueue;
  /** Since which placement they go there; grows whenever the topic moves. */
  readonly placement: number;
  /** Time at which that placement took effect, wall clock. */
  readonly sinceMs: number;
  /** Place that it has left at another broker; undefined: nothing there is waited for. */
  left: LeftQueue | undefined;
  /** By a rule for the MQTT topic. */
  readonly tag?: string | undefined;
  readonly keys?: string | undefined;
}
