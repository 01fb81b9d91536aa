// One publisher goes on with its topics while a slow client gets their retained messages: no topic
// goes back to an older value, whatever the QoS [MQTT-4.6.0-6].
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Qos } from '../harness/packets.ts';
import { Suite } from '../harness/suite.ts';
import type { RawClient } from '../harness/wire.ts';
import { unique } from '../harness/wire.ts';

const topicCount = 1200;
const rounds = 3;
const inFlightMax = 50;
/** So many messages are taken, then the client pauses for a while. */
const takenAtOnce = 200;
const patienceMs = 60_000;
const padding = 'x'.repeat(400);

const suite = new Suite({ settings: { MAX_INFLIGHT: '40' } });

/** Publishes a version of every topic, some at once. */
async function publishAll(
  publisher: RawClient,
  root: string,
  qos: Qos,
  version: number,
): Promise<void> {
  for (let from = 0; from < topicCount; from += inFlightMax) {
    const packetIds: number[] = [];
    for (let index = from; index < from + inFlightMax; index += 1) {
      const topic = `${root}/${index % 7}/${index}`;
      const packetId = publisher.nextPacketId();
      const payload = `${version} ${padding}`;
      publisher.sendPublish({ topic, payload, qos, retain: true, ...(qos > 0 && { packetId }) });
      packetIds.push(packetId);
    }
    if (qos === 0) await publisher.ping();
    else if (qos === 1)
      for (const packetId of packetIds) await publisher.find('puback', { packetId });
    else await release(publisher, packetIds);
  }
}

async function release(publisher: RawClient, packetIds: readonly number[]): Promise<void> {
  for (const packetId of packetIds) {
    await publisher.find('pubrec', { packetId });
    publisher.sendAck('pubrel', packetId);
  }
  for (const packetId of packetIds) await publisher.find('pubcomp', { packetId });
}

/** Follows what a subscriber gets; knows the newest version of each topic. */
class Follower {
  readonly newest: Map<string, number> = new Map();
  readonly back: string[] = [];
  readonly #client: RawClient;

  constructor(client: RawClient) {
    this.#client = client;
  }

  async take(count: number): Promise<void> {
    for (let taken = 0; taken < count; taken += 1) await this.#takeOne();
  }

  async takeUntil(isDone: () => boolean): Promise<void> {
    while (!isDone()) await this.#takeOne();
  }

  async #takeOne(): Promise<void> {
    const packet = await this.#client.next(patienceMs);
    if (packet.type === 'pubrel') {
      this.#client.sendAck('pubcomp', packet.packetId);
      return;
    }
    assert.equal(packet.type, 'publish');
    if (packet.type !== 'publish') return;
    const { topic, qos, packetId } = packet;
    if (qos > 0) this.#client.sendAck(qos === 1 ? 'puback' : 'pubrec', packetId);
    const version = Number.parseInt(packet.payload.toString(), 10);
    const before = this.newest.get(topic) ?? 0;
    if (version < before) this.back.push(`${topic}: ${version} after ${before}`);
    this.newest.set(topic, Math.max(before, version));
  }
}

for (const [published, subscribed] of [
  [0, 0],
  [0, 1],
  [1, 0],
  [1, 1],
  [1, 2],
  [2, 2],
] as const) {
  test(`[MQTT-4.6.0-6] retained messages and updates meanwhile: published at QoS ${published}, subscribed at ${subscribed}`, async () => {
    const root = unique('order');
    const publisher = await suite.client();
    await publishAll(publisher, root, published, 1);
    const client = await suite.client({ clean: false, clientId: unique('slow') });
    await client.subscribe(`${root}/#`, subscribed);
    const follower = new Follower(client);
    client.stream.pause();
    for (let version = 2; version < 2 + rounds; version += 1) {
      const updates = publishAll(publisher, root, published, version);
      client.stream.resume();
      await follower.take(takenAtOnce);
      client.stream.pause();
      await updates;
    }
    client.stream.resume();
    // At QoS 0 a slow client loses messages, but each topic comes.
    const last = published === 0 || subscribed === 0 ? 1 : 1 + rounds;
    await follower.takeUntil(() => {
      const { newest } = follower;
      return newest.size === topicCount && [...newest.values()].every((value) => value >= last);
    });
    assert.deepEqual(follower.back.slice(0, 10), [], `${follower.back.length} went back`);
    client.destroy();
    publisher.destroy();
  });
}
