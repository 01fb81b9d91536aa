import type { Clock } from '@lmqtt/common/clock';
import { pause } from '@lmqtt/common/pause';
import type { BrokerConnection } from '../../rocketmq/remoting/broker-connection.ts';
import type { RocketmqClient } from '../../rocketmq/remoting/client.ts';

const sendQueueWaitMs = 5000;
const askAgainMs = 250;
const runTriesMax = 40;

/** A broker by its name: its master, wherever that is, and what it says of itself. */
export class Broker {
  readonly name: string;
  /** Number of the broker: the partition of every queue that is there. */
  readonly partition: number;
  /**
   * Wall-clock time when a broker came back after its name was forgotten: messages that it stored
   * before are owed to nobody. undefined: it was never forgotten.
   */
  readonly sinceMs: number | undefined;
  /** Set for a broker that stores the sends of one connection in their order. */
  pipelines = false;
  /** `storeType` is defaultRocksDB: any number of light queues; else each is an open file. */
  holdsManyQueues = false;
  /** Maximum bytes of a body, `maxMessageSize` of the broker; Infinity: not known. */
  messageBytesMax: number = Infinity;
  /** How long a send may wait at the broker before it is refused. */
  sendQueueWaitMs: number = sendQueueWaitMs;
  /**
   * The run of its program that is connected: another one after each start; undefined: not known
   * since it was connected.
   */
  run: string | undefined;
  readonly #client: RocketmqClient;
  readonly #clock: Clock;
  readonly #listeners: ((answers: boolean) => void)[] = [];
  #address: string | undefined;
  #connection: BrokerConnection | undefined;
  #leave: () => void = () => undefined;
  #missingSinceMs: number | undefined;
  #answers = false;
  /** Monotonic: since then it does not answer; where it does, it was away until its last answer. */
  #awaySinceMs: number;
  #answersSinceMs = 0;
  #asking = false;
  #isForgotten = false;

  constructor(
    { name, partition, sinceMs }: Pick<Broker, 'name' | 'partition' | 'sinceMs'>,
    client: RocketmqClient,
    clock: Clock,
  ) {
    this.name = name;
    this.partition = partition;
    this.sinceMs = sinceMs;
    this.#client = client;
    this.#clock = clock;
    this.#awaySinceMs = clock.monotonicMs();
  }

  /** undefined: the name servers have not named its master since this ds started. */
  get connection(): BrokerConnection | undefined {
    return this.#connection;
  }

  /** True for a broker that is connected, and has answered since. */
  get answers(): boolean {
    return this.#answers;
  }

  /** Nothing of it will ever be read, and nobody waits for it. */
  get isForgotten(): boolean {
    return this.#isForgotten;
  }

  /** Monotonic: since then it answers; undefined: it does not. */
  get answersSinceMs(): number | undefined {
    return this.#answers ? this.#answersSinceMs : undefined;
  }

  /** For so long it has not answered; 0: it answers. */
  get awayMs(): number {
    return this.#answers ? 0 : this.#clock.monotonicMs() - this.#awaySinceMs;
  }

  /** For so long no name server has named a master of it. */
  get missingMs(): number {
    const since = this.#missingSinceMs;
    return since === undefined ? 0 : this.#clock.monotonicMs() - since;
  }

  /**
   * Listeners are told that the broker has answered for the first time since it was connected, or
   * that the connection is lost.
   */
  onAnswers(listener: (answers: boolean) => void): void {
    this.#listeners.push(listener);
  }

  /** `master`: where it is now; undefined: the name servers do not say. */
  located(master: string | undefined): void {
    if (master === undefined) {
      this.#missingSinceMs ??= this.#clock.monotonicMs();
      return;
    }
    this.#missingSinceMs = undefined;
    if (master === this.#address) return;
    this.#leave();
    this.#tell(false);
    this.#address = master;
    const connection = this.#client.broker(master);
    this.#connection = connection;
    this.#leave = connection.onState((up) => {
      if (up) void this.#ask(connection);
      else this.#tell(false);
    });
    if (connection.up) void this.#ask(connection);
  }

  forget(): void {
    this.#isForgotten = true;
    this.close();
    this.#tell(false);
    this.#address = undefined;
    this.#connection = undefined;
  }

  close(): void {
    this.#leave();
    this.#leave = () => undefined;
  }

  /**
   * The broker's configuration decides how much may be sent ahead, and when a lost send is over.
   */
  async #ask(connection: BrokerConnection): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const config = await connection.brokerConfig();
      if (connection !== this.#connection || !connection.up) return;
      this.pipelines = config.get('sendMessageThreadPoolNums') === '1';
      this.holdsManyQueues = config.get('storeType') === 'defaultRocksDB';
      const messageBytes = Number(config.get('maxMessageSize'));
      this.messageBytesMax = messageBytes > 0 ? messageBytes : Infinity;
      const waitMs = Number(config.get('waitTimeMillsInSendQueue') ?? sendQueueWaitMs);
      this.sendQueueWaitMs = Number.isFinite(waitMs) ? waitMs : sendQueueWaitMs;
      this.#tell(true);
      void this.#askRun(connection);
    } catch {
      // A broker does not answer this while it starts or stops.
      setTimeout(() => {
        if (connection === this.#connection && connection.up && !this.#answers) {
          void this.#ask(connection);
        }
      }, askAgainMs).unref();
    } finally {
      this.#asking = false;
    }
  }

  /** A broker does not say it in the first second after its start. */
  async #askRun(connection: BrokerConnection): Promise<void> {
    const isConnected = (): boolean =>
      connection === this.#connection && connection.up && this.#answers;
    for (let tries = 0; tries < runTriesMax && this.run === undefined; tries += 1) {
      try {
        const info = await connection.runtimeInfo();
        if (!isConnected()) return;
        this.run = info.get('bootTimestamp');
        return;
      } catch {
        await pause(askAgainMs);
        if (!isConnected()) return;
      }
    }
  }

  #tell(answers: boolean): void {
    if (!answers) this.run = undefined;
    if (answers === this.#answers) return;
    this.#answers = answers;
    const nowMs = this.#clock.monotonicMs();
    if (answers) this.#answersSinceMs = nowMs;
    else this.#awaySinceMs = nowMs;
    for (const listener of this.#listeners) listener(answers);
  }
}
