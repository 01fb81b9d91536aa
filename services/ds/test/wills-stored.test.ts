// Wills that a CONNECT of their client waits for, over a store that answers when told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageOf } from '@lmqtt/common/message';
import type { ConnectAnswer, ReadAnswer, Will } from '@lmqtt/proto/link';
import type { Append, PartitionEnd, QueueStore } from '../src/queue-store/queue-store.ts';
import { type Broker, connect, lost, startBroker, tryConnect, until } from './fake-cs.ts';

class ToldStore implements QueueStore {
  readonly waiting: { readonly append: Append; readonly done: () => void }[] = [];

  append(batch: Append[], done: (answered: Append[]) => void): void {
    for (const append of batch) this.waiting.push({ append, done: () => done([append]) });
  }

  /** The one that waits for longest. */
  answer(reasonCode: number, final = false): void {
    const { append, done } = this.waiting.shift()!;
    append.reasonCode = reasonCode;
    append.final = final;
    if (reasonCode === 0) append.orderKey = { placement: 0, offset: 1 };
    done();
  }

  outcome(): Promise<'not stored'> {
    return Promise.resolve('not stored');
  }

  read(): Promise<ReadAnswer> {
    return Promise.resolve({ messages: [], next: 0, end: 0 });
  }

  ends(): Promise<PartitionEnd[]> {
    return Promise.resolve([]);
  }

  onArrivals(): void {}
  onLost(): void {}
  trim(): void {}

  drop(): Promise<void> {
    return Promise.resolve();
  }
}

async function withStore(work: (broker: Broker, store: ToldStore) => Promise<void>): Promise<void> {
  const store = new ToldStore();
  const broker = await startBroker({}, { queueStore: store });
  broker.cs.onKick = (session) => void broker.link.disconnect(session, lost);
  try {
    await work(broker, store);
  } finally {
    await broker.stop();
  }
}

const will: Will = {
  message: messageOf({ topic: 'state', qos: 1, retain: false, payload: Buffer.from('Offline') }),
  delayS: 0,
  messageExpiryS: undefined,
};

function refusalOf(answer: ConnectAnswer): number {
  return answer.kind === 'refused' ? answer.reasonCode : 0;
}

test('a will is handed to the store in the turn in which its connection is lost', () =>
  withStore(async (broker, store) => {
    const { session } = await connect(broker, 'a', { will });
    void broker.link.disconnect(session, lost);
    assert.equal(store.waiting.length, 1);
    store.answer(0);
  }));

for (const [name, delayS, cleanStart] of [
  ['a takeover', 0, false],
  ['Clean Start', 100, true],
] as const) {
  test(`CONNACK waits until the will that ${name} makes due is stored`, () =>
    withStore(async (broker, store) => {
      await connect(broker, 'a', { will: { ...will, delayS } });
      let isAnswered = false;
      const second = connect(broker, 'a', { cleanStart }).finally(() => {
        isAnswered = true;
      });
      await until(() => store.waiting.length === 1, 'the will at the store');
      // Another client's CONNECT is through meanwhile, and its journal writes with it.
      await connect(broker, 'b');
      await connect(broker, 'b');
      assert.equal(isAnswered, false);
      store.answer(0);
      await second;
    }));
}

test('a will that is being sent when its client connects is waited for, also past its session', () =>
  withStore(async (broker, store) => {
    const { session } = await connect(broker, 'a', { sessionExpiryS: 0, will });
    await broker.link.disconnect(session, lost);
    let isAnswered = false;
    const second = connect(broker, 'a').finally(() => {
      isAnswered = true;
    });
    await connect(broker, 'b');
    await connect(broker, 'b');
    assert.equal(isAnswered, false);
    store.answer(0);
    await second;
    assert.equal(store.waiting.length, 0);
  }));

test('while its will cannot be stored a client is refused with 0x88, and then comes after it', () =>
  withStore(async (broker, store) => {
    await connect(broker, 'a', { will });
    for (let tries = 0; tries < 3; tries += 1) {
      const refused = tryConnect(broker, 'a', { will: { ...will, delayS: 100 } });
      await until(() => store.waiting.length === 1, 'the will at the store');
      store.answer(0x88);
      assert.equal(refusalOf((await refused).answer), 0x88);
    }
    const last = connect(broker, 'a');
    await until(() => store.waiting.length === 1, 'the will at the store');
    store.answer(0);
    assert.equal((await last).answer.sessionPresent, true);
    assert.equal(store.waiting.length, 0);
  }));

test('a will that can never be stored keeps its client out no longer', () =>
  withStore(async (broker, store) => {
    await connect(broker, 'a', { will });
    const second = connect(broker, 'a');
    await until(() => store.waiting.length === 1, 'the will at the store');
    store.answer(0x97, true);
    await second;
    await connect(broker, 'a');
    assert.equal(store.waiting.length, 0);
  }));
