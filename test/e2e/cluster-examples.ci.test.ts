// The examples for back ends, as the README has them: producers and consumers in TypeScript,
// through the proxy, and in Java, by remoting.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { plainCluster, clusterDefaultTopic } from '@lmqtt/ds/rocketmq/names/cluster-names';
import { mustFindProgram } from '../harness/programs.ts';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { ensureJars, hasProxy, wantedVersion } from '../harness/rocketmq/jars.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { StoreCluster } from '../harness/store-cluster.ts';
import { closeAllClients, connected, unique } from '../harness/wire.ts';

const skip = requireRedis().skip || requireRocketmq().skip;
const examples = join(import.meta.dirname, '../../../examples');
const topic = clusterDefaultTopic(plainCluster);
const withProxy = hasProxy(wantedVersion());
/** A JVM on a busy machine, and a first pull of a group. */
const exampleMs = 120_000;
const publishEachMs = 500;
const deviceMs = 30_000;

let redis: RedisServer;
let rocketmq: RocketmqCluster;
let cluster: StoreCluster;
let lib = '';
let home = '';
const running = new Set<Example>();

/** One of the programs, and what it prints. */
class Example {
  readonly #child: ChildProcess;
  #printed = '';
  #changed: () => void = () => {};

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, {
      env: { ...process.env, HOME: home },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child.stdout!.on('data', (chunk: Buffer) => {
      this.#printed += chunk.toString();
      this.#changed();
    });
    this.#child.once('exit', () => {
      running.delete(this);
      this.#changed();
    });
    running.add(this);
  }

  static typescript(name: string, ...args: readonly string[]): Example {
    return new Example(process.execPath, [join(examples, `dist/typescript/${name}.js`), ...args]);
  }

  static java(name: string, ...args: readonly string[]): Example {
    const options = [`-Duser.home=${home}`, '-cp', `${lib}/*`];
    const source = join(examples, `java/${name}.java`);
    return new Example(mustFindProgram('java'), [...options, source, ...args]);
  }

  /** Until it has printed that, or, without it, until it has ended. */
  async until(pattern?: RegExp): Promise<string> {
    const endMs = Date.now() + exampleMs;
    for (;;) {
      const isOver = this.#child.exitCode !== null;
      if (pattern === undefined ? isOver : pattern.test(this.#printed)) return this.#printed;
      if (isOver || Date.now() > endMs) throw new Error(`not printed: ${this.#printed}`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
        setTimeout(resolve, publishEachMs);
      });
    }
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Lines that consumers may print: a group that is new begins with what is there. */
const published = new Set<string>();

/** Publishes until a consumer that ends with its first message has ended. */
async function consumesOne(consumer: Example): Promise<void> {
  await consumer.until(/^ready$/m);
  const clientId = unique();
  const device = await connected(cluster.mqttPort, { version: 5, clientId });
  const name = unique();
  published.add(`${name} from ${clientId} at QoS 1: warm`);
  while (consumer.exitCode === null) {
    await device.publish(name, 'warm', { qos: 1 });
    await Promise.race([
      consumer.until(),
      new Promise((resolve) => setTimeout(resolve, publishEachMs)),
    ]);
  }
  assert.equal(consumer.exitCode, 0);
  const lines = (await consumer.until()).trim().split('\n').slice(1);
  assert.ok(lines.length > 0);
  for (const line of lines) assert.ok(published.has(line), line);
}

/** By an exact filter, by a wildcard that no producer has heard of, and to one who is away. */
async function producesOne(start: (mqttTopic: string) => Example): Promise<void> {
  const stem = unique();
  const name = `${stem}/lamp`;
  const lasting = { version: 5, clean: false, properties: { sessionExpiryInterval: 600 } } as const;
  const exact = await connected(cluster.mqttPort, { version: 5 });
  await exact.subscribe(name, 1);
  const wildcard = await connected(cluster.mqttPort, { version: 4 });
  await wildcard.subscribe(`${stem}/+`, 1);
  const absent = await connected(cluster.mqttPort, { clientId: `${stem}-absent`, ...lasting });
  await absent.subscribe(`+/lamp`, 1);
  await absent.disconnect();
  const producer = start(name);
  await producer.until();
  assert.equal(producer.exitCode, 0);
  for (const client of [exact, wildcard])
    await client.receive({ topic: name, payload: 'on', qos: 1 }, deviceMs);
  const back = await connected(cluster.mqttPort, {
    ...lasting,
    clientId: `${stem}-absent`,
    sessionPresent: true,
  });
  await back.receive({ topic: name, payload: 'on', qos: 1 }, deviceMs);
}

void describe('examples for back ends', { skip }, () => {
  before(async () => {
    [redis, rocketmq] = await Promise.all([startRedis(), startRocketmq({ proxy: withProxy })]);
    lib = await ensureJars(rocketmq.version);
    home = mkdtempSync(join(tmpdir(), 'lmqtt-examples-'));
    cluster = new StoreCluster({
      clusterId: plainCluster,
      redisUrl: redis.url,
      namesrv: rocketmq.namesrv.address,
    });
    await cluster.start();
  });

  after(async () => {
    for (const example of running) example.kill();
    closeAllClients();
    await cluster?.stop();
    await Promise.all([redis?.close(), rocketmq?.close()]);
    if (home !== '') rmSync(home, { recursive: true, force: true });
  });

  void test('the consumer in Java prints what a device publishes', async () => {
    await consumesOne(
      Example.java('Consumer', rocketmq.namesrv.address, topic, 'java-back-end', '1'),
    );
  });

  void test('the producer in Java reaches devices, connected or not', async () => {
    await producesOne((mqttTopic) =>
      Example.java('Producer', rocketmq.namesrv.address, topic, mqttTopic, 'on'),
    );
  });

  const endpoints = (): string => `127.0.0.1:${rocketmq.proxy?.port ?? 0}`;
  const noProxy = withProxy ? false : `the repository has no proxy of RocketMQ ${wantedVersion()}`;

  void test('the consumer in TypeScript prints it, too', { skip: noProxy }, async () => {
    await consumesOne(Example.typescript('consumer', endpoints(), topic, 'back-end', '1'));
  });

  void test('the producer in TypeScript reaches devices', { skip: noProxy }, async () => {
    await producesOne((mqttTopic) =>
      Example.typescript('producer', endpoints(), topic, mqttTopic, 'on'),
    );
  });
});
