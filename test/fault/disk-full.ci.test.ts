// A disk without room: publishes are refused, clients are told, nothing acknowledged is lost, and
// it goes on by itself when there is room again.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { StandaloneBroker } from '../harness/standalone-broker.ts';
import { closeAllClients, connected, connectRaw, unique } from '../harness/wire.ts';
import { LedgerPublisher } from './ledger-publisher.ts';
import { LedgerSubscriber } from './ledger-subscriber.ts';
import { describeFigures, Ledger } from './ledger.ts';

const deadlineMs = 20_000;
const loadMs = 400;
const comeMs = 100;

interface Disk {
  readonly dataDir?: string;
  makeFull(broker: StandaloneBroker): void;
  makeRoom(broker: StandaloneBroker): void;
}

async function until(
  broker: StandaloneBroker,
  what: string,
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    assert.ok(!broker.died, `${what}: ${broker.lastWords}`);
    if (await isSo()) return;
    assert.ok(performance.now() < end, what);
    await delay(20);
  }
}

async function readyz(broker: StandaloneBroker): Promise<number> {
  return (await fetch(`http://127.0.0.1:${broker.opsPort}/readyz`)).status;
}

/** Answers to single packets while there is no room. */
async function checkRefusals(broker: StandaloneBroker): Promise<void> {
  const client = await connectRaw(broker.mqttPort, { version: 5 });
  await client.connect({ version: 5, clientId: unique('c') });
  client.sendSubscribe({ packetId: 1, filters: ['live'] });
  await client.expect('suback', { reasons: [0] });
  client.sendPublish({ topic: 'load/refused', qos: 1, packetId: 2, payload: '0' });
  await client.expect('puback', { packetId: 2, reason: 0x97 });
  client.sendPublish({ topic: 'load/refused', qos: 2, packetId: 3, payload: '0' });
  await client.expect('pubrec', { packetId: 3, reason: 0x97 });
  // Messages that need not be stored go on.
  client.sendPublish({ topic: 'live', payload: 'now' });
  await client.expect('publish', { topic: 'live', payload: 'now' });
  client.destroy();
  const old = await connected(broker.mqttPort);
  old.sendPublish({ topic: 'load/refused', qos: 1, packetId: 4, payload: '0' });
  await old.expectClose();
  old.destroy();
}

async function fillsAndGoesOn(t: TestContext, disk: Disk): Promise<void> {
  const settings = { SEGMENT_BYTES: '256k', CHECKPOINT_INTERVAL_S: '1' };
  const { dataDir } = disk;
  const broker = new StandaloneBroker({ settings, ...(dataDir === undefined ? {} : { dataDir }) });
  t.after(async () => {
    closeAllClients();
    await broker.stop();
  });
  await broker.start();
  const ledger = new Ledger();
  let refusals = 0;
  let closes = 0;
  const payload = (_: unknown, number: number): string => `${number} ${'x'.repeat(2000)}`;
  const publishers = ([5, 5, 4, 4] as const).map((version, index) => {
    const qos = index % 2 === 0 ? 1 : 2;
    return new LedgerPublisher(ledger, {
      clientId: `publisher-${index}`,
      version,
      topics: [ledger.topic(`load/${index}`, qos)],
      window: 4,
      payload,
      refused: (reason) => {
        assert.equal(reason, 0x97);
        refusals += 1;
      },
    });
  });
  const subscribers = ['here', 'away'].map((clientId) => {
    const account = ledger.account(clientId, () => 2);
    return new LedgerSubscriber(ledger, {
      clientId,
      version: 5,
      filters: [{ filter: 'load/+', qos: 2 }],
      arrived: (topic, text) => account.arrived(topic, Number.parseInt(text, 10)),
    });
  });
  for (const party of [...publishers, ...subscribers]) await party.come(broker.mqttPort);
  subscribers[1]?.leave();
  const publishing = setInterval(() => {
    for (const publisher of publishers) publisher.publish();
  }, 5);
  // One connection of a client at a time: another would take its session over.
  const coming = new Map<LedgerPublisher, Promise<void>>();
  const reconnecting = setInterval(() => {
    for (const publisher of publishers) {
      if (publisher.isConnected || coming.has(publisher)) continue;
      closes += 1;
      const come = publisher.come(broker.mqttPort).catch(() => undefined);
      coming.set(
        publisher,
        come.finally(() => coming.delete(publisher)),
      );
    }
  }, comeMs);
  try {
    await delay(loadMs);
    disk.makeFull(broker);
    await until(broker, 'publishes are refused', () => refusals > 5 && closes > 0);
    await until(broker, '/readyz says 503', async () => (await readyz(broker)) === 503);
    await checkRefusals(broker);
    disk.makeRoom(broker);
    await until(broker, '/readyz says 200', async () => (await readyz(broker)) === 200);
    const before = ledger.figures().acknowledged;
    await until(broker, 'it acknowledges again', () => ledger.figures().acknowledged > before + 20);
  } finally {
    clearInterval(publishing);
    clearInterval(reconnecting);
  }
  await Promise.all(coming.values());
  for (const publisher of publishers) {
    if (!publisher.isConnected) await publisher.come(broker.mqttPort);
  }
  await until(broker, 'all handshakes end', () =>
    publishers.every(({ inflight }) => inflight === 0),
  );
  // Without a new connection, so that what waited for the store goes on by itself.
  const [here] = ledger.accounts;
  assert.ok(here && subscribers[0]?.isConnected);
  await until(
    broker,
    'all comes to the one who stayed',
    () => ledger.owed(undefined, [here]) === 0,
  );
  await broker.kill();
  await broker.start();
  for (const subscriber of subscribers) await subscriber.come(broker.mqttPort);
  await until(broker, 'all arrives', () => ledger.owed() === 0).catch(() => undefined);
  await delay(loadMs);
  const figures = ledger.figures();
  t.diagnostic(`${refusals} refused with 0x97, ${closes} closed: ${describeFigures(figures)}`);
  assert.deepEqual(figures.problems, []);
  for (const party of [...publishers, ...subscribers]) party.leave();
}

/** Whether the process may be limited from outside while it runs. */
const limits = spawnSync('prlimit', ['--version']).status === 0;

void test(
  'files that may not grow (EFBIG)',
  { skip: limits ? false : 'prlimit not found; install util-linux' },
  async (t) => {
    const limit = (broker: StandaloneBroker, bytes: string): void => {
      // The soft limit only, which may be raised again.
      const args = ['--pid', String(broker.pid), `--fsize=${bytes}:`];
      assert.equal(spawnSync('prlimit', args).status, 0);
    };
    await fillsAndGoesOn(t, {
      makeFull: (broker) => limit(broker, '4096'),
      makeRoom: (broker) => limit(broker, 'unlimited'),
    });
  },
);

/** A file system of a few MB; undefined where mounting is not allowed. */
function smallDisk(t: TestContext): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'lmqtt-small-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', folder]);
  t.after(() => {
    if (mounted.status === 0) spawnSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  return mounted.status === 0 ? folder : undefined;
}

void test('a small disk that is full (ENOSPC)', async (t) => {
  const folder = smallDisk(t);
  if (folder === undefined) {
    t.skip('a tmpfs may not be mounted here');
    return;
  }
  const dataDir = join(folder, 'data');
  mkdirSync(dataDir);
  const ballast = join(folder, 'ballast');
  await fillsAndGoesOn(t, {
    dataDir,
    makeFull: () => {
      const { bavail, bsize } = statfsSync(folder);
      writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - 300_000)));
    },
    makeRoom: () => rmSync(ballast),
  });
});
