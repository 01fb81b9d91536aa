// A node that was away for longer than its lease, by SIGSTOP or by a partition: rule 11. It says
// nothing of what came to it meanwhile, and its clients find everything at the other one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import type { ConnectFields } from '../harness/packets.ts';
import { pingreq } from '../harness/packets.ts';
import type { Address } from '../harness/process.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';
import { closeAllClients, connected } from '../harness/wire.ts';

const leaseMs = 1000;
/** It is judged each second. */
const judgedMs = leaseMs + 1500;

let cluster: Cluster<TcpProxy>;
before(async () => {
  cluster = await startCluster({
    between: (target: Address) => TcpProxy.start(target),
    settings: { LEASE_MS: String(leaseMs) },
  });
});
after(async () => {
  closeAllClients();
  assert.equal(await cluster.stop(), 0);
});

const port = (number: number): number => cluster.node(number).port('mqtt');

const absences = {
  SIGSTOP: {
    begin: () => cluster.node(1).freeze(),
    end: () => cluster.node(1).thaw(),
  },
  'a partition': {
    begin: () => cluster.proxy(1).partition(),
    end: () => cluster.proxy(1).heal(),
  },
} as const;

for (const [name, { begin, end }] of Object.entries(absences)) {
  void test(`${name}: nothing is sent or acknowledged past the lease`, async () => {
    const fieldsOf = (clientId: string): ConnectFields => ({
      version: 5,
      clientId: `${name}/${clientId}`,
      clean: false,
      properties: { sessionExpiryInterval: 3600 },
    });
    const topic = `${name}/down`;
    const watcher = await connected(port(2), { version: 5 });
    await watcher.subscribe(`${name}/up`, 2);
    const subscriber = await connected(port(1), fieldsOf('subscriber'));
    await subscriber.subscribe(topic, 2);
    const publisher = await connected(port(1), fieldsOf('publisher'));
    const moved = await connected(port(1), fieldsOf('moved'));
    await moved.subscribe(topic, 2);
    const elsewhere = await connected(port(2), { version: 5 });
    await elsewhere.publish(topic, 'before');
    await subscriber.receive({ payload: 'before' });
    await moved.receive({ payload: 'before' });

    begin();
    const numbers = ['1', '2', '3', '4', '5'];
    for (const payload of numbers) await elsewhere.publish(topic, payload, { qos: 2 });
    // CONNACK waits until the node's lease was judged.
    const again = await connected(port(2), { ...fieldsOf('moved'), sessionPresent: true });
    for (const payload of numbers) await again.receive({ payload });
    await delay(judgedMs);
    publisher.sendPublish({ topic: `${name}/up`, payload: 'once', qos: 2, packetId: 9 });
    for (const client of [subscriber, publisher, moved]) client.send(pingreq());
    await delay(leaseMs / 2);
    end();
    // The next packet of each, so that nothing has come before.
    await subscriber.expectDisconnect([0x89, 0x8e]);
    await publisher.expectDisconnect([0x89, 0x8e]);
    await moved.expectDisconnect([0x89, 0x8e]);

    await cluster.untilReady();
    const back = await connected(port(1), { ...fieldsOf('subscriber'), sessionPresent: true });
    for (const payload of numbers) await back.receive({ payload });
    await back.expectNothing();
    await again.expectNothing();
    const next = await connected(port(1), { ...fieldsOf('publisher'), sessionPresent: true });
    next.sendPublish({ topic: `${name}/up`, payload: 'once', qos: 2, packetId: 9, dup: true });
    await next.expect('pubrec', { packetId: 9 });
    next.sendAck('pubrel', 9);
    await next.expect('pubcomp', { packetId: 9 });
    await watcher.receive({ payload: 'once' });
    await watcher.expectNothing();
  });
}
