import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ConnectFields } from '../harness/packets.ts';
import { connect, disconnect, packet, pingreq, publish, subscribe } from '../harness/packets.ts';
import { prefixed, u16, u8 } from '../harness/properties.ts';
import type { RawClient } from '../harness/wire.ts';
import { unique } from '../harness/wire.ts';
import { Suite, eitherError, malformed, protocolError, together } from './v5.ts';

const suite = new Suite();

/** CONNACK with one of the reasons and a close. */
async function refusal(client: RawClient, reasons: number | readonly number[]): Promise<void> {
  const { reason } = await client.expect('connack', { sessionPresent: false });
  assert.ok([reasons].flat().includes(reason), `connack reason 0x${reason.toString(16)}`);
  await client.expectClose();
}

/** A body of CONNECT by its parts, for what the builder would not leave out. */
function connectBody(flags: number, ...payload: Buffer[]): Buffer {
  return packet('connect', 0, [prefixed('MQTT'), u8(5), u8(flags), u16(60), u8(0), ...payload]);
}

describe('MQTT 5 CONNECT', together, () => {
  const firstPackets: [string, Buffer][] = [
    ['PUBLISH', publish({ version: 5, topic: 'a', payload: 'x' })],
    ['SUBSCRIBE', subscribe({ version: 5, filters: ['a'] })],
    ['PINGREQ', pingreq()],
    ['DISCONNECT', disconnect()],
    ['AUTH', packet('auth', 0, [u8(0x18), u8(0)])],
    ['CONNACK', packet('connack', 0, [u8(0), u8(0), u8(0)])],
    ['type 0', packet(0, 0, [])],
  ];
  for (const [name, bytes] of firstPackets) {
    test(`[MQTT-3.1.0-1] [MQTT-3.14.0-1] a first packet ${name} is closed without an answer`, async () => {
      const client = await suite.raw();
      client.send(bytes);
      await client.expectClose();
    });
  }

  test('[MQTT-3.1.0-2] [MQTT-3.2.0-2] [MQTT-4.13.1-1] a second CONNECT gets DISCONNECT 0x82, no second CONNACK', async () => {
    const client = await suite.client();
    client.send(connect({ version: 5, clientId: unique() }));
    await client.expectDisconnect(protocolError);
  });

  test('[MQTT-3.1.2-1] another protocol name is refused', async () => {
    for (const protocolName of ['MQTX', 'mqtt', '', 'MQTTMQTT']) {
      const client = await suite.raw();
      client.send(connect({ version: 5, protocolName }));
      const first = await client.next().catch(() => undefined);
      if (first)
        assert.deepEqual([first.type, 'reason' in first && first.reason], ['connack', 0x84]);
      await client.expectClose();
    }
  });

  test('[MQTT-3.1.2-2] [MQTT-3.2.2-7] an unknown protocol version is told (0x84, or return code 1) and closed', async () => {
    for (const protocolLevel of [0, 6, 127, 255]) {
      const client = await suite.raw();
      client.version = 4;
      client.stream.removeAllListeners('data');
      const chunks: Buffer[] = [];
      client.stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      client.send(connect({ version: 5, protocolLevel, clientId: unique() }));
      await client.expectClose();
      const answer = Buffer.concat(chunks).toString('hex');
      assert.ok(['2003008400', '20020001'].includes(answer), `level ${protocolLevel}: ${answer}`);
    }
  });

  test('[MQTT-3.1.2-3] the reserved connect flag is malformed', async () => {
    const client = await suite.raw();
    client.send(connect({ version: 5, clientId: unique(), connectFlags: 0x03 }));
    await refusal(client, malformed);
  });

  const illegal: [string, ConnectFields, number | readonly number[]][] = [
    ['[MQTT-3.1.2-11] will QoS 1 without a will', { connectFlags: 0x0a }, eitherError],
    ['[MQTT-3.1.2-11] will QoS 2 without a will', { connectFlags: 0x12 }, eitherError],
    ['[MQTT-3.1.2-12] will QoS 3', { will: { topic: 'w', qos: 3 } }, malformed],
    ['[MQTT-3.1.2-13] will retain without a will', { connectFlags: 0x22 }, eitherError],
    ['[MQTT-3.1.2-9] will flag without a will', { connectFlags: 0x06 }, malformed],
    ['[MQTT-3.1.2-17] user name flag without a user name', { connectFlags: 0x82 }, malformed],
    ['[MQTT-3.1.2-19] password flag without a password', { connectFlags: 0x42 }, malformed],
    [
      '[MQTT-3.1.2-16] a user name without its flag',
      { connectFlags: 0x02, username: 'u' },
      malformed,
    ],
    [
      '[MQTT-3.1.2-18] a password without its flag',
      { connectFlags: 0x82, username: 'u', password: 'p' },
      malformed,
    ],
    [
      '[MQTT-3.1.2-11] a will without its flag',
      { connectFlags: 0x02, will: { topic: 'w' } },
      malformed,
    ],
    ['[MQTT-3.1.4-1] bytes after the last field', { trailer: 'x' }, malformed],
    ['[MQTT-3.1.4-1] a wildcard in the will topic', { will: { topic: 'w/+' } }, [0x81, 0x82, 0x90]],
    ['[MQTT-4.7.3-1] an empty will topic', { will: { topic: '' } }, [0x81, 0x82, 0x90]],
  ];
  for (const [name, fields, reasons] of illegal) {
    test(`[MQTT-3.1.4-1] [MQTT-3.2.2-6] [MQTT-3.2.2-7] ${name} is refused`, async () => {
      const client = await suite.raw();
      client.send(connect({ version: 5, clientId: unique(), ...fields }));
      await refusal(client, reasons);
    });
  }

  test('[MQTT-2.1.3-1] [MQTT-3.1.4-1] fixed header flags are refused, before the version is known', async () => {
    for (const flags of [1, 2, 8, 15]) {
      const client = await suite.raw();
      client.send(connect({ version: 5, clientId: unique(), flags }));
      const answer = await client.next().catch(() => undefined);
      if (answer)
        assert.deepEqual(
          [answer.type, 'reason' in answer && answer.reason],
          ['connack', malformed],
        );
      await client.expectClose();
    }
  });

  test('[MQTT-3.1.3-3] [MQTT-3.1.4-1] a CONNECT without a client id is malformed', async () => {
    const client = await suite.raw();
    client.send(connectBody(0x02));
    await refusal(client, malformed);
  });

  test('[MQTT-3.1.4-1] a CONNECT that ends inside its client id is malformed', async () => {
    const client = await suite.raw();
    client.send(connectBody(0x02, u16(10), Buffer.from('abc')));
    await refusal(client, malformed);
  });

  test('[MQTT-3.1.3-1] [MQTT-3.1.2-17] [MQTT-3.1.2-19] all payload fields in their order are accepted', async () => {
    const client = await suite.client({
      clientId: unique(),
      will: { topic: unique('will'), payload: 'gone', qos: 2, retain: false },
      username: 'u',
      password: 'p',
      properties: { sessionExpiryInterval: 0, receiveMaximum: 10, userProperties: [['a', 'b']] },
    });
    await client.ping();
    await client.disconnect();
  });

  test('[MQTT-3.1.2-18] [MQTT-3.1.2-19] version 5 allows a password without a user name', async () => {
    const client = await suite.client({ password: 'p' });
    await client.ping();
  });

  test('[MQTT-3.1.3-5] client ids of 1 and 23 letters and digits', async () => {
    for (const clientId of [
      'Z',
      '0',
      `Ab${unique('0123456789abcdefghi').replaceAll('-', '').slice(0, 21)}`,
    ]) {
      const client = await suite.client({ clientId });
      await client.ping();
      client.destroy();
    }
    for (const part of ['0123456789abcdefghijklm', 'nopqrstuvwxyzABCDEFGHIJ', 'KLMNOPQRSTUVWXYZ']) {
      const client = await suite.client({ clientId: part });
      await client.disconnect();
    }
  });

  test('[MQTT-3.1.3-4] [MQTT-3.1.3-2] a client id of 65,535 bytes of UTF-8 names its session', async () => {
    const clientId = unique('ü𝄞').padEnd(65_528, 'x');
    const full = clientId + 'y'.repeat(65_535 - Buffer.byteLength(clientId));
    const properties = { sessionExpiryInterval: 60 };
    const first = await suite.client({ clientId: full, properties });
    await first.disconnect();
    const again = await suite.client({ clientId: full, clean: false, sessionPresent: true });
    await again.disconnect({ properties: { sessionExpiryInterval: 0 } });
  });

  test('[MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16] an empty client id is assigned, told and works as an id', async () => {
    const ids = new Set<string>();
    for (const clean of [true, false]) {
      const client = await suite.raw();
      const connack = await client.connect({
        clientId: '',
        clean,
        sessionPresent: false,
        properties: { sessionExpiryInterval: 60 },
      });
      const id = connack.properties.assignedClientIdentifier ?? '';
      assert.notEqual(id, '');
      ids.add(id);
      await client.disconnect();
      const again = await suite.client({ clientId: id, clean: false, sessionPresent: true });
      await again.disconnect({ properties: { sessionExpiryInterval: 0 } });
    }
    assert.equal(ids.size, 2);
  });

  test('[MQTT-3.1.3-7] a client id that was sent is not assigned', async () => {
    const client = await suite.raw();
    const { properties } = await client.connect({ clientId: unique() });
    assert.equal(properties.assignedClientIdentifier, undefined);
  });

  test('[MQTT-3.1.3-8] a client id that is not UTF-8 is refused', async () => {
    const client = await suite.raw();
    client.send(connect({ version: 5, clientId: Buffer.from([0x61, 0xff]) }));
    await refusal(client, [malformed, 0x85]);
  });

  test('[MQTT-3.1.4-3] [MQTT-3.1.2-4] a takeover sends 0x8E to the first connection and closes it', async () => {
    const clientId = unique();
    const first = await suite.client({ clientId });
    const second = await suite.client({ clientId });
    await first.expectDisconnect(0x8e);
    await second.ping();
  });

  test('[MQTT-3.1.4-6] what follows a refused CONNECT is not processed', async () => {
    const topic = unique();
    const subscriber = await suite.client();
    await subscriber.subscribe(topic, 1);
    const bad = await suite.raw();
    bad.send(
      connect({ version: 5, clientId: unique(), connectFlags: 0x03 }),
      publish({ version: 5, topic, payload: 'never', qos: 1 }),
      publish({ version: 5, topic, payload: 'never', retain: true }),
    );
    await refusal(bad, malformed);
    await suite.nothingElse(subscriber);
  });

  test('[MQTT-3.1.4-5] [MQTT-3.2.0-1] packets sent behind CONNECT in one write are answered after CONNACK', async () => {
    const client = await suite.raw();
    client.send(
      connect({ version: 5, clientId: unique() }),
      subscribe({ version: 5, filters: [unique()] }),
      pingreq(),
    );
    await client.expect('connack', { reason: 0 });
    await client.find('suback', { reasons: [0] });
    await client.find('pingresp');
  });

  test('[MQTT-4.2.0-1] a CONNECT that arrives byte by byte is accepted', async () => {
    const client = await suite.raw();
    for (const byte of connect({ version: 5, clientId: unique() })) {
      client.send(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.expect('connack', { reason: 0 });
  });
});

describe('MQTT 5 CONNECT time-out', () => {
  const impatient = new Suite({ CONNECT_TIMEOUT_MS: '1000' });
  test('a connection that sends no whole CONNECT in time is closed', together, async () => {
    const silent = await impatient.raw();
    const half = await impatient.raw();
    half.send(connect({ version: 5, clientId: unique() }).subarray(0, 9));
    const good = await impatient.client();
    await Promise.all([silent.expectClose(), half.expectClose()]);
    await good.ping();
  });
});
