// Durability beyond `kill -9`, which keeps the page cache: nothing is promised before the sync
// that covers it, and what the syncs left is enough.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { after, afterEach, before, describe, test } from 'node:test';
import type { ConnectFields, Version } from '../harness/packets.ts';
import { connect } from '../harness/packets.ts';
import type { ServerPacketType } from '../harness/parser.ts';
import { closeAllClients, connected, connectRaw, unique, type RawClient } from '../harness/wire.ts';
import { killRun } from './kill-run.ts';
import { assertLedger } from './kill-victims.ts';
import { Random, seedOfRun } from './random.ts';
import { ShadowVictim } from './shadow-victim.ts';

afterEach(closeAllClients);

const heldMs = 200;
/** Lazy writes of what was before are done. */
const settleMs = 60;

interface Promised {
  /** The answer that says that something has been stored. */
  readonly answer: ServerPacketType;
  readonly match?: object;
  readonly client: RawClient;
  readonly send: () => void;
}

type Make = (port: number, version: Version) => Promise<Promised>;

function lasting(version: Version, clientId = unique('c')): ConnectFields & { clientId: string } {
  const properties = { sessionExpiryInterval: 3600 };
  return { version, clientId, clean: false, ...(version === 5 ? { properties } : {}) };
}

/** A client with a stored session, which subscribes to the topics that are published to. */
async function storedClient(port: number, version: Version): Promise<RawClient> {
  const client = await connected(port, lasting(version));
  await client.subscribe('topic', 0);
  return client;
}

function connects(fields: (version: Version) => ConnectFields): Make {
  return async (port, version) => {
    const client = await connectRaw(port, { version });
    client.version = version;
    return { answer: 'connack', client, send: () => client.send(connect(fields(version))) };
  };
}

function publishes(qos: 1 | 2, retain = false): Make {
  return async (port, version) => {
    const client = await storedClient(port, version);
    return {
      answer: qos === 1 ? 'puback' : 'pubrec',
      client,
      send: () => client.sendPublish({ topic: 'topic', payload: 'x', qos, retain, packetId: 7 }),
    };
  };
}

const promises: Readonly<Record<string, Make>> = {
  PUBACK: publishes(1),
  PUBREC: publishes(2),
  'PUBACK of a retained message': publishes(1, true),
  PUBCOMP: async (port, version) => {
    const client = await storedClient(port, version);
    client.sendPublish({ topic: 'topic', qos: 2, packetId: 7 });
    await client.find('pubrec', { packetId: 7 });
    return { answer: 'pubcomp', client, send: () => client.sendAck('pubrel', 7) };
  },
  SUBACK: async (port, version) => {
    const client = await connected(port, lasting(version));
    const filters = [{ filter: unique('filter'), qos: 1 }];
    return {
      answer: 'suback',
      client,
      send: () => client.sendSubscribe({ packetId: 7, filters }),
    };
  },
  'SUBACK of a shared subscription': async (port, version) => {
    const client = await connected(port, lasting(version));
    const filters = [{ filter: `$share/group/${unique('filter')}`, qos: 1 }];
    return {
      answer: 'suback',
      client,
      send: () => client.sendSubscribe({ packetId: 7, filters }),
    };
  },
  UNSUBACK: async (port, version) => {
    const client = await storedClient(port, version);
    return {
      answer: 'unsuback',
      client,
      send: () => client.sendUnsubscribe({ packetId: 7, filters: ['topic'] }),
    };
  },
  'CONNACK of a new session': connects((version) => lasting(version)),
  'CONNACK of a clean session with a will': connects((version) => ({
    version,
    clientId: unique('c'),
    will: { topic: 'will', payload: 'x', qos: 1 },
  })),
  'CONNACK that ends the session that was': async (port, version) => {
    const fields = lasting(version);
    await (await connected(port, fields)).disconnect();
    return connects(() => ({ ...fields, clean: true }))(port, version);
  },
  'CONNACK of a session that goes on': async (port, version) => {
    const fields = lasting(version);
    await (await connected(port, fields)).disconnect();
    return connects(() => fields)(port, version);
  },
  PUBREL: async (port, version) => {
    const client = await connected(port, lasting(version));
    const topic = unique('t');
    await client.subscribe(topic, 2);
    await client.publish(topic, 'x', { qos: 1 });
    client.sendPublish({ topic, payload: 'y', qos: 2, packetId: 9 });
    await client.find('pubrec', { packetId: 9 });
    const { packetId } = await client.find('publish', { topic, qos: 2 });
    return { answer: 'pubrel', client, send: () => client.sendAck('pubrec', packetId) };
  },
};

async function comesNot(client: RawClient, answer: ServerPacketType): Promise<void> {
  await assert.rejects(client.find(answer, {}, heldMs), /nothing came within/);
}

/** While the sync of an earlier block is held, and when that has ended but not the next one. */
async function leavesAfterItsSync(
  victim: ShadowVictim,
  make: Make,
  version: Version,
): Promise<void> {
  const port = victim.mqttPort;
  const { client, answer, send } = await make(port, version);
  const earlier = await storedClient(port, 4);
  await delay(settleMs);
  await victim.order({ kind: 'hold' });
  earlier.sendPublish({ topic: 'topic', qos: 1, packetId: 1 });
  await delay(settleMs);
  send();
  await comesNot(client, answer);
  await victim.order({ kind: 'allow', syncs: 1 });
  await earlier.find('puback', { packetId: 1 });
  await comesNot(client, answer);
  await victim.order({ kind: 'release' });
  await client.find(answer);
}

void describe('leaves after the sync that covers it:', () => {
  const victim = new ShadowVictim();
  before(() => victim.start());
  after(() => victim.end());

  for (const [index, [name, make]] of Object.entries(promises).entries()) {
    void test(name, async () => leavesAfterItsSync(victim, make, index % 2 === 0 ? 5 : 4));
  }

  void test('a QoS 1 message to its subscriber', async () => {
    const subscriber = await connected(victim.mqttPort, { clientId: unique('c') });
    const topic = unique('t');
    await subscriber.subscribe(topic, 1);
    await delay(settleMs);
    await victim.order({ kind: 'hold' });
    subscriber.sendPublish({ topic, qos: 1, packetId: 1 });
    await comesNot(subscriber, 'publish');
    await victim.order({ kind: 'release' });
    await subscriber.find('publish', { topic });
  });

  void test('a QoS 2 message to a stored session: stored itself, then its identifier', async () => {
    const subscriber = await connected(victim.mqttPort, lasting(5));
    const publisher = await connected(victim.mqttPort, { clientId: unique('c') });
    const topic = unique('t');
    await subscriber.subscribe(topic, 2);
    await delay(settleMs);
    await victim.order({ kind: 'hold' });
    publisher.sendPublish({ topic, qos: 2, packetId: 1 });
    await comesNot(subscriber, 'publish');
    await victim.order({ kind: 'allow', syncs: 1 });
    await publisher.find('pubrec', { packetId: 1 });
    await comesNot(subscriber, 'publish');
    await victim.order({ kind: 'release' });
    await subscriber.find('publish', { topic, qos: 2, dup: false });
  });

  void test('the test notices syncs that are said to have ended and have not', async (t) => {
    const liar = new ShadowVictim();
    t.after(() => liar.end());
    await liar.start();
    await liar.order({ kind: 'lie' });
    const puback = promises['PUBACK'];
    assert.ok(puback);
    await assert.rejects(leavesAfterItsSync(liar, puback, 5), /Missing expected rejection/);
  });
});

void describe('started on what the last sync left, at random instants', () => {
  const settings = { segmentBytes: 256 * 1024, checkpointIntervalS: 1 };

  void test('nothing is lost, nothing doubled', async (t) => {
    const seed = seedOfRun();
    const victim = new ShadowVictim(settings);
    t.after(() => victim.end());
    victim.slowMs = 30;
    const random = new Random(seed);
    assertLedger(t, await killRun(victim, { kills: 4, random, loadMs: [300, 1500] }), seed);
  });

  void test('the ledger notices syncs that are said to have ended and have not', async (t) => {
    // One segment: of several the start would notice that one has no end.
    const victim = new ShadowVictim({ segmentBytes: 8 * 1024 * 1024 });
    t.after(() => victim.end());
    victim.slowMs = 400;
    victim.lies = true;
    const random = new Random(seedOfRun());
    const options = { kills: 1, random, loadMs: [500, 600], settleMs: 2000 } as const;
    const { lost, problems } = await killRun(victim, options);
    assert.ok(lost > 0 && problems.length > 0, `${lost} lost, ${problems.length} problems`);
  });
});
