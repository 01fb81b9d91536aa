// A stream through the frame proxy: frames are lost, repeated and held as asked, statuses pass.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  status,
} from '@grpc/grpc-js';
import { exchangeMethod } from '@lmqtt/proto/dispatch';
import { Exchange } from '@lmqtt/proto/wire/exchange';
import { FrameProxy, sequenceOf } from './frame-proxy.ts';

const server = new Server();
let proxy: FrameProxy;
let client: Client;

/** Echoes frames; without the right node it refuses, as ds does. */
function exchange(call: ServerDuplexStream<Buffer, Buffer>): void {
  if (call.metadata.get('lmqtt-node')[0] !== 'cs-1') {
    call.emit('error', { code: status.UNAUTHENTICATED, details: 'who are you' });
    return;
  }
  call.on('data', (frame: Buffer) => call.write(frame));
  call.on('end', () => call.end());
}

before(async () => {
  server.addService(
    { Exchange: { ...exchangeMethod, originalName: 'exchange' } },
    { Exchange: exchange },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  proxy = await FrameProxy.start({ host: '127.0.0.1', port });
  client = new Client(`127.0.0.1:${proxy.port}`, credentials.createInsecure());
});
after(async () => {
  client.close();
  await proxy.stop();
  server.forceShutdown();
});

/** A frame with this sequence; 0: none. */
function frameOf(sequence: number): Buffer {
  if (sequence === 0) return Buffer.from([0x2a, 0]);
  const frame = Buffer.from([0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x3a, 0]);
  frame.writeBigUInt64LE(BigInt(sequence), 1);
  return frame;
}

function open(node: string): { stream: ClientDuplexStream<Buffer, Buffer>; came: number[] } {
  const metadata = new Metadata();
  metadata.set('lmqtt-node', node);
  const { path, requestSerialize, responseDeserialize } = exchangeMethod;
  const stream = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    metadata,
  );
  const came: number[] = [];
  stream.on('data', (frame: Buffer) => came.push(sequenceOf(frame)));
  stream.on('error', () => {});
  return { stream, came };
}

/** `once` would reject with the error that a bad status is, too. */
function statusOf(
  stream: ClientDuplexStream<Buffer, Buffer>,
): Promise<{ code: number; details: string }> {
  return new Promise((resolve) => stream.once('status', resolve));
}

async function holds(came: readonly number[], wanted: readonly number[]): Promise<void> {
  const endMs = performance.now() + 60_000;
  while (came.length < wanted.length) {
    assert.ok(performance.now() < endMs, `${came.join()} instead of ${wanted.join()}`);
    await delay(2);
  }
  assert.deepEqual(came, wanted);
}

void test('the sequences of real frames', async () => {
  const sent: number[] = [];
  const taker = { pulse: () => {}, item: () => {} };
  const exchange = new Exchange({ windowFrames: 8, frameBytesMax: 1024 }, taker);
  exchange.bind((frame) => sent.push(sequenceOf(frame)));
  exchange.resume(0);
  for (let frame = 0; frame < 2; frame += 1) {
    exchange.open(1);
    exchange.close();
    await delay(1);
  }
  exchange.pulse({ renew: { number: 1, counters: {}, connections: 0, draining: false } });
  assert.deepEqual(sent, [1, 2, 0]);
});

void test('lost, repeated and held', async () => {
  const { stream, came } = open('cs-1');
  const send = (...sequences: number[]): void => {
    for (const sequence of sequences) stream.write(frameOf(sequence));
  };
  send(1, 2);
  await holds(came, [1, 2]);
  const lost = proxy.lose('up');
  const repeated = proxy.repeat('down', { frames: 'unsequenced' });
  send(0, 3, 4);
  await holds(came, [1, 2, 0, 0, 4]);
  await Promise.all([lost, repeated]);
  proxy.hold('down');
  send(5, 6);
  await delay(50);
  assert.equal(came.length, 5);
  proxy.release('down');
  send(7);
  await holds(came, [1, 2, 0, 0, 4, 5, 6, 7]);
  send(7);
  await holds(came, [1, 2, 0, 0, 4, 5, 6, 7, 7]);
  assert.deepEqual(proxy.counts('up'), { all: 9, sequenced: 8, again: 1 });
  assert.deepEqual(proxy.counts('down'), { all: 8, sequenced: 7, again: 1 });
  stream.end();
  assert.equal((await statusOf(stream)).code, status.OK);
});

void test('refused by the other end', async () => {
  const { stream } = open('cs-2');
  const { code, details } = await statusOf(stream);
  assert.deepEqual([code, details], [status.UNAUTHENTICATED, 'who are you']);
});

void test('cut', async () => {
  const { stream, came } = open('cs-1');
  stream.write(frameOf(1));
  await holds(came, [1]);
  const ended = statusOf(stream);
  proxy.cut();
  const { code } = await ended;
  assert.equal(code, status.UNAVAILABLE);
  const next = open('cs-1');
  next.stream.write(frameOf(1));
  await holds(next.came, [1]);
  next.stream.cancel();
});
