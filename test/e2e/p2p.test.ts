// Messages to one client: `{first}/p2p/{clientId}[/…]` reaches the client of that identifier without
// a subscription, connected or away, at the QoS of the message, beside all who have subscribed.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Suite } from '../harness/suite.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const folder = mkdtempSync(join(tmpdir(), 'lmqtt-p2p-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const rules = join(folder, 'rules');
writeFileSync(rules, 'deny all publish closed/#\ndeny all subscribe secret/#\nallow all all #\n');

const suite = new Suite({
  settings: { P2P: 'true', ACL_FILE: rules, MAX_SUBSCRIPTIONS_PER_SESSION: '2' },
});
/** A connection's end is told to every ds. */
const endSeenMs = 20_000;
const lasting = { version: 5, clean: false, properties: { sessionExpiryInterval: 600 } } as const;
const sender = (): Promise<RawClient> => suite.client({ version: 5 });

/** The reason code of the answer to a publish at QoS 1. */
async function answerTo(from: RawClient, topic: string): Promise<number> {
  const packetId = from.nextPacketId();
  from.sendPublish({ topic, payload: 'x', qos: 1, packetId });
  return (await from.find('puback', { packetId })).reason;
}

describe('messages to one client', () => {
  for (const version of [3, 4, 5] as const)
    test(`version ${version}: connected, at the QoS of the message, and nobody else`, async () => {
      const clientId = unique('p2p');
      const device = await suite.client({ version, clientId });
      const other = await suite.client({ version, clientId: `${clientId}x` });
      const from = await sender();
      for (const [index, topic] of [`a/p2p/${clientId}`, `b/p2p/${clientId}/x/y`].entries())
        for (const qos of [0, 1, 2] as const) {
          await from.publish(topic, `${index} at ${qos}`, { qos });
          await device.receive({ topic, payload: `${index} at ${qos}`, qos });
        }
      await device.expectNothing();
      await other.expectNothing();
    });

  test('away: each once and in order when the session goes on, QoS 0 not', async () => {
    const clientId = unique('p2p');
    const first = await suite.client({ clientId, ...lasting });
    const topic = `a/p2p/${clientId}`;
    const from = await sender();
    await from.publish(topic, 'before', { qos: 1 });
    await first.receive({ payload: 'before' });
    await first.disconnect();
    const bodies = Array.from({ length: 20 }, (_, index) => `${index}`);
    for (const [index, body] of bodies.entries())
      await from.publish(topic, body, { qos: index % 2 === 0 ? 1 : 2 });
    await from.publish(topic, 'lost', { qos: 0 });
    const back = await suite.client({ clientId, ...lasting, sessionPresent: true });
    for (const payload of bodies) await back.receive({ topic, payload });
    await back.expectNothing();
  });

  test('an end of the store in between changes nothing', async () => {
    const clientId = unique('p2p');
    const first = await suite.client({ clientId, ...lasting });
    await first.disconnect();
    const from = await sender();
    await from.publish(`a/p2p/${clientId}`, 'kept', { qos: 2 });
    await suite.broker.restart();
    const back = await suite.client({ clientId, ...lasting, sessionPresent: true });
    await back.receive({ payload: 'kept', qos: 2 });
    const again = await sender();
    await again.publish(`a/p2p/${clientId}`, 'after', { qos: 1 });
    await back.receive({ payload: 'after' });
    await back.expectNothing();
  });

  test('who has subscribed gets it, too; the client itself once, whatever it has subscribed', async () => {
    const clientId = unique('p2p');
    const stem = unique();
    const device = await suite.client({ version: 5, clientId });
    await device.subscribe(
      [`${stem}/p2p/${clientId}`, `${stem}/#`].map((filter) => ({ filter, qos: 0 })),
    );
    const watcher = await suite.client({ version: 5 });
    await watcher.subscribe(`${stem}/#`, 1);
    const from = await sender();
    for (const payload of ['1', '2', '3']) {
      assert.equal(await answerTo(from, `${stem}/p2p/${clientId}`), 0);
      await from.publish(`${stem}/p2p/${clientId}`, payload, { qos: 1 });
      for (const client of [device, watcher]) {
        await client.receive({ payload: 'x', qos: 1 });
        await client.receive({ payload, qos: 1 });
      }
    }
    await device.expectNothing();
    await watcher.expectNothing();
  });

  test('nobody of that name: 0x10, and nothing of it for who takes the name later', async () => {
    const from = await sender();
    const clientId = unique('p2p');
    assert.equal(await answerTo(from, `a/p2p/${clientId}`), 0x10);
    const device = await suite.client({ version: 5, clientId });
    await device.expectNothing();
    assert.equal(await answerTo(from, `a/p2p/${clientId}`), 0);
    await device.receive({ payload: 'x' });
    for (const topic of [`p2p/${clientId}`, `a/p2p`, `a/b/p2p/${clientId}`, `a/p2pp/${clientId}`])
      assert.equal(await answerTo(from, topic), 0x10, topic);
    await device.expectNothing();
  });

  test('a session that has ended: 0x10 again', async () => {
    const from = await sender();
    const clientId = unique('p2p');
    const device = await suite.client({ version: 5, clientId });
    assert.equal(await answerTo(from, `a/p2p/${clientId}`), 0);
    await device.disconnect();
    const endMs = Date.now() + endSeenMs;
    while ((await answerTo(from, `a/p2p/${clientId}`)) === 0 && Date.now() < endMs);
    assert.equal(await answerTo(from, `a/p2p/${clientId}`), 0x10);
    const kept = await suite.client({ clientId, ...lasting });
    await kept.disconnect();
    for (let count = 0; count < 3; count += 1)
      assert.equal(await answerTo(from, `a/p2p/${clientId}`), 0);
    const back = await suite.client({ clientId, ...lasting, sessionPresent: true });
    for (let count = 0; count < 3; count += 1) await back.receive({ payload: 'x' });
    await back.expectNothing();
  });

  test('rules to publish count, rules to read do not', async () => {
    const clientId = unique('p2p');
    const device = await suite.client({ version: 5, clientId });
    const from = await sender();
    assert.equal(await answerTo(from, `closed/p2p/${clientId}`), 0x87);
    assert.equal(await answerTo(from, `secret/p2p/${clientId}`), 0);
    await device.receive({ topic: `secret/p2p/${clientId}` });
    await device.expectNothing();
  });

  test('the queue is none of the subscriptions that the client has asked for', async () => {
    const clientId = unique('p2p');
    const device = await suite.client({ version: 5, clientId });
    await device.subscribe([`${clientId}/1`, `${clientId}/2`], 1);
    await device.subscribe(`${clientId}/3`, 1, { reasons: [0x97] });
    const own = `$p2p/${clientId}`;
    await device.subscribe([own, `$p2p/another`, `$share/g/${own}`], 1, {
      reasons: [0x8f, 0x8f, 0x8f],
    });
    assert.deepEqual((await device.unsubscribe(own)).reasons, [0x11]);
    const from = await sender();
    assert.equal(await answerTo(from, `a/p2p/${clientId}`), 0);
    await device.receive({ payload: 'x' });
  });

  test('identifiers with a namespace, with wildcards, and in a name of another one', async () => {
    const stem = unique('p2p');
    const from = await sender();
    const named = await suite.client({ version: 5, clientId: `ns%${stem}` });
    await from.publish(`ns%first/p2p/${stem}`, 'ns', { qos: 1 });
    await named.receive({ payload: 'ns' });
    await named.expectNothing();
    const marks = await suite.client({ version: 5, clientId: `${stem}+#` });
    await marks.subscribe(`${stem}/#`, 1);
    await marks.ping();
    const plain = await suite.client({ version: 5, clientId: stem });
    await from.publish(`a/p2p/${stem}`, 'plain', { qos: 1 });
    await plain.receive({ payload: 'plain' });
    await marks.expectNothing();
    await named.expectNothing();
  });
});
