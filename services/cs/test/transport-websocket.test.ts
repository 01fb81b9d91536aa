import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WebPages } from '@lmqtt/common/settings/row';
import { WebSocket } from 'ws';
import type { ByteStream, TransportEvent } from '../src/transport/transport.ts';
import { listenWebSocket } from '../src/transport/websocket.ts';

const host = '127.0.0.1';

interface Started {
  readonly port: number;
  readonly streams: ByteStream[];
  readonly chunks: Buffer[];
  readonly errors: (Error | undefined)[];
  readonly events: TransportEvent[];
}

async function start(
  t: TestContext,
  handshakeTimeoutMs = 5000,
  pages: WebPages = 'any',
  strangerBytesMax = 2000,
): Promise<Started> {
  const started = {
    streams: [] as ByteStream[],
    chunks: [] as Buffer[],
    errors: [] as (Error | undefined)[],
    events: [] as TransportEvent[],
  };
  const listener = await listenWebSocket(
    {
      host,
      port: 0,
      backlog: 16,
      path: '/mqtt',
      messageBytesMax: 1000,
      strangerBytesMax,
      handshakeTimeoutMs,
      pages,
      report: (event) => started.events.push(event),
    },
    (stream) => {
      started.streams.push(stream);
      stream.owner = {
        received: (chunk) => started.chunks.push(chunk),
        lost: (error) => started.errors.push(error),
        drained: () => {},
      };
    },
  );
  t.after(async () => {
    for (const stream of started.streams) stream.destroy();
    await listener.close();
  });
  return { port: listener.address.port, ...started };
}

function open(
  t: TestContext,
  port: number,
  protocols: string | string[],
  path = '/mqtt',
): WebSocket {
  const socket = new WebSocket(`ws://${host}:${port}${path}`, protocols);
  socket.on('error', () => {});
  t.after(() => socket.terminate());
  return socket;
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!holds()) {
    assert.ok(Date.now() < deadline, 'in time');
    await sleep(5);
  }
}

describe('websocket', () => {
  it('is opened for pages of the origins that may, and for who is no page', async (t) => {
    const outcome = (port: number, origin: string | undefined): Promise<string> =>
      new Promise((resolve) => {
        const given = origin === undefined ? {} : { headers: { origin } };
        const socket = new WebSocket(`ws://${host}:${port}/mqtt`, 'mqtt', given);
        t.after(() => socket.terminate());
        socket.on('open', () => resolve('open'));
        socket.on('error', ({ message }) => resolve(message));
      });
    const here = [
      'http://localhost:3000',
      'https://localhost',
      'http://127.0.0.1:8080',
      'http://[::1]:8080',
      'http://app.localhost',
    ];
    const foreign = [
      'https://example.com',
      'http://127.example.com',
      'http://127.0.0.1.example.com',
      'http://localhost.example.com',
      'http://192.168.1.5',
      'null',
      'file://',
      'nonsense',
      '',
    ];
    const cases: [WebPages, readonly (string | undefined)[], readonly string[]][] = [
      ['local', [undefined, ...here], foreign],
      [['https://example.com'], [undefined, 'https://example.com'], [...here, ...foreign.slice(1)]],
      ['any', [undefined, ...here, ...foreign], []],
    ];
    for (const [pages, taken, refused] of cases) {
      const { port, events } = await start(t, 5000, pages);
      for (const origin of taken) assert.equal(await outcome(port, origin), 'open', origin);
      assert.equal(events.length, 0);
      for (const origin of refused) assert.match(await outcome(port, origin), /403/, origin);
      assert.deepEqual(
        events,
        refused.map((origin) => ({ kind: 'origin-refused', address: host, origin })),
      );
    }
  });

  it('[MQTT-6.0.0-4] chooses the sub-protocol', async (t) => {
    const { port } = await start(t);
    const offers: [string | string[], string][] = [
      ['mqtt', 'mqtt'],
      ['mqttv3.1', 'mqttv3.1'],
      [['mqttv3.1', 'mqtt'], 'mqtt'],
      [['chat', 'mqtt'], 'mqtt'],
    ];
    for (const [offered, chosen] of offers) {
      const socket = open(t, port, offered);
      await once(socket, 'open');
      assert.equal(socket.protocol, chosen);
      assert.equal(socket.extensions, '', 'no compression');
    }
    const query = open(t, port, 'mqtt', '/mqtt?token=1');
    await once(query, 'open');
  });

  it('[MQTT-6.0.0-3] refuses another path, sub-protocol or request', async (t) => {
    const { port, events, streams } = await start(t);
    const status = async (protocols: string[], path: string): Promise<number | undefined> => {
      const socket = open(t, port, protocols, path);
      const [, response] = await once(socket, 'unexpected-response');
      return (response as { statusCode?: number }).statusCode;
    };
    assert.equal(await status(['mqtt'], '/'), 404);
    assert.equal(await status(['mqtt'], '/mqtt/'), 404);
    assert.equal(await status([], '/mqtt'), 400);
    assert.equal(await status(['chat'], '/mqtt'), 400);
    assert.equal(events.length, 4);
    const plain = request({ host, port, path: '/mqtt' }).end();
    const [response] = await once(plain, 'response');
    response.resume();
    assert.equal(response.statusCode, 426);
    assert.equal(response.headers.connection, 'close');
    assert.equal(streams.length, 0);
  });

  it('[MQTT-6.0.0-2] takes fragments, and packets that lie across frames', async (t) => {
    const { port, chunks } = await start(t);
    const socket = open(t, port, 'mqtt');
    await once(socket, 'open');
    for (const [text, fin] of [
      ['ab', false],
      ['', false],
      ['c', false],
      ['d', true],
      ['ef', true],
    ] as const)
      socket.send(Buffer.from(text), { binary: true, fin });
    await until(() => Buffer.concat(chunks).length === 6);
    assert.equal(Buffer.concat(chunks).toString(), 'abcdef');
  });

  it('writes one frame at a time', async (t) => {
    const { port, streams } = await start(t);
    const socket = open(t, port, 'mqtt');
    const frames: string[] = [];
    socket.on('message', (message, isBinary) => {
      assert.equal(isBinary, true);
      frames.push(Buffer.isBuffer(message) ? message.toString() : 'no buffer');
    });
    await once(socket, 'open');
    streams[0]!.write(Buffer.from('one two'));
    streams[0]!.write(Buffer.from('three'));
    await until(() => frames.length === 2);
    assert.deepEqual(frames, ['one two', 'three']);
  });

  it('[MQTT-6.0.0-1] closes with 1003 at a text frame', async (t) => {
    const { port, chunks, errors } = await start(t);
    const socket = open(t, port, 'mqtt');
    await once(socket, 'open');
    socket.send('hello');
    socket.send(Buffer.from('x'));
    const [code] = await once(socket, 'close');
    assert.equal(code, 1003);
    await until(() => errors.length === 1);
    assert.match(String(errors[0]), /text frame/);
    assert.equal(chunks.length, 0);
  });

  it('keeps little of a message of somebody who is not known yet', async (t) => {
    const { port, streams, chunks } = await start(t, 5000, 'any', 300);
    const stranger = open(t, port, 'mqtt');
    await once(stranger, 'open');
    // Many small ones are no large one.
    for (let count = 0; count < 10; count += 1) {
      stranger.send(Buffer.alloc(100));
      await until(() => chunks.length === count + 1);
    }
    // Nor are pings, which are not kept.
    for (let count = 0; count < 100; count += 1) stranger.ping('ping');
    stranger.send(Buffer.alloc(100));
    await until(() => chunks.length === 11);
    stranger.send(Buffer.alloc(600));
    const [code] = (await once(stranger, 'close')) as [number];
    assert.equal(code, 1009);
    const client = open(t, port, 'mqtt');
    await once(client, 'open');
    await until(() => streams.length === 2);
    streams[1]!.welcome();
    client.send(Buffer.alloc(600));
    await until(() => chunks.at(-1)?.length === 600);
  });

  it('closes with 1009 at a message that is too long, in one frame or several', async (t) => {
    const { port, chunks, errors } = await start(t);
    for (const fin of [true, false]) {
      const socket = open(t, port, 'mqtt');
      await once(socket, 'open');
      socket.send(Buffer.alloc(fin ? 1001 : 600), { binary: true, fin });
      if (!fin) socket.send(Buffer.alloc(600), { binary: true, fin: true });
      const [code] = await once(socket, 'close');
      assert.equal(code, 1009);
    }
    await until(() => errors.length === 2);
    assert.equal(chunks.length, 0);
  });

  it('closes with 1000 at its end, and answers pings', async (t) => {
    const { port, streams } = await start(t);
    const socket = open(t, port, 'mqtt');
    await once(socket, 'open');
    socket.ping();
    await once(socket, 'pong');
    streams[0]!.end();
    const [code] = await once(socket, 'close');
    assert.equal(code, 1000);
  });

  it('sends away who does not ask for an upgrade in time', async (t) => {
    const { port, streams } = await start(t, 200);
    const silent = connect({ host, port });
    silent.on('error', () => {});
    silent.resume();
    silent.write('GET /mqtt HTTP/1.1\r\n');
    await once(silent, 'close');
    assert.equal(streams.length, 0);
  });

  it('survives what is no WebSocket', async (t) => {
    const { port, streams, errors } = await start(t);
    const raw = connect({ host, port });
    raw.on('error', () => {});
    raw.resume();
    raw.write('\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0');
    await once(raw, 'close');
    const bad = connect({ host, port });
    bad.on('error', () => {});
    bad.resume();
    const head = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: mqtt\r\n';
    bad.write(`GET /mqtt HTTP/1.1\r\nHost: x\r\n${head}Sec-WebSocket-Version: 13\r\n\r\n`);
    await once(bad, 'close');
    assert.equal(streams.length, 0);
    const broken = connect({ host, port });
    broken.on('error', () => {});
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
    broken.write(`GET /mqtt HTTP/1.1\r\nHost: x\r\n${head}${key}Sec-WebSocket-Version: 13\r\n\r\n`);
    await once(broken, 'data');
    // An unmasked frame with reserved bits.
    broken.write(Buffer.from([0xff, 0x01, 0x00]));
    await once(broken, 'close');
    await until(() => errors.length === 1);
    assert.ok(errors[0] instanceof Error);
  });
});
