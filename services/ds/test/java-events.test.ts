// Events between this cluster and Java nodes, over sockets of this machine.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { systemClock } from '@lmqtt/common/clock';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import { EventRetries, type JavaEvent } from '../src/java-nodes/event-retries.ts';
import { EventSender } from '../src/java-nodes/event-sender.ts';
import { EventServer } from '../src/java-nodes/event-server.ts';
import { JavaNodeEvents } from '../src/java-nodes/java-events.ts';
import type { SendAnswer, SendRequest } from '../src/rocketmq/remoting/requests/send-message.ts';

const host = '127.0.0.1';
const newEvents = (): JavaNodeEvents =>
  new JavaNodeEvents(silentLogs(), new Metrics(), systemClock);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
}

const limit = { timeout: 60_000 };

void test('events are gathered, one for each topic and broker', limit, async () => {
  const port = await freePort();
  const requests: (readonly string[])[] = [];
  const events = newEvents();
  const server = new EventServer({
    ...{ host, port, events },
    asked: {
      messages: async (firstLevels) => void requests.push(firstLevels),
      close: async () => true,
    },
  });
  await server.start([]);
  const sender = new EventSender({ port, events, isOwn: () => false });
  sender.nodes([host]);
  for (let round = 0; round < 10; round += 1) {
    sender.tell('a/1', 'broker-a');
    sender.tell('a/2', 'broker-a');
    sender.tell('b/1', 'broker-b');
  }
  await until(() => events.told.told > 0);
  assert.equal(events.told.told, 3);
  assert.deepEqual(requests, [['a', 'b']]);
  sender.close();
  await server.stop();
});

void test(
  'a node that does not answer holds nothing up, and what waits is bounded',
  limit,
  async () => {
    const sockets: Socket[] = [];
    const server = createServer({ noDelay: true }, (socket) => sockets.push(socket)).listen(
      0,
      host,
    );
    await once(server, 'listening');
    const events = newEvents();
    const { port } = server.address() as AddressInfo;
    const sender = new EventSender({ port, events, isOwn: () => false });
    sender.nodes([host]);
    for (let topic = 0; topic < 12_000; topic += 1) sender.tell(`t/${topic}`, 'broker-a');
    assert.equal(events.told.dropped, 2000, 'more than 10,000 do not wait');
    await until(() => events.told.failed > 0);
    assert.equal(events.told.failed, 500, 'one request was under way');
    assert.equal(events.told.dropped, 11_500);
    sender.tell('t/later', 'broker-a');
    assert.equal(events.told.dropped, 11_501, 'it is not asked again at once');
    sender.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  },
);

void test(
  'what a node does not take goes to the retry topic of the Java nodes',
  limit,
  async () => {
    const port = await freePort();
    const events = newEvents();
    const sent: SendRequest[] = [];
    const broker = { name: 'broker-a', cluster: 'c', readQueues: 1, writeQueues: 1 };
    const away = { ...broker, master: undefined, readable: true, writable: true };
    const there = { ...away, master: 'there' };
    const client = {
      route: async (topic: string) =>
        topic === 'retries' ? { brokers: [away, there] } : undefined,
      broker: () => ({
        send: (request: SendRequest, done: (answer: SendAnswer) => void) => {
          sent.push(request);
          const place = { queueId: 0, queueOffset: 0, msgId: '', transactionId: undefined };
          done({ kind: 'stored', code: 0, ...place });
        },
      }),
    };
    const retries = new EventRetries(client, 'retries', events);
    const isOwn = (): boolean => false;
    const retry = (node: string, told: readonly JavaEvent[]): void => void retries.put(node, told);
    const sender = new EventSender({ port, events, isOwn, retry });
    sender.nodes([host]);
    for (let topic = 0; topic < 700; topic += 1) sender.tell(`t/${topic}`, 'broker-a');
    await until(() => events.told.retried === 700);
    assert.equal(sent.length, 2);
    assert.equal(sent[0]!.topic, 'retries');
    for (const [name, value] of Object.entries({ DELAY: '1', retryNode: host, retryTime: '1' }))
      assert.ok(sent[0]!.properties.includes(`${name}\u0001${value}\u0002`), name);
    const [first] = JSON.parse(sent[0]!.body.toString()) as JavaEvent[];
    assert.deepEqual(first, { pubTopic: 't/0', queueId: 0, brokerName: 'broker-a' });
    sender.tell('t/later', 'broker-a');
    assert.equal(events.told.dropped, 0, 'it waits until the node is asked again');
    sender.close();
    await new EventRetries(client, 'none', events).put(host, [first]);
    assert.equal(events.told.dropped, 1);
  },
);

void test('nothing is sent to an address that is this process', limit, async () => {
  const port = await freePort();
  const events = newEvents();
  const asked = { messages: async () => {}, close: async () => true };
  const server = new EventServer({ host, port, events, asked });
  await server.start([]);
  assert.ok(server.isAt(host));
  assert.ok(!server.isAt('127.0.0.2'));
  await server.stop();
});

void test('bytes that are no frame end their connection', limit, async () => {
  const port = await freePort();
  const events = newEvents();
  const asked = { messages: async () => {}, close: async () => true };
  const server = new EventServer({ host, port, events, asked });
  await server.start([]);
  const socket = connect({ host, port });
  socket.on('error', () => {});
  socket.write(Buffer.alloc(64, 0xff));
  await once(socket, 'close');
  assert.equal(events.asked.garbage, 1);
  await server.stop();
});

void test('a port that is in use is told, and listened on when it is free', limit, async () => {
  const taken = createServer().listen(0, host);
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const events = newEvents();
  const asked = { messages: async () => {}, close: async () => true };
  const server = new EventServer({ host, port, events, asked });
  await server.start([]);
  assert.ok(!server.isAt(host));
  taken.close();
  await once(taken, 'close');
  await server.start([]);
  assert.ok(server.isAt(host));
  await server.stop();
});
