// A message that a back end sends in a transaction reaches devices once, when it is committed;
// messages that wait for their time or their next try, and dead letters, reach nobody a second
// time. Compressed bodies are read.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  BackEndCluster,
  backEndSkip as skip,
  backEndTopic as topic,
  lmqOf as lmq,
} from '../harness/back-end-cluster.ts';
import { wantedVersion } from '../harness/rocketmq/jars.ts';
import { produceByJava } from '../harness/rocketmq/java-producer.ts';
import { prepare, produce, type ProducedMessage } from '../harness/rocketmq/producer.ts';
import type { RocketmqCluster } from '../harness/rocketmq/rocketmq-cluster.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const deviceMs = 30_000;
const lasting = { version: 5, clean: false, properties: { sessionExpiryInterval: 600 } } as const;

/** Clients before 5.0 know zlib only. */
const compressingVersion = (): string =>
  wantedVersion().startsWith('4.') ? '5.5.0' : wantedVersion();

let backEnds: BackEndCluster;
let rocketmq: RocketmqCluster;

const device = (fields: Parameters<BackEndCluster['device']>[0] = {}): Promise<RawClient> =>
  backEnds.device(fields);

const messageTo = (name: string, body: string, filters: readonly string[]): ProducedMessage => ({
  topic,
  body,
  properties: {
    TAGS: 'MQ2MQTT',
    INNER_MULTI_DISPATCH: filters.map(lmq).join(','),
    originMqttTopic: name,
    qosLevel: '1',
  },
});

void describe('transactions and compressed messages of back ends', { skip }, () => {
  before(async () => {
    backEnds = await BackEndCluster.start();
    ({ rocketmq } = backEnds);
  });

  after(() => backEnds?.close());

  /**
   * Payloads that come before a last message, which is stored behind all of them; last messages of
   * others are left out.
   */
  async function payloadsOf(client: RawClient, name: string): Promise<string[]> {
    const last = unique('last');
    await produce(rocketmq.broker().port, messageTo(name, last, [name, `${name}/#`]));
    const payloads: string[] = [];
    for (;;) {
      const { payload } = await client.receive({ topic: name }, deviceMs);
      if (payload.toString() === last) return payloads;
      if (!payload.toString().startsWith('last')) payloads.push(payload.toString());
    }
  }

  void test('committed: once; rolled back: never; live, absent and shared subscribers', async () => {
    const { port } = rocketmq.broker();
    const name = unique();
    const live = await device();
    await live.subscribe(name, 1);
    const shared = await device();
    await shared.subscribe(`$share/g/${name}`, 1);
    const clientId = unique('absent');
    const absent = await device({ clientId, ...lasting });
    await absent.subscribe(`${name}/#`, 1);
    await absent.disconnect();
    const filters = [name, `${name}/#`];
    const expected: string[] = [];
    for (let number = 0; number < 10; number += 1) {
      const end = await prepare(port, messageTo(name, `transaction ${number}`, filters));
      await produce(port, messageTo(name, `between ${number}`, filters));
      expected.push(`between ${number}`);
      await end(number % 2 === 0 ? 'commit' : 'rollback');
      if (number % 2 === 0) expected.push(`transaction ${number}`);
    }
    assert.deepEqual(await payloadsOf(live, name), expected, 'live');
    assert.deepEqual(await payloadsOf(shared, name), expected, 'shared');
    const back = await device({ clientId, ...lasting, sessionPresent: true });
    assert.deepEqual(await payloadsOf(back, name), expected, 'absent');
  });

  void test('who subscribes while a transaction is open gets it when it is committed', async () => {
    const name = unique();
    const holder = await device();
    await holder.subscribe(name, 1);
    const end = await prepare(rocketmq.broker().port, messageTo(name, 'late', [name]));
    const late = await device();
    await late.subscribe(name, 1);
    await end('commit');
    assert.deepEqual(await payloadsOf(late, name), ['late']);
    assert.deepEqual(await payloadsOf(holder, name), ['late']);
  });

  void test('a delayed message reaches devices once, when it is due', async () => {
    const name = unique();
    const live = await device();
    await live.subscribe(name, 1);
    const clientId = unique('absent');
    const absent = await device({ clientId, ...lasting });
    await absent.subscribe(name, 1);
    await absent.disconnect();
    const message = messageTo(name, 'delayed', [name]);
    const properties = { ...message.properties, DELAY: '1' };
    await produce(rocketmq.broker().port, { ...message, properties });
    await live.receive({ topic: name, payload: 'delayed' }, deviceMs);
    assert.deepEqual(await payloadsOf(live, name), []);
    const back = await device({ clientId, ...lasting, sessionPresent: true });
    assert.deepEqual(await payloadsOf(back, name), ['delayed']);
  });

  void test('bodies that the Java client compresses with LZ4, ZSTD and ZLIB', async () => {
    const lines = Array.from({ length: 2000 }, (_, number) => `line ${number}`);
    const body = lines.join('\n');
    const receivers = await Promise.all(
      (['LZ4', 'ZSTD', 'ZLIB'] as const).map(async (compression) => {
        const name = unique(compression);
        const clientId = unique('absent');
        const absent = await device({ clientId, ...lasting });
        await absent.subscribe(name, 1);
        await absent.disconnect();
        // The producer's start may outlast a keep alive.
        const live = await device({ keepAliveS: 0 });
        await live.subscribe(name, 1);
        return { compression, name, clientId, live };
      }),
    );
    await produceByJava({
      ...{ version: compressingVersion(), namesrv: rocketmq.namesrv.address, topic, body },
      messages: receivers.map(({ compression, name }) => ({
        ...{ compression, lmqNames: [lmq(name)], mqttTopic: name },
      })),
    });
    for (const { name, clientId, live } of receivers) {
      await live.receive({ topic: name, payload: body }, deviceMs);
      const back = await device({ clientId, ...lasting, sessionPresent: true });
      await back.receive({ topic: name, payload: body }, deviceMs);
    }
  });

  void test('a dead letter of a consumer reaches no device', async () => {
    const name = unique();
    const live = await device();
    await live.subscribe(name, 1);
    const message = messageTo(name, 'dead', [name]);
    await produce(rocketmq.broker().port, { ...message, topic: '%DLQ%consumers' });
    assert.deepEqual(await payloadsOf(live, name), []);
  });
});
