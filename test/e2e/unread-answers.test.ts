// A client that sends and never reads: whatever it is owed is bounded, whichever packets it sends
// and whatever carries them. One that reads again gets all of it, in its order.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { createWebSocketStream } from 'ws';
import type { Broker } from '../harness/broker.ts';
import * as packets from '../harness/packets.ts';
import { collecting, heldBytes, holdsLess } from '../harness/held-memory.ts';
import { findProgram } from '../harness/programs.ts';
import { startBroker } from '../harness/shape.ts';
import { openWebSocket } from '../harness/web-socket.ts';
import {
  closeAllClients,
  connected,
  connectRaw,
  deadlineMs,
  RawClient,
  unique,
} from '../harness/wire.ts';
import { Authority } from './authority.ts';
import { metricRises } from './limit-provocations.ts';

/** A broker without a bound takes all of it. */
const floodBytesMax = 192 << 20;
/** More than the broker held when it was idle. */
const grownBytesMax = 128 << 20;
/** Bytes that have to be dropped of one subscription; a broker that keeps them holds them all. */
const droppedBytesMin = 512 << 20;
const blockBytes = 256 << 10;

const heldUp = 'lmqtt_limit_total{limit="write_buffer_max"}';
/** Messages at QoS 0 for a client that does not read: at its connection, and before it. */
const unreadDrops = [
  'lmqtt_dropped_total{reason="slow_client"}',
  'lmqtt_rpc_pushes_dropped_total{kind="not stored"}',
];
const closed = 'lmqtt_limit_total{limit="write_timeout_ms"}';
/** For kinds of requests that wait for the store, and fill the network's buffers slowly. */
const slowFloodMs = 3000;
/** Looks at a socket that takes nothing, one after another. */
const stuckChecks = 5;

/** Requests over and over, about as many as a large block holds. */
function blockOf(request: (index: number) => Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let bytes = 0, index = 0; bytes < blockBytes; index += 1) {
    const part = request(index);
    parts.push(part);
    bytes += part.length;
  }
  return Buffer.concat(parts);
}

const identifier = (index: number): number => (index % 65_535) + 1;

const floods: Readonly<Record<string, Buffer>> = {
  PINGREQ: blockOf(() => packets.pingreq()),
  'PUBREL of unknown identifiers': blockOf((index) =>
    packets.ack('pubrel', { packetId: identifier(index) }),
  ),
  'PUBREC of unknown identifiers': blockOf((index) =>
    packets.ack('pubrec', { packetId: identifier(index) }),
  ),
  'PUBLISH QoS 1': blockOf((index) =>
    packets.publish({ topic: 't', payload: '', qos: 1, packetId: identifier(index) }),
  ),
  'PUBLISH QoS 2': blockOf((index) =>
    packets.publish({ topic: 't', payload: '', qos: 2, packetId: identifier(index) }),
  ),
  SUBSCRIBE: blockOf((index) =>
    packets.subscribe({ packetId: identifier(index), filters: Array(20).fill('t') }),
  ),
  UNSUBSCRIBE: blockOf((index) =>
    packets.unsubscribe({ packetId: identifier(index), filters: Array(20).fill('t') }),
  ),
};

const slowFloods = new Set(['PUBLISH QoS 1', 'PUBLISH QoS 2', 'SUBSCRIBE', 'UNSUBSCRIBE']);

/** Sends until the broker does not read on, as the metric says, or for the time. */
async function flood(
  broker: Broker,
  stream: Duplex,
  block: Buffer,
  timeMs: number = deadlineMs * 10,
  metric = heldUp,
): Promise<boolean> {
  const count = async (): Promise<number> => (await broker.metrics()).get(metric) ?? 0;
  const before = await count();
  const end = performance.now() + timeMs;
  for (let sentBytes = 0; sentBytes < floodBytesMax && performance.now() < end;) {
    sentBytes += block.length;
    if (stream.write(block)) continue;
    const drained = once(stream, 'drain').then(
      () => true,
      () => false,
    );
    for (let stuck = 1; !(await Promise.race([drained, later(false)])); stuck += 1) {
      // Once may be a moment in which the network takes no more.
      if (stuck >= stuckChecks && (await count()) > before) return true;
      if (performance.now() > end) return false;
    }
  }
  return (await count()) > before;
}

function later<T>(value: T): Promise<T> {
  return new Promise((resolve) => setTimeout(() => resolve(value), 100));
}

void describe('answers that are not read', () => {
  let broker: Broker;
  let idleBytes = 0;
  const authority = findProgram('openssl') === undefined ? undefined : new Authority();

  before(async () => {
    const pair = authority?.sign('localhost');
    const secure =
      pair === undefined ? {} : { MQTT_TLS_PORT: '0', TLS_CERT: pair.cert, TLS_KEY: pair.key };
    const settings = { WRITE_TIMEOUT_MS: '3600000', PENDING_APPEND_BYTES_MAX: '16m', ...secure };
    broker = await startBroker({ settings, nodeArgs: collecting });
    idleBytes = await heldBytes(broker);
  });
  after(async () => {
    closeAllClients();
    await broker.stop();
    authority?.remove();
  });

  const open: Readonly<Record<string, () => Promise<RawClient>>> = {
    TCP: () => connectRaw(broker.mqttPort),
    WebSocket: async () => new RawClient(createWebSocketStream(await openWebSocket(broker.wsPort))),
    TLS: async () => {
      const port = broker.mqttsPort ?? 0;
      const socket = tls.connect({ port, host: '127.0.0.1', ...authority?.trust() });
      await once(socket, 'secureConnect');
      return new RawClient(socket);
    },
  };

  async function unread(client: RawClient, name: string): Promise<void> {
    const isSlow = slowFloods.has(name);
    client.stream.pause();
    const held = await flood(
      broker,
      client.stream,
      floods[name]!,
      isSlow ? slowFloodMs : undefined,
    );
    assert.ok(held || isSlow, 'the broker has read on');
    await holdsLess(broker, idleBytes + grownBytesMax);
    client.destroy();
    // Other clients are served.
    const other = await connected(broker.mqttPort);
    await other.ping();
    await other.disconnect();
  }

  for (const name of Object.keys(floods)) {
    void test(`${name}: a client that never reads is not read either`, async () => {
      const client = await connected(broker.mqttPort, { clientId: unique('flood') });
      await unread(client, name);
    });
  }

  for (const carrier of ['WebSocket', 'TLS']) {
    const skip = carrier === 'TLS' && authority === undefined ? 'no openssl' : false;
    for (const name of ['PINGREQ', 'PUBREL of unknown identifiers', 'PUBLISH QoS 1']) {
      void test(`${name} over ${carrier}`, { skip }, async () => {
        const client = await open[carrier]!();
        await client.connect({ clientId: unique('flood') });
        await unread(client, name);
      });
    }
  }

  void test('pings of WebSocket: the last one is answered', async () => {
    const socket = await openWebSocket(broker.wsPort);
    const pongs: string[] = [];
    socket.on('pong', (said: Buffer) => pongs.push(said.toString()));
    socket.pause();
    for (let count = 0; count < 200_000; count += 1) socket.ping(`${count}`);
    await new Promise<void>((resolve) => socket.ping('last', true, () => resolve()));
    socket.resume();
    while (pongs.at(-1) !== 'last') await once(socket, 'pong');
    await holdsLess(broker, idleBytes + grownBytesMax);
    socket.terminate();
  });

  void test('a client that reads again gets every answer, in order', async () => {
    const client = await connected(broker.mqttPort, { clientId: unique('later') });
    const { stream } = client;
    stream.pause();
    const count = 200_000;
    const blocks = Math.ceil(count / 1000);
    for (let block = 0; block < blocks; block += 1) {
      const requests = Array.from({ length: 1000 }, (_, index) =>
        packets.ack('pubrel', { packetId: identifier(block * 1000 + index) }),
      );
      stream.write(Buffer.concat(requests));
    }
    await metricRises(broker, heldUp);
    stream.resume();
    for (let index = 0; index < count; index += 1) {
      const { packetId } = await client.expect('pubcomp');
      assert.equal(packetId, identifier(index));
    }
    await client.ping();
  });

  void test('QoS 0 of a shared subscription is dropped for a member that never reads', async () => {
    const member = await connected(broker.mqttPort, { clientId: unique('member') });
    const topic = unique('shared');
    await member.subscribe(`$share/group/${topic}`, 0);
    member.stream.pause();
    const publisher = await connected(broker.mqttPort, { clientId: unique('fast') });
    const payload = Buffer.alloc(16 << 10);
    const block = blockOf(() => packets.publish({ topic, payload }));
    for (let dropped = 0; dropped < droppedBytesMin;) {
      for (let count = 0; count < 64; count += 1)
        if (!publisher.stream.write(block)) await once(publisher.stream, 'drain');
      await publisher.ping();
      const metrics = await broker.metrics();
      dropped = unreadDrops.reduce((sum, name) => sum + (metrics.get(name) ?? 0), 0);
      dropped *= payload.length;
    }
    await holdsLess(broker, idleBytes + droppedBytesMin / 2);
    member.destroy();
  });

  void test('a slow subscriber with a backlog is read, and acknowledges it', async () => {
    const subscriber = await connected(broker.mqttPort, { clientId: unique('slow') });
    const topic = unique('backlog');
    await subscriber.subscribe(topic, 1);
    subscriber.stream.pause();
    const publisher = await connected(broker.mqttPort, { clientId: unique('fast') });
    const payload = Buffer.alloc(16 << 10);
    const count = 1500;
    for (let index = 0; index < count; index += 1) {
      payload.writeUInt32BE(index);
      publisher.send(packets.publish({ topic, payload, qos: 1, packetId: identifier(index) }));
    }
    for (let index = 0; index < count; index += 1) await publisher.expect('puback');
    // The client is still read while all of that waits for it.
    const received = unique('received');
    subscriber.sendPublish({ topic: received, payload: 'heard', qos: 0, retain: true });
    const reader = await connected(broker.mqttPort);
    await reader.subscribe(received);
    await reader.receive({ payload: 'heard' });
    subscriber.stream.resume();
    for (let index = 0; index < count; index += 1) {
      const { payload: came, packetId } = await subscriber.expect('publish');
      assert.equal(came.readUInt32BE(), index);
      subscriber.send(packets.ack('puback', { packetId: packetId ?? 0 }));
    }
    await subscriber.ping();
  });
});

void test('a client that takes nothing for WRITE_TIMEOUT_MS is closed', async (t) => {
  const broker = await startBroker({ settings: { WRITE_TIMEOUT_MS: '300' } });
  t.after(async () => {
    closeAllClients();
    await broker.stop();
  });
  const watcher = await connected(broker.mqttPort);
  const topic = unique('will');
  await watcher.subscribe(topic);
  const client = await connected(broker.mqttPort, {
    clientId: unique('stuck'),
    will: { topic, payload: 'gone' },
  });
  client.stream.pause();
  assert.ok(await flood(broker, client.stream, floods['PINGREQ']!, undefined, closed));
  await watcher.receive({ payload: 'gone' });
  assert.equal((await broker.metrics()).get(closed), 1);
});
