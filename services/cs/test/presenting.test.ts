// Sessions of a node that are written for another ds: as they were, over turns.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId, epoch, queueId, sessionHandle } from '@lmqtt/common/ids';
import { nextTurn } from '@lmqtt/common/pause';
import type { PresentedSession } from '@lmqtt/proto/link';
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

function presentingOf(sessions: PresentedSession[]): {
  readonly exchange: CountedExchange;
  readonly presenting: Presenting;
} {
  const exchange = new CountedExchange(
    { windowFrames: 1000, windowBytesMax: 1 << 30, frameBytesMax: 1 << 24 },
    { pulse: () => {}, item: () => {} },
  );
  const attachment = { exchange, presented: false, began: () => {}, notice: () => {} };
  const node = { present: () => sessions, presented: () => {}, published: () => {} };
  const events = { presenting: () => {}, attached: () => {} };
  const order = new PublishOrder(exchange);
  return { exchange, presenting: new Presenting(node, attachment, new Pending(), order, events) };
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
