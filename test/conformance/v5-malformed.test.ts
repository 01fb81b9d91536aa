import { describe, test } from 'node:test';
import {
  ack,
  auth,
  disconnect,
  packet,
  publish,
  subscribe,
  unsubscribe,
} from '../harness/packets.ts';
import { prefixed, u16, u8, varint } from '../harness/properties.ts';
import { unique } from '../harness/wire.ts';
import { Suite, eitherError, malformed, protocolError, together } from './v5.ts';

const suite = new Suite();

describe('MQTT 5 malformed packets', together, () => {
  const flagged: [string, string, (flags: number) => Buffer, number][] = [
    ['[MQTT-3.8.1-1]', 'SUBSCRIBE', (flags) => subscribe({ version: 5, filters: ['a'], flags }), 2],
    [
      '[MQTT-3.10.1-1]',
      'UNSUBSCRIBE',
      (flags) => unsubscribe({ version: 5, filters: ['a'], flags }),
      2,
    ],
    ['[MQTT-3.6.1-1]', 'PUBREL', (flags) => ack('pubrel', { packetId: 1, flags }), 2],
    ['[MQTT-2.1.3-1]', 'PUBACK', (flags) => ack('puback', { packetId: 1, flags }), 0],
    ['[MQTT-2.1.3-1]', 'PUBREC', (flags) => ack('pubrec', { packetId: 1, flags }), 0],
    ['[MQTT-2.1.3-1]', 'PUBCOMP', (flags) => ack('pubcomp', { packetId: 1, flags }), 0],
    ['[MQTT-2.1.3-1]', 'PINGREQ', (flags) => packet('pingreq', flags), 0],
    ['[MQTT-3.14.1-1]', 'DISCONNECT', (flags) => disconnect({ flags }), 0],
    ['[MQTT-3.15.1-1]', 'AUTH', (flags) => auth({ reason: 0x19, flags }), 0],
  ];
  for (const [id, name, bytesWith, right] of flagged) {
    test(`${id} [MQTT-2.1.3-1] [MQTT-4.13.1-1] ${name} with other flags is malformed`, async () => {
      for (const flags of [0, 1, 2, 4, 8, 15].filter((f) => f !== right)) {
        const client = await suite.client();
        client.send(bytesWith(flags));
        await client.expectDisconnect(malformed);
      }
    });
  }

  test('[MQTT-3.3.1-4] QoS 3 in PUBLISH is malformed', async () => {
    for (const flags of [6, 7, 14]) {
      const client = await suite.client();
      client.sendPublish({ topic: 't', packetId: 1, flags });
      await client.expectDisconnect(malformed);
    }
  });

  test('[MQTT-3.3.1-2] DUP at QoS 0 is refused', async () => {
    const client = await suite.client();
    client.sendPublish({ topic: 't', dup: true });
    await client.expectDisconnect(eitherError);
  });

  test('[MQTT-4.13.1-1] packets that only a server sends, and type 0, are refused', async () => {
    const packets = [
      packet('connack', 0, [u8(0), u8(0), u8(0)]),
      packet('suback', 0, [u16(1), u8(0), u8(0)]),
      packet('unsuback', 0, [u16(1), u8(0), u8(0)]),
      packet('pingresp', 0),
      packet(0, 0),
    ];
    for (const bytes of packets) {
      const client = await suite.client();
      client.send(bytes);
      await client.expectDisconnect(eitherError);
    }
  });

  const zeroIds: [string, Buffer][] = [
    ['PUBLISH at QoS 1', publish({ version: 5, topic: 't', qos: 1, packetId: 0 })],
    ['PUBLISH at QoS 2', publish({ version: 5, topic: 't', qos: 2, packetId: 0 })],
    ['SUBSCRIBE', subscribe({ version: 5, filters: ['t'], packetId: 0 })],
    ['UNSUBSCRIBE', unsubscribe({ version: 5, filters: ['t'], packetId: 0 })],
    ['PUBACK', ack('puback', { packetId: 0 })],
    ['PUBREC', ack('pubrec', { packetId: 0 })],
    ['PUBREL', ack('pubrel', { packetId: 0 })],
    ['PUBCOMP', ack('pubcomp', { packetId: 0 })],
  ];
  for (const [name, bytes] of zeroIds) {
    test(`[MQTT-2.2.1-3] packet identifier 0 in ${name} is refused`, async () => {
      const client = await suite.client();
      client.send(bytes);
      await client.expectDisconnect(eitherError);
    });
  }

  const truncated: [string, Buffer][] = [
    ['PUBLISH without a body', packet('publish', 0)],
    ['PUBLISH that ends inside its topic', packet('publish', 0, [u16(5), Buffer.from('abc')])],
    ['PUBLISH at QoS 1 without a packet id', packet('publish', 2, [prefixed('t')])],
    ['SUBSCRIBE without options', packet('subscribe', 2, [u16(1), u8(0), prefixed('t')])],
    ['SUBSCRIBE of one byte', packet('subscribe', 2, [u8(1)])],
    [
      'SUBSCRIBE that ends inside a filter',
      packet('subscribe', 2, [u16(1), u8(0), u16(9), u8(0x61)]),
    ],
    ['UNSUBSCRIBE that ends inside a filter', packet('unsubscribe', 2, [u16(1), u8(0), u16(9)])],
    ['PUBACK of one byte', packet('puback', 0, [u8(1)])],
    ['PUBREL without a body', packet('pubrel', 2)],
  ];
  const tooLong: [string, Buffer][] = [
    ['PINGREQ with a body', packet('pingreq', 0, [u8(0)])],
    ['PUBACK with bytes after its properties', packet('puback', 0, [u16(1), u8(0), u8(0), u8(0)])],
    ['DISCONNECT with bytes after its properties', packet('disconnect', 0, [u8(0), u8(0), u8(9)])],
  ];
  for (const [name, bytes] of [...truncated, ...tooLong]) {
    test(`[MQTT-4.13.1-1] ${name} is malformed`, async () => {
      const client = await suite.client();
      client.send(bytes);
      await client.expectDisconnect(malformed);
    });
  }

  const undefinedReasons: [string, (reason: number) => Buffer, readonly number[]][] = [
    ['[MQTT-3.4.2-1] PUBACK', (reason) => ack('puback', { packetId: 1, reason }), [1, 0x92, 0xff]],
    ['[MQTT-3.5.2-1] PUBREC', (reason) => ack('pubrec', { packetId: 1, reason }), [1, 0x92, 0xff]],
    ['[MQTT-3.6.2-1] PUBREL', (reason) => ack('pubrel', { packetId: 1, reason }), [1, 0x80, 0xff]],
    [
      '[MQTT-3.7.2-1] PUBCOMP',
      (reason) => ack('pubcomp', { packetId: 1, reason }),
      [1, 0x80, 0xff],
    ],
    ['[MQTT-3.14.2-1] DISCONNECT', (reason) => disconnect({ reason }), [1, 3, 0x84, 0xff]],
    ['[MQTT-3.15.2-1] AUTH', (reason) => auth({ reason, properties: {} }), [0x01, 0x1a, 0xff]],
  ];
  for (const [name, bytesWith, reasons] of undefinedReasons) {
    test(`${name} with a reason code that it does not have is refused`, async () => {
      for (const reason of reasons) {
        const client = await suite.client();
        client.send(bytesWith(reason));
        await client.expectDisconnect(eitherError);
      }
    });
  }

  test('[MQTT-3.8.3-2] SUBSCRIBE without a filter is a protocol error', async () => {
    const client = await suite.client();
    client.sendSubscribe({ filters: [] });
    await client.expectDisconnect(eitherError);
  });

  test('[MQTT-3.10.3-2] UNSUBSCRIBE without a filter is a protocol error', async () => {
    const client = await suite.client();
    client.sendUnsubscribe({ filters: [] });
    await client.expectDisconnect(eitherError);
  });

  test('[MQTT-3.8.3-5] reserved bits of the subscription options are malformed', async () => {
    for (const options of [0x40, 0x80, 0xc1]) {
      const client = await suite.client();
      client.sendSubscribe({ filters: [{ filter: 't', options }] });
      await client.expectDisconnect(malformed);
    }
  });

  test('[MQTT-4.13.1-1] QoS 3 and retain handling 3 in the options are protocol errors', async () => {
    for (const options of [0x03, 0x30]) {
      const client = await suite.client();
      client.sendSubscribe({ filters: [{ filter: 't', options }] });
      await client.expectDisconnect(eitherError);
    }
  });

  test('[MQTT-3.3.2-1] [MQTT-4.7.3-1] an empty topic name without an alias is a protocol error', async () => {
    for (const qos of [0, 1]) {
      const client = await suite.client();
      client.sendPublish({ topic: '', payload: 'x', qos });
      await client.expectDisconnect(protocolError);
    }
  });

  test('[MQTT-4.12.0-7] AUTH on a connection without a method is a protocol error', async () => {
    const client = await suite.client();
    const properties = { authenticationMethod: 'SCRAM-SHA-256' };
    client.send(auth({ reason: 0x19, properties }));
    await client.expectDisconnect(protocolError);
  });

  test('[MQTT-4.13.1-1] [MQTT-3.14.4-1] after a malformed packet nothing more is done', async () => {
    const topic = unique();
    const subscriber = await suite.client();
    await subscriber.subscribe(topic, 1);
    const bad = await suite.client();
    bad.send(
      packet('pingreq', 1),
      publish({ version: 5, topic, payload: 'never', qos: 1 }),
      packet('pingreq', 0),
    );
    await bad.expectDisconnect(malformed);
    await suite.nothingElse(subscriber);
  });

  test('[MQTT-4.13.1-1] a malformed packet of one client leaves the others alone', async () => {
    const topic = unique();
    const [subscriber, publisher] = [await suite.client(), await suite.client()];
    await subscriber.subscribe(topic, 1);
    for (let type = 0; type < 16; type += 1) {
      const bad = await suite.client();
      bad.send(packet(type, 15, Buffer.alloc(20, 0xff)), packet(type, 0, [varint(0), u8(0xff)]));
      await bad.expect('disconnect');
      await bad.expectClose();
    }
    await publisher.publish(topic, 'still here', { qos: 1 });
    await subscriber.receive({ topic, payload: 'still here' });
  });
});
