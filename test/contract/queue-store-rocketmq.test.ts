import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { nodeId, queueId } from '@lmqtt/common/ids';
import { messageOf } from '@lmqtt/common/message';
import type { Append } from '@lmqtt/ds/queue-store/queue-store';
import { type Requirement, requireRocketmq } from '../harness/require.ts';
import type { BrokerOptions } from '../harness/rocketmq/broker.ts';
import { wantedVersion } from '../harness/rocketmq/jars.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { queueStoreContract, type StoreUnderTest } from './queue-store.ts';
import { type OpenStore, openStore, StoreSurroundings } from './rocketmq-store.ts';

const needed = requireRocketmq();
const lanes = 4;
const messagesEach = 300;
let stores = 0;

/** Brokers before 5.4 have one kind of store. */
const onRocksDb =
  process.env['CI'] === 'true' && wantedVersion().startsWith('5.5')
    ? needed
    : { skip: 'with CI=true, on RocketMQ 5.5' };

const brokers: readonly (readonly [string, Requirement, BrokerOptions])[] = [
  ['RocketMQ', needed, {}],
  ['RocketMQ with one send thread', needed, { sendThreads: 1 }],
  ['RocketMQ on RocksDB', onRocksDb, { storeType: 'defaultRocksDB' }],
];

for (const [name, requirement, broker] of brokers) {
  describe(name, requirement, () => {
    let cluster: RocketmqCluster;

    before(async () => {
      cluster = await startRocketmq({ brokers: [broker] });
    });

    after(() => cluster.close());

    const surroundings = (): StoreSurroundings => {
      stores += 1;
      return new StoreSurroundings(`contract${stores}`);
    };

    const open = async (around: StoreSurroundings): Promise<StoreUnderTest> => {
      const opened = await openStore(cluster, around);
      return {
        store: opened.store,
        restart: async () => {
          await opened.close();
          return open(around);
        },
        close: () => opened.close(),
      };
    };

    queueStoreContract(name, () => open(surroundings()));

    /** Many messages at once in a few lanes: all come, in their order. */
    async function flood({ store }: OpenStore): Promise<void> {
      const batch: Append[] = [];
      for (let n = 0; n < messagesEach; n += 1) {
        for (let lane = 0; lane < lanes; lane += 1) {
          const topic = `lane/${lane}`;
          const payload = Buffer.from(`${n}`);
          const message = messageOf({ topic, qos: 1, retain: false, payload, publisher: topic });
          const rest = { inbound: undefined, reasonCode: -1, orderKey: undefined };
          batch.push({ message, queues: [queueId(1)], lane: topic, ...rest });
        }
      }
      let told = 0;
      const next = new Map<string, number>();
      await new Promise<void>((resolve) => {
        let open = batch.length + batch.length;
        const count = (done: number): void => {
          open -= done;
          if (open === 0) resolve();
        };
        store.onArrivals((messages) => {
          for (const { topic, payload } of messages) {
            assert.equal(Number(payload.toString()), next.get(topic) ?? 0);
            next.set(topic, (next.get(topic) ?? 0) + 1);
          }
          told += messages.length;
          count(messages.length);
        });
        store.append(batch, (answered) => count(answered.length));
      });
      assert.equal(told, lanes * messagesEach);
      for (const { reasonCode } of batch) assert.equal(reasonCode, 0);
    }

    void test('lanes keep their order whatever is ahead of the answers', async (t) => {
      const opened = await openStore(cluster, surroundings());
      t.after(() => opened.close());
      await flood(opened);
    });

    void test('where topics go is asked once for a first level, and some at a time', async (t) => {
      const around = surroundings();
      const { records } = around;
      const asked: string[] = [];
      let underWay = 0;
      let most = 0;
      const remember = records.remember.bind(records);
      records.remember = async (kind, key, value) => {
        if (kind !== 'rocketmq-topic-of') return remember(kind, key, value);
        asked.push(key);
        underWay += 1;
        most = Math.max(most, underWay);
        await new Promise((resolve) => setImmediate(resolve));
        underWay -= 1;
        return remember(kind, key, value);
      };
      const opened = await openStore(cluster, around);
      t.after(() => opened.close());
      const { store } = opened;
      async function append(topics: readonly string[]): Promise<void> {
        const batch = topics.map((topic): Append => {
          const message = messageOf({ topic, qos: 1, retain: false, payload: Buffer.from(topic) });
          const rest = { inbound: undefined, reasonCode: -1, orderKey: undefined };
          return { message, queues: [queueId(1)], lane: topic, ...rest };
        });
        let open = batch.length;
        await new Promise<void>((resolve) => {
          store.append(batch, (answered) => {
            open -= answered.length;
            if (open === 0) resolve();
          });
        });
        for (const { reasonCode } of batch) assert.equal(reasonCode, 0);
      }
      await append(Array.from({ length: 2000 }, (_, n) => `level/${n}`));
      await append(Array.from({ length: 2000 }, (_, n) => `level/more/${n}`));
      assert.deepEqual(asked.splice(0), ['level']);
      await append(Array.from({ length: 500 }, (_, n) => `level${n}/x`));
      assert.equal(asked.length, 500);
      assert.ok(most <= 64, `${most} at once`);
    });

    void test('QoS 0 past the limit is not kept, whatever is before it in its lane', async (t) => {
      const pendingBytesMax = 64 << 10;
      const opened = await openStore(cluster, surroundings(), { settings: { pendingBytesMax } });
      t.after(() => opened.close());
      const { store, metrics } = opened;
      const payload = Buffer.alloc(1024);
      const batch = Array.from({ length: 1000 }, (): Append => {
        const message = messageOf({ topic: 'fast', qos: 0, retain: false, payload });
        const rest = { inbound: undefined, reasonCode: -1, orderKey: undefined };
        return { message, queues: [], lane: 'fast', ...rest };
      });
      let open = batch.length;
      let pending: Promise<string> | undefined;
      await new Promise<void>((resolve) => {
        store.append(batch, (answered) => {
          open -= answered.length;
          if (open === 0) resolve();
        });
        pending = metrics.registry.metrics();
      });
      const [, bytes] = /^lmqtt_rocketmq_pending_bytes (\d+)$/m.exec((await pending) ?? '') ?? [];
      assert.ok(Number(bytes) > 0 && Number(bytes) <= pendingBytesMax, `${bytes} bytes wait`);
      const dropped = batch.filter(({ reasonCode }) => reasonCode === 0x97).length;
      assert.ok(dropped > 900 && dropped < 1000, `${dropped} were dropped`);
    });

    void test('what is stored once is told before it is answered, whoever has the tail', async (t) => {
      const around = surroundings();
      const owner = await openStore(cluster, around);
      t.after(() => owner.close());
      const other = await openStore(cluster, around, { self: nodeId('ds-2') });
      t.after(() => other.close());
      const { store } = other;
      const told: string[] = [];
      store.onArrivals((messages) => {
        for (const { payload, entries } of messages)
          told.push(`${payload.toString()} in ${entries.map(({ queue }) => queue).join()}`);
      });
      for (let n = 0; n < 20; n += 1) {
        const payload = Buffer.from(`will ${n}`);
        const message = messageOf({ topic: 'will', qos: 1, retain: false, payload });
        const once = { key: `${around.topic}-${n}`, sinceMs: Date.now(), again: false };
        const append: Append = {
          ...{ message, queues: [queueId(1)], lane: 'will', inbound: undefined, once },
          ...{ reasonCode: -1, orderKey: undefined },
        };
        await new Promise<void>((resolve) => store.append([append], () => resolve()));
        assert.equal(append.reasonCode, 0);
        assert.ok(told.includes(`will ${n} in 1`), `will ${n} is answered before it is told`);
      }
    });

    void test('publishers wait for a tail that lags, and lose nothing', async (t) => {
      const opened = await openStore(cluster, surroundings(), { settings: { tailLagMax: 4 } });
      t.after(() => opened.close());
      await flood(opened);
      assert.match(await opened.metrics.registry.metrics(), /^lmqtt_rocketmq_paced_total [1-9]/m);
    });
  });
}
