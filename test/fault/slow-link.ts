// A ds and two cs, of which cs-1 has a narrow link to ds and cs-2 a wide one, and what is sent over
// it. A narrow link is slow and nothing else, which a witness sees.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import type { Settings } from '../harness/cluster-node.ts';
import { pingreq } from '../harness/packets.ts';
import type { Address } from '../harness/process.ts';
import { SlowProxy } from '../harness/slow-proxy.ts';
import { closeAllClients, connected, type RawClient, unique } from '../harness/wire.ts';

export const wide = 1e9;
export const patienceMs = 240_000;
export const answerMs = 20_000;

/** Figures that a link which is only slow leaves as they are. */
const ofHarm = [
  'lmqtt_link_streams_total{event="broken"}',
  'lmqtt_link_streams_total{event="resumed"}',
  'lmqtt_link_leases_ended_total',
];

export class SlowLink {
  readonly cluster: Cluster<SlowProxy>;

  private constructor(cluster: Cluster<SlowProxy>) {
    this.cluster = cluster;
  }

  static async start(
    t: TestContext,
    bitsPerSecond: number,
    settings: Settings = {},
  ): Promise<SlowLink> {
    let isFirst = true;
    const cluster = await startCluster({
      between: (target: Address) => {
        const bits = isFirst ? bitsPerSecond : wide;
        isFirst = false;
        return SlowProxy.start(target, { bitsPerSecond: bits, latencyMs: 1 });
      },
      settings,
    });
    t.after(async () => {
      closeAllClients();
      assert.equal(await cluster.stop(), 0);
    });
    return new SlowLink(cluster);
  }

  port(number: number): number {
    return this.cluster.node(number).port('mqtt');
  }

  get proxy(): SlowProxy {
    return this.cluster.proxy(1);
  }

  /**
   * A client of cs-1 with a will, and one that would get the will. The returned function is called
   * at the end and checks that the client was answered all the time and is there, that no will went
   * out, and that the link neither broke nor lost its lease.
   */
  async witness(): Promise<() => Promise<void>> {
    const wills = unique('wills');
    const watcher = await connected(this.port(2));
    await watcher.subscribe(`${wills}/#`, 1);
    const bystander = await connected(this.port(1), {
      keepAliveS: 20,
      will: { topic: `${wills}/one`, payload: 'gone', qos: 1 },
    });
    let pings = 0;
    const timer = setInterval(() => {
      pings += 1;
      bystander.send(pingreq());
    }, 2000);
    const before = await this.#harm();
    return async () => {
      clearInterval(timer);
      assert.deepEqual(await this.#harm(), before);
      assert.equal(bystander.closed, false);
      for (; pings > 0; pings -= 1) await bystander.expect('pingresp', {}, answerMs);
      await bystander.ping();
      await watcher.expectNothing();
    };
  }

  async #harm(): Promise<(number | undefined)[]> {
    const metrics = await this.cluster.metrics();
    return ofHarm.map((name) => metrics.get(name));
  }
}

/** Publishes all as they fit into the socket, and takes every PUBACK. */
export async function publishAll(
  client: RawClient,
  topic: string,
  count: number,
  bytes: number,
): Promise<void> {
  const payload = Buffer.alloc(bytes, 'x');
  for (let packetId = 1; packetId <= count; packetId++) {
    payload.writeUInt32BE(packetId);
    client.sendPublish({ topic, payload, qos: 1, packetId });
  }
  for (let packetId = 1; packetId <= count; packetId++)
    await client.expect('puback', { packetId }, patienceMs);
}

/** Takes what `publishAll` sends, in its order. */
export async function receiveAll(
  client: RawClient,
  topic: string,
  count: number,
  bytes: number,
): Promise<void> {
  for (let number = 1; number <= count; number++) {
    const { payload } = await client.receive({ topic }, patienceMs);
    assert.equal(payload.length, bytes);
    assert.equal(payload.readUInt32BE(0), number);
  }
}
