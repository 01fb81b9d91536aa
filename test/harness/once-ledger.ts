// Subscribers that note what comes, and whether each has everything that was published, once.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { connectAsync, type MqttClient } from 'mqtt';

/** What should not come has had its time. */
const quietMs = 1000;
const pollMs = 50;

export class NotingSubscriber {
  readonly id: string;
  readonly filters: Readonly<Record<string, 0 | 1 | 2>>;
  readonly came: string[] = [];
  #client: MqttClient | undefined;

  constructor(id: string, filters: Readonly<Record<string, 0 | 1 | 2>>) {
    this.id = id;
    this.filters = filters;
  }

  /** Connects and, where it has not yet, subscribes. */
  async come(port: number): Promise<this> {
    const client = await connectAsync(`mqtt://127.0.0.1:${port}`, {
      clientId: this.id,
      clean: false,
      protocolVersion: 5,
      reconnectPeriod: 0,
      properties: { sessionExpiryInterval: 3600, receiveMaximum: 20 },
    });
    const isNew = this.#client === undefined;
    this.#client = client;
    client.on('error', () => undefined);
    client.on('message', (_topic, payload) => this.came.push(payload.toString()));
    for (const [filter, qos] of isNew ? Object.entries(this.filters) : [])
      await client.subscribeAsync(filter, { qos });
    return this;
  }

  async go(): Promise<void> {
    await this.#client?.endAsync();
  }

  end(): void {
    this.#client?.end(true);
  }
}

/** Publishes each text to a topic of its own, at QoS 1 and 2; resolves when all are acknowledged. */
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
      .map(({ id, came }) => `${id} has ${came.length} of ${wanted.length}`);
  while (missing().length > 0) {
    assert.ok(performance.now() < endMs, missing().join(', '));
    await delay(pollMs);
  }
  await delay(quietMs);
  for (const { id, came } of subscribers) assert.deepEqual(came.toSorted(), wanted, id);
}
