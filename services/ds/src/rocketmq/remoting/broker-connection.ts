import { answerCodes } from './codes.ts';
import { type Answer, RemotingConnection } from './connection.ts';
import type { ConnectionOptions } from './connection-options.ts';
import { RemotingError } from './errors.ts';
import { Outstanding } from './outstanding.ts';
import { releaseOf } from './release.ts';
import type { RemotingRequest } from './request.ts';
import { brokerConfigRequest, settingsOf } from './requests/broker-config.ts';
import { createTopicRequest, type NewTopic } from './requests/create-topic.ts';
import { deleteTopicRequest } from './requests/delete-topic.ts';
import { maxOffsetRequest } from './requests/max-offset.ts';
import { minOffsetRequest } from './requests/min-offset.ts';
import {
  pullAnswer,
  type PullAnswer,
  pullHeader,
  type PullRequest,
} from './requests/pull-message.ts';
import { queryConsumerOffsetRequest } from './requests/query-consumer-offset.ts';
import type { QueuePlace } from './requests/queue-place.ts';
import { runtimeInfoRequest, tableOf } from './requests/runtime-info.ts';
import { searchOffsetRequest } from './requests/search-offset.ts';
import {
  sendAnswer,
  type SendAnswer,
  sendHeader,
  type SendRequest,
} from './requests/send-message.ts';
import { updateBrokerConfigRequest } from './requests/update-broker-config.ts';
import { updateConsumerOffsetRequest } from './requests/update-consumer-offset.ts';

/**
 * The one connection to a broker's master. Rare calls throw `RemotingError`, `ConnectionLost` or
 * `RequestTimeout`. The callbacks of `send` and `pull` are never called before these return. What
 * is asked for while there is no connection waits for one until it times out.
 */
export class BrokerConnection {
  readonly #connection: RemotingConnection;

  constructor(address: string, options: ConnectionOptions) {
    this.#connection = new RemotingConnection(address, options, { waits: true });
  }

  get address(): string {
    return this.#connection.address;
  }

  get up(): boolean {
    return this.#connection.up;
  }

  /** While there is a listener, the connection is made again whenever it is lost. */
  onState(listener: (up: boolean) => void): () => void {
    return this.#connection.onState(listener);
  }

  send(request: SendRequest, done: (answer: SendAnswer) => void): void {
    const connection = this.#connection;
    const opaque = connection.nextOpaque();
    connection.exchange(
      new Outstanding(
        'sendMessage',
        opaque,
        request.timeoutMs ?? connection.requestTimeoutMs,
        sendHeader(request, opaque, connection.signer),
        request.body,
        (header) => done(sendAnswer(header)),
        ({ written, reason }) => done({ kind: written ? 'unknown' : 'not sent', reason }),
      ),
    );
  }

  pull(request: PullRequest, done: (answer: PullAnswer) => void): void {
    const connection = this.#connection;
    const opaque = connection.nextOpaque();
    connection.exchange(
      new Outstanding(
        'pullMessage',
        opaque,
        request.suspendMs + (request.timeoutMs ?? connection.requestTimeoutMs),
        pullHeader(request, opaque, connection.signer),
        undefined,
        (header, body) => done(pullAnswer(header, body)),
        ({ reason }) => done({ kind: 'failed', code: undefined, reason }),
      ),
    );
  }

  /** One past the last message. */
  async maxOffset(place: QueuePlace): Promise<number> {
    return offsetOf(await this.#ask(maxOffsetRequest(place)));
  }

  async minOffset(place: QueuePlace): Promise<number> {
    return offsetOf(await this.#ask(minOffsetRequest(place)));
  }

  /** Offset of the first message stored at or after `atMs`, milliseconds since 1970. */
  async searchOffset(place: QueuePlace, atMs: number): Promise<number> {
    return offsetOf(await this.#ask(searchOffsetRequest(place, atMs)));
  }

  /** Undefined: never committed. 4.9.x answers 0 then. */
  async queryConsumerOffset(group: string, place: QueuePlace): Promise<number | undefined> {
    const request = queryConsumerOffsetRequest(group, place);
    const answer = await this.#ask(request, answerCodes.queryNotFound);
    return answer.header.code === answerCodes.queryNotFound ? undefined : offsetOf(answer);
  }

  async updateConsumerOffset(group: string, place: QueuePlace, offset: number): Promise<void> {
    await this.#ask(updateConsumerOffsetRequest(group, place, offset));
  }

  async brokerConfig(): Promise<ReadonlyMap<string, string>> {
    return settingsOf((await this.#ask(brokerConfigRequest)).body);
  }

  async updateBrokerConfig(settings: Readonly<Record<string, string>>): Promise<void> {
    await this.#ask(updateBrokerConfigRequest(settings));
  }

  async runtimeInfo(): Promise<ReadonlyMap<string, string>> {
    return tableOf((await this.#ask(runtimeInfoRequest)).body);
  }

  /** `5.5.0`; undefined where it does not say. Any answer tells it, also one that says no. */
  async release(): Promise<string | undefined> {
    return releaseOf((await this.#connection.ask(runtimeInfoRequest)).header.version);
  }

  async createTopic(topic: NewTopic): Promise<void> {
    await this.#ask(createTopicRequest(topic));
  }

  async deleteTopic(topic: string): Promise<void> {
    await this.#ask(deleteTopicRequest(topic));
  }

  /** Nothing that was not written leaves after this; all that is outstanding is answered. */
  reset(reason: string): void {
    this.#connection.reset(reason);
  }

  close(): void {
    this.#connection.close();
  }

  async #ask(request: RemotingRequest, alsoGood: number = answerCodes.success): Promise<Answer> {
    const answer = await this.#connection.ask(request);
    const { code, remark } = answer.header;
    if (code === answerCodes.success || code === alsoGood) return answer;
    throw new RemotingError(this.address, request.name, code, remark);
  }
}

function offsetOf({ header }: Answer): number {
  return header.numberField('offset');
}
