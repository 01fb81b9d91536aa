import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PropertyEntry, PropertyName, PropertyValue } from '../harness/properties.ts';
import { propertyTable, u8, u16, varint } from '../harness/properties.ts';
import type { SentProperties } from '../harness/properties.ts';
import {
  ack,
  auth,
  connect,
  disconnect,
  packet,
  publish,
  subscribe,
  unsubscribe,
} from '../harness/packets.ts';
import { unique } from '../harness/wire.ts';
import { Suite, eitherError, malformed, protocolError, together } from './v5.ts';

const suite = new Suite({ TOPIC_ALIAS_MAXIMUM: '10' });

const names = Object.keys(propertyTable) as PropertyName[];

/** A legal value of each property, so that only its place can be wrong. */
function sample(name: PropertyName): PropertyValue {
  const kind = propertyTable[name][1];
  if (kind === 'utf8') return 'text';
  if (kind === 'binary') return Buffer.from('bytes');
  return kind === 'pair' ? ['name', 'value'] : 1;
}

const entry = (name: PropertyName): PropertyEntry => [name, sample(name)];

/** The packets that a client sends, each otherwise legal, with the properties to try. */
const carriers: Record<string, (properties: SentProperties) => Buffer> = {
  connect: (properties) => connect({ version: 5, clientId: unique(), properties }),
  will: (properties) =>
    connect({ version: 5, clientId: unique(), will: { topic: unique('will'), properties } }),
  publish: (properties) => publish({ version: 5, topic: 't', payload: 'x', qos: 1, properties }),
  puback: (properties) => ack('puback', { packetId: 1, reason: 0, properties }),
  pubrec: (properties) => ack('pubrec', { packetId: 1, reason: 0, properties }),
  pubrel: (properties) => ack('pubrel', { packetId: 1, reason: 0, properties }),
  pubcomp: (properties) => ack('pubcomp', { packetId: 1, reason: 0, properties }),
  subscribe: (properties) => subscribe({ version: 5, filters: ['t'], properties }),
  unsubscribe: (properties) => unsubscribe({ version: 5, filters: ['t'], properties }),
  disconnect: (properties) => disconnect({ reason: 0, properties }),
};

/** Sends the packet in its place, CONNECT first, and expects the refusal that fits it. */
async function refusedWith(
  carrier: string,
  bytes: Buffer,
  reasons: number | readonly number[],
): Promise<void> {
  if (carrier === 'connect' || carrier === 'will') {
    const client = await suite.raw();
    client.send(bytes);
    const { reason } = await client.expect('connack');
    assert.ok([reasons].flat().includes(reason), `connack reason 0x${reason.toString(16)}`);
    await client.expectClose();
    return;
  }
  const client = await suite.client({ properties: { sessionExpiryInterval: 5 } });
  client.send(bytes);
  await client.expectDisconnect(reasons);
}

describe('MQTT 5 properties in the wrong packet', together, () => {
  for (const [carrier, bytesWith] of Object.entries(carriers)) {
    const wrong = names.filter((name) => !propertyTable[name][2].split(' ').includes(carrier));
    test(`[MQTT-4.13.1-1] each property that ${carrier} does not have makes it malformed`, async () => {
      for (const name of wrong) {
        await refusedWith(carrier, bytesWith([entry(name)]), malformed).catch((error: unknown) => {
          throw new Error(`${name} in ${carrier}`, { cause: error });
        });
      }
    });

    test(`[MQTT-4.13.1-1] an unknown property makes ${carrier} malformed`, async () => {
      for (const id of [0x00, 0x04, 0x7f, 0x80, 0x3fff]) {
        await refusedWith(carrier, bytesWith([[id, u8(1)]]), malformed);
      }
    });

    const single = names.filter((name) => {
      // More than one is legal for these, or never legal from a client.
      const many = name === 'userProperty' || name === 'subscriptionIdentifier';
      return propertyTable[name][2].split(' ').includes(carrier) && !many;
    });
    if (single.length > 0) {
      test(`[MQTT-4.13.1-1] a property twice in ${carrier} is a protocol error`, async () => {
        for (const name of single) {
          const bytes = bytesWith([entry(name), entry(name)]);
          await refusedWith(carrier, bytes, protocolError).catch((error: unknown) => {
            throw new Error(`${name} twice in ${carrier}`, { cause: error });
          });
        }
      });
    }

    test(`[MQTT-4.13.1-1] a property cut short makes ${carrier} malformed`, async () => {
      await refusedWith(carrier, bytesWith([[0x26, Buffer.from([0, 4, 0x61])]]), malformed);
    });
  }

  test('[MQTT-4.13.1-1] each property that AUTH does not have makes it malformed', async () => {
    const wrong = names.filter((name) => !propertyTable[name][2].split(' ').includes('auth'));
    for (const name of wrong) {
      const properties: PropertyEntry[] = [['authenticationMethod', 'SCRAM-SHA-256'], entry(name)];
      const client = await suite.client();
      client.send(auth({ reason: 0x19, properties }));
      await client.expectDisconnect([malformed, protocolError]);
    }
  });

  test('[MQTT-4.13.1-1] a subscription identifier twice in SUBSCRIBE is a protocol error', async () => {
    const bytes = carriers['subscribe']?.({ subscriptionIdentifiers: [1, 2] });
    await refusedWith('subscribe', bytes ?? Buffer.alloc(0), protocolError);
  });

  test('[MQTT-3.3.4-6] a subscription identifier in PUBLISH is a protocol error', async () => {
    const bytes = carriers['publish']?.({ subscriptionIdentifier: 1 });
    await refusedWith('publish', bytes ?? Buffer.alloc(0), protocolError);
  });
});

describe('MQTT 5 property values', together, () => {
  const values: [string, string, SentProperties, (readonly number[])?][] = [
    ['receive maximum 0', 'connect', { receiveMaximum: 0 }],
    ['maximum packet size 0', 'connect', { maximumPacketSize: 0 }],
    ['request problem information 2', 'connect', { requestProblemInformation: 2 }],
    ['request response information 2', 'connect', { requestResponseInformation: 2 }],
    ['authentication data without a method', 'connect', { authenticationData: Buffer.from('x') }],
    ['payload format indicator 2', 'will', { payloadFormatIndicator: 2 }, eitherError],
    ['payload format indicator 2', 'publish', { payloadFormatIndicator: 2 }, eitherError],
    ['subscription identifier 0', 'subscribe', { subscriptionIdentifier: 0 }],
  ];
  for (const [name, carrier, properties, reasons = [protocolError]] of values) {
    test(`[MQTT-4.13.1-1] ${name} in ${carrier} is refused`, async () => {
      await refusedWith(carrier, carriers[carrier]?.(properties) ?? Buffer.alloc(0), reasons);
    });
  }

  test('[MQTT-3.3.2-14] a response topic with a wildcard is refused', async () => {
    for (const responseTopic of ['a/+', '#', 'a/#/b']) {
      const client = await suite.client();
      client.sendPublish({ topic: 't', qos: 1, properties: { responseTopic } });
      await client.expectDisconnect([malformed, protocolError, 0x90]);
    }
  });

  test('[MQTT-2.2.2-1] packets without properties may leave the length out where the format says so', async () => {
    const client = await suite.client();
    client.send(ack('pubrel', { packetId: 9 }));
    await client.expect('pubcomp', { packetId: 9, reason: 0x92 });
    client.send(packet('pubrel', 2, [u16(9), u8(0x92)]));
    await client.expect('pubcomp', { packetId: 9, reason: 0x92 });
    client.send(packet('pubrel', 2, [u16(9), u8(0), varint(0)]));
    await client.expect('pubcomp', { packetId: 9, reason: 0x92 });
    client.send(packet('disconnect', 0, [u8(0)]));
    await client.expectClose();
  });

  test('[MQTT-2.2.2-1] [MQTT-4.13.1-1] SUBSCRIBE, UNSUBSCRIBE and PUBLISH without a property length are malformed', async () => {
    const bodies: Buffer[] = [
      packet('subscribe', 2, [u16(1)]),
      packet('unsubscribe', 2, [u16(1)]),
      packet('publish', 2, [u16(1), Buffer.from('t'), u16(1)]),
    ];
    for (const bytes of bodies) {
      const client = await suite.client();
      client.send(bytes);
      await client.expectDisconnect(malformed);
    }
  });

  test('[MQTT-4.13.1-1] a property length past the end of the packet is malformed', async () => {
    const bodies: Buffer[] = [
      packet('subscribe', 2, [u16(1), varint(200), Buffer.alloc(5)]),
      packet('publish', 0, [u16(1), Buffer.from('t'), varint(9)]),
      packet('disconnect', 0, [u8(0), varint(4)]),
      packet('puback', 0, [u16(1), u8(0), varint(4)]),
    ];
    for (const bytes of bodies) {
      const client = await suite.client();
      client.send(bytes);
      await client.expectDisconnect(malformed);
    }
  });
});
