// A client of MQTT 5.0 that goes on at another node whenever its connection ends, as a device does.
import { connect, type Socket } from 'node:net';
import { MqttClient, Store } from 'mqtt';

const reconnectMs = 100;

export interface RollingFigures {
  /** Connections that were refused, by a socket or by CONNACK. */
  refused: number;
  /** DISCONNECTs with the address of another node. */
  referred: number;
}

/**
 * Publishes to the topic of another client and notes what comes on its own, each at one QoS, and
 * keeps what a session keeps over its connections.
 */
export class RollingClient {
  readonly id: string;
  readonly qos: 1 | 2;
  readonly came: Map<string, number> = new Map();
  readonly acknowledged: string[] = [];
  /** Refusals without an accepted CONNECT in between; the most so far. */
  refusedInARow = 0;
  /** The longest time from the end of a connection until its CONNECT was accepted, ms. */
  awayMsMax = 0;
  /** The longest time from an accepted CONNECT to its CONNACK, ms. */
  answerMsMax = 0;
  readonly #ports: readonly number[];
  readonly #figures: RollingFigures;
  readonly #client: MqttClient;
  #port: number;
  #refused = 0;
  #isOpen = false;
  /** Its CONNECT was accepted, and the connection has not ended. */
  #here = false;
  /** The end of its last connection, by the monotonic clock; 0: there was none. */
  #closedMs = 0;
  #askedMs = 0;
  #sequence = 0;
  #unanswered = 0;

  constructor(
    id: string,
    qos: 1 | 2,
    ports: readonly number[],
    figures: RollingFigures,
    will: string,
  ) {
    this.id = id;
    this.qos = qos;
    this.#ports = ports;
    this.#figures = figures;
    this.#port = ports[0]!;
    const stores = {
      incomingStore: new Store({ clean: false }),
      outgoingStore: new Store({ clean: false }),
    };
    this.#client = new MqttClient(() => this.#dial(), {
      ...stores,
      clientId: id,
      clean: false,
      protocolVersion: 5,
      keepalive: 60,
      reconnectPeriod: reconnectMs,
      reconnectOnConnackError: true,
      manualConnect: true,
      connectTimeout: 30_000,
      resubscribe: false,
      properties: { sessionExpiryInterval: 3600, receiveMaximum: 100 },
      will: { topic: will, payload: Buffer.from(id), qos: 1, retain: false },
    });
    this.#client.on('message', (_topic, payload) => {
      const text = payload.toString();
      this.came.set(text, (this.came.get(text) ?? 0) + 1);
    });
    this.#client.on('packetsend', ({ cmd }) => {
      if (cmd === 'connect') this.#askedMs = performance.now();
    });
    this.#client.on('packetreceive', (packet) => {
      if (packet.cmd === 'connack' && packet.reasonCode === 0) this.#accepted();
    });
    this.#client.on('disconnect', ({ properties }) => {
      this.#left();
      const reference = properties?.serverReference;
      if (reference === undefined) return;
      figures.referred += 1;
      this.#port = Number(reference.slice(reference.lastIndexOf(':') + 1));
    });
    this.#client.on('error', () => this.#refusedOnce());
    this.#client.on('close', () => {
      this.#left();
      this.#isOpen = false;
    });
    this.#client.on('connect', () => {
      this.#isOpen = true;
    });
  }

  /**
   * The library says so once all publishes that it kept are acknowledged, one after another: on a
   * slow machine that is long after CONNACK.
   */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  get unanswered(): number {
    return this.#unanswered;
  }

  /** Connects, at a node of its own choice, and subscribes. */
  async come(port: number, topics: readonly string[]): Promise<void> {
    this.#port = port;
    const came = new Promise<void>((resolve) => this.#client.once('connect', () => resolve()));
    this.#client.connect();
    await came;
    for (const topic of topics) await this.#client.subscribeAsync(topic, { qos: this.qos });
  }

  publish(topic: string, qos: 1 | 2): void {
    this.#sequence += 1;
    this.#unanswered += 1;
    const text = `${this.id} ${this.#sequence}`;
    this.#client.publish(topic, text, { qos }, (error) => {
      this.#unanswered -= 1;
      if (!error) this.acknowledged.push(text);
    });
  }

  end(): Promise<void> {
    return this.#client.endAsync(true);
  }

  #dial(): Socket {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    // The next try goes to the other node, unless the server says where.
    const at = this.#ports.indexOf(this.#port);
    this.#port = this.#ports[(at + 1) % this.#ports.length]!;
    return socket;
  }

  #left(): void {
    if (this.#here) this.#closedMs = performance.now();
    this.#here = false;
  }

  #accepted(): void {
    const nowMs = performance.now();
    this.#here = true;
    this.#refused = 0;
    this.answerMsMax = Math.max(this.answerMsMax, nowMs - this.#askedMs);
    if (this.#closedMs !== 0) this.awayMsMax = Math.max(this.awayMsMax, nowMs - this.#closedMs);
  }

  #refusedOnce(): void {
    if (this.#here) return;
    this.#refused += 1;
    this.#figures.refused += 1;
    this.refusedInARow = Math.max(this.refusedInARow, this.#refused);
  }
}
