// Peers at the RPC port of ds that are no cs of this cluster: refused with one clear line, while
// clients at the real cs notice nothing.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import { exchangeMethod, metadataNames, protocolVersion } from '@lmqtt/proto/dispatch';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import type { ClusterNode } from '../harness/cluster-node.ts';
import { connect as connectPacket } from '../harness/packets.ts';
import { programPath } from '../harness/process.ts';
import { requirePrograms } from '../harness/require.ts';
import { closeAllClients, connected, type RawClient, unique } from '../harness/wire.ts';
import { Authority } from './authority.ts';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const closeMs = 60_000;
const refused = 'lmqtt_rpc_refused_total';

/** Publishes all the time from one cs to the other; nothing may be late, lost or doubled. */
class Traffic {
  readonly #subscriber: RawClient;
  readonly #publisher: RawClient;
  readonly #topic: string;
  #stopped = false;
  readonly #done: Promise<number>;

  static async begin(cluster: Cluster): Promise<Traffic> {
    const [publisher, subscriber] = await Promise.all(
      [1, 2].map((node) => connected(cluster.node(node).port('mqtt'), { version: 5 })),
    );
    assert.ok(publisher !== undefined && subscriber !== undefined);
    const topic = unique();
    await subscriber.subscribe(topic, 2);
    return new Traffic(publisher, subscriber, topic);
  }

  private constructor(publisher: RawClient, subscriber: RawClient, topic: string) {
    this.#publisher = publisher;
    this.#subscriber = subscriber;
    this.#topic = topic;
    this.#done = this.#run();
    this.#done.catch(() => undefined);
  }

  async #run(): Promise<number> {
    let number = 0;
    for (; !this.#stopped; number += 1) {
      const payload = String(number);
      await this.#publisher.publish(this.#topic, payload, { qos: 2 });
      await this.#subscriber.receive({ payload });
    }
    return number;
  }

  async end(): Promise<void> {
    this.#stopped = true;
    assert.ok((await this.#done) > 0, 'something was published meanwhile');
    await this.#subscriber.expectNothing();
    this.#publisher.destroy();
    this.#subscriber.destroy();
  }
}

/** A connection to the RPC port on which this was written; resolves when ds has closed it. */
async function says(cluster: Cluster, ...parts: readonly Uint8Array[]): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port: cluster.ds.port('rpc') });
  const closed = closeOf(socket);
  await once(socket, 'connect');
  for (const part of parts) if (!socket.destroyed) socket.write(part);
  await closed;
}

function closeOf(socket: Socket): Promise<void> {
  socket.on('error', () => {});
  socket.resume();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('ds does not close it')), closeMs);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Lines of ds at the level warn that say `refused`, with their reasons. */
function refusals(ds: ClusterNode): string[] {
  return ds.process.stderr
    .split('\n')
    .filter((line) => line.includes('"level":"warn"') && line.includes('"refused: '))
    .map((line) => (JSON.parse(line) as { reason: string }).reason);
}

/** The status with which a stream with this metadata ends. */
async function exchange(
  cluster: Cluster,
  said: Readonly<Record<string, string>>,
): Promise<{ code: number; details: string }> {
  const client = new Client(`127.0.0.1:${cluster.ds.port('rpc')}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(said)) metadata.set(name, value);
  const { path, requestSerialize, responseDeserialize } = exchangeMethod;
  const stream = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    metadata,
  );
  stream.on('error', () => {}).on('data', () => {});
  const answer = await new Promise<{ code: number; details: string }>((resolve) => {
    stream.once('status', resolve);
  });
  client.close();
  return answer;
}

/** A further cs that has to end by itself. */
async function cs(cluster: Cluster, settings: Readonly<Record<string, string>>) {
  const args = await cluster.node(1).args({ NODE_ID: 'cs-9', MQTT_PORT: 'off', ...settings });
  const ports = ['--ws-port', 'off', '--ops-port', 'off'];
  return spawnSync(process.execPath, [programPath, ...args, ...ports], {
    encoding: 'utf8',
    timeout: 60_000,
  });
}

void describe('the RPC port', () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster();
  });
  after(async () => {
    closeAllClients();
    assert.equal(await cluster.stop(), 0);
  });

  const hello: Readonly<Record<string, string>> = {
    [metadataNames.protocol]: String(protocolVersion),
    [metadataNames.node]: 'cs-9',
    [metadataNames.instance]: 'x',
  };

  const garbage: readonly (readonly [what: string, parts: readonly Uint8Array[]])[] = [
    ['random bytes', [randomBytes(4096)]],
    ['one byte', [Buffer.from([0])]],
    ['a megabyte', [randomBytes(1 << 20)]],
    ['HTTP/1.1', [Buffer.from('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')]],
    ['MQTT', [connectPacket({ clientId: 'lost' })]],
    ['TLS', [Buffer.from('160301006d010000690303', 'hex'), randomBytes(100)]],
    ['half of what HTTP/2 begins with', [preface.subarray(0, 10), randomBytes(100)]],
    ['HTTP/2 and then random bytes', [preface, randomBytes(4096)]],
    ['HTTP/2, settings and a frame too long', [preface, emptySettings, Buffer.alloc(64, 0xff)]],
  ];
  for (const [what, parts] of garbage) {
    void test(`garbage: ${what}`, async () => {
      const traffic = await Traffic.begin(cluster);
      const sum = async (): Promise<number> => {
        const metrics = await cluster.ds.metrics();
        return [...metrics]
          .filter(([name]) => name.startsWith(refused))
          .reduce((all, [, count]) => all + count, 0);
      };
      const before = await sum();
      await says(cluster, ...parts);
      await traffic.end();
      assert.equal(await sum(), before + 1);
      assert.ok(refusals(cluster.ds).length > 0);
    });
  }

  void test('who says nothing is closed, and so is who stops in the middle', async () => {
    const traffic = await Traffic.begin(cluster);
    await Promise.all([says(cluster), says(cluster, preface.subarray(0, 10))]);
    await traffic.end();
    assert.ok(refusals(cluster.ds).includes('silent'));
  });

  void test('500 connections at once that are no cs', async () => {
    const traffic = await Traffic.begin(cluster);
    await Promise.all(Array.from({ length: 500 }, () => says(cluster, randomBytes(100))));
    await traffic.end();
  });

  void test('wrong and missing secret, another version, no name: a status with one sentence', async () => {
    const traffic = await Traffic.begin(cluster);
    const secret = { [metadataNames.secret]: cluster.secret };
    const cases = [
      [{ ...hello }, status.UNAUTHENTICATED, /secret/],
      [{ ...hello, [metadataNames.secret]: 'x' }, status.UNAUTHENTICATED, /secret/],
      [
        { ...hello, ...secret, [metadataNames.protocol]: '1' },
        status.FAILED_PRECONDITION,
        /version 4.* 1$/,
      ],
      [
        { ...hello, ...secret, [metadataNames.protocol]: '' },
        status.FAILED_PRECONDITION,
        /version/,
      ],
      [{ ...hello, ...secret, [metadataNames.node]: '' }, status.INVALID_ARGUMENT, /node/],
      [
        { ...hello, ...secret, [metadataNames.node]: 'cs-1' },
        status.ALREADY_EXISTS,
        /cs-1.*in use/,
      ],
    ] as const;
    for (const [said, code, details] of cases) {
      const answer = await exchange(cluster, said);
      assert.equal(answer.code, code, answer.details);
      assert.match(answer.details, details);
    }
    await traffic.end();
    assert.doesNotMatch(cluster.logs(), new RegExp(cluster.secret));
    for (const reason of ['secret', 'protocol version', 'node id in use']) {
      assert.ok(refusals(cluster.ds).includes(reason), reason);
    }
  });

  void test('a cs with another secret ends with one line and exit code 1', async () => {
    const traffic = await Traffic.begin(cluster);
    for (const CLUSTER_SECRET of ['another', '']) {
      const { status: code, stdout, stderr } = await cs(cluster, { CLUSTER_SECRET });
      assert.equal(code, 1, stderr);
      assert.equal(stdout, '');
      assert.match(stderr, /^lmqtt: [^\n]*secret[^\n]*\n$/m);
      assert.doesNotMatch(stderr, new RegExp(cluster.secret));
    }
    await traffic.end();
  });

  void test('a good stream with garbage for frames ends, and only that', async () => {
    const traffic = await Traffic.begin(cluster);
    const client = new Client(`127.0.0.1:${cluster.ds.port('rpc')}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    for (const frame of [randomBytes(500), Buffer.from([0x0d, 1, 0, 0, 0, 0x3a, 0xff, 0xff])]) {
      const metadata = new Metadata();
      for (const [name, value] of Object.entries({
        ...hello,
        [metadataNames.secret]: cluster.secret,
        [metadataNames.node]: unique('cs'),
      })) {
        metadata.set(name, value);
      }
      const { path, requestSerialize, responseDeserialize } = exchangeMethod;
      const stream = client.makeBidiStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        metadata,
      );
      stream.on('error', () => {});
      const ended = new Promise<{ code: number }>((resolve) => stream.once('status', resolve));
      await once(stream, 'data');
      stream.write(frame);
      assert.notEqual((await ended).code, status.OK);
    }
    client.close();
    await traffic.end();
  });
});

void describe('the RPC port with mutual TLS', requirePrograms('openssl'), () => {
  const authority = new Authority();
  const stranger = new Authority();
  const node = authority.sign('node');
  const other = stranger.sign('node');
  const mutual = {
    RPC_TLS_CERT: node.cert,
    RPC_TLS_KEY: node.key,
    RPC_TLS_CA: authority.root.cert,
  };
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster({ settings: mutual });
  });
  after(async () => {
    closeAllClients();
    authority.remove();
    stranger.remove();
    assert.equal(await cluster.stop(), 0);
  });

  void test('a cs of the same authority comes in', async () => {
    const traffic = await Traffic.begin(cluster);
    await traffic.end();
    const metrics = await cluster.ds.metrics();
    assert.equal(metrics.get('lmqtt_rpc_attachments'), 2);
  });

  const strangers = {
    'with a certificate of another authority': { RPC_TLS_CERT: other.cert, RPC_TLS_KEY: other.key },
    'that trusts another authority': { RPC_TLS_CA: stranger.root.cert },
    'without TLS': { RPC_TLS_CERT: '', RPC_TLS_KEY: '', RPC_TLS_CA: '' },
  };
  for (const [what, settings] of Object.entries(strangers)) {
    void test(`a cs ${what} does not`, async (t) => {
      const traffic = await Traffic.begin(cluster);
      const foreign = await cluster.add({ NODE_ID: unique('cs'), ...settings });
      t.after(() => foreign.kill());
      foreign.process.spawn(await foreign.args());
      const ended = foreign.process.exited.then((code) => `ended with ${code}`);
      const late = new Promise<string>((resolve) => setTimeout(() => resolve('tries on'), 3000));
      const outcome = await Promise.race([ended, late]);
      assert.doesNotMatch(foreign.process.stdout, /^ready/m, outcome);
      t.diagnostic(`${outcome}: ${foreign.process.stderr.trim().split('\n').at(-1)}`);
      await traffic.end();
      const metrics = await cluster.ds.metrics();
      assert.equal(metrics.get('lmqtt_rpc_attachments'), 2);
    });
  }

  void test('nobody without TLS, garbage least of all', async () => {
    const traffic = await Traffic.begin(cluster);
    await says(cluster, randomBytes(100));
    await says(cluster, preface, emptySettings);
    await traffic.end();
    assert.ok(refusals(cluster.ds).includes('tls'));
  });
});
