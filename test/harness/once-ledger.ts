// Subscribers that note what comes, and whether each has everything that was published, once.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, connectAsync, type MqttClient, Store } from 'mqtt';

/** Time in which a message that should not come would have come. */
const quietMs = 1000;
const pollMs = 50;

export class NotingSubscriber {
  readonly id: string;
  readonly filters: Readonly<Record<string, 0 | 1 | 2>>;
  readonly came: string[] = [];
  /** Why it has no connection any more, though nobody ended it. */
  gone: string | undefined;
  /** Kept over connections: what came at QoS 2 and is not released yet. */
  readonly #incoming = new Store({ clean: false });
  #client: MqttClient | undefined;
  #port = 0;

  constructor(id: string, filters: Readonly<Record<string, 0 | 1 | 2>>) {
    this.id = id;
    this.filters = filters;
  }

  /** Connects and, where it has not yet, subscribes. */
  async come(port: number): Promise<this> {
    const client = connect(`mqtt://127.0.0.1:${port}`, {
      clientId: this.id,
      incomingStore: this.#incoming,
      clean: false,
      protocolVersion: 5,
      reconnectPeriod: 0,
      properties: { sessionExpiryInterval: 3600, receiveMaximum: 20 },
    });
    const isNew = this.#client === undefined;
    this.#port = port;
    this.#client = client;
    this.gone = undefined;
    // Messages that are owed may come in one chunk with CONNACK, before anything that awaits it
    // goes on.
    client.on('message', (_topic, payload) => this.came.push(payload.toString()));
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve());
      client.once('error', reject);
      client.once('close', () => reject(new Error(`${this.id}: closed before CONNACK`)));
    });
    client.on('error', (error) => (this.gone = error.message));
    client.on('disconnect', ({ reasonCode }) => (this.gone = `DISCONNECT ${reasonCode}`));
    client.on('close', () => {
      if (!client.disconnecting) this.gone ??= 'closed';
    });
    for (const [filter, qos] of isNew ? Object.entries(this.filters) : [])
      await client.subscribeAsync(filter, { qos });
    return this;
  }

  /**
   * Connects again where its connection was ended: a node whose dispatch node was away for long does
   * that, and so does a machine that is too busy. It stays away where nobody answers.
   */
  async comeBack(): Promise<void> {
    if (this.gone === undefined) return;
    await this.come(this.#port).catch((error: unknown) => {
      this.gone = `away: ${String(error)}`;
    });
  }

  async go(): Promise<void> {
    await this.#client?.endAsync();
  }

  end(): void {
    this.#client?.end(true);
  }
}

/**
 * Publishes each text to a topic of its own, at QoS 1 and 2; resolves when all are acknowledged.
 */
export async function publishEach(
  port: number,
  prefix: string,
  texts: readonly string[],
): Promise<void> {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5 });
  try {
    const sent = texts.map((text, n) =>
      client.publishAsync(`${prefix}/${n}`, text, { qos: n % 2 === 0 ? 1 : 2 }),
    );
    await Promise.all(sent);
  } finally {
    client.end(true);
  }
}

/** Resolves when every subscriber has exactly these, in any order. */
export async function haveAllOnce(
  subscribers: readonly NotingSubscriber[],
  texts: readonly string[],
  withinMs: number,
): Promise<void> {
  const wanted = texts.toSorted();
  const endMs = performance.now() + withinMs;
  const missing = (): string[] =>
    subscribers
      .filter(({ came }) => came.length < wanted.length)
      .map(({ id, came, gone }) => {
        const count = `${id} has ${came.length} of ${wanted.length}`;
        const lacks = wanted.filter((text) => !came.includes(text)).join(', ');
        return `${count}${gone === undefined ? '' : `, connection: ${gone}`}, lacks ${lacks}`;
      });
  while (missing().length > 0) {
    assert.ok(performance.now() < endMs, missing().join('; '));
    await delay(pollMs);
  }
  await delay(quietMs);
  for (const { id, came } of subscribers) assert.deepEqual(came.toSorted(), wanted, id);
}
