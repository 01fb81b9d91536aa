import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { until } from './fake-cs.ts';
import { type RpcDs, startRpcDs } from './rpc-ds.ts';
import { RpcPeer } from './rpc-peer.ts';

async function withDs(
  settings: Record<string, string | number>,
  run: (broker: RpcDs) => Promise<void>,
): Promise<void> {
  const broker = await startRpcDs(settings);
  try {
    await run(broker);
  } finally {
    await broker.stop();
  }
}

async function refusalOf(peer: RpcPeer): Promise<{ code: number; detail: string }> {
  await peer.open();
  assert.ok(peer.ended !== undefined && peer.welcome === undefined);
  const { ended } = peer;
  peer.cut();
  return ended;
}

function reasonsOf({ lines }: RpcDs): string[] {
  return lines
    .map((line) => JSON.parse(line) as { msg: string; reason?: string })
    .filter(({ msg }) => msg.startsWith('refused: '))
    .map(({ reason }) => reason ?? '');
}

test('a wrong and a missing secret are refused, the right one is not', () =>
  withDs({ 'cluster-secret': 'open sesame' }, async (broker) => {
    const { port } = broker;
    for (const secret of ['open sesamE', '', 'open sesame2']) {
      const { code, detail } = await refusalOf(new RpcPeer({ port, secret }));
      assert.equal(code, status.UNAUTHENTICATED);
      assert.match(detail, /secret/);
    }
    assert.equal((await refusalOf(new RpcPeer({ port }))).code, status.UNAUTHENTICATED);
    const peer = await RpcPeer.attached({ port, secret: 'open sesame' });
    assert.deepEqual(peer.refusals, []);
    peer.cut();
    // Four within a second: one line.
    assert.deepEqual(reasonsOf(broker), ['secret']);
    assert.match(broker.lines[0] ?? '', /"address":"127\.0\.0\.1:\d+"/);
    assert.match(await broker.metrics(), /lmqtt_rpc_refused_total\{reason="secret"\} 4/);
  }));

test('another version of the protocol is refused by both names', () =>
  withDs({}, async (broker) => {
    const { port } = broker;
    const { code, detail } = await refusalOf(new RpcPeer({ port, protocol: '7' }));
    assert.equal(code, status.FAILED_PRECONDITION);
    assert.match(detail, /version \d+, .* 7/);
    assert.deepEqual(reasonsOf(broker), ['protocol version']);
  }));

test('a node without a name is refused', () =>
  withDs({}, async (broker) => {
    const { code } = await refusalOf(new RpcPeer({ port: broker.port, node: '' }));
    assert.equal(code, status.INVALID_ARGUMENT);
  }));

test('a node id is held by one process until its lease has ended', () =>
  withDs({ 'lease-ms': 600 }, async (broker) => {
    const { port } = broker;
    const first = await RpcPeer.attached({ port, node: 'cs-1' });
    const { code, detail } = await refusalOf(new RpcPeer({ port, node: 'cs-1' }));
    assert.equal(code, status.ALREADY_EXISTS);
    assert.match(detail, /cs-1/);
    assert.deepEqual(reasonsOf(broker), ['node id in use']);
    first.cut();
    assert.equal((await refusalOf(new RpcPeer({ port, node: 'cs-1' }))).code, code);
    await until(() => broker.rpc.nodes().length === 0, 'the end of the lease');
    const second = await RpcPeer.attached({ port, node: 'cs-1' });
    second.cut();
  }));

test('who speaks no HTTP/2 is closed, and nobody else notices', () =>
  withDs({}, async (broker) => {
    const peer = await RpcPeer.attached({ port: broker.port });
    for (const said of [randomBytes(2000), Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.of(0)]) {
      const socket = connect({ host: '127.0.0.1', port: broker.port });
      socket.on('error', () => {});
      socket.resume().write(said);
      await once(socket, 'close');
    }
    const number = peer.renew();
    await until(() => peer.renewedNumbers.includes(number), 'the answer to a Renew');
    assert.deepEqual(reasonsOf(broker), ['no http2']);
    assert.match(await broker.metrics(), /lmqtt_rpc_refused_total\{reason="no http2"\} 3/);
    peer.cut();
  }));

test('who speaks HTTP/2 and no gRPC is closed and counted once', () =>
  withDs({}, async (broker) => {
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    for (const said of [randomBytes(2000), Buffer.alloc(64, 0xff)]) {
      const socket = connect({ host: '127.0.0.1', port: broker.port });
      socket.on('error', () => {});
      socket.resume().write(Buffer.concat([preface, said]));
      await once(socket, 'close');
    }
    assert.match(await broker.metrics(), /lmqtt_rpc_refused_total\{reason="no exchange"\} 2/);
    assert.deepEqual(reasonsOf(broker), ['no exchange']);
  }));

test('a stop does not wait for a peer that is stuck', () =>
  withDs({}, async (broker) => {
    const socket = connect({ host: '127.0.0.1', port: broker.port });
    await once(socket, 'connect');
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    socket.on('error', () => {}).write(preface);
    socket.write(Buffer.of(0, 0, 0, 4, 0, 0, 0, 0, 0));
    await once(socket, 'data');
    const startedMs = performance.now();
    await broker.rpc.stop();
    assert.ok(performance.now() - startedMs < 30_000);
    socket.destroy();
  }));

test('the preface may come byte by byte', () =>
  withDs({}, async (broker) => {
    // Between the two, so that the bytes come as a slow network brings them.
    const slow = createServer({ noDelay: true }, (near) => {
      const far = connect({ host: '127.0.0.1', port: broker.port, noDelay: true });
      far.pipe(near);
      let first = true;
      near.on('data', (chunk) => {
        if (first) for (const byte of chunk) far.write(Buffer.of(byte));
        else far.write(chunk);
        first = false;
      });
      near.on('error', () => {}).on('close', () => far.destroy());
      far.on('error', () => {});
    });
    slow.listen(0, '127.0.0.1');
    await once(slow, 'listening');
    const address = slow.address();
    assert.ok(address !== null && typeof address === 'object');
    const peer = await RpcPeer.attached({ port: address.port });
    peer.cut();
    slow.close();
  }));

test('a port that is taken is the error of the socket', async () => {
  const broker = await startRpcDs();
  await assert.rejects(startRpcDs({ 'rpc-port': broker.port }), { code: 'EADDRINUSE' });
  await broker.stop();
});
