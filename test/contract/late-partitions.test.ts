// Partitions that appear late or are away at a SUBSCRIBE, seen by clients of a cluster: everybody
// gets what is stored there after the SUBSCRIBE, once, and nothing that was stored before.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clientId } from '@lmqtt/common/ids';
import type { MqttClient } from 'mqtt';
import { requireRedis } from '../harness/require.ts';
import { eventually, GroupScene, pause, range } from './group-scene.ts';

const topicCount = 60;
/** Time in which a message that should not come would have come. */
const quietMs = 300;

void describe('partitions that appear late', requireRedis(), () => {
  const scene = new GroupScene();

  interface Subscriber {
    readonly id: string;
    client: MqttClient;
    readonly came: string[];
  }

  async function subscriber(node: number, id: string, filters: Record<string, 0 | 1 | 2>) {
    const came: string[] = [];
    const client = await connected(node, id, undefined, (text) => came.push(text));
    const one: Subscriber = { id, client, came };
    for (const [filter, qos] of Object.entries(filters))
      await one.client.subscribeAsync(filter, { qos });
    return one;
  }

  /** A client that does not come back by itself. */
  function connected(
    node: number,
    id: string,
    sessionExpiryInterval = 3600,
    came?: (text: string) => void,
  ): Promise<MqttClient> {
    const properties = { sessionExpiryInterval, receiveMaximum: 20 };
    return scene.connected(node, id, { reconnectPeriod: 0, properties }, came);
  }

  async function comeBack(one: Subscriber, node: number): Promise<void> {
    const came = (text: string): void => void one.came.push(text);
    one.client = await connected(node, one.id, undefined, came);
  }

  async function publishTo(prefix: string, word: string): Promise<string[]> {
    const [one, other] = await Promise.all([
      connected(0, `${prefix}-publisher-0`, 0),
      connected(1, `${prefix}-publisher-1`, 0),
    ]);
    const texts = range(topicCount).map((n) => `${word} ${n}`);
    await Promise.all(
      texts.map((text, n) =>
        (n % 2 === 0 ? one : other).publishAsync(`${prefix}/${n}`, text, {
          qos: n % 3 === 0 ? 2 : 1,
        }),
      ),
    );
    return texts;
  }

  async function allGot(subscribers: readonly Subscriber[], texts: readonly string[]) {
    const wanted = texts.toSorted();
    await eventually(() => {
      for (const { id, came } of subscribers)
        assert.ok(came.length >= wanted.length, `${id} has ${came.length} of ${wanted.length}`);
    });
    await pause(quietMs);
    for (const { id, came } of subscribers) assert.deepEqual(came.toSorted(), wanted, id);
  }

  async function queuedOf(id: string): Promise<number | undefined> {
    const line = await scene.cluster.ds[0]?.service.client(clientId(id));
    return line?.queued;
  }

  void test('every subscription that there is gets what is stored there', async () => {
    const live = await subscriber(0, 'late-live', { 'late/+': 1 });
    const exact = await subscriber(1, 'late-exact', { 'late/+': 2 });
    const overlapping = await subscriber(0, 'late-both', { 'late/+': 1, 'late/#': 2 });
    const absent = await subscriber(1, 'late-absent', { 'late/+': 2 });
    const shared = await subscriber(0, 'late-shared', { '$share/late/late/+': 1 });
    await absent.client.endAsync();
    scene.cluster.store.appear();
    const texts = await publishTo('late', 'first');
    await allGot([live, exact, overlapping, shared], texts);
    await eventually(async () => assert.ok(((await queuedOf(absent.id)) ?? 0) >= topicCount));
    await comeBack(absent, 0);
    await allGot([absent], texts);

    // A client that comes back, or subscribes only now, gets nothing of that again.
    const all = [live, exact, overlapping, absent, shared];
    for (const [n, one] of all.entries()) {
      await one.client.endAsync();
      one.came.splice(0);
      await comeBack(one, n + 1);
    }
    const later = await subscriber(1, 'late-later', { 'late/+': 1 });
    await allGot([...all, later], await publishTo('late', 'second'));
  });

  void test('who subscribed while it was away gets all from then on, and nothing older', async () => {
    const { store } = scene.cluster;
    const before = await subscriber(0, 'away-before', { 'away/+': 1 });
    const old = await publishTo('away', 'old');
    await allGot([before], old);
    store.setAway(0, true);
    const live = await subscriber(0, 'away-live', { 'away/+': 1 });
    const exact = await subscriber(1, 'away-exact', { 'away/+': 2, 'away/#': 1 });
    const absent = await subscriber(1, 'away-absent', { 'away/+': 2 });
    const shared = await subscriber(0, 'away-shared', { '$share/away/away/+': 1 });
    await absent.client.endAsync();
    const during = await publishTo('away', 'during');
    await allGot([live, exact, shared], during);
    await allGot([before], [...old, ...during]);
    store.setAway(0, false);
    const after = await publishTo('away', 'after');
    await allGot([live, exact, shared], [...during, ...after]);
    await allGot([before], [...old, ...during, ...after]);
    await comeBack(absent, 0);
    await allGot([absent], [...during, ...after]);
    const all = [live, exact, absent, shared];
    for (const [n, one] of all.entries()) {
      await one.client.endAsync();
      one.came.splice(0);
      await comeBack(one, n + 1);
    }
    await allGot(all, await publishTo('away', 'again'));
  });

  void test('who subscribed while it did not say where it ends gets all from then on', async () => {
    const { store } = scene.cluster;
    const before = await subscriber(0, 'mute-before', { 'mute/+': 1 });
    const all = [before];
    const texts: string[] = [];
    for (const round of range(4)) {
      store.setMute(round % 2, true);
      const late = await Promise.all([
        subscriber(round, `mute-one-${round}`, { 'mute/+': 1 }),
        subscriber(round + 1, `mute-two-${round}`, { 'mute/+': 2, 'mute/#': 1 }),
        subscriber(round, `mute-shared-${round}`, { [`$share/mute${round}/mute/+`]: 1 }),
      ]);
      const sent = await publishTo('mute', `round ${round}`);
      await allGot(late, sent);
      all.push(...late);
      store.setMute(round % 2, false);
      texts.push(...sent);
      await allGot([before], texts);
      for (const one of late) one.came.splice(0);
    }
  });

  void test('who was absent while topics moved gets each in its order', async () => {
    const absent = await subscriber(0, 'order-absent', { 'order/+': 2 });
    await absent.client.endAsync();
    const texts: string[] = [];
    for (const word of ['first', 'second', 'third', 'fourth']) {
      texts.push(...(await publishTo('order', word)));
      // Topics go to other partitions from now on.
      scene.cluster.store.appear();
    }
    await comeBack(absent, 1);
    await allGot([absent], texts);
    for (const n of range(topicCount)) {
      const came = absent.came.filter((text) => text.endsWith(` ${n}`));
      assert.deepEqual(came, [`first ${n}`, `second ${n}`, `third ${n}`, `fourth ${n}`]);
    }
  });

  void test('a ds that takes over goes on in a partition that it was not asked about', async () => {
    const one = await subscriber(0, 'taken-one', { 'taken/+': 2 });
    const shared = await subscriber(1, 'taken-shared', { '$share/taken/taken/+': 2 });
    scene.cluster.store.appear();
    await allGot([one, shared], await publishTo('taken', 'first'));
    one.came.splice(0);
    shared.came.splice(0);
    scene.kill(await scene.ownerOf('taken'));
    await eventually(() => assert.equal(scene.cluster.ds.length, 1));
    await allGot([one, shared], await publishTo('taken', 'second'));
  });
});
