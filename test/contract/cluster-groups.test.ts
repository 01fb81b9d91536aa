// Shared groups over several ds: who gives, and who gets.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { nodeId } from '@lmqtt/common/ids';
import { requireRedis } from '../harness/require.ts';
import { eventually, pause, range, sorted, total, GroupScene } from './group-scene.ts';

void describe('shared groups of a cluster', requireRedis(), () => {
  const scene = new GroupScene();

  void test('each message goes to one member, of all on both ds', async () => {
    const all = await scene.members('spread', 6, 1);
    const publish = await scene.publisher('spread');
    await Promise.all(range(300).map((n) => publish(n)));
    await eventually(() => assert.equal(total(all), 300));
    await pause(200);
    assert.deepEqual(sorted(all), range(300));
    for (const { id, came } of all) assert.ok(came.length > 10, `${id} got ${came.length}`);
  });

  void test('one member gets what one publisher sends on a topic in its order', async () => {
    const all = await scene.members('order', 1, 2);
    const publish = await scene.publisher('order');
    await Promise.all(range(200).map((n) => publish(n, n % 2 === 0 ? 2 : 1)));
    await eventually(() => assert.equal(total(all), 200));
    for (const topic of [0, 1, 2])
      for (const qos of [0, 1]) {
        const found = all[0]!.came.map(Number).filter((n) => n % 3 === topic && n % 2 === qos);
        assert.deepEqual(
          found,
          found.toSorted((a, b) => a - b),
        );
      }
  });

  void test('QoS 0 goes to one member, wherever it was published', async () => {
    const all = await scene.members('none', 3, 0);
    const publishers = await Promise.all(
      range(6).map((n) => scene.connected(n, `none-publisher-${n}`, { clean: true })),
    );
    for (const [n, client] of publishers.entries())
      await client.publishAsync(`none/${n}`, `${n}`, { qos: 0 });
    await eventually(() => assert.equal(total(all), 6));
    await pause(100);
    assert.deepEqual(sorted(all), range(6));
  });

  void test('what a lost member had at QoS 1 goes to the others, in order', async () => {
    const [stuck] = await scene.members('taken', 1, 1, { reconnectPeriod: 0 });
    const held: string[] = [];
    stuck!.client.handleMessage = (packet) => held.push(packet.payload.toString());
    const publish = await scene.publisher('taken');
    for (const n of range(30)) await publish(n);
    await eventually(() => assert.equal(held.length, 1));
    const other = await scene.connected(1, 'taken-other');
    const came: string[] = [];
    other.on('message', (_topic, payload) => came.push(payload.toString()));
    await other.subscribeAsync('$share/taken/taken/+', { qos: 1 });
    stuck!.client.stream.destroy();
    await eventually(() => assert.equal(came.length, 30));
    assert.deepEqual(
      came.map(Number).toSorted((a, b) => a - b),
      range(30),
    );
  });

  void test('messages wait for a last member that is persistent, and is away', async () => {
    const [sleeper] = await scene.members('waits', 1, 1);
    const publish = await scene.publisher('waits');
    await publish(0);
    await eventually(() => assert.equal(total([sleeper!]), 1));
    await sleeper!.client.endAsync();
    for (const n of range(20).slice(1)) await publish(n);
    await scene.connected(1, sleeper!.id, {}, (text) => sleeper!.came.push(text));
    await eventually(() => assert.equal(total([sleeper!]), 20));
    assert.deepEqual(sorted([sleeper!]), range(20));
  });

  void test('a group ends with its last member', async () => {
    const all = await scene.members('ends', 2, 1);
    await all[0]!.client.unsubscribeAsync('$share/ends/ends/+');
    await all[1]!.client.unsubscribeAsync('$share/ends/ends/+');
    await eventually(async () => {
      const id = await scene.cluster.redis.command(
        'hget',
        'lmqtt:cluster:{reg}:groups',
        'ends/ends/+',
      );
      assert.equal(id.trim(), '');
    });
    const publish = await scene.publisher('ends');
    await publish(1);
    // Its queue is there for a while; where that ends, the store says only now.
    await eventually(() => assert.ok(scene.cluster.store.hasTold));
    await all[1]!.client.subscribeAsync('$share/ends/ends/+', { qos: 1 });
    await publish(2);
    await eventually(() => assert.ok(all[1]!.came.length > 0));
    assert.deepEqual(all[1]!.came, ['2']);
  });

  void test('a session in two groups has a window for each', async () => {
    const [both] = await scene.members('two', 1, 1, { properties: { receiveMaximum: 4 } });
    await both!.client.subscribeAsync('$share/more/more/+', { qos: 2 });
    const [alone] = await scene.members('more', 1, 2);
    const [two, more] = await Promise.all([scene.publisher('two'), scene.publisher('more')]);
    await Promise.all(range(100).flatMap((n) => [two(n), more(1000 + n, 2)]));
    await eventually(() => assert.equal(total([both!, alone!]), 200));
    const ofMore = both!.came.filter((one) => Number(one) >= 1000);
    assert.equal(both!.came.length - ofMore.length, 100);
    assert.ok(ofMore.length > 10, `${ofMore.length} of the second`);
  });

  void test('a ds that drains hands its groups over when their members have gone', async () => {
    const all = await scene.members('handed', 6, 2);
    const publish = await scene.publisher('handed');
    await Promise.all(range(50).map((n) => publish(n, 2)));
    const owner = await scene.ownerOf('handed');
    const leaves = owner.service.leave(30_000);
    await Promise.all(range(100).map((n) => publish(n + 50, 2)));
    await leaves;
    await eventually(async () => assert.notEqual(await scene.ownerOf('handed'), owner));
    assert.equal(owner.service.draining, true);
    await Promise.all(range(50).map((n) => publish(n + 150, 2)));
    await eventually(() => assert.equal(total(all), 200));
    await pause(200);
    assert.deepEqual(sorted(all), range(200));
    assert.equal(await owner.service.drain(nodeId(owner.id), false), 'asked');
    assert.equal(owner.service.draining, false);
  });
});
