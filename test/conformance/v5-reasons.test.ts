import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { packet } from '../harness/packets.ts';
import type { PropertiesToSend } from '../harness/properties.ts';
import type { ServerPacket } from '../harness/parser.ts';
import type { RawClient } from '../harness/wire.ts';
import { unique } from '../harness/wire.ts';
import { Suite, malformed, refused, together } from './v5.ts';

const folder = mkdtempSync(join(tmpdir(), 'lmqtt-rules-'));
const rules = join(folder, 'rules');
writeFileSync(rules, 'allow client=watcher all #\ndeny all all secret/#\nallow all all #\n');
const suite = new Suite({
  ACL_FILE: rules,
  ALLOW_ANONYMOUS: 'true',
  MAX_SUBSCRIPTIONS_PER_SESSION: '3',
  MAX_RETAINED_MESSAGES: '1',
});
after(() => rmSync(folder, { recursive: true, force: true }));

interface Provocation {
  readonly ids: string;
  readonly answer: string;
  readonly send: (client: RawClient) => void;
  /** Codes that fit; the parser has checked that the packet may have it at all. */
  readonly reasons: readonly number[];
}

/** One way to each answer of the server that can carry a reason. */
const provocations: readonly Provocation[] = [
  {
    ids: '[MQTT-3.4.2-1] [MQTT-3.4.2-2] [MQTT-3.4.2-3]',
    answer: 'puback',
    send: (client) => client.sendPublish({ topic: 'secret/a', qos: 1, packetId: 9 }),
    reasons: [0x87],
  },
  {
    ids: '[MQTT-3.5.2-1] [MQTT-3.5.2-2] [MQTT-3.5.2-3]',
    answer: 'pubrec',
    send: (client) => client.sendPublish({ topic: 'secret/a', qos: 2, packetId: 9 }),
    reasons: [0x87],
  },
  {
    ids: '[MQTT-3.6.2-1] [MQTT-3.6.2-2] [MQTT-3.6.2-3]',
    answer: 'pubrel',
    send: (client) => client.sendAck('pubrec', 9),
    reasons: [0x92],
  },
  {
    ids: '[MQTT-3.7.2-1] [MQTT-3.7.2-2] [MQTT-3.7.2-3]',
    answer: 'pubcomp',
    send: (client) => client.sendAck('pubrel', 9),
    reasons: [0x92],
  },
  {
    ids: '[MQTT-3.9.2-1] [MQTT-3.9.2-2] [MQTT-3.9.3-2] [MQTT-3.8.4-7]',
    answer: 'suback',
    send: (client) => client.sendSubscribe({ packetId: 9, filters: ['secret/#'] }),
    reasons: [0x87],
  },
  {
    ids: '[MQTT-3.11.2-1] [MQTT-3.11.2-2] [MQTT-3.11.3-2]',
    answer: 'unsuback',
    send: (client) => client.sendUnsubscribe({ packetId: 9, filters: [unique()] }),
    reasons: [0x11],
  },
];

function check(packet: ServerPacket, { answer, reasons }: Provocation): void {
  assert.equal(packet.type, answer);
  assert.ok('packetId' in packet && packet.packetId === 9);
  const got = 'reasons' in packet ? packet.reasons : 'reason' in packet ? [packet.reason] : [];
  assert.deepEqual(got, reasons);
}

function assertBare(packet: ServerPacket): void {
  assert.ok('properties' in packet);
  assert.equal(packet.properties.reasonString, undefined);
  assert.equal(packet.properties.userProperties, undefined);
}

/** The least maximum packet size with which a client can have its CONNACK. */
async function leastSize(): Promise<number> {
  const client = await suite.client({ properties: { maximumPacketSize: 1000 } });
  client.destroy();
  return client.received.length;
}

describe('MQTT 5 reasons', together, () => {
  for (const provocation of provocations) {
    const { ids, answer, send } = provocation;
    test(`${ids} ${answer} has its code, and the connection goes on`, async () => {
      const client = await suite.client({ properties: { requestProblemInformation: 1 } });
      send(client);
      check(await client.next(), provocation);
      await client.expectNothing();
    });

    test(`[MQTT-3.1.2-29] ${answer} has no reason string when problem information is not wanted`, async () => {
      const client = await suite.client({ properties: { requestProblemInformation: 0 } });
      send(client);
      const packet = await client.next();
      check(packet, provocation);
      assertBare(packet);
    });

    test(`${ids} [MQTT-3.1.2-24] ${answer} fits the maximum packet size`, async () => {
      const maximumPacketSize = await leastSize();
      const client = await suite.client({ properties: { maximumPacketSize } });
      const before = client.received.length;
      send(client);
      check(await client.next(), provocation);
      assert.ok(client.received.length - before <= maximumPacketSize);
    });
  }

  test('[MQTT-3.14.2-1] [MQTT-3.14.2-3] [MQTT-3.14.2-4] DISCONNECT fits the maximum packet size', async () => {
    const maximumPacketSize = await leastSize();
    const client = await suite.client({ properties: { maximumPacketSize } });
    const before = client.received.length;
    client.send(packet('pingreq', 5));
    await client.expectDisconnect(malformed);
    assert.ok(client.received.length - before <= maximumPacketSize);
  });

  test('[MQTT-3.4.2-1] [MQTT-4.3.3-9] what was refused is not delivered, and its id is free', async () => {
    const properties: PropertiesToSend = { userProperties: [['a', 'b']] };
    const [client, watcher] = [await suite.client(), await suite.client({ clientId: 'watcher' })];
    const open = unique();
    await watcher.subscribe('#', 1);
    client.sendPublish({ topic: 'secret/b', payload: 'no', qos: 2, packetId: 4, properties });
    await refused(client, 'pubrec', [0x87], []);
    client.sendPublish({ topic: 'secret/b', payload: 'no', qos: 1, packetId: 5, retain: true });
    await refused(client, 'puback', [0x87], []);
    await client.publish('secret/b', 'no at 0');
    await client.publish(open, 'yes', { qos: 2, packetId: 4 });
    for (;;) {
      const message = await watcher.receive();
      assert.notEqual(message.topic, 'secret/b');
      if (message.topic === open) break;
    }
  });

  test('[MQTT-3.8.4-6] [MQTT-3.9.3-1] [MQTT-3.9.3-2] one SUBSCRIBE with granted, refused and malformed filters', async () => {
    const client = await suite.client();
    const [a, b] = [unique(), unique()];
    const filters = [a, 'secret/x', 'bad/#/filter', b, '$share/g/secret/x'];
    client.sendSubscribe({ packetId: 8, filters: filters.map((filter) => ({ filter, qos: 1 })) });
    await client.expect('suback', { packetId: 8, reasons: [1, 0x87, 0x8f, 1, 0x87] });
    client.sendUnsubscribe({ packetId: 9, filters });
    const { reasons } = await client.expect('unsuback', { packetId: 9 });
    assert.deepEqual([reasons[0], reasons[1], reasons[3], reasons[4]], [0, 0x11, 0, 0x11]);
    assert.ok(reasons[2] === 0x11 || reasons[2] === 0x8f);
  });

  test('[MQTT-3.9.3-2] more subscriptions than a session may have get 0x97, replacing one is free', async () => {
    const client = await suite.client();
    const filters = Array.from({ length: 5 }, () => unique());
    await client.subscribe(filters.slice(0, 2), 1);
    client.sendSubscribe({ packetId: 30, filters: filters.slice(2) });
    await client.expect('suback', { packetId: 30, reasons: [0, 0x97, 0x97] });
    await client.subscribe(filters[0] ?? '', 0);
    await client.unsubscribe(filters[0] ?? '');
    await client.subscribe(filters[4] ?? '', 0);
  });

  test('[MQTT-3.4.2-1] [MQTT-3.5.2-1] a retained message too many gets 0x97; replacing and removing do not', async () => {
    const client = await suite.client();
    const [kept, extra] = [unique(), unique()];
    const retain = true;
    await client.publish(kept, 'one', { qos: 1, retain });
    client.sendPublish({ topic: extra, payload: 'x', qos: 1, packetId: 20, retain });
    await client.expect('puback', { packetId: 20, reason: 0x97 });
    client.sendPublish({ topic: extra, payload: 'x', qos: 2, packetId: 21, retain });
    await client.expect('pubrec', { packetId: 21, reason: 0x97 });
    await client.publish(kept, 'two', { qos: 1, retain });
    await client.publish(kept, '', { qos: 1, retain });
    await client.publish(extra, 'x', { qos: 1, retain });
    await client.publish(extra, '', { qos: 1, retain });
  });
});
