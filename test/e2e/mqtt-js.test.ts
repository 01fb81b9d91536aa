// MQTT.js, both versions, over every transport that the broker listens on.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as mqttConnect } from 'mqtt';
import type { IClientOptions, IPublishPacket, MqttClient } from 'mqtt';
import type { Broker } from '../harness/broker.ts';
import { startBroker } from '../harness/shape.ts';
import { requirePrograms } from '../harness/require.ts';
import { unique } from '../harness/wire.ts';
import { Authority, type Pair } from './authority.ts';

type Version = 4 | 5;
type Connect = (options?: IClientOptions) => Promise<MqttClient>;

const arrivalMs = 30_000;
const bigBytes = 1024 * 1024;

interface Message {
  readonly topic: string;
  readonly payload: Buffer;
  readonly packet: IPublishPacket;
}

const inboxes = new WeakMap<MqttClient, Message[]>();

/** The next message of a client; those that came before somebody asked are kept. */
async function next(client: MqttClient): Promise<Message> {
  for (const end = performance.now() + arrivalMs; performance.now() < end; await delay(5)) {
    const message = inboxes.get(client)?.shift();
    if (message !== undefined) return message;
  }
  return assert.fail('no message came');
}

function waiting(client: MqttClient): number {
  return inboxes.get(client)?.length ?? 0;
}

async function everyQos(connect: Connect): Promise<void> {
  const client = await connect();
  const topic = unique('t');
  await client.subscribeAsync(`${topic}/+`, { qos: 2 });
  for (const qos of [0, 1, 2] as const) {
    await client.publishAsync(`${topic}/${qos}`, `at ${qos}`, { qos });
    const { payload, packet } = await next(client);
    assert.equal(payload.toString(), `at ${qos}`);
    assert.equal(packet.qos, qos);
  }
  await client.unsubscribeAsync(`${topic}/+`);
  await client.endAsync();
}

async function retained(connect: Connect): Promise<void> {
  const client = await connect();
  const topic = unique('t');
  await client.publishAsync(topic, 'kept', { qos: 1, retain: true });
  const reader = await connect();
  await reader.subscribeAsync(topic, { qos: 1 });
  const { payload, packet } = await next(reader);
  assert.equal(payload.toString(), 'kept');
  assert.ok(packet.retain);
  await client.publishAsync(topic, '', { qos: 1, retain: true });
  assert.equal((await next(reader)).payload.length, 0);
  await reader.unsubscribeAsync(topic);
  await reader.subscribeAsync(topic, { qos: 1 });
  await delay(50);
  assert.equal(waiting(reader), 0);
  await Promise.all([client.endAsync(), reader.endAsync()]);
}

async function will(connect: Connect): Promise<void> {
  const topic = unique('will');
  const watcher = await connect();
  await watcher.subscribeAsync(topic, { qos: 1 });
  const leaver = await connect({
    will: { topic, payload: Buffer.from('gone'), qos: 1, retain: false },
  });
  leaver.stream.destroy();
  await leaver.endAsync(true);
  assert.equal((await next(watcher)).payload.toString(), 'gone');
  await watcher.endAsync();
}

async function sessionResumes(connect: Connect): Promise<void> {
  const clientId = unique('session');
  const lasting: IClientOptions = {
    clientId,
    clean: false,
    properties: { sessionExpiryInterval: 600 },
  };
  const topic = unique('t');
  const first = await connect(lasting);
  await first.subscribeAsync(topic, { qos: 2 });
  await first.endAsync();
  const publisher = await connect();
  for (const qos of [1, 2] as const) await publisher.publishAsync(topic, String(qos), { qos });
  const second = await connect(lasting);
  for (const qos of [1, 2]) {
    const { payload, packet } = await next(second);
    assert.equal(payload.toString(), String(qos));
    assert.equal(packet.qos, qos);
  }
  await Promise.all([publisher.endAsync(), second.endAsync()]);
}

async function shared(connect: Connect): Promise<void> {
  const topic = unique('t');
  const members = await Promise.all([connect(), connect()]);
  const seen: string[][] = [[], []];
  for (const [index, member] of members.entries()) {
    member.on('message', (_topic, payload) => seen[index]?.push(payload.toString()));
    await member.subscribeAsync(`$share/group/${topic}`, { qos: 1 });
  }
  const publisher = await connect();
  const sent = Array.from({ length: 40 }, (_, index) => String(index));
  await Promise.all(sent.map((text) => publisher.publishAsync(topic, text, { qos: 1 })));
  const end = performance.now() + arrivalMs;
  while (seen.flat().length < sent.length && performance.now() < end) await delay(10);
  assert.deepEqual([...seen.flat()].sort(), [...sent].sort());
  for (const one of seen) assert.ok(one.length > 0, 'each member gets some');
  await Promise.all([publisher, ...members].map((client) => client.endAsync()));
}

async function bigPayload(connect: Connect): Promise<void> {
  const topic = unique('t');
  const client = await connect();
  await client.subscribeAsync(topic, { qos: 2 });
  for (const qos of [0, 1, 2] as const) {
    const payload = randomBytes(bigBytes);
    await client.publishAsync(topic, payload, { qos });
    assert.ok((await next(client)).payload.equals(payload));
  }
  await client.endAsync();
}

async function requestAndResponse(connect: Connect): Promise<void> {
  const topic = unique('request');
  const server = await connect();
  server.on('message', (_topic, payload, { properties }) => {
    void server.publishAsync(properties?.responseTopic ?? '', `re: ${payload.toString()}`, {
      qos: 1,
      properties: { correlationData: properties?.correlationData ?? Buffer.alloc(0) },
    });
  });
  await server.subscribeAsync(topic, { qos: 1 });
  const client = await connect();
  const responseTopic = unique('response');
  await client.subscribeAsync(responseTopic, { qos: 1 });
  const properties = {
    responseTopic,
    correlationData: Buffer.from([1, 2, 3]),
    contentType: 'text/plain',
    userProperties: { a: ['1', '2'] },
  };
  await client.publishAsync(topic, 'hello', { qos: 1, properties });
  const { payload, packet } = await next(client);
  assert.equal(payload.toString(), 're: hello');
  assert.deepEqual([...(packet.properties?.correlationData ?? [])], [1, 2, 3]);
  await Promise.all([server.endAsync(), client.endAsync()]);
}

async function messageExpiry(connect: Connect): Promise<void> {
  const topic = unique('t');
  const lasting: IClientOptions = {
    clientId: unique('session'),
    clean: false,
    properties: { sessionExpiryInterval: 600 },
  };
  const first = await connect(lasting);
  await first.subscribeAsync(topic, { qos: 1 });
  await first.endAsync();
  const publisher = await connect();
  const expiring = (text: string, messageExpiryInterval: number): Promise<unknown> =>
    publisher.publishAsync(topic, text, { qos: 1, properties: { messageExpiryInterval } });
  await expiring('short', 1);
  await expiring('long', 100);
  await delay(1300);
  const second = await connect(lasting);
  const { payload, packet } = await next(second);
  assert.equal(payload.toString(), 'long');
  const leftS = packet.properties?.messageExpiryInterval ?? 0;
  assert.ok(leftS >= 95 && leftS < 100, `${leftS} s left`);
  await Promise.all([publisher.endAsync(), second.endAsync()]);
}

const scenarios = { everyQos, retained, will, sessionResumes, shared, bigPayload };
const scenarios5 = { requestAndResponse, messageExpiry };

/** The URL is asked for by each client: with several nodes they are not all at one. */
function connector(url: () => string, version: Version, secrets: IClientOptions = {}): Connect {
  return async ({ properties, ...options } = {}) => {
    const client = mqttConnect(url(), {
      protocolVersion: version,
      reconnectPeriod: 0,
      connectTimeout: 5000,
      clientId: unique('mqtt-js'),
      ...secrets,
      ...options,
      ...(version === 5 && properties ? { properties } : {}),
    });
    // Messages that waited for a session may come with the CONNACK.
    const inbox: Message[] = [];
    inboxes.set(client, inbox);
    client.on('message', (topic, payload, packet) => inbox.push({ topic, payload, packet }));
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve());
      client.once('error', reject);
      client.once('close', () => reject(new Error('closed before CONNACK')));
    });
    return client;
  };
}

function runs(name: string, connect: (version: Version) => Connect): void {
  for (const version of [4, 5] as const) {
    const all = version === 5 ? { ...scenarios, ...scenarios5 } : scenarios;
    void test(`${name}, version ${version === 4 ? '3.1.1' : '5.0'}`, async (t) => {
      for (const [scenario, run] of Object.entries(all)) {
        await t.test(scenario, () => run(connect(version)));
      }
    });
  }
}

const settings = { MAX_PACKET_SIZE: '2m' };

void describe('MQTT.js', () => {
  let broker: Broker;
  before(async () => {
    broker = await startBroker({ settings });
  });
  after(() => broker.stop());
  runs('TCP', (version) => connector(() => `mqtt://127.0.0.1:${broker.mqttPort}`, version));
  runs('WebSocket', (version) => connector(() => `ws://127.0.0.1:${broker.wsPort}/mqtt`, version));
});

void describe('MQTT.js, secure', requirePrograms('openssl'), () => {
  let broker: Broker;
  let authority: Authority;
  before(async () => {
    authority = new Authority();
    const { cert, key } = authority.sign('broker');
    const tls = { MQTT_TLS_PORT: '0', WSS_PORT: '0', TLS_CERT: cert, TLS_KEY: key };
    broker = await startBroker({ settings: { ...settings, ...tls } });
  });
  after(async () => {
    await broker.stop();
    authority.remove();
  });
  runs('TLS', (version) =>
    connector(() => `mqtts://127.0.0.1:${broker.mqttsPort}`, version, authority.trust()),
  );
  runs('secure WebSocket', (version) =>
    connector(() => `wss://127.0.0.1:${broker.wssPort}/mqtt`, version, authority.trust()),
  );
});

void describe('MQTT.js, certificates on both sides', requirePrograms('openssl'), () => {
  let broker: Broker;
  let authority: Authority;
  let client: Pair;
  before(async () => {
    authority = new Authority();
    const { cert, key } = authority.sign('broker');
    client = authority.sign('client');
    const tls = { MQTT_TLS_PORT: '0', WSS_PORT: '0', TLS_CERT: cert, TLS_KEY: key };
    const required = { TLS_CA: authority.root.cert, TLS_CLIENT_CERT: 'required' };
    broker = await startBroker({ settings: { ...settings, ...tls, ...required } });
  });
  after(async () => {
    await broker.stop();
    authority.remove();
  });
  runs('mutual TLS', (version) =>
    connector(() => `mqtts://127.0.0.1:${broker.mqttsPort}`, version, authority.trust(client)),
  );
  void test('without a certificate nobody comes in', async () => {
    for (const url of [
      `mqtts://127.0.0.1:${broker.mqttsPort}`,
      `wss://127.0.0.1:${broker.wssPort}/mqtt`,
    ]) {
      await assert.rejects(connector(() => url, 5, authority.trust())());
    }
  });
});
