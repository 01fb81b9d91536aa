import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId, sessionHandle } from '@lmqtt/common/ids';
import { Exchange } from '@lmqtt/proto/wire/exchange';
import { readUpstream, writePublishes } from '@lmqtt/proto/wire/upstream';
import { PublishOrder } from '../src/link/publish-order.ts';
import { publishOf } from './link-fixture.ts';

const limits = { windowFrames: 8, frameBytesMax: 1 << 20 };
const large = 'x'.repeat(70_000);

/**
 * An exchange whose items wait until all of them leave, in the order in which the other end takes
 * them.
 */
class Waiting {
  readonly exchange: Exchange = new Exchange(limits, { pulse: () => {}, item: () => {} });
  readonly order: PublishOrder = new PublishOrder(this.exchange);
  readonly #said: string[] = [];
  readonly #other: Exchange;
  #first = 1;
  #id = 0;

  constructor() {
    const nothing = (): void => {};
    const handler = {
      clientOf: () => undefined,
      publishes: (batch: readonly { readonly session: number }[]) => {
        for (const { session } of batch) this.#said.push(`publish of ${session}`);
      },
      call: (_id: number, method: number) => this.#said.push(`call ${method}`),
      writes: nothing,
      credit: nothing,
      read: nothing,
      presents: nothing,
    };
    this.#other = new Exchange(limits, {
      pulse: nothing,
      item: (reader, field, end) => readUpstream(handler, reader, field, end),
    });
  }

  publish(session: number): void {
    const batch = [publishOf(large, 1, session)];
    writePublishes(this.exchange, this.#first, batch);
    this.#first += 1;
    this.order.published(batch);
  }

  call(method: number, session: number, client?: string, last = false): void {
    this.#id += 1;
    this.order.call({
      id: this.#id,
      method,
      body: Buffer.alloc(0),
      session: sessionHandle(session),
      clientId: client === undefined ? undefined : clientId(client),
      last,
    });
  }

  /** All of it leaves; what the other end says of it. */
  leave(): string[] {
    const { exchange } = this;
    const other = this.#other;
    exchange.bind((frame) => assert.equal(other.receive(frame), true));
    do exchange.resume(other.received);
    while (exchange.waitingBytes > 0);
    exchange.resume(other.received);
    exchange.unbind();
    return this.#said.splice(0);
  }
}

test('calls overtake the publishes of others, and stay behind those of their own session', () => {
  const waiting = new Waiting();
  for (let count = 0; count < 3; count++) waiting.publish(1);
  waiting.call(11, 1);
  waiting.call(12, 2);
  waiting.call(13, 1);
  assert.deepEqual(waiting.leave(), [
    'call 12',
    ...Array.from({ length: 3 }, () => 'publish of 1'),
    'call 11',
    'call 13',
  ]);
});

test('the CONNECT of a client stays behind the DISCONNECT that waits behind its publishes', () => {
  const waiting = new Waiting();
  for (let count = 0; count < 3; count++) waiting.publish(1);
  waiting.call(21, 1, 'one');
  waiting.call(22, 2, 'one');
  waiting.call(23, 3, 'another');
  waiting.call(24, 2, 'one');
  const said = waiting.leave();
  assert.equal(said[0], 'call 23');
  assert.deepEqual(said.slice(-3), ['call 21', 'call 22', 'call 24']);
});

test('the last call of all leaves behind everything', () => {
  const waiting = new Waiting();
  for (let count = 0; count < 3; count++) waiting.publish(1);
  waiting.call(31, 2, undefined, true);
  waiting.call(32, 3);
  assert.equal(waiting.leave().at(-1), 'call 31');
});

test('what has left holds nothing back', () => {
  const waiting = new Waiting();
  waiting.publish(1);
  waiting.leave();
  waiting.publish(2);
  waiting.publish(2);
  waiting.call(41, 1);
  assert.equal(waiting.leave()[0], 'call 41');
});
