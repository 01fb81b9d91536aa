// Sessions of a node that are written for another ds: as they were, over turns.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId, epoch, queueId, sessionHandle } from '@lmqtt/common/ids';
import { nextTurn } from '@lmqtt/common/pause';
import type { PresentedSession, SessionsToPresent, SessionWrite } from '@lmqtt/proto/link';
import { Exchange } from '@lmqtt/proto/wire/exchange';
import { Pending } from '../src/link/pending.ts';
import { Presenting } from '../src/link/presenting.ts';
import { PublishOrder } from '../src/link/publish-order.ts';

const subscriptionsEach = 300;

function sessionOf(number: number): PresentedSession {
  return {
    session: sessionHandle(number),
    clientId: clientId(`c${number}`),
    epoch: epoch(1),
    protocolVersion: 5,
    keepAliveS: 0,
    peer: { address: '192.0.2.1', port: 1, tls: false },
    principal: '',
    authenticationMethod: undefined,
    sessionExpiryS: 0,
    state: {
      subscriptions: Array.from({ length: subscriptionsEach }, (_, index) => ({
        filter: `f/${index}`,
        options: {
          qos: 1,
          noLocal: false,
          retainAsPublished: false,
          retainHandling: 0,
          subscriptionIdentifier: undefined,
        },
        group: undefined,
        queue: queueId(index + 1),
        positions: [],
        retainedAfter: undefined,
      })),
      outbound: [],
      inbound: [],
    },
    storing: [],
    end: undefined,
  };
}

/** Counts items, in all and in one turn of the event loop. */
class CountedExchange extends Exchange {
  items = 0;
  most = 0;
  #ofTurn = 0;

  override close(): void {
    super.close();
    if (this.#ofTurn === 0)
      setImmediate(() => {
        this.#ofTurn = 0;
      });
    this.#ofTurn += 1;
    this.items += 1;
    this.most = Math.max(this.most, this.#ofTurn);
  }
}

function presentingOf(sessions: SessionsToPresent): {
  readonly exchange: CountedExchange;
  readonly presenting: Presenting;
  readonly pending: Pending;
} {
  const exchange = new CountedExchange(
    { windowFrames: 1000, windowBytesMax: 1 << 30, frameBytesMax: 1 << 24 },
    { pulse: () => {}, item: () => {} },
  );
  const attachment = { exchange, presented: false, began: () => {}, notice: () => {} };
  const node = { present: () => sessions, presented: () => {}, published: () => {} };
  const events = { presenting: () => {}, attached: () => {} };
  const order = new PublishOrder(exchange);
  const pending = new Pending();
  const presenting = new Presenting(node, attachment, pending, order, events);
  return { exchange, presenting, pending };
}

const address = { host: '127.0.0.1', port: 1 };

/** Items that were written since; the last has come when nothing follows for some turns. */
async function itemsOf(exchange: CountedExchange): Promise<number> {
  let before = -1;
  for (let quiet = 0; quiet < 5; quiet += 1) {
    if (exchange.items !== before) quiet = 0;
    before = exchange.items;
    await nextTurn();
  }
  return exchange.items;
}

function sessions(count: number): PresentedSession[] {
  return Array.from({ length: count }, (_, index) => sessionOf(index + 1));
}

test('one turn takes few sessions', async () => {
  const all = sessions(100);
  let taken = 0;
  const counted = {
    length: all.length,
    *[Symbol.iterator]() {
      for (const session of all) {
        taken += 1;
        yield session;
      }
    },
  };
  const { exchange, presenting } = presentingOf(counted);
  presenting.begin(address);
  assert.equal(taken, 2, 'in the turn in which it began');
  await nextTurn();
  assert.ok(taken <= 4, `${taken} after one more turn`);
  await itemsOf(exchange);
  assert.equal(taken, all.length);
});

test('what a session wrote before it was taken is not written once more', async () => {
  const { exchange, presenting, pending } = presentingOf(sessions(10));
  const stored: string[] = [];
  const hold = (name: string, ...written: number[]): void =>
    pending.holdWrites(written.map(doneBy), () => stored.push(name));
  hold('of before', 1);
  presenting.begin(address);
  // The first two are taken; of the others the writes are in what is taken later.
  hold('of all', 1, 9, 10);
  hold('of the last', 10);
  assert.ok((await itemsOf(exchange)) > 0);
  hold('of after', 10);
  const again = pending.writes.takeHeld().map(({ batch }) => batch.map(({ session }) => session));
  assert.deepEqual(again, [[1], [10]]);
  assert.deepEqual(stored, []);
  pending.writes.presented();
  assert.deepEqual(stored, ['of before', 'of the last']);
});

function doneBy(session: number): SessionWrite {
  return { kind: 'done', session: sessionHandle(session), packetId: 1, failed: false };
}

// A frame that is full ends an item: one turn may have two.
test('one turn writes few subscriptions', async () => {
  const { exchange, presenting } = presentingOf(sessions(100));
  presenting.begin(address);
  assert.ok(exchange.items <= 2, 'no more in the turn in which it began');
  assert.ok((await itemsOf(exchange)) >= 50, 'two sessions each');
  assert.ok(exchange.most <= 2, `${exchange.most} in one turn`);
});

test('what another ds was presented is not written to the one after it', async () => {
  const undisturbed = presentingOf(sessions(10));
  undisturbed.presenting.begin(address);
  const { exchange, presenting } = presentingOf(sessions(10));
  presenting.begin(address);
  await nextTurn();
  exchange.reset();
  exchange.items = 0;
  presenting.begin(address);
  assert.equal(await itemsOf(exchange), await itemsOf(undisturbed.exchange));
});
