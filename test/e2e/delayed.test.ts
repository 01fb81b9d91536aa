// Messages that are published later: by their topic in every version, by a user property of 5.0.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Suite } from '../harness/suite.ts';
import { unique } from '../harness/wire.ts';

const rules = `deny all publish closed/#\nallow all all #\nallow all all $delayed/#\n`;
const rulesFile = join(process.env['TMPDIR'] ?? '/tmp', `${unique('rules')}.acl`);
writeFileSync(rulesFile, rules);
const suite = new Suite({ settings: { ACL_FILE: rulesFile, DELAY_S_MAX: '1h' } });
const main = join(import.meta.dirname, '../../../services/standalone/dist/src/main.js');
const hour = { userProperties: [['lmqtt-delay', '3600']] } as const;

interface Line {
  readonly id: number;
  readonly topic: string;
  readonly clientId: string;
  readonly dueAtMs: number;
}

async function linesOf(topic: string): Promise<Line[]> {
  const lines: Line[] = [];
  for (let after = ''; ;) {
    const answer = await fetch(
      `http://127.0.0.1:${suite.broker.opsPort}/api/v1/delayed?limit=2${after}`,
    );
    const { messages, next } = (await answer.json()) as { messages: Line[]; next: string | null };
    lines.push(...messages.filter((line) => line.topic === topic));
    if (next === null) return lines;
    after = `&after=${next}`;
  }
}

void describe('delayed messages', () => {
  for (const version of [3, 4, 5] as const) {
    for (const qos of [0, 1, 2] as const) {
      void test(`$delayed/{seconds}/{topic}, version ${version}, QoS ${qos}`, async () => {
        const topic = unique('later');
        const subscriber = await suite.client({ version });
        await subscriber.subscribe(topic, 2);
        const publisher = await suite.client({ version });
        const sentMs = Date.now();
        await publisher.publish(`$delayed/1/${topic}`, 'later', { qos });
        await publisher.publish(topic, 'now', { qos });
        await subscriber.receive({ topic, payload: 'now', qos });
        await subscriber.receive({ topic, payload: 'later', qos });
        assert.ok(Date.now() - sentMs >= 990, 'not before its time');
        await subscriber.expectNothing();
      });
    }
  }

  void test('user properties name a delay or a time, and are not delivered', async () => {
    const topic = unique('later');
    const subscriber = await suite.client({ version: 5 });
    await subscriber.subscribe(topic, 1);
    const publisher = await suite.client({ version: 5 });
    const base = { contentType: 'text/plain', messageExpiryInterval: 600 };
    const sentMs = Date.now();
    const at = new Date(sentMs + 1500).toISOString();
    for (const [name, value] of [
      ['lmqtt-at', at],
      ['lmqtt-delay', '0.5'],
    ] as const) {
      const userProperties = [
        ['first', '1'],
        [name, value],
        ['last', '2'],
      ] as const;
      await publisher.publish(topic, name, { qos: 1, properties: { ...base, userProperties } });
    }
    for (const [payload, afterMs] of [
      ['lmqtt-delay', 490],
      ['lmqtt-at', 1490],
    ] as const) {
      const { properties } = await subscriber.receive({ topic, payload, qos: 1 });
      assert.ok(Date.now() - sentMs >= afterMs);
      assert.deepEqual(properties.userProperties, [
        ['first', '1'],
        ['last', '2'],
      ]);
      assert.equal(properties.contentType, 'text/plain');
      assert.ok((properties.messageExpiryInterval ?? 0) <= 600);
    }
  });

  void test('those that are due at one moment come in the order of their publishing', async () => {
    const topic = unique('order');
    const subscriber = await suite.client({ version: 5 });
    await subscriber.subscribe(topic, 1);
    const publisher = await suite.client({ version: 5 });
    const at = new Date(Date.now() + 3000).toISOString();
    const properties = { userProperties: [['lmqtt-at', at]] } as const;
    const count = 200;
    for (let number = 0; number < count; number += 1) {
      const packetId = number + 1;
      publisher.sendPublish({ topic, payload: `${number}`, qos: 1, packetId, properties });
      if (number % 10 === 9)
        for (let acks = 0; acks < 10; acks += 1) await publisher.expect('puback', { reason: 0 });
    }
    for (let number = 0; number < count; number += 1)
      await subscriber.receive({ payload: `${number}` });
  });

  void test('a retained one is retained when it is due', async () => {
    const topic = unique('kept');
    const publisher = await suite.client();
    const watcher = await suite.client();
    await watcher.subscribe(topic, 1);
    await publisher.publish(`$delayed/1/${topic}`, 'kept', { qos: 1, retain: true });
    await (await suite.subscriber(topic)).expectNothing();
    await watcher.receive({ payload: 'kept' });
    const late = await suite.client();
    await late.subscribe(topic, 1);
    await late.receive({ topic, payload: 'kept', retain: true });
  });

  void test('rules judge the topic that the message will have', async () => {
    const publisher = await suite.client({ version: 5 });
    const refused = { qos: 1, packetId: 9, payload: 'x' } as const;
    publisher.sendPublish({ ...refused, topic: '$delayed/1/closed/x' });
    await publisher.expect('puback', { packetId: 9, reason: 0x87 });
    publisher.sendPublish({ ...refused, topic: 'closed/x', properties: hour });
    await publisher.expect('puback', { packetId: 9, reason: 0x87 });
    await publisher.publish('$delayed/0/open/x', 'x', { qos: 1 });
  });

  void test('what is malformed, too late or over before its time is refused', async () => {
    const publisher = await suite.client({ version: 5 });
    const send = async (reason: number, topic: string, more: object = {}): Promise<void> => {
      for (const qos of [1, 2] as const) {
        publisher.sendPublish({ topic, payload: 'x', qos, packetId: 9, ...more });
        await publisher.expect(qos === 1 ? 'puback' : 'pubrec', { packetId: 9, reason });
      }
    };
    const property = (name: string, value: string): object => {
      return { properties: { userProperties: [[name, value]] } };
    };
    for (const topic of ['$delayed/1', '$delayed/x/t', '$delayed/1/', '$delayed/1/$delayed/1/t'])
      await send(0x90, topic);
    await send(0x99, 't', property('lmqtt-delay', 'soon'));
    await send(0x99, 't', property('lmqtt-at', 'tomorrow'));
    await send(0x97, '$delayed/3601/t');
    await send(0x97, 't', property('lmqtt-at', '2999-01-01T00:00:00Z'));
    await send(0x99, '$delayed/5/t', { properties: { messageExpiryInterval: 3 } });
    await publisher.ping();
    const old = await suite.client();
    old.sendPublish({ topic: '$delayed/x/t', payload: 'x', qos: 1, packetId: 9 });
    await old.expectClose();
  });

  void test('a will has a delay of its own, so that it may not ask for another', async () => {
    const will = { topic: '$delayed/5/gone', payload: 'x' };
    const client = await suite.open();
    await client.connect({ version: 5, will, reason: 0x90 });
    const old = await suite.open();
    await old.connect({ version: 4, will, reason: 5 });
  });

  void test('a QoS 2 publish that is sent again waits once', async () => {
    const topic = unique('once');
    const clientId = unique('c');
    const fields = {
      version: 5,
      clientId,
      clean: false,
      properties: { sessionExpiryInterval: 600 },
    } as const;
    const publish = { topic, payload: 'x', qos: 2, packetId: 7, properties: hour } as const;
    const first = await suite.client(fields);
    first.sendPublish(publish);
    await first.expect('pubrec', { packetId: 7, reason: 0 });
    first.destroy();
    const again = await suite.client({ ...fields, sessionPresent: true });
    again.sendPublish({ ...publish, dup: true });
    await again.expect('pubrec', { packetId: 7, reason: 0 });
    again.sendAck('pubrel', 7);
    await again.expect('pubcomp', { packetId: 7 });
    assert.equal((await linesOf(topic)).length, 1);
    // The identifier is free again.
    again.sendPublish(publish);
    await again.expect('pubrec', { packetId: 7, reason: 0 });
    assert.equal((await linesOf(topic)).length, 2);
  });

  void test('they are listed and cancelled, over REST and by command', async () => {
    const topic = unique('listed');
    const clientId = unique('c');
    const publisher = await suite.client({ version: 5, clientId });
    for (let number = 0; number < 5; number += 1)
      await publisher.publish(topic, `${number}`, { qos: 1, properties: hour });
    const lines = await linesOf(topic);
    assert.equal(lines.length, 5);
    assert.ok(lines.every((line) => line.clientId === clientId && line.dueAtMs > Date.now()));
    const run = (...args: string[]): { status: number | null; stdout: string } =>
      spawnSync(
        process.execPath,
        [main, 'delayed', ...args, '--ops-port', String(suite.broker.opsPort)],
        { encoding: 'utf8', env: { PATH: process.env['PATH'] } },
      );
    const listed = run('list');
    assert.equal(listed.status, 0);
    assert.match(listed.stdout, new RegExp(`${lines[0]!.id} .* ${topic} .*${clientId}`));
    assert.equal(run('cancel', String(lines[0]!.id)).status, 0);
    assert.equal(run('cancel', String(lines[0]!.id)).status, 1);
    const url = `http://127.0.0.1:${suite.broker.opsPort}/api/v1/delayed/${lines[1]!.id}`;
    assert.equal((await fetch(url, { method: 'DELETE' })).status, 204);
    assert.equal((await fetch(url, { method: 'DELETE' })).status, 404);
    assert.equal((await linesOf(topic)).length, 3);
  });

  void test('they survive kill -9, and what fell due meanwhile goes out at the start', async () => {
    const topic = unique('killed');
    const lasting = {
      version: 5,
      clientId: unique('c'),
      clean: false,
      properties: { sessionExpiryInterval: 600 },
    } as const;
    const subscriber = await suite.client(lasting);
    await subscriber.subscribe(topic, 2);
    await subscriber.disconnect();
    const publisher = await suite.client({ version: 5 });
    for (const qos of [0, 1, 2] as const)
      await publisher.publish(`$delayed/2/${topic}`, `QoS ${qos}`, { qos });
    await publisher.publish(topic, 'hour', { qos: 1, properties: hour });
    await suite.broker.kill();
    await delay(2000);
    await suite.broker.restart();
    const back = await suite.client({ ...lasting, sessionPresent: true });
    // At QoS 0 it comes where the client is back before it is due.
    let next = await back.receive({ topic });
    if (next.qos === 0) next = await back.receive({ topic });
    assert.deepEqual([next.qos, String(next.payload)], [1, 'QoS 1']);
    await back.receive({ topic, payload: 'QoS 2', qos: 2 });
    await back.expectNothing();
    assert.equal((await linesOf(topic)).length, 1);
  });
});
