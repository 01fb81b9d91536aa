// QoS 2 over `kill -9` at every step of the handshake, in both directions. All rows come to their
// step, the broker is killed once, and each row completes its handshake with the next one.
import { test } from 'node:test';
import { StandaloneBroker } from '../harness/standalone-broker.ts';
import type { Version } from '../harness/packets.ts';
import { closeAllClients, connected, type RawClient } from '../harness/wire.ts';
import {
  endsWith,
  fields,
  inboundSteps,
  outboundSteps,
  type Row,
  type Step,
} from './handshake-steps.ts';

interface Prepared {
  readonly row: Row;
  readonly step: Step;
  readonly client: RawClient;
}

async function killedOnce(
  version: Version,
  round: number,
  broker: StandaloneBroker,
): Promise<void> {
  const rowOf = (step: Step, direction: string): Row => ({
    name: `${direction} ${round}: ${step.name}`,
    version,
    topic: `${direction}/${round}/${step.name}`,
  });
  const inbound: Prepared[] = [];
  const outbound: Prepared[] = [];
  for (const step of inboundSteps) {
    const row = rowOf(step, 'in');
    const watcher = await connected(broker.mqttPort, fields(row, 'watcher'));
    await watcher.subscribe(row.topic, 2);
    await watcher.disconnect();
    inbound.push({ row, step, client: await connected(broker.mqttPort, fields(row, 'publisher')) });
  }
  const feeder = await connected(broker.mqttPort, { clientId: 'feeder' });
  for (const step of outboundSteps) {
    const row = rowOf(step, 'out');
    const client = await connected(broker.mqttPort, fields(row, 'subscriber'));
    await client.subscribe(row.topic, 2);
    await feeder.publish(row.topic, 'once', { qos: 2 });
    outbound.push({ row, step, client });
  }
  await Promise.all([...inbound, ...outbound].map((p) => p.step.before(p.client, p.row)));
  await broker.kill();
  closeAllClients();
  await broker.start();
  for (const { row, step } of inbound) {
    const again = { ...fields(row, 'publisher'), sessionPresent: true };
    const client = await connected(broker.mqttPort, again);
    await step.after(client, row);
    // The session goes on, and what was published is there once.
    await client.publish(row.topic, 'last', { qos: 2, packetId: 8 });
    const watcher = await connected(broker.mqttPort, {
      ...fields(row, 'watcher'),
      sessionPresent: true,
    });
    await watcher.receive({ payload: 'once' });
    if (step.name.startsWith('PUBCOMP')) await watcher.receive({ payload: 'second' });
    await watcher.receive({ payload: 'last' });
    await watcher.expectNothing();
  }
  const nextFeeder = await connected(broker.mqttPort, { clientId: 'feeder' });
  for (const { row, step } of outbound) {
    const again = { ...fields(row, 'subscriber'), sessionPresent: true };
    const client = await connected(broker.mqttPort, again);
    await step.after(client, row);
    await nextFeeder.publish(row.topic, 'last', { qos: 1 });
    await endsWith(client, 'last');
  }
  closeAllClients();
}

void test('QoS 2: killed after each step of the handshake, inbound and outbound', async (t) => {
  const broker = new StandaloneBroker({});
  t.after(async () => {
    closeAllClients();
    await broker.stop();
  });
  await broker.start();
  for (const [round, version] of ([4, 5, 5] as const).entries()) {
    await killedOnce(version, round, broker);
  }
});
