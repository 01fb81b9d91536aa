// A mosquitto broker that is bridged to this one with the defaults of its bridge: its CONNECT says
// so in the protocol level, and each message is at each side once, as it was published.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { Broker } from '../harness/broker.ts';
import { freePort } from '../harness/free-port.ts';
import { requirePrograms } from '../harness/require.ts';
import { startBroker } from '../harness/shape.ts';
import { Suite } from '../harness/suite.ts';
import type { RawClient } from '../harness/wire.ts';
import { closeAllClients, connected, unique } from '../harness/wire.ts';

const bridges = [
  { version: 3, protocolName: 'MQIsdp', protocolLevel: 0x83, name: 'mqttv31' },
  { version: 4, protocolName: 'MQTT', protocolLevel: 0x84, name: 'mqttv311' },
] as const;
const startMs = 60_000;
const againMs = 50;

/** Tries until it succeeds. */
async function eventually<T>(work: () => Promise<T>): Promise<T> {
  const end = performance.now() + startMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, againMs));
    }
  }
}

/** A mosquitto whose bridge carries everything both ways; answers its port. */
async function bridged(t: TestContext, broker: Broker, protocol: string): Promise<number> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'lmqtt-bridge-'));
  const config = join(folder, 'mosquitto.conf');
  writeFileSync(
    config,
    [
      `listener ${port} 127.0.0.1`,
      'allow_anonymous true',
      'connection b',
      `address ${broker.host}:${broker.mqttPort}`,
      `bridge_protocol_version ${protocol}`,
      `remote_clientid ${unique('bridge').slice(-20)}`,
      'restart_timeout 1',
      'topic # both 1',
      '',
    ].join('\n'),
  );
  const mosquitto = spawn('mosquitto', ['-c', config], { stdio: 'ignore' });
  t.after(() => {
    closeAllClients();
    mosquitto.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  await eventually(() => connected(port).then((client) => client.destroy()));
  return port;
}

/** A client with everything below the root, and the messages that it got since. */
async function watcher(port: number, root: string): Promise<RawClient> {
  const client = await connected(port, { version: 5 });
  await client.subscribe([{ filter: `${root}/#`, qos: 1, retainAsPublished: true }]);
  return client;
}

/** The payloads that come up to the last one. */
async function payloadsUntil(client: RawClient, last: string): Promise<string[]> {
  const payloads: string[] = [];
  while (payloads.at(-1) !== last) payloads.push((await client.receive()).payload.toString());
  return payloads;
}

/** Messages go both ways: the subscriptions of the bridge stand. */
async function joined(one: number, other: number): Promise<void> {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    const topic = unique('joined');
    const receiver = await connected(to);
    await receiver.subscribe(topic, 1);
    const sender = await connected(from);
    await eventually(async () => {
      await sender.publish(topic, 'x', { qos: 1 });
      await receiver.find('publish', { topic }, againMs * 4);
    });
    receiver.destroy();
    sender.destroy();
  }
}

void describe('a mosquitto bridge', requirePrograms('mosquitto'), () => {
  for (const { name } of bridges) {
    void test(`${name}: each message once at each side, its retain flag as published`, async (t) => {
      const broker = await startBroker();
      t.after(() => broker.stop());
      const port = await bridged(t, broker, name);
      await joined(broker.mqttPort, port);
      const ports = [broker.mqttPort, port] as const;
      const root = unique('both');
      const watchers = [await watcher(ports[0], root), await watcher(ports[1], root)];
      const sent: string[] = [];
      for (const [side, at] of ports.entries()) {
        const publisher = await connected(at);
        for (let index = 0; index < 10; index += 1) {
          const payload = `${side} ${index}`;
          const retain = index % 2 === 1;
          await publisher.publish(`${root}/${side}/${index}`, payload, { qos: 1, retain });
          for (const client of watchers) await client.receive({ payload, retain });
          sent.push(payload);
        }
      }
      // A message that came twice, or went round, would be before this one.
      for (const at of ports) {
        const last = unique('last');
        const publisher = await connected(at);
        await publisher.publish(`${root}/last`, last, { qos: 1 });
        for (const client of watchers) assert.deepEqual(await payloadsUntil(client, last), [last]);
      }
      for (const at of ports) {
        const late = await watcher(at, root);
        const kept = new Set<string>();
        while (kept.size < sent.length / 2)
          kept.add((await late.receive({ retain: true })).payload.toString());
        late.destroy();
      }
    });
  }

  void test('its state is kept where BRIDGE_STATE allows it, and its will says that it is gone', async (t) => {
    const broker = await startBroker({ settings: { BRIDGE_STATE: 'true' } });
    t.after(() => broker.stop());
    const client = await connected(broker.mqttPort);
    await client.subscribe('$SYS/broker/connection/#', 1);
    const port = await bridged(t, broker, 'mqttv311');
    const { topic } = await client.receive({ payload: '1' }, startMs);
    assert.match(topic, /^\$SYS\/broker\/connection\/.+\/state$/);
    await joined(broker.mqttPort, port);
    const late = await connected(broker.mqttPort);
    await late.subscribe('$SYS/broker/connection/#', 1);
    await late.receive({ topic, payload: '1', retain: true });
  });
});

void describe('a bridge by its protocol level', () => {
  const suite = new Suite({ settings: { ACL_DENY_PUBLISH: 'close' } });

  for (const { name, ...fields } of bridges) {
    const level = fields.protocolLevel.toString(16);

    void test(`0x${level}, ${name}: no local and retain as published`, async () => {
      const topic = unique();
      const bridge = await suite.client({ ...fields, clientId: unique().slice(-20) });
      await bridge.subscribe([`${topic}/#`, `$share/g/${topic}/shared`], 1);
      await bridge.publish(`${topic}/own`, 'own', { qos: 1, retain: true });
      const other = await suite.client();
      await other.publish(`${topic}/a`, 'retained', { qos: 1, retain: true });
      await bridge.receive({ topic: `${topic}/a`, payload: 'retained', retain: true });
      await other.publish(`${topic}/a`, 'not', { qos: 1 });
      await bridge.receive({ topic: `${topic}/a`, payload: 'not', retain: false });
      await bridge.expectNothing();
    });

    void test(`0x${level}, ${name}: a state that is not wanted is dropped, and the bridge stays`, async () => {
      const clientId = unique().slice(-20);
      const topic = `$SYS/broker/connection/${clientId}/state`;
      const watching = await suite.client();
      await watching.subscribe('$SYS/broker/connection/#', 1);
      const will = { topic, payload: '0', qos: 1, retain: true };
      const bridge = await suite.client({ ...fields, clientId, will });
      for (const qos of [0, 1, 2] as const) {
        await bridge.publish(topic, '1', { qos, retain: true });
        await bridge.ping();
      }
      bridge.destroy();
      await watching.expectNothing();
    });
  }
});
