import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Bytes } from '../harness/properties.ts';
import {
  packet,
  subscribe,
  unsubscribe,
  publish,
  connect,
  disconnect,
} from '../harness/packets.ts';
import { prefixed, u16, u8, varint } from '../harness/properties.ts';
import { clusterOnly, embeddedOnly, isCluster } from '../harness/shape.ts';
import { unique } from '../harness/wire.ts';
import { Suite, malformed, together } from './v5.ts';

const suite = new Suite({ TOPIC_ALIAS_MAXIMUM: '10' });
const propertiesLimit = 'RocketMQ stores 32,767 bytes of properties, the topic name among them';

/** Byte sequences that no UTF-8 string may hold, by the rule that they break. */
const illFormed: [string, Buffer][] = [
  ['[MQTT-1.5.4-2] [MQTT-4.7.3-2] U+0000', Buffer.from('a\0b')],
  ['[MQTT-1.5.4-1] the surrogate U+D800', Buffer.from([0x61, 0xed, 0xa0, 0x80])],
  ['[MQTT-1.5.4-1] the surrogate U+DFFF', Buffer.from([0xed, 0xbf, 0xbf, 0x61])],
  [
    '[MQTT-1.5.4-1] a pair of surrogates (CESU-8)',
    Buffer.from([0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]),
  ],
  ['[MQTT-1.5.4-1] an overlong slash', Buffer.from([0x61, 0xc0, 0xaf])],
  ['[MQTT-1.5.4-1] an overlong U+0000', Buffer.from([0xc0, 0x80])],
  ['[MQTT-1.5.4-1] an overlong euro sign', Buffer.from([0xf0, 0x82, 0x82, 0xac])],
  ['[MQTT-1.5.4-1] a continuation byte alone', Buffer.from([0x61, 0x80, 0x62])],
  ['[MQTT-1.5.4-1] a sequence cut short', Buffer.from([0x61, 0xe2, 0x82])],
  ['[MQTT-1.5.4-1] a code point above U+10FFFF', Buffer.from([0xf4, 0x90, 0x80, 0x80])],
  ['[MQTT-1.5.4-1] the byte FF', Buffer.from([0x61, 0xff])],
];
const bad = Buffer.from([0x61, 0xc0, 0xaf]);

describe('MQTT 5 strings', together, () => {
  for (const [name, bytes] of illFormed) {
    test(`${name} in a topic name is malformed`, async () => {
      const client = await suite.client();
      client.sendPublish({ topic: bytes, payload: 'x', qos: 1 });
      await client.expectDisconnect(malformed);
    });
    test(`${name} in a user property is malformed`, async () => {
      const client = await suite.client();
      const properties = { userProperties: [['name', bytes]] } as const;
      client.sendPublish({ topic: unique(), payload: 'x', qos: 1, properties });
      await client.expectDisconnect(malformed);
    });
    test(`${name} in a client id is malformed`, async () => {
      const client = await suite.raw();
      client.send(connect({ version: 5, clientId: bytes }));
      await client.expect('connack', { reason: malformed });
      await client.expectClose();
    });
  }

  const places: [string, (text: Bytes) => Buffer][] = [
    [
      '[MQTT-3.8.3-1] a filter of SUBSCRIBE',
      (text) => subscribe({ version: 5, filters: [{ filter: text }] }),
    ],
    [
      '[MQTT-3.10.3-1] a filter of UNSUBSCRIBE',
      (text) => unsubscribe({ version: 5, filters: [text] }),
    ],
    [
      '[MQTT-3.3.2-13] a response topic',
      (text) => publish({ version: 5, topic: 't', properties: { responseTopic: text } }),
    ],
    [
      '[MQTT-3.3.2-19] a content type',
      (text) => publish({ version: 5, topic: 't', properties: { contentType: text } }),
    ],
    [
      '[MQTT-1.5.7-1] the name of a user property',
      (text) => publish({ version: 5, topic: 't', properties: { userProperties: [[text, 'v']] } }),
    ],
    [
      '[MQTT-1.5.7-1] the value of a user property',
      (text) => publish({ version: 5, topic: 't', properties: { userProperties: [['n', text]] } }),
    ],
    [
      '[MQTT-1.5.4-1] a reason string of DISCONNECT',
      (text) => disconnect({ reason: 4, properties: { reasonString: text } }),
    ],
    ['[MQTT-3.3.2-1] a topic name', (text) => publish({ version: 5, topic: text, qos: 2 })],
  ];
  for (const [name, bytesOf] of places) {
    test(`${name} that is not UTF-8 is malformed`, async () => {
      for (const text of [bad, Buffer.from('a\0')]) {
        const client = await suite.client();
        client.send(bytesOf(text));
        await client.expectDisconnect(malformed);
      }
    });
  }

  const connects: [string, Parameters<typeof connect>[0]][] = [
    ['[MQTT-3.1.3-12] a user name', { username: bad }],
    ['[MQTT-3.1.3-11] a will topic', { will: { topic: bad } }],
    ['[MQTT-1.5.7-1] a user property of CONNECT', { properties: { userProperties: [['n', bad]] } }],
    [
      '[MQTT-1.5.4-1] a content type of a will',
      { will: { topic: 'w', properties: { contentType: bad } } },
    ],
    ['[MQTT-1.5.4-1] an authentication method', { properties: { authenticationMethod: bad } }],
  ];
  for (const [name, fields] of connects) {
    test(`${name} that is not UTF-8 is malformed`, async () => {
      const client = await suite.raw();
      client.send(connect({ version: 5, clientId: unique(), ...fields }));
      await client.expect('connack', { reason: malformed });
      await client.expectClose();
    });
  }

  test('[MQTT-1.5.4-3] [MQTT-4.7.3-4] U+FEFF is a character like others and stays', async () => {
    const topic = `\uFEFF${unique()}\uFEFF`;
    const client = await suite.client();
    await client.subscribe([topic, topic.slice(1)], 0);
    const userProperties: [string, string][] = [['\uFEFFk', '\uFEFF']];
    const properties = { contentType: '\uFEFFtext', userProperties };
    await client.publish(topic, '\uFEFF', { properties });
    await client.expect('publish', { topic, payload: '\uFEFF', properties });
    await suite.nothingElse(client);
  });

  test('[MQTT-1.5.4-1] characters of one to four bytes, and non-characters, are accepted', async () => {
    // RocketMQ's own separators are refused where messages go there.
    const control = isCluster ? '\u0003' : '\u0001';
    const topic = `${unique()}/é€𝄞\u{10FFFF}\uFFFE\u007f${control}`;
    const client = await suite.client();
    await client.subscribe(topic, 1);
    await client.publish(topic, 'x', { qos: 1 });
    await client.receive({ topic });
  });

  test("a topic with a separator of RocketMQ's properties is refused", clusterOnly, async () => {
    const client = await suite.client();
    for (const separator of ['\u0001', '\u0002']) {
      const publish = client.publish(`${unique()}/${separator}`, 'x', { qos: 1 });
      await assert.rejects(publish, /0x90/);
    }
  });

  test(
    '[MQTT-4.7.3-3] topics of 65,535 bytes pass and match',
    embeddedOnly(propertiesLimit),
    async () => {
      const start = `${unique()}/`;
      const topic = start + 'n'.repeat(65_535 - start.length);
      const client = await suite.client();
      await client.subscribe([topic, `${start}+`], 1);
      await client.publish(topic, 'x', { qos: 1 });
      await client.receive({ topic, payload: 'x' });
    },
  );
});

describe('MQTT 5 variable byte integers', together, () => {
  test('[MQTT-1.5.5-1] an integer with a byte too many is malformed', async () => {
    const body = Buffer.concat([prefixed('t'), varint(0, 2), Buffer.from('x')]);
    const subscribing = Buffer.concat([
      u16(7),
      varint(3),
      u8(0x0b),
      varint(5, 2),
      prefixed('t'),
      u8(0),
    ]);
    const cases = [packet('publish', 0, body), packet('subscribe', 2, subscribing)];
    for (const bytes of cases) {
      const client = await suite.client();
      client.send(bytes);
      await client.expectDisconnect(malformed);
    }
  });

  test('[MQTT-1.5.5-1] a remaining length with a byte too many is malformed', async () => {
    const client = await suite.client();
    client.send(Buffer.from([0xc0, 0x80, 0x00]));
    await client.expectDisconnect(malformed);
  });

  test('[MQTT-4.13.1-1] an integer of five bytes is malformed', async () => {
    const lengths = [
      Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01]),
      Buffer.from([0xc0, 0x80, 0x80, 0x80, 0x80, 0x00]),
    ];
    for (const bytes of lengths) {
      const client = await suite.client();
      client.send(bytes);
      const { reason } = await client.expect('disconnect');
      assert.ok([0x81, 0x95].includes(reason), `reason ${reason}`);
      await client.expectClose();
    }
    const client = await suite.client();
    const body = [
      u16(1),
      Buffer.from([6, 0x0b, 0x80, 0x80, 0x80, 0x80, 0x01]),
      prefixed('t'),
      u8(0),
    ];
    client.send(packet('subscribe', 2, body));
    await client.expectDisconnect(malformed);
  });

  test('[MQTT-1.5.5-1] subscription identifiers of one to four bytes come back', async () => {
    const client = await suite.client();
    for (const id of [1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455]) {
      const topic = unique();
      await client.subscribe(topic, 0, { properties: { subscriptionIdentifier: id } });
      await client.publish(topic, '');
      await client.expect('publish', { topic, properties: { subscriptionIdentifiers: [id] } });
    }
  });
});
