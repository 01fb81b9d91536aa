import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, credentials, Server, ServerCredentials } from '@grpc/grpc-js';
import { nextTurn } from '@lmqtt/common/pause';
import { exchangeMethod } from '@lmqtt/proto/dispatch';
import { type ExchangeCall, RpcStream } from '../src/rpc/rpc-stream.ts';
import { until } from './fake-cs.ts';

/** Longer than the frames of a stream may take in one turn. */
const workMs = 6;

function work(): void {
  const endMs = performance.now() + workMs;
  while (performance.now() < endMs);
}

/** Counts turns of the event loop until it is stopped. */
class Turns {
  count = 0;
  #stopped = false;

  constructor() {
    const next = (): void => {
      this.count += 1;
      if (!this.#stopped) setImmediate(next);
    };
    setImmediate(next);
  }

  stop(): void {
    this.#stopped = true;
  }
}

test('frames that take long to be handled have turns of their own, and come in their order', async () => {
  const frames = 30;
  const turns = new Turns();
  const came: number[] = [];
  const cameIn: number[] = [];
  let closed = 0;
  let written = 0;
  let start: (() => void) | undefined;
  const server = new Server();
  server.addService(
    { Exchange: exchangeMethod },
    {
      Exchange: (call: ExchangeCall) => {
        const stream = new RpcStream(call, undefined);
        start = () =>
          stream.start({
            frame: (frame) => {
              came.push(frame.readUInt32LE());
              cameIn.push(turns.count);
              work();
            },
            closed: () => (closed += 1),
          });
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const { path, requestSerialize, responseDeserialize } = exchangeMethod;
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  call.on('error', () => {}).resume();
  try {
    for (let index = 0; index < frames; index++) {
      const frame = Buffer.alloc(100);
      frame.writeUInt32LE(index);
      call.write(frame, () => (written += 1));
    }
    call.end();
    await until(() => start !== undefined && written === frames, 'frames on their way');
    // All of them are in the socket, so that nothing but the stream spreads them over turns.
    for (let turn = 0; turn < 50; turn++) await nextTurn();
    start?.();
    await until(() => closed > 0, 'the end of the stream, behind all of its frames');
    assert.deepEqual(came, [...Array(frames).keys()]);
    assert.equal(new Set(cameIn).size, frames, 'frames in a turn');
  } finally {
    turns.stop();
    client.close();
    server.forceShutdown();
  }
});
