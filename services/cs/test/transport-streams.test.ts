// Promises of every transport about its streams, over real sockets.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import type { Duplex } from 'node:stream';
import { after, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { createWebSocketStream, WebSocket } from 'ws';
import { defaultSettings } from '@lmqtt/common/settings/read';
import { tlsTermsOf } from '@lmqtt/common/tls-files';
import { listenTcp } from '../src/transport/tcp.ts';
import { listenTls } from '../src/transport/tls.ts';
import type { ByteStream, Listener, ListenOptions } from '../src/transport/transport.ts';
import { listenSecureWebSocket, listenWebSocket } from '../src/transport/websocket.ts';
import { CertificateAuthority, needsOpenssl } from './certificate-authority.ts';

const authority = needsOpenssl.skip === false ? new CertificateAuthority() : undefined;
const server = authority?.signed('/CN=server') ?? { certificate: '', key: '' };
const ca = authority === undefined ? '' : readFileSync(authority.root.certificate);
after(() => authority?.remove());

interface Transport {
  readonly name: string;
  readonly skip: string | false;
  readonly tls: boolean;
  listen(options: ListenOptions, accept: (stream: ByteStream) => void): Promise<Listener>;
  connect(port: number): Duplex;
}

const host = '127.0.0.1';
const handshakeTimeoutMs = 5000;
const webSocket = {
  path: '/mqtt',
  messageBytesMax: 2 ** 24,
  strangerBytesMax: 2 ** 24,
  handshakeTimeoutMs,
  pages: 'any',
} as const;
const secure = {
  files: server,
  terms: tlsTermsOf(defaultSettings()),
  clientCertificates: 'none',
  handshakeTimeoutMs,
} as const;

function duplexOf(url: string): Duplex {
  return createWebSocketStream(new WebSocket(url, 'mqtt', { ca }), { allowHalfOpen: false });
}

const transports: Transport[] = [
  {
    name: 'tcp',
    skip: false,
    tls: false,
    listen: listenTcp,
    connect: (port) => connectTcp({ host, port, noDelay: true }),
  },
  {
    name: 'tls',
    ...needsOpenssl,
    tls: true,
    listen: (options, accept) => listenTls({ ...options, ...secure }, accept),
    connect: (port) => connectTls({ host, port, ca }),
  },
  {
    name: 'websocket',
    skip: false,
    tls: false,
    listen: (options, accept) => listenWebSocket({ ...options, ...webSocket }, accept),
    connect: (port) => duplexOf(`ws://${host}:${port}/mqtt`),
  },
  {
    name: 'secure websocket',
    ...needsOpenssl,
    tls: true,
    listen: (options, accept) =>
      listenSecureWebSocket({ ...options, ...secure, ...webSocket }, accept),
    connect: (port) => duplexOf(`wss://${host}:${port}/mqtt`),
  },
];

/** A stream with what came out of it. */
interface Accepted {
  readonly stream: ByteStream;
  readonly chunks: Buffer[];
  readonly closed: Promise<Error | undefined>;
  closings: number;
  drains: number;
}

function watch(stream: ByteStream): Accepted {
  const { promise, resolve } = withResolvers<Error | undefined>();
  const accepted: Accepted = { stream, chunks: [], closed: promise, closings: 0, drains: 0 };
  stream.owner = {
    received: (chunk) => accepted.chunks.push(chunk),
    drained: () => (accepted.drains += 1),
    lost: (error) => {
      accepted.closings += 1;
      resolve(error);
    },
  };
  return accepted;
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => (resolve = done));
  return { promise, resolve };
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!holds()) {
    assert.ok(Date.now() < deadline, what);
    await sleep(5);
  }
}

async function pair(
  t: TestContext,
  transport: Transport,
): Promise<{ accepted: Accepted; client: Duplex; listener: Listener }> {
  const { promise, resolve } = withResolvers<Accepted>();
  const listener = await transport.listen({ host, port: 0, backlog: 16 }, (stream) =>
    resolve(watch(stream)),
  );
  const client = transport.connect(listener.address.port);
  client.on('error', () => {});
  const accepted = await promise;
  t.after(async () => {
    client.destroy();
    accepted.stream.destroy();
    await listener.close();
  });
  return { accepted, client, listener };
}

for (const transport of transports) {
  describe(`stream over ${transport.name}`, { skip: transport.skip }, () => {
    it('carries bytes both ways and knows its peer', async (t) => {
      const { accepted, client } = await pair(t, transport);
      const { stream, chunks } = accepted;
      assert.equal(stream.peer.address, host);
      assert.ok(stream.peer.port > 0);
      assert.equal(stream.peer.tls, transport.tls);
      assert.equal(stream.peer.certificateSubject, undefined);
      for (let index = 0; index < 50; index += 1) client.write(Buffer.from(`${index},`));
      const sent = Array.from({ length: 50 }, (_, index) => `${index},`).join('');
      await until(() => Buffer.concat(chunks).length === sent.length, 'bytes in');
      assert.equal(Buffer.concat(chunks).toString(), sent);
      stream.write(new Uint8Array([1, 2, 3]));
      stream.write(Buffer.from([4]));
      let received = Buffer.alloc(0);
      client.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])));
      await until(() => received.length === 4, 'bytes out');
      assert.deepEqual([...received], [1, 2, 3, 4]);
      assert.equal(stream.bufferedBytes, 0);
      // Bytes that are encrypted first are never taken within the call.
      if (!transport.tls) assert.equal(accepted.drains, 0, 'nothing ever waited');
    });

    it('counts what a slow reader leaves, and tells once that it is gone', async (t) => {
      const { accepted, client } = await pair(t, transport);
      client.pause();
      const chunk = Buffer.alloc(256 * 1024, 7);
      let written = 0;
      do {
        assert.ok(written < 2 ** 28, 'the kernel takes no end of bytes');
        accepted.stream.write(chunk);
        written += chunk.length;
        await sleep(10);
      } while (accepted.stream.bufferedBytes === 0);
      const { drains } = accepted;
      await sleep(50);
      assert.equal(accepted.drains, drains);
      let received = 0;
      client.on('data', (bytes: Buffer) => (received += bytes.length));
      client.resume();
      await until(() => received === written, 'all bytes');
      await until(() => accepted.drains === drains + 1, 'a drain');
      assert.equal(accepted.stream.bufferedBytes, 0);
    });

    // Bytes that are encrypted first always wait for a moment: that says nothing.
    const plain = { skip: transport.tls };
    it('tells of a little that waited, too', plain, async (t) => {
      const { accepted, client } = await pair(t, transport);
      client.pause();
      const { stream } = accepted;
      const chunk = Buffer.alloc(1000, 7);
      for (let count = 0; stream.bufferedBytes === 0; count += 1) {
        assert.ok(count < 200_000);
        stream.write(chunk);
        if (count % 100 === 0) await sleep(0);
      }
      const { drains } = accepted;
      client.resume();
      await until(() => accepted.drains > drains && stream.bufferedBytes === 0, 'a drain');
    });

    it('hands on nothing while it is paused', async (t) => {
      const { accepted, client } = await pair(t, transport);
      client.write('a');
      await until(() => accepted.chunks.length === 1, 'the first');
      accepted.stream.pause();
      client.write('b');
      await sleep(100);
      const before = Buffer.concat(accepted.chunks).toString();
      accepted.stream.resume();
      await until(() => Buffer.concat(accepted.chunks).toString() === 'ab', 'the second');
      assert.equal(before, 'a');
    });

    it('tells once that the client has gone', async (t) => {
      const { accepted, client } = await pair(t, transport);
      client.end('bye');
      client.resume();
      await accepted.closed;
      assert.equal(Buffer.concat(accepted.chunks).toString(), 'bye');
      accepted.stream.write(Buffer.from('too late'));
      accepted.stream.end();
      accepted.stream.destroy();
      await sleep(20);
      assert.equal(accepted.closings, 1);
    });

    it('ends after what was written, though the client is still sending', async (t) => {
      const { accepted, client } = await pair(t, transport);
      const sending = setInterval(
        () => client.writable && client.write(Buffer.alloc(64 * 1024)),
        1,
      );
      t.after(() => clearInterval(sending));
      await until(() => accepted.chunks.length > 0, 'some bytes');
      accepted.stream.pause();
      await sleep(50);
      const seen = accepted.chunks.length;
      let received = Buffer.alloc(0);
      client.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])));
      accepted.stream.write(Buffer.from('last'));
      accepted.stream.write(Buffer.from(' words'));
      accepted.stream.end();
      await until(() => received.toString() === 'last words', 'the last words');
      assert.equal(accepted.chunks.length, seen, 'nothing is handed on after the end');
      client.destroy();
      await accepted.closed;
      assert.equal(accepted.closings, 1);
    });

    it('closes at once when it is destroyed', async (t) => {
      const { accepted, client } = await pair(t, transport);
      const closed = once(client, 'close');
      client.resume();
      accepted.stream.destroy();
      await accepted.closed;
      await closed;
      assert.equal(accepted.closings, 1);
    });

    it('stops accepting without waiting for its streams', async (t) => {
      const { accepted, client, listener } = await pair(t, transport);
      await listener.close();
      const late = transport.connect(listener.address.port);
      late.on('error', () => {});
      late.resume();
      await new Promise((resolve) => late.once('close', resolve));
      client.write('still here');
      await until(() => accepted.chunks.length === 1, 'bytes');
      assert.equal(accepted.closings, 0);
    });

    it('says that a port is taken', async (t) => {
      const { listener } = await pair(t, transport);
      const { port } = listener.address;
      await assert.rejects(
        transport.listen({ host, port, backlog: 1 }, () => {}),
        { code: 'EADDRINUSE' },
      );
    });
  });
}
