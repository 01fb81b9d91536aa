import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connect } from '../harness/packets.ts';
import { unique } from '../harness/wire.ts';
import { Suite, protocolError, seconds, together } from './v5.ts';

const suite = new Suite();
const ownBroker = { skip: process.env['LMQTT_TEST_BROKER'] ? 'needs a broker of its own' : false };

describe('MQTT 5 session', together, () => {
  const properties = { sessionExpiryInterval: 60 };

  test('[MQTT-3.1.2-6] [MQTT-3.2.2-3] clean start 0 without a session: a new one, session present 0', async () => {
    const client = await suite.client({ clean: false, sessionPresent: false, properties });
    await client.ping();
  });

  test('[MQTT-3.1.2-5] [MQTT-3.1.2-23] [MQTT-3.2.2-3] [MQTT-4.1.0-1] clean start 0 resumes subscriptions and what waited', async () => {
    const [clientId, topic] = [unique(), unique()];
    const first = await suite.client({ clientId, properties });
    await first.subscribe(topic, 2);
    await first.disconnect();
    const publisher = await suite.client();
    for (const qos of [0, 1, 2] as const) await publisher.publish(topic, `at ${qos}`, { qos });
    const back = await suite.client({ clientId, clean: false, sessionPresent: true, properties });
    const first2 = await back.receive({ topic });
    // QoS 0 to an absent session may be kept or not.
    if (first2.qos === 0) await back.receive({ payload: 'at 1', qos: 1, dup: false });
    else assert.equal(first2.payload.toString(), 'at 1');
    await back.receive({ payload: 'at 2', qos: 2, dup: false });
    await publisher.publish(topic, 'live', { qos: 1 });
    await back.receive({ payload: 'live' });
    await suite.nothingElse(back);
  });

  test('[MQTT-3.1.2-4] [MQTT-3.1.4-4] [MQTT-3.2.2-2] clean start 1 throws the session away', async () => {
    const [clientId, topic] = [unique(), unique()];
    const first = await suite.client({ clientId, properties });
    await first.subscribe(topic, 1);
    await first.disconnect();
    const publisher = await suite.client();
    await publisher.publish(topic, 'waiting', { qos: 1 });
    const second = await suite.client({ clientId, clean: true, sessionPresent: false, properties });
    await publisher.publish(topic, 'live', { qos: 1 });
    await suite.nothingElse(second);
    await second.disconnect();
    const third = await suite.client({ clientId, clean: false, sessionPresent: true });
    await suite.nothingElse(third);
  });

  test('[MQTT-4.1.0-2] expiry 0 or absent: the session ends with its connection', async () => {
    for (const short of [{}, { sessionExpiryInterval: 0 }]) {
      const [clientId, topic] = [unique(), unique()];
      const first = await suite.client({ clientId, properties: short });
      await first.subscribe(topic, 1);
      await first.disconnect();
      await suite.client({ clientId, clean: false, sessionPresent: false });
    }
  });

  test('[MQTT-4.1.0-2] [MQTT-4.1.0-1] a session ends when its expiry has passed after the close, not before', async () => {
    const [clientId, topic] = [unique(), unique()];
    const short = { sessionExpiryInterval: 2 };
    const first = await suite.client({ clientId, properties: short });
    await first.subscribe(topic, 1);
    await seconds(2.3);
    await first.publish(topic, 'still mine', { qos: 1 });
    await first.receive({ payload: 'still mine' });
    await first.disconnect();
    const again = await suite.client({
      clientId,
      clean: false,
      sessionPresent: true,
      properties: short,
    });
    again.destroy();
    await seconds(3.2);
    const late = await suite.client({ clientId, clean: false, sessionPresent: false });
    await late.publish(topic, 'x', { qos: 1 });
    await suite.nothingElse(late);
  });

  test('[MQTT-3.1.2-23] an expiry of 0xFFFFFFFF is accepted; what CONNACK says instead holds', async () => {
    const clientId = unique();
    const client = await suite.raw();
    const connack = await client.connect({
      clientId,
      properties: { sessionExpiryInterval: 0xffff_ffff },
    });
    const told = connack.properties.sessionExpiryInterval;
    assert.ok(told === undefined || told > 0);
    await client.disconnect();
    const back = await suite.client({ clientId, clean: false, sessionPresent: true });
    await back.ping();
  });

  test('[MQTT-4.1.0-2] DISCONNECT can end the session (expiry 0)', async () => {
    const clientId = unique();
    const first = await suite.client({ clientId, properties });
    await first.disconnect({ reason: 0, properties: { sessionExpiryInterval: 0 } });
    await suite.client({ clientId, clean: false, sessionPresent: false });
  });

  test('[MQTT-4.1.0-2] DISCONNECT can shorten the expiry', async () => {
    const clientId = unique();
    const first = await suite.client({ clientId, properties });
    await first.disconnect({ properties: { sessionExpiryInterval: 1 } });
    await seconds(2.2);
    await suite.client({ clientId, clean: false, sessionPresent: false });
  });

  test('[MQTT-3.1.2-23] DISCONNECT can lengthen the expiry', async () => {
    const clientId = unique();
    const first = await suite.client({ clientId, properties: { sessionExpiryInterval: 1 } });
    await first.disconnect({ properties: { sessionExpiryInterval: 60 } });
    await seconds(2.2);
    await suite.client({ clientId, clean: false, sessionPresent: true });
  });

  test('[MQTT-4.13.1-1] DISCONNECT that turns expiry 0 into more is a protocol error', async () => {
    for (const none of [{}, { sessionExpiryInterval: 0 }]) {
      const client = await suite.client({ properties: none });
      client.send(Buffer.from([0xe0, 0x07, 0x00, 0x05, 0x11, 0, 0, 0, 60]));
      await client.expectDisconnect(protocolError);
    }
  });

  test('[MQTT-3.1.2-23] CONNECT sets the expiry anew', async () => {
    const clientId = unique();
    const first = await suite.client({ clientId, properties });
    await first.disconnect();
    const second = await suite.client({ clientId, clean: false, sessionPresent: true });
    await second.disconnect();
    await suite.client({ clientId, clean: false, sessionPresent: false });
  });

  test('[MQTT-3.1.4-3] [MQTT-3.1.2-5] [MQTT-3.14.2-2] [MQTT-3.14.4-2] a takeover keeps the session and what is in flight', async () => {
    const [clientId, topic] = [unique(), unique()];
    const first = await suite.client({ clientId, properties });
    await first.subscribe(topic, 1);
    await first.publish(topic, 'x', { qos: 1 });
    const message = await first.expect('publish', { payload: 'x' });
    const second = await suite.client({ clientId, clean: false, sessionPresent: true, properties });
    const { properties: told } = await first.expectDisconnect(0x8e);
    assert.equal(told.sessionExpiryInterval, undefined);
    await second.receive({ payload: 'x', dup: true, packetId: message.packetId });
    await suite.nothingElse(second);
  });

  test('[MQTT-3.1.4-3] ten takeovers at once leave one connection, which works', async () => {
    const [clientId, topic] = [unique(), unique()];
    const clients = await Promise.all(Array.from({ length: 10 }, () => suite.raw()));
    let closedCount = 0;
    const displaced = new Promise<void>((resolve) => {
      for (const { stream } of clients) {
        stream.on('close', () => {
          closedCount += 1;
          if (closedCount === 9) resolve();
        });
      }
    });
    for (const client of clients) {
      client.send(connect({ version: 5, clientId, clean: false, properties }));
    }
    await displaced;
    const [last, ...none] = clients.filter((client) => !client.closed);
    assert.ok(last && none.length === 0);
    for (const client of clients) {
      const connack = await client.next().catch(() => undefined);
      if (connack?.type !== 'connack' || connack.reason !== 0) assert.notEqual(client, last);
      else if (client !== last) await client.expectDisconnect(0x8e);
    }
    await last.subscribe(topic, 1);
    await last.publish(topic, 'x', { qos: 1 });
    await last.receive({ topic });
  });

  test('[MQTT-3.1.3-2] sessions of different client ids, also by case, are different', async () => {
    const [clientId, topic] = [unique('AbC'), unique()];
    const one = await suite.client({ clientId, properties });
    await one.subscribe(topic, 1);
    const other = await suite.client({
      clientId: clientId.toLowerCase(),
      clean: false,
      sessionPresent: false,
    });
    await one.publish(topic, 'x', { qos: 1 });
    await one.receive({ topic });
    await suite.nothingElse(other);
  });

  test('[MQTT-3.14.4-1] [MQTT-3.14.4-2] after DISCONNECT of the client nothing is processed', async () => {
    const topic = unique();
    const watcher = await suite.client();
    await watcher.subscribe(topic, 1);
    const client = await suite.client();
    client.send(
      Buffer.from([0xe0, 0x00]),
      Buffer.concat([
        Buffer.from([0x30, topic.length + 4, 0, topic.length]),
        Buffer.from(topic),
        Buffer.from([0, 0x78]),
      ]),
    );
    await client.expectClose();
    await suite.nothingElse(watcher);
  });
});

describe('MQTT 5 session expiry has a maximum', () => {
  const limited = new Suite({ SESSION_EXPIRY_S_MAX: '5' });
  test(
    '[MQTT-3.1.2-23] CONNACK tells a shorter expiry than was asked for, and only then',
    ownBroker,
    async () => {
      for (const [asked, told] of [
        [60, 5],
        [0xffff_ffff, 5],
        [5, undefined],
        [3, undefined],
        [0, undefined],
      ] as const) {
        const client = await limited.raw();
        const { properties } = await client.connect({
          clientId: unique(),
          properties: { sessionExpiryInterval: asked },
        });
        assert.equal(properties.sessionExpiryInterval, told);
        await client.disconnect();
      }
    },
  );
});

describe('MQTT 5 session over a stop and a start', ownBroker, () => {
  const restarting = new Suite();
  const properties = { sessionExpiryInterval: 60 };

  test('[MQTT-3.1.2-5] [MQTT-3.1.2-23] [MQTT-4.4.0-1] [MQTT-4.13.2-1] [MQTT-3.14.2-2] a stop says 0x8B and keeps sessions, ids in flight, retained messages', async () => {
    const [clientId, topic] = [unique(), unique()];
    const client = await restarting.client({ clientId, properties });
    await client.subscribe(topic, 2, { properties: { subscriptionIdentifier: 9 } });
    const publisher = await restarting.client();
    for (const payload of ['a', 'b', 'c']) await publisher.publish(topic, payload, { qos: 2 });
    await publisher.publish(topic, 'kept', { qos: 1, retain: true });
    // In order at QoS 2, where each waits to be stored; what is at QoS 1 need not wait.
    const [a, b, c] = [
      await client.find('publish', { qos: 2 }),
      await client.find('publish', { qos: 2 }),
      await client.find('publish', { qos: 2 }),
    ];
    assert.deepEqual(
      [a, b, c].map(({ payload }) => String(payload)),
      ['a', 'b', 'c'],
    );
    const kept = await client.find('publish', { payload: 'kept', qos: 1 });
    client.sendAck('pubrec', a.packetId);
    await client.expect('pubrel', { packetId: a.packetId });
    client.sendAck('pubcomp', a.packetId);
    client.sendAck('pubrec', b.packetId);
    await client.expect('pubrel', { packetId: b.packetId });
    client.sendAck('puback', kept.packetId);
    await client.ping();
    const restarted = restarting.broker.restart();
    const { properties: told } = await client.expectDisconnect(0x8b);
    assert.equal(told.sessionExpiryInterval, undefined);
    await publisher.expectDisconnect(0x8b);
    await restarted;
    const back = await restarting.client({
      clientId,
      clean: false,
      sessionPresent: true,
      properties,
    });
    await back.find('pubrel', { packetId: b.packetId });
    back.sendAck('pubcomp', b.packetId);
    const again = await back.find('publish', { payload: 'c', packetId: c.packetId, dup: true });
    assert.deepEqual(again.properties.subscriptionIdentifiers, [9]);
    back.sendAck('pubrec', c.packetId);
    await back.find('pubrel', { packetId: c.packetId });
    back.sendAck('pubcomp', c.packetId);
    await restarting.nothingElse(back);
    const late = await restarting.client();
    await late.subscribe(topic, 1);
    await late.receive({ payload: 'kept', retain: true });
  });

  test('[MQTT-3.10.4-3] what was in flight when its filter was unsubscribed is delivered after kill -9', async () => {
    const [clientId, topic] = [unique(), unique()];
    const client = await restarting.client({ clientId, properties });
    await client.subscribe(topic, 1);
    await client.publish(topic, 'begun', { qos: 1 });
    const begun = await client.expect('publish', { payload: 'begun', qos: 1 });
    await client.unsubscribe(topic);
    const publisher = await restarting.client();
    await publisher.publish(topic, 'too late', { qos: 1 });
    await restarting.broker.kill();
    await restarting.broker.restart();
    const back = await restarting.client({
      clientId,
      clean: false,
      sessionPresent: true,
      properties,
    });
    await back.receive({ payload: 'begun', packetId: begun.packetId, dup: true });
    await restarting.nothingElse(back);
  });

  test('[MQTT-4.3.3-10] [MQTT-4.3.3-11] a QoS 2 handshake to the server goes on after kill -9', async () => {
    const [clientId, topic, watcherId] = [unique(), unique(), unique()];
    const watcher = await restarting.client({ clientId: watcherId, properties });
    await watcher.subscribe(topic, 2);
    const publisher = await restarting.client({ clientId, properties });
    publisher.sendPublish({ topic, payload: 'once', qos: 2, packetId: 3 });
    await publisher.expect('pubrec', { packetId: 3, reason: 0 });
    await watcher.receive({ payload: 'once' });
    await watcher.ping();
    await restarting.broker.kill();
    await restarting.broker.restart();
    const again = await restarting.client({
      clientId,
      clean: false,
      sessionPresent: true,
      properties,
    });
    again.sendPublish({ topic, payload: 'once', qos: 2, packetId: 3, dup: true });
    await again.expect('pubrec', { packetId: 3 });
    again.sendAck('pubrel', 3);
    await again.expect('pubcomp', { packetId: 3, reason: 0 });
    const back = await restarting.client({
      clientId: watcherId,
      clean: false,
      sessionPresent: true,
      properties,
    });
    // The last PUBCOMP may have been lost with the process: then PUBREL comes again, never PUBLISH.
    const marker = unique();
    await back.subscribe(marker);
    await again.publish(marker, '', { qos: 1 });
    for (;;) {
      const packet = await back.next();
      if (packet.type === 'pubrel') back.sendAck('pubcomp', packet.packetId);
      else {
        assert.deepEqual([packet.type, 'topic' in packet && packet.topic], ['publish', marker]);
        break;
      }
    }
    await back.expectNothing();
  });
});
