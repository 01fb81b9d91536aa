import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import type { WebSocket } from 'ws';
import { connect, pingreq, publish } from '../harness/packets.ts';
import { connectWebSocket, openWebSocket } from '../harness/web-socket.ts';
import { deadlineMs, unique } from '../harness/wire.ts';
import { Suite, together } from './v5.ts';

const suite = new Suite();
const ownBroker = { skip: process.env['LMQTT_TEST_BROKER'] ? 'needs a WebSocket port' : false };

/** The next `bytes` bytes that come, in however many frames. */
function reader(socket: WebSocket): (bytes: number) => Promise<Buffer> {
  let received = Buffer.alloc(0);
  socket.on('message', (frame: Buffer, binary: boolean) => {
    assert.ok(binary, 'a text frame came');
    received = Buffer.concat([received, frame]);
  });
  return async (bytes) => {
    while (received.length < bytes) {
      await once(socket, 'message', { signal: AbortSignal.timeout(deadlineMs) });
    }
    const taken = received.subarray(0, bytes);
    received = received.subarray(bytes);
    return taken;
  };
}

async function closeCode(socket: WebSocket): Promise<number> {
  const [code] = (await once(socket, 'close', { signal: AbortSignal.timeout(deadlineMs) })) as [
    number,
  ];
  return code;
}

const hello = (): Buffer => connect({ version: 5, clientId: unique() });

describe('MQTT 5 over WebSocket', { ...together, ...ownBroker }, () => {
  test('[MQTT-6.0.0-4] the sub-protocol of the answer is mqtt', async () => {
    const socket = await openWebSocket(suite.broker.wsPort, { protocols: ['mqtt'] });
    assert.equal(socket.protocol, 'mqtt');
    socket.terminate();
    const several = await openWebSocket(suite.broker.wsPort, { protocols: ['other', 'mqtt'] });
    assert.equal(several.protocol, 'mqtt');
    several.terminate();
  });

  test('[MQTT-6.0.0-3] a client that does not offer mqtt is refused or at least told no sub-protocol', async () => {
    const socket = await openWebSocket(suite.broker.wsPort, { protocols: ['other'] }).catch(
      () => undefined,
    );
    assert.ok(socket === undefined || socket.protocol !== 'other');
    socket?.terminate();
  });

  test('[MQTT-6.0.0-1] a text frame closes with 1003, before CONNECT and after', async () => {
    const early = await openWebSocket(suite.broker.wsPort);
    early.send('text');
    assert.equal(await closeCode(early), 1003);
    const late = await openWebSocket(suite.broker.wsPort);
    const read = reader(late);
    late.send(hello());
    assert.equal((await read(4))[0], 0x20);
    late.send('text');
    assert.equal(await closeCode(late), 1003);
  });

  test('[MQTT-6.0.0-2] a packet over many frames, and many packets in one frame', async () => {
    const client = await connectWebSocket(suite.broker.wsPort, { version: 5 });
    const bytes = hello();
    for (const byte of bytes) client.send(Buffer.from([byte]));
    await client.expect('connack', { reason: 0 });
    const topic = unique();
    await client.subscribe(topic, 1);
    client.send(
      pingreq(),
      publish({ version: 5, topic, payload: 'a', qos: 1, packetId: 1 }),
      publish({ version: 5, topic, payload: 'b', qos: 1, packetId: 2 }),
      pingreq().subarray(0, 1),
    );
    client.send(pingreq().subarray(1));
    for (const payload of ['a', 'b']) {
      const message = await client.find('publish', { payload });
      client.sendAck('puback', message.packetId);
    }
    await client.find('puback', { packetId: 2 });
    await client.find('pingresp');
    await client.find('pingresp');
    client.destroy();
  });

  test('[MQTT-6.0.0-2] a message in fragments of one frame', async () => {
    const socket = await openWebSocket(suite.broker.wsPort);
    const read = reader(socket);
    const bytes = Buffer.concat([hello(), pingreq()]);
    const third = Math.floor(bytes.length / 3);
    socket.send(bytes.subarray(0, third), { fin: false });
    socket.ping();
    socket.send(bytes.subarray(third, 2 * third), { fin: false });
    socket.send(bytes.subarray(2 * third), { fin: true });
    const head = await read(2);
    assert.equal(head[0], 0x20);
    await read(head[1] ?? 0);
    assert.deepEqual([...(await read(2))], [0xd0, 0]);
    socket.terminate();
  });

  test('[MQTT-4.2.0-1] [MQTT-6.0.0-2] a large message passes both ways, to TCP too', async () => {
    const client = await connectWebSocket(suite.broker.wsPort, { version: 5 });
    await client.connect({ clientId: unique() });
    const other = await suite.client();
    const topic = unique();
    await client.subscribe(topic, 1);
    await other.subscribe(topic, 1);
    const payload = Buffer.alloc(300_000, 0x77);
    await client.publish(topic, payload, { qos: 1 });
    for (const subscriber of [client, other]) {
      const message = await subscriber.find('publish', { topic });
      assert.ok(message.payload.equals(payload));
      subscriber.sendAck('puback', message.packetId);
    }
    await client.disconnect();
  });

  test('[MQTT-3.1.0-2] [MQTT-4.13.1-1] protocol errors get their DISCONNECT here too', async () => {
    const client = await connectWebSocket(suite.broker.wsPort, { version: 5 });
    await client.connect({ clientId: unique() });
    client.send(hello());
    await client.expectDisconnect(0x82);
  });

  test('[MQTT-3.1.2-8] a WebSocket that breaks publishes the will', async () => {
    const topic = unique();
    const watcher = await suite.client();
    await watcher.subscribe(topic, 1);
    const client = await connectWebSocket(suite.broker.wsPort, { version: 5 });
    await client.connect({ clientId: unique(), will: { topic, payload: 'gone', qos: 1 } });
    client.destroy();
    await watcher.receive({ topic, payload: 'gone' });
  });
});
