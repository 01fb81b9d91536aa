import type { ConnectionOptions } from './connection-options.ts';
import type { PullAnswer, PullRequest } from './requests/pull-message.ts';
import type { SendAnswer, SendRequest } from './requests/send-message.ts';

export interface QueuePlace {
  readonly topic: string;
  readonly queueId: number;
}

export interface NewTopic {
  readonly topic: string;
  readonly readQueues: number;
  readonly writeQueues: number;
  /** 5.x: `+message.type=DELAY`. */
  readonly attributes?: string;
}

/**
 * The one connection to a broker's master. Rare calls throw `RemotingError`, `ConnectionLost` or
 * `RequestTimeout`. The callbacks of `send` and `pull` are never called before these return.
 */
export class BrokerConnection {
  readonly address: string;

  constructor(address: string, options: ConnectionOptions) {
    this.address = address;
    void options;
  }

  get up(): boolean {
    throw new Error('not there yet');
  }

  /** While there is a listener, the connection is made again whenever it is lost. */
  onState(listener: (up: boolean) => void): () => void {
    void listener;
    throw new Error('not there yet');
  }

  send(request: SendRequest, done: (answer: SendAnswer) => void): void {
    void [request, done];
  }

  pull(request: PullRequest, done: (answer: PullAnswer) => void): void {
    void [request, done];
  }

  maxOffset(place: QueuePlace): Promise<number> {
    throw new Error(`not there yet ${place.topic}`);
  }

  minOffset(place: QueuePlace): Promise<number> {
    throw new Error(`not there yet ${place.topic}`);
  }

  /** Of the first message stored at or after `atMs`. */
  searchOffset(place: QueuePlace, atMs: number): Promise<number> {
    throw new Error(`not there yet ${place.topic} ${atMs}`);
  }

  /** Undefined: never committed. 4.9.x answers 0 then. */
  queryConsumerOffset(group: string, place: QueuePlace): Promise<number | undefined> {
    throw new Error(`not there yet ${group} ${place.topic}`);
  }

  updateConsumerOffset(group: string, place: QueuePlace, offset: number): Promise<void> {
    throw new Error(`not there yet ${group} ${place.topic} ${offset}`);
  }

  brokerConfig(): Promise<ReadonlyMap<string, string>> {
    throw new Error('not there yet');
  }

  updateBrokerConfig(values: Readonly<Record<string, string>>): Promise<void> {
    throw new Error(`not there yet ${values}`);
  }

  runtimeInfo(): Promise<ReadonlyMap<string, string>> {
    throw new Error('not there yet');
  }

  createTopic(topic: NewTopic): Promise<void> {
    throw new Error(`not there yet ${topic.topic}`);
  }

  deleteTopic(topic: string): Promise<void> {
    throw new Error(`not there yet ${topic}`);
  }

  /** Nothing that was not written leaves after this; all that is outstanding is answered. */
  reset(reason: string): void {
    void reason;
  }

  close(): void {}
}
