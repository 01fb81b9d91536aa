// A cluster with shared groups: their members and publishers, and which ds owns one.
import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { RedisKeys } from '@lmqtt/ds/redis/keys';
import { MemoryCluster, type MemoryDs } from './memory-cluster.ts';

const owners = 'lmqtt:cluster:{reg}:owners';

export interface Member {
  readonly id: string;
  readonly client: MqttClient;
  readonly came: string[];
}

/**
 * Two ds and two cs for all tests of a suite; ds nodes that were killed are replaced after each.
 */
export class GroupScene {
  #cluster: MemoryCluster | undefined;
  #clients: MqttClient[] = [];
  #names = 0;
  readonly #ending: Promise<void>[] = [];

  constructor() {
    before(async () => {
      this.#cluster = await MemoryCluster.start(11, ['ds-1', 'ds-2'], ['cs-1', 'cs-2']);
    });
    afterEach(async () => {
      for (const client of this.#clients) client.end(true);
      this.#clients = [];
      while (this.cluster.ds.length < 2) {
        this.#names += 1;
        await this.cluster.startDs(`ds-${this.#names + 10}`);
      }
    });
    after(async () => {
      await Promise.all(this.#ending);
      await this.#cluster?.stop();
    });
  }

  get cluster(): MemoryCluster {
    assert.ok(this.#cluster, 'the cluster has not been started');
    return this.#cluster;
  }

  kill(ds: MemoryDs): void {
    this.#ending.push(ds.kill());
  }

  /** `came`: told of every message, those included that come in one chunk with CONNACK. */
  async connected(
    node: number,
    clientId: string,
    options: IClientOptions = {},
    came: (text: string) => void = () => undefined,
  ): Promise<MqttClient> {
    const client = connect(`mqtt://127.0.0.1:${this.cluster.cs[node % 2]?.ports.mqtt}`, {
      clientId,
      clean: false,
      protocolVersion: 5,
      reconnectPeriod: 100,
      ...options,
      properties: { sessionExpiryInterval: 3600, receiveMaximum: 20, ...options.properties },
    });
    this.#clients.push(client);
    client.on('message', (_topic, payload) => came(payload.toString()));
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve());
      client.once('error', reject);
    });
    client.on('error', () => undefined);
    return client;
  }

  /** `test`: keeps the topics, groups and clients of tests apart. */
  async members(
    test: string,
    count: number,
    qos: 0 | 1 | 2,
    options: IClientOptions = {},
  ): Promise<Member[]> {
    const all = Array.from({ length: count }, async (_, index): Promise<Member> => {
      const id = `${test}-${index}`;
      const client = await this.connected(index, id, options);
      const came: string[] = [];
      client.on('message', (_topic, payload) => came.push(payload.toString()));
      await client.subscribeAsync(`$share/${test}/${test}/+`, { qos });
      return { id, client, came };
    });
    return Promise.all(all);
  }

  /** `awayFrom`: what it has sent is not stored twice where that ds is killed. */
  async publisher(
    test: string,
    awayFrom?: MemoryDs,
  ): Promise<(n: number, qos?: 0 | 1 | 2) => Promise<void>> {
    let client: MqttClient;
    for (let n = 0; ; n += 1) {
      const id = `${test}-publisher-${n}`;
      client = await this.connected(0, id);
      const key = new RedisKeys('cluster').session(id, `session:${id}`);
      const home = (await this.cluster.redis.command('hget', key, 'H')).trim();
      if (home !== awayFrom?.id) break;
    }
    return async (n, qos = 1) => {
      await client.publishAsync(`${test}/${n % 3}`, `${n}`, { qos });
    };
  }

  async ownerOf(test: string): Promise<MemoryDs> {
    const id = await this.cluster.redis.command(
      'hget',
      'lmqtt:cluster:{reg}:groups',
      `${test}/${test}/+`,
    );
    const owned = await this.cluster.redis.command('hget', owners, `group ${id.trim()}`);
    const found = this.cluster.ds.find((ds) => owned.startsWith(ds.id));
    assert.ok(found, `nobody owns ${test}: ${owned}`);
    return found;
  }
}

export function range(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}

export function total(all: readonly Member[]): number {
  return all.reduce((sum, { came }) => sum + came.length, 0);
}

export function sorted(all: readonly Member[]): number[] {
  return all
    .flatMap(({ came }) => came)
    .map(Number)
    .toSorted((a, b) => a - b);
}

/** Messages that came more than once. */
export function extra(all: readonly Member[], count: number): string[] {
  const times = range(count).map((n) =>
    all.flatMap(({ id, came }) => (came.includes(`${n}`) ? [id] : [])),
  );
  const twice = all.flatMap(({ id, came }) =>
    came.filter((one, at) => came.indexOf(one) < at).map((one) => `${id} ${one}`),
  );
  return [...twice, ...times.flatMap((ids, n) => (ids.length > 1 ? [`${n}: ${ids.join()}`] : []))];
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function eventually(check: () => void | Promise<void>): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await check();
      return;
    } catch (error) {
      if (tries > 1200) throw error;
      await pause(25);
    }
  }
}
