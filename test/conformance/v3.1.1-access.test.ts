// MQTT 3.1.1: clients and packets that are well formed and not allowed.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { connect } from '../harness/packets.ts';
import type { SuiteOptions } from '../harness/suite.ts';
import { Suite } from '../harness/suite.ts';
import { unique } from '../harness/wire.ts';

const folder = mkdtempSync(join(tmpdir(), 'lmqtt-access-'));
after(() => rmSync(folder, { recursive: true }));
const rules = join(folder, 'rules');
writeFileSync(
  rules,
  'deny all publish closed/#\ndeny all subscribe hidden/#\ndeny client=stranger all #\nallow all all #\n',
);
const settings: SuiteOptions = { settings: { ACL_FILE: rules, ALLOW_ANONYMOUS: 'true' } };
const suite = new Suite(settings);
const closing = new Suite({ settings: { ...settings.settings, ACL_DENY_PUBLISH: 'close' } });
const members = new Suite({ settings: { ALLOW_ANONYMOUS: 'false' } });

test('[MQTT-3.3.5-2] a publish that is not allowed is acknowledged, and goes nowhere', async () => {
  const topic = `closed/${unique()}`;
  const open = unique();
  const subscriber = await suite.client();
  await subscriber.subscribe([topic, open], 2);
  const publisher = await suite.client();
  for (const qos of [0, 1, 2] as const) {
    await publisher.publish(topic, 'dropped', { qos, retain: true });
    await publisher.publish(open, `${qos}`, { qos });
    await subscriber.receive({ topic: open, payload: `${qos}` });
  }
  const late = await suite.client();
  await late.subscribe(topic, 2);
  await late.expectNothing();
});

test('[MQTT-3.3.5-2] by setting, a publish that is not allowed closes', async () => {
  for (const qos of [0, 1, 2]) {
    const client = await closing.client();
    client.sendPublish({ topic: 'closed/x', qos });
    await client.expectClose();
  }
});

test('[MQTT-3.3.5-2] a will that is not allowed is refused with its CONNECT', async () => {
  const topic = `closed/${unique()}`;
  const open = unique();
  const watcher = await suite.client();
  await watcher.subscribe([topic, open], 1);
  const client = await suite.open();
  await client.connect({ clientId: unique(), will: { topic, qos: 1 }, reason: 5 });
  await client.expectClose();
  const other = await suite.client({ will: { topic: open, qos: 1 } });
  other.destroy();
  await watcher.receive({ topic: open });
  await watcher.expectNothing();
});

test('[MQTT-3.8.4-5] [MQTT-3.9.3-1] [MQTT-3.9.3-2] a filter that is not allowed gets 0x80 in its place', async () => {
  const client = await suite.client();
  const stem = unique();
  const filters = [`${stem}/a`, `hidden/${stem}`, `${stem}/b`, 'hidden/#'];
  await client.subscribe(filters, 1, { reasons: [1, 0x80, 1, 0x80] });
  const publisher = await suite.client();
  await publisher.publish(`hidden/${stem}`, 'x', { qos: 1 });
  await publisher.publish(`${stem}/b`, 'y', { qos: 1 });
  await client.receive({ topic: `${stem}/b` });
  await client.expectNothing();
});

test('[MQTT-3.2.2-4] [MQTT-3.2.2-5] [MQTT-3.1.4-5] a client that is not let in gets return code 4 or 5, then a close', async () => {
  for (const fields of [{}, { username: 'nobody', password: 'wrong' }, { username: 'nobody' }]) {
    const client = await members.open();
    client.send(connect({ clientId: unique(), ...fields }));
    const { reason, sessionPresent } = await client.expect('connack');
    await client.expectClose();
    if ((reason !== 4 && reason !== 5) || sessionPresent) throw new Error(`return code ${reason}`);
  }
});
