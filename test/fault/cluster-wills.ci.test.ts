// Wills of clients whose node, or whose node and ds, are killed.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import type { ConnectFields } from '../harness/packets.ts';
import { closeAllClients, connected, type RawClient } from '../harness/wire.ts';

const leaseMs = 1000;
/** Also where nobody presents a session of the node: twice a lease, then it is judged. */
const willMs = 6 * leaseMs;

let cluster: Cluster;
before(async () => {
  cluster = await startCluster({ settings: { LEASE_MS: String(leaseMs) } });
});
after(async () => {
  closeAllClients();
  assert.equal(await cluster.stop(), 0);
});

const port = (number: number): number => cluster.node(number).port('mqtt');

const victims = {
  'a cs': () => cluster.node(1).kill(),
  'a cs and ds': async () => {
    await Promise.all([cluster.ds.kill(), cluster.node(1).kill()]);
    await cluster.ds.start();
    await cluster.untilReady();
  },
} as const;

for (const [victim, kill] of Object.entries(victims)) {
  void test(`${victim} killed: wills that are due come once, others do not`, async () => {
    const topic = (name: string): string => `${victim}/${name}`;
    const fieldsOf = (name: string, delayS: number, sessionS: number): ConnectFields => ({
      version: 5,
      clientId: topic(name),
      clean: false,
      properties: { sessionExpiryInterval: sessionS },
      will: {
        topic: topic(name),
        payload: name,
        qos: 2,
        properties: { willDelayInterval: delayS },
      },
    });
    const watcher = await connected(port(2), { version: 5 });
    await watcher.subscribe(topic('#'), 2);
    const rows = {
      back: fieldsOf('back', 0, 3600),
      'back in time': fieldsOf('back in time', 3600, 3600),
      'session ends': fieldsOf('session ends', 3600, 0),
      away: fieldsOf('away', 0, 3600),
      'away, later': fieldsOf('away, later', 1, 3600),
      'away for good': fieldsOf('away for good', 3600, 3600),
    };
    for (const fields of Object.values(rows)) await connected(port(1), fields);
    const gone = await connected(port(1), fieldsOf('gone', 0, 3600));
    await gone.disconnect();
    await kill();
    const back: RawClient[] = [];
    for (const name of ['back', 'back in time'] as const) {
      back.push(await connected(port(2), { ...rows[name], sessionPresent: true }));
    }
    const came: string[] = [];
    while (came.length < 4) {
      const { payload } = await watcher.receive({}, willMs);
      came.push(payload.toString());
    }
    assert.equal(came.at(-1), 'away, later');
    assert.deepEqual(came.toSorted(), ['away', 'away, later', 'back', 'session ends']);
    await watcher.expectNothing();
    for (const client of back) await client.disconnect();
    await cluster.node(1).start();
    await watcher.expectNothing();
  });
}
