// Brokers within another program: `startBroker`, used as a program that embeds it would.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import { type EmbeddedBroker, SettingsError, startBroker } from '@lmqtt/standalone/embed';
import { isCluster, isSplit } from '../harness/shape.ts';
import { closeAllClients, connected, connectRaw, unique } from '../harness/wire.ts';

// The shape of the broker is that of the embedding program.
const options = { skip: isSplit || isCluster ? 'of one process only' : false };

void describe('a broker within a program', options, () => {
  const folder = mkdtempSync(join(tmpdir(), 'lmqtt-embedded-'));
  const open: EmbeddedBroker[] = [];
  const start = async (given?: Parameters<typeof startBroker>[0]): Promise<EmbeddedBroker> => {
    const broker = await startBroker(given);
    open.push(broker);
    return broker;
  };
  const portOf = ({ ports }: EmbeddedBroker): number => ports.mqtt!;
  afterEach(async () => {
    closeAllClients();
    for (const broker of open.splice(0)) await broker.close();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  void test('publishes to its clients, retained too, and closes twice', async () => {
    const broker = await start();
    assert.deepEqual(Object.keys(broker.ports), ['mqtt']);
    await broker.publish({ topic: 'kept', payload: 'before', qos: 1, retain: true });
    const client = await connected(portOf(broker), { version: 5 });
    await client.subscribe(['kept', 'live/#'], 2);
    await client.receive({ topic: 'kept', payload: Buffer.from('before'), retain: true });
    for (const qos of [0, 1, 2] as const) {
      await broker.publish({ topic: `live/${qos}`, payload: new Uint8Array([qos]), qos });
      const { payload } = await client.receive({ topic: `live/${qos}`, qos });
      assert.deepEqual([...payload], [qos]);
    }
    await Promise.all(
      Array.from({ length: 500 }, (_, at) =>
        broker.publish({ topic: 'live/many', payload: String(at), qos: 1 }),
      ),
    );
    for (let at = 0; at < 500; at += 1) {
      const { payload } = await client.receive({ topic: 'live/many' });
      assert.equal(String(payload), String(at));
    }
    await assert.rejects(broker.publish({ topic: 'a/+', payload: '' }), TypeError);
    await assert.rejects(broker.publish({ topic: '', payload: '' }), TypeError);
    await Promise.all([broker.close(), broker.close()]);
    await assert.rejects(connectRaw(portOf(broker)));
  });

  void test('leaves no temporary folder, and keeps one that it was given', async () => {
    const before = new Set(readdirSync(tmpdir()));
    const passing = await start();
    await passing.publish({ topic: 'a', payload: 'x', qos: 1 });
    await passing.close();
    const left = readdirSync(tmpdir()).filter((name) => /^lmqtt-\w{6}$/.test(name));
    assert.deepEqual(
      left.filter((name) => !before.has(name)),
      [],
    );
    const dataDir = join(folder, 'data');
    const first = await start({ settings: { dataDir } });
    await first.publish({ topic: 'a', payload: 'kept', qos: 1, retain: true });
    await first.close();
    assert.ok(existsSync(dataDir));
    const second = await start({ settings: { dataDir } });
    const client = await connected(portOf(second));
    await client.subscribe('a', 1);
    await client.receive({ topic: 'a', payload: Buffer.from('kept') });
  });

  void test('two in one process know nothing of each other', async () => {
    const [one, two] = await Promise.all([start(), start()]);
    const clientId = unique();
    const first = await connected(portOf(one), { clientId });
    const second = await connected(portOf(two), { clientId });
    await first.subscribe('t', 1);
    await second.subscribe('t', 1);
    await two.publish({ topic: 't', payload: 'of two', qos: 1 });
    await one.publish({ topic: 't', payload: 'of one', qos: 1 });
    await first.receive({ payload: Buffer.from('of one') });
    await second.receive({ payload: Buffer.from('of two') });
    await one.close();
    await second.ping();
  });

  void test('asks the functions of its program who may come in', async () => {
    const broker = await start({
      auth: {
        authenticate: async ({ username, password }) =>
          username === 'ann' && password?.toString() === 'right' ? 'allow' : 'deny',
        authorise: ({ topic }) => topic !== 'closed',
      },
    });
    const fields = { version: 5, clientId: unique(), username: 'ann' } as const;
    const client = await connected(portOf(broker), { ...fields, password: 'right' });
    await client.subscribe(['open', 'closed'], 1, { reasons: [1, 0x87] });
    for (const [more, reason] of [
      [{ username: 'ann', password: 'wrong' }, 0x86],
      [{}, 0x87],
    ] as const) {
      const refused = await connectRaw(portOf(broker));
      await refused.connect({ version: 5, clientId: unique(), ...more, reason });
    }
  });

  void test('says what is wrong with its settings, and leaves nothing behind', async () => {
    const wrong = [
      [{ mqttPrt: 1883 }, /mqttPrt: there is no such setting \(did you mean mqttPort\?\)/],
      [{ mqttPort: 'many' }, /MQTT_PORT/],
      [{ bind: '0.0.0.0' }, /reachable from outside/],
    ] as const;
    for (const [settings, expected] of wrong)
      await assert.rejects(startBroker({ settings: settings as object }), (error: Error) => {
        assert.ok(error instanceof SettingsError);
        assert.match(error.message, expected);
        return true;
      });
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    await assert.rejects(startBroker({ settings: { mqttPort: port } }), /EADDRINUSE/);
    taken.close();
  });
});
