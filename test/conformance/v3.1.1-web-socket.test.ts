// MQTT 3.1.1, chapter 6: MQTT in WebSocket frames.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { connect, disconnect, pingreq, publish, subscribe } from '../harness/packets.ts';
import { Suite } from '../harness/suite.ts';
import { connectWebSocket, openWebSocket } from '../harness/web-socket.ts';
import { deadlineMs, unique } from '../harness/wire.ts';

const suite = new Suite();

/** The next event of a WebSocket, which must come before the deadline. */
async function event(socket: WebSocket, name: string): Promise<unknown[]> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), deadlineMs);
  try {
    return (await once(socket, name, { signal: deadline.signal })) as unknown[];
  } finally {
    clearTimeout(timer);
  }
}

/** Reads messages, which must be binary, until there are so many bytes. */
function reader(socket: WebSocket): (length: number) => Promise<string> {
  let bytes = Buffer.alloc(0);
  let text = false;
  socket.on('message', (part: Buffer, isBinary: boolean) => {
    bytes = Buffer.concat([bytes, part]);
    text ||= !isBinary;
  });
  return async (length) => {
    while (bytes.length < length) await event(socket, 'message');
    assert.ok(!text, 'a text frame');
    return bytes.toString('hex');
  };
}

test('[MQTT-6.0.0-4] the sub-protocol is mqtt', async () => {
  for (const protocols of [['mqtt'], ['other', 'mqtt'], ['mqtt', 'mqttv3.1']]) {
    const socket = await openWebSocket(suite.broker.wsPort, { protocols });
    assert.equal(socket.protocol, 'mqtt');
    socket.terminate();
  }
});

test('[MQTT-6.0.0-1] what the server sends is in binary frames', async () => {
  const socket = await openWebSocket(suite.broker.wsPort);
  const read = reader(socket);
  socket.send(Buffer.concat([connect({ clientId: unique() }), pingreq()]));
  assert.equal(await read(6), '20020000d000');
  socket.terminate();
});

test('[MQTT-6.0.0-1] a text frame closes, before and after CONNECT', async () => {
  for (const connectFirst of [false, true]) {
    const socket = await openWebSocket(suite.broker.wsPort);
    const read = reader(socket);
    if (connectFirst) socket.send(connect({ clientId: unique() }));
    if (connectFirst) await read(4);
    socket.send('text');
    const [code] = await event(socket, 'close');
    assert.equal(code, 1003);
  }
});

test('[MQTT-6.0.0-2] packets over many frames, and many packets in one frame', async () => {
  const topic = unique();
  const bytes = Buffer.concat([
    connect({ clientId: unique() }),
    subscribe({ packetId: 3, filters: [topic] }),
    publish({ topic, payload: 'x'.repeat(1000) }),
  ]);
  for (const size of [1, 7, 100, bytes.length]) {
    const client = await connectWebSocket(suite.broker.wsPort);
    for (let at = 0; at < bytes.length; at += size) client.send(bytes.subarray(at, at + size));
    await client.expect('connack', { reason: 0 });
    await client.find('suback', { packetId: 3 });
    await client.find('publish', { topic, payload: 'x'.repeat(1000) });
    await client.ping();
    client.send(disconnect());
    await client.expectClose();
  }
});

test('[MQTT-6.0.0-2] frames in fragments, with pings between them', async () => {
  const socket = await openWebSocket(suite.broker.wsPort);
  const bytes = Buffer.concat([connect({ clientId: unique() }), pingreq()]);
  const read = reader(socket);
  socket.send(bytes.subarray(0, 5), { binary: true, fin: false });
  socket.ping();
  await event(socket, 'pong');
  socket.send(bytes.subarray(5, 9), { binary: true, fin: false });
  socket.send(bytes.subarray(9), { binary: true, fin: true });
  assert.equal(await read(6), '20020000d000');
  socket.terminate();
});

test('[MQTT-6.0.0-2] a frame of no bytes is no packet', async () => {
  const client = await connectWebSocket(suite.broker.wsPort);
  client.stream.write(Buffer.alloc(0));
  await client.connect({ clientId: unique() });
  client.stream.write(Buffer.alloc(0));
  await client.ping();
});

test('a session goes on over another transport', async () => {
  const clientId = unique();
  const topic = unique();
  const first = await connectWebSocket(suite.broker.wsPort);
  await first.connect({ clientId, clean: false });
  await first.subscribe(topic, 1);
  await first.disconnect();
  const second = await suite.client({ clientId, clean: false, sessionPresent: true });
  await second.publish(topic, 'x', { qos: 1 });
  await second.receive({ topic, payload: 'x' });
});

test('a WebSocket that is cut publishes the will', async () => {
  const topic = unique();
  const watcher = await suite.client();
  await watcher.subscribe(topic, 1);
  const client = await connectWebSocket(suite.broker.wsPort);
  await client.connect({ clientId: unique(), will: { topic, payload: 'the will' } });
  client.destroy();
  await watcher.receive({ topic, payload: 'the will' });
});

test('another path than /mqtt is not served', async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${suite.broker.wsPort}/other`, ['mqtt']);
  await assert.rejects(event(socket, 'open'), /Unexpected server response/);
});
