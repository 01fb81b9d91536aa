// QoS 2 over `kill -9` at every step of the handshake, in both directions. All rows come to their
// step, the broker is killed once, and each row completes its handshake with the next one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StandaloneBroker } from '../harness/standalone-broker.ts';
import type { ConnectFields, Version } from '../harness/packets.ts';
import { closeAllClients, connected, type RawClient } from '../harness/wire.ts';

const inboundId = 7;

/** One publisher or one subscriber, and its other side, which only watches or feeds. */
interface Row {
  readonly name: string;
  readonly version: Version;
  readonly topic: string;
}

interface Step {
  readonly name: string;
  /** To where the broker is killed. */
  readonly before: (client: RawClient, row: Row) => Promise<void>;
  /** With the next broker, on the session that was. */
  readonly after: (client: RawClient, row: Row) => Promise<void>;
}

function fields(
  { name, version }: Row,
  side: string,
): ConnectFields & { readonly version: Version } {
  const properties = { sessionExpiryInterval: 3600 };
  const clientId = `${side} of ${name}`;
  return { version, clientId, clean: false, ...(version === 5 ? { properties } : {}) };
}

const publish = (client: RawClient, { topic }: Row, payload: string, dup = false): void =>
  client.sendPublish({ topic, payload, qos: 2, packetId: inboundId, dup });

/** The whole handshake, begun anew with DUP. */
async function publishAgain(client: RawClient, row: Row): Promise<void> {
  publish(client, row, 'once', true);
  await client.expect('pubrec', { packetId: inboundId, reason: 0 });
  await release(client);
}

async function release(client: RawClient): Promise<void> {
  client.sendAck('pubrel', inboundId);
  await client.expect('pubcomp', { packetId: inboundId });
}

const inboundSteps: readonly Step[] = [
  {
    name: 'PUBLISH sent',
    before: async (client, row) => publish(client, row, 'once'),
    after: publishAgain,
  },
  {
    name: 'PUBREC received',
    before: async (client, row) => {
      publish(client, row, 'once');
      await client.expect('pubrec', { packetId: inboundId });
    },
    after: release,
  },
  {
    name: 'PUBREC on its way, so that PUBLISH comes again',
    before: async (client, row) => {
      publish(client, row, 'once');
      await client.expect('pubrec', { packetId: inboundId });
    },
    after: publishAgain,
  },
  {
    name: 'PUBREL sent',
    before: async (client, row) => {
      publish(client, row, 'once');
      await client.expect('pubrec', { packetId: inboundId });
      client.sendAck('pubrel', inboundId);
    },
    after: release,
  },
  {
    name: 'PUBCOMP received',
    before: async (client, row) => {
      publish(client, row, 'once');
      await client.expect('pubrec', { packetId: inboundId });
      await release(client);
    },
    // The identifier is free: what it names now is another message.
    after: async (client, row) => {
      publish(client, row, 'second');
      await client.expect('pubrec', { packetId: inboundId });
      await release(client);
    },
  },
];

/** Identifiers of the subscribers' messages, by row. */
const outboundIds = new Map<string, number>();

async function takePublish(client: RawClient, row: Row): Promise<number> {
  const { packetId } = await client.expect('publish', { payload: 'once', qos: 2, dup: false });
  outboundIds.set(row.name, packetId);
  return packetId;
}

/** From the PUBLISH on, which must have the identifier that it had. */
async function takeAgain(client: RawClient, row: Row): Promise<void> {
  const packetId = outboundIds.get(row.name) ?? 0;
  await client.expect('publish', { payload: 'once', qos: 2, dup: true, packetId });
  client.sendAck('pubrec', packetId);
  await finish(client, row);
}

/** PUBREL comes again, not PUBLISH. */
async function finish(client: RawClient, row: Row): Promise<void> {
  const packetId = outboundIds.get(row.name) ?? 0;
  await client.expect('pubrel', { packetId });
  client.sendAck('pubcomp', packetId);
}

const outboundSteps: readonly Step[] = [
  {
    name: 'PUBLISH received',
    before: async (client, row) => {
      await takePublish(client, row);
    },
    after: takeAgain,
  },
  {
    name: 'PUBREC sent',
    before: async (client, row) => client.sendAck('pubrec', await takePublish(client, row)),
    // Whether it was read is not known, so either may come; both name the same message.
    after: async (client, row) => {
      const packetId = outboundIds.get(row.name) ?? 0;
      const packet = await client.next();
      assert.ok(packet.type === 'publish' || packet.type === 'pubrel', packet.type);
      assert.equal(packet.packetId, packetId);
      if (packet.type === 'pubrel') client.sendAck('pubcomp', packetId);
      else {
        assert.ok(packet.dup);
        client.sendAck('pubrec', packetId);
        await finish(client, row);
      }
    },
  },
  {
    name: 'PUBREL received',
    before: async (client, row) => {
      const packetId = await takePublish(client, row);
      client.sendAck('pubrec', packetId);
      await client.expect('pubrel', { packetId });
    },
    after: finish,
  },
  {
    name: 'PUBCOMP sent',
    before: async (client, row) => {
      const packetId = await takePublish(client, row);
      client.sendAck('pubrec', packetId);
      await client.expect('pubrel', { packetId });
      client.sendAck('pubcomp', packetId);
    },
    after: async () => {},
  },
  {
    name: 'PUBCOMP read',
    before: async (client, row) => {
      const packetId = await takePublish(client, row);
      client.sendAck('pubrec', packetId);
      await client.expect('pubrel', { packetId });
      client.sendAck('pubcomp', packetId);
      await client.ping();
    },
    after: async () => {},
  },
];

interface Prepared {
  readonly row: Row;
  readonly step: Step;
  readonly client: RawClient;
}

/** Nothing but the message that ends the test comes; PUBREL of what may not have been read may. */
async function endsWith(client: RawClient, payload: string): Promise<void> {
  for (;;) {
    const packet = await client.next();
    if (packet.type === 'pubrel') client.sendAck('pubcomp', packet.packetId);
    else {
      assert.equal(packet.type, 'publish');
      assert.equal(packet.payload.toString(), payload);
      return;
    }
  }
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
