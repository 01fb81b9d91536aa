// MQTT 3.1.1, 3.1 and 3.2: what a CONNECT may look like, and how it is answered.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConnectFields } from '../harness/packets.ts';
import {
  ack,
  connect,
  disconnect,
  packet,
  pingreq,
  publish,
  subscribe,
  unsubscribe,
} from '../harness/packets.ts';
import { prefixed, u16, u8 } from '../harness/properties.ts';
import { Suite } from '../harness/suite.ts';
import { unique } from '../harness/wire.ts';

const suite = new Suite();

/** CONNACK with this return code and session present 0, then a close. */
async function rejected(bytes: Uint8Array, reason: number): Promise<void> {
  const client = await suite.open();
  client.send(bytes);
  await client.expect('connack', { reason, sessionPresent: false });
  await client.expectClose();
}

/** A CONNECT whose fields after the keep alive are given one by one. */
function connectOf(flags: number, ...payload: Uint8Array[]): Buffer {
  return packet('connect', 0, [prefixed('MQTT'), u8(4), u8(flags), u16(60), ...payload]);
}

test('[MQTT-3.1.0-1] a first packet that is not CONNECT closes', async () => {
  await suite.refuses(publish({ topic: 'a' }));
  await suite.refuses(publish({ topic: 'a', qos: 1 }));
  await suite.refuses(subscribe({ filters: ['a'] }));
  await suite.refuses(unsubscribe({ filters: ['a'] }));
  await suite.refuses(pingreq());
  await suite.refuses(disconnect());
  await suite.refuses(ack('puback', { packetId: 1 }));
  await suite.refuses(ack('pubrel', { packetId: 1 }));
  await suite.refuses(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
});

test('[MQTT-3.1.0-1] what follows a first packet that is not CONNECT is not processed', async () => {
  const topic = unique();
  await suite.refuses(
    pingreq(),
    connect({ clientId: unique() }),
    publish({ topic, retain: true, payload: 'x' }),
  );
  const client = await suite.client();
  await client.subscribe(topic);
  await client.expectNothing();
});

test('[MQTT-3.1.0-2] a second CONNECT closes', async () => {
  const clientId = unique();
  const client = await suite.client({ clientId });
  client.send(connect({ clientId }));
  await client.expectClose();
  const pipelined = await suite.open();
  pipelined.send(connect({ clientId }), connect({ clientId }));
  await pipelined.expect('connack');
  await pipelined.expectClose();
});

test('[MQTT-3.1.2-1] a wrong protocol name is not accepted', async () => {
  for (const protocolName of ['', 'M', 'mqtt', 'MQTTT', 'MQTT ', 'MQIsdP', 'HTTP']) {
    await suite.refuses(connect({ clientId: unique(), protocolName }));
  }
});

test('[MQTT-3.1.2-2] [MQTT-3.2.2-4] [MQTT-3.2.2-5] an unknown protocol level gets return code 1, then a close', async () => {
  for (const protocolLevel of [0, 1, 2]) {
    await rejected(connect({ clientId: unique(), protocolLevel }), 1);
  }
});

test('[MQTT-3.1.2-2] a protocol level above 5 gets return code 1 or, in the form of version 5, 0x84', async () => {
  for (const protocolLevel of [6, 7, 127]) {
    const client = await suite.open();
    client.version = 5;
    client.send(connect({ clientId: unique(), protocolLevel }));
    const start = performance.now();
    while (client.received.length < 4 && performance.now() - start < 5000) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const answer = client.received.toString('hex');
    const version3 = answer === '20020001';
    assert.ok(version3 || /^20..0084/.test(answer), `the answer is ${answer}`);
    if (!version3) await client.expect('connack', { reason: 0x84 });
    if (!version3) await client.expectClose();
  }
});

test('[MQTT-3.1.2-3] [MQTT-3.1.4-1] [MQTT-3.2.2-6] a set reserved connect flag closes without CONNACK', async () => {
  await suite.refuses(connect({ clientId: unique(), connectFlags: 0x03 }));
  await suite.refuses(connect({ clientId: unique(), connectFlags: 0x01 }));
});

test('[MQTT-3.1.2-9] will flag 1 without will topic or will message closes', async () => {
  await suite.refuses(connectOf(0x06, prefixed(unique())));
  await suite.refuses(connectOf(0x06, prefixed(unique()), prefixed('topic')));
});

test('[MQTT-3.1.2-11] [MQTT-3.1.2-13] will flag 0 with a will QoS closes', async () => {
  for (const qos of [1, 2, 3]) {
    await suite.refuses(connect({ clientId: unique(), connectFlags: 0x02 | (qos << 3) }));
  }
});

test('[MQTT-3.1.2-11] [MQTT-3.1.2-15] will flag 0 with will retain closes', async () => {
  await suite.refuses(connect({ clientId: unique(), connectFlags: 0x22 }));
});

test('[MQTT-3.1.2-11] will flag 0 with will fields in the payload closes', async () => {
  await suite.refuses(connectOf(0x02, prefixed(unique()), prefixed('topic'), prefixed('message')));
});

test('[MQTT-3.1.2-14] will QoS 3 closes', async () => {
  await suite.refuses(connect({ clientId: unique(), will: { topic: 'a', qos: 3 } }));
});

test('[MQTT-3.1.2-18] user name flag 0 with a user name in the payload closes', async () => {
  await suite.refuses(connectOf(0x02, prefixed(unique()), prefixed('user')));
});

test('[MQTT-3.1.2-19] user name flag 1 without a user name closes', async () => {
  await suite.refuses(connectOf(0x82, prefixed(unique())));
});

test('[MQTT-3.1.2-20] password flag 0 with a password in the payload closes', async () => {
  await suite.refuses(connectOf(0x82, prefixed(unique()), prefixed('user'), prefixed('word')));
});

test('[MQTT-3.1.2-21] password flag 1 without a password closes', async () => {
  await suite.refuses(connectOf(0xc2, prefixed(unique()), prefixed('user')));
});

test('[MQTT-3.1.2-22] a password flag without the user name flag closes', async () => {
  await suite.refuses(connectOf(0x42, prefixed(unique()), prefixed('word')));
});

test('[MQTT-3.1.3-3] a CONNECT without a client id closes', async () => {
  await suite.refuses(connectOf(0x02));
  await suite.refuses(packet('connect', 0));
  await suite.refuses(packet('connect', 0, [prefixed('MQTT'), u8(4)]));
});

test('[MQTT-3.1.3-1] [MQTT-3.1.4-4] a CONNECT with every field in its place is accepted', async () => {
  const watcher = await suite.client();
  const topic = unique();
  await watcher.subscribe(topic, 2);
  const client = await suite.client({
    will: { topic, payload: 'the will', qos: 1 },
    username: 'somebody',
    password: 'a password',
  });
  client.destroy();
  await watcher.receive({ topic, payload: 'the will' });
});

test('[MQTT-3.1.3-5] client ids of 1 to 23 letters and digits are accepted', async () => {
  const letters = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
  const clientIds = Array.from(letters).concat(
    letters.slice(0, 23),
    letters.slice(23, 46),
    letters.slice(-23),
  );
  for (const clientId of clientIds) {
    const client = await suite.client({ clientId });
    client.destroy();
  }
});

test('client ids of any characters and up to 65,535 bytes are accepted', async () => {
  const long = 'i'.repeat(65_535);
  for (const clientId of ['a/b', '+', '#', '$share/a', ' ', '日本語 🙂', long]) {
    const first = await suite.client({ clientId, clean: false, sessionPresent: false });
    await first.disconnect();
    const second = await suite.client({ clientId, clean: false, sessionPresent: true });
    await second.disconnect();
    const last = await suite.client({ clientId });
    await last.disconnect();
  }
});

test('[MQTT-3.1.3-6] [MQTT-3.1.3-2] clients with an empty id get ids of their own', async () => {
  const topic = unique();
  const first = await suite.client({ clientId: '' });
  const second = await suite.client({ clientId: '' });
  await first.subscribe(topic);
  await second.subscribe(topic);
  await second.publish(topic, 'for both');
  await first.receive({ payload: 'for both' });
  await second.receive({ payload: 'for both' });
});

test('[MQTT-3.1.3-8] [MQTT-3.1.3-9] [MQTT-3.2.2-4] [MQTT-3.2.2-5] an empty id with clean session 0 gets return code 2, then a close', async () => {
  await rejected(connect({ clientId: '', clean: false }), 2);
});

test('[MQTT-3.1.4-1] a CONNECT of a wrong form closes without CONNACK', async () => {
  const wrong: ConnectFields[] = [
    { trailer: 'x' },
    { trailer: prefixed('one more field') },
    { will: { topic: '' } },
    { will: { topic: 'a/#' } },
    { will: { topic: 'a/+/b' } },
  ];
  for (const fields of wrong) await suite.refuses(connect({ clientId: unique(), ...fields }));
});

test('[MQTT-3.1.4-5] what follows a rejected CONNECT is not processed', async () => {
  const topic = unique();
  const bad = await suite.open();
  bad.send(
    connect({ clientId: '', clean: false }),
    publish({ topic, retain: true, payload: 'x' }),
    publish({ topic, retain: true, payload: 'x', qos: 1 }),
    pingreq(),
  );
  await bad.expect('connack', { reason: 2 });
  await bad.expectClose();
  const client = await suite.client();
  await client.subscribe(topic);
  await client.expectNothing();
});

test('[MQTT-3.2.0-1] CONNACK comes first, also where others have been asked for in the same write', async () => {
  const clientId = unique();
  const topic = unique();
  const before = await suite.client({ clientId, clean: false });
  await before.subscribe(topic, 1);
  await before.disconnect();
  const publisher = await suite.client();
  await publisher.publish(topic, 'waiting', { qos: 1 });
  const client = await suite.open();
  client.send(
    connect({ clientId, clean: false }),
    pingreq(),
    subscribe({ packetId: 9, filters: ['x'] }),
  );
  await client.expect('connack', { reason: 0, sessionPresent: true });
  await client.find('pingresp');
  await client.find('suback', { packetId: 9 });
  await client.find('publish', { topic, payload: 'waiting' });
});

test('[MQTT-3.12.4-1] PINGREQ is answered by PINGRESP, each', async () => {
  const client = await suite.client();
  client.send(pingreq(), pingreq(), pingreq());
  for (let index = 0; index < 3; index += 1) await client.expect('pingresp');
});

test('[MQTT-7.0.0-2] [MQTT-7.1.1-1] a client with nothing beyond the specification, over TCP', async () => {
  const client = await suite.client();
  const topic = unique();
  await client.subscribe(topic, 2);
  for (const qos of [0, 1, 2] as const) {
    await client.publish(topic, `at ${qos}`, { qos });
    await client.find('publish', { topic, qos, payload: `at ${qos}` });
  }
});
