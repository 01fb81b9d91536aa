import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, test, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { defaultSettings } from '@lmqtt/common/settings/read';
import { tlsTermsOf } from '@lmqtt/common/tls-files';
import { WebSocket } from 'ws';
import { listenTls } from '../src/transport/tls.ts';
import type { SecureListenOptions } from '../src/transport/secure-server.ts';
import type { HandshakeRoom, Listener, ListenOptions } from '../src/transport/transport.ts';
import { listenSecureWebSocket, listenWebSocket } from '../src/transport/websocket.ts';
import { CertificateAuthority, needsOpenssl } from './certificate-authority.ts';

const host = '127.0.0.1';
const webSocket = {
  path: '/mqtt',
  messageBytesMax: 1000,
  strangerBytesMax: 1000,
  handshakeTimeoutMs: 5000,
  pages: 'any',
} as const;

/** Handshakes under way, as they are told. */
class Room implements HandshakeRoom {
  readonly evicts: (() => void)[] = [];
  count = 0;
  #changed: () => void = () => {};

  add(address: string, evict: () => void): () => void {
    assert.equal(address, host);
    this.evicts.push(evict);
    this.#count(1);
    let over = false;
    return () => {
      if (!over) this.#count(-1);
      over = true;
    };
  }

  #count(by: number): void {
    this.count += by;
    this.#changed();
  }

  async holds(count: number): Promise<void> {
    while (this.count !== count) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }
}

async function silent(port: number): Promise<Socket> {
  const socket = connect(port, host).on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/**
 * Sockets that say nothing count until they go, or are sent away; one that ends its handshake
 * counts no more.
 */
async function counts(
  t: TestContext,
  room: Room,
  listener: Listener,
  finish: (port: number) => Promise<void>,
): Promise<void> {
  t.after(() => listener.close());
  const { port } = listener.address;
  const [gone, sent] = [await silent(port), await silent(port)];
  await room.holds(2);
  gone.destroy();
  await room.holds(1);
  room.evicts[1]!();
  await once(sent, 'close');
  await room.holds(0);
  await finish(port);
  assert.equal(room.evicts.length, 3);
  await room.holds(0);
}

function options(room: Room): { host: string; port: number; backlog: number; room: Room } {
  return { host, port: 0, backlog: 16, room };
}

const authority = needsOpenssl.skip === false ? new CertificateAuthority() : undefined;
after(() => authority?.remove());

function secure(): Omit<SecureListenOptions, keyof ListenOptions> {
  return {
    files: { ...authority!.signed('/CN=s') },
    terms: tlsTermsOf(defaultSettings()),
    clientCertificates: 'none',
    handshakeTimeoutMs: 5000,
  };
}

test('handshakes of WebSocket count until they end', async (t) => {
  const room = new Room();
  const listener = await listenWebSocket({ ...options(room), ...webSocket }, () => {});
  await counts(t, room, listener, async (port) => {
    const client = new WebSocket(`ws://${host}:${port}/mqtt`, 'mqtt');
    await once(client, 'open');
    t.after(() => client.terminate());
  });
});

test('handshakes of TLS count until they end', needsOpenssl, async (t) => {
  const room = new Room();
  const listener = await listenTls({ ...options(room), ...secure() }, (stream) => stream.destroy());
  await counts(t, room, listener, async (port) => {
    const client = connectTls({ host, port, rejectUnauthorized: false });
    await once(client, 'secureConnect');
    t.after(() => client.destroy());
  });
});

test('handshakes of secure WebSocket count until both have ended', needsOpenssl, async (t) => {
  const room = new Room();
  const listener = await listenSecureWebSocket(
    { ...options(room), ...secure(), ...webSocket },
    () => {},
  );
  await counts(t, room, listener, async (port) => {
    const url = `wss://${host}:${port}/mqtt`;
    const client = new WebSocket(url, 'mqtt', { rejectUnauthorized: false });
    await once(client, 'open');
    t.after(() => client.terminate());
  });
});
