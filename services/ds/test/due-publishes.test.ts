// Delayed messages that are due, with a store that answers as the test says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageOf } from '@lmqtt/common/message';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import type {
  DelayedLine,
  DelayedPut,
  DelayedStore,
  DueMessage,
} from '../src/delayed-store/delayed-store.ts';
import { DsEvents } from '../src/events.ts';
import { DuePublishes } from '../src/use-cases/due-publishes.ts';
import { turns } from './moved-clock.ts';

const away = 0x88;

interface Sent {
  readonly text: string;
  readonly lane: string;
  readonly answer: (reasonCode: number) => void;
}

/** What is due, until it is sent; and what publishes it. */
class Fixture implements DelayedStore {
  readonly bytes = 0;
  readonly waiting: DueMessage[] = [];
  readonly #out = new Set<number>();
  readonly published: Sent[] = [];
  readonly done: string[] = [];
  readonly publishes: DuePublishes;
  #last = 0;
  /** What happens while the answer of a take is on its way. */
  onTake: (() => Promise<void>) | undefined;

  constructor() {
    this.publishes = new DuePublishes({
      delayed: this,
      publisher: {
        publishOwn: (message, lane, _accepted, answered) => {
          const text = message.payload.toString();
          this.published.push({ text, lane, answer: (code) => answered(code, false) });
        },
      },
      events: new DsEvents(silentLogs(), new Metrics()),
    });
  }

  get count(): number {
    return this.waiting.length;
  }

  put(_batch: readonly DelayedPut[], done: () => void): void {
    done();
  }

  async takeDue(most: number): Promise<DueMessage[]> {
    const due = this.waiting.filter(({ id }) => !this.#out.has(id)).slice(0, most);
    for (const { id } of due) this.#out.add(id);
    await this.onTake?.();
    return due;
  }

  sending(): void {}

  sent(due: DueMessage): Promise<void> {
    this.waiting.splice(this.waiting.indexOf(due), 1);
    this.done.push(due.message.payload.toString());
    return Promise.resolve();
  }

  failed({ id }: DueMessage): void {
    this.#out.delete(id);
  }

  cancel(): Promise<boolean> {
    return Promise.resolve(false);
  }

  page(): Promise<DelayedLine[]> {
    return Promise.resolve([]);
  }

  due(topic: string, text: string): void {
    const parts = { topic, qos: 1, retain: false, publisher: 'p' } as const;
    const message = messageOf({ ...parts, payload: Buffer.from(text) });
    this.#last += 1;
    this.waiting.push({ id: this.#last, message, sending: undefined });
  }

  texts(): string[] {
    return this.published.map(({ text }) => text);
  }

  async answer(text: string, reasonCode = 0): Promise<void> {
    const at = this.published.findIndex((one) => one.text === text);
    this.published.splice(at, 1)[0]!.answer(reasonCode);
    await turns();
  }
}

void test('one that is not answered holds up only what is behind it in its lane', async () => {
  const at = new Fixture();
  at.due('a', 'a1');
  at.due('b', 'b1');
  await at.publishes.run();
  assert.deepEqual(at.texts(), ['a1', 'b1']);
  await at.answer('b1');
  at.due('a', 'a2');
  at.due('b', 'b2');
  at.due('c', 'c1');
  await at.publishes.run();
  assert.deepEqual(at.texts(), ['a1', 'b2', 'c1']);
  await at.answer('b2');
  await at.answer('c1');
  await at.answer('a1');
  assert.deepEqual(at.texts(), ['a2']);
  await at.answer('a2');
  assert.deepEqual(at.done, ['b1', 'b2', 'c1', 'a1', 'a2']);
});

void test('what fails is sent again before those of its lane that came later', async () => {
  const at = new Fixture();
  at.due('a', 'a1');
  await at.publishes.run();
  at.due('a', 'a2');
  await at.publishes.run();
  await at.answer('a1', away);
  assert.deepEqual(at.texts(), []);
  await at.publishes.run();
  assert.deepEqual(at.texts(), ['a1', 'a2']);
});

void test('events of one client go one after the other, those of others beside them', async () => {
  const at = new Fixture();
  at.due('$SYS/clients/a/connected', 'a1');
  at.due('$SYS/clients/a/disconnected', 'a2');
  at.due('$SYS/clients/a/connected', 'a3');
  at.due('$SYS/clients/b/connected', 'b1');
  at.due('$SYS/clients/a/connected', 'a4');
  await at.publishes.run();
  assert.deepEqual(at.texts(), ['a1', 'b1']);
  await at.answer('a1');
  assert.deepEqual(at.texts(), ['b1', 'a2']);
  at.due('$SYS/clients/a/disconnected', 'a5');
  await at.publishes.run();
  await at.answer('a2');
  assert.deepEqual(at.texts(), ['b1', 'a3', 'a4']);
  await at.answer('a3');
  assert.deepEqual(at.texts(), ['b1', 'a4']);
  await at.answer('a4', away);
  assert.deepEqual(at.texts(), ['b1']);
  await at.publishes.run();
  assert.deepEqual(at.texts(), ['b1', 'a4']);
  await at.answer('a4');
  assert.deepEqual(at.texts(), ['b1', 'a5']);
});

void test('what fails while others are taken is sent before those of its lane among them', async () => {
  const at = new Fixture();
  at.due('a', 'a1');
  await at.publishes.run();
  at.due('a', 'a2');
  at.due('b', 'b1');
  at.onTake = () => at.answer('a1', away);
  await at.publishes.run();
  assert.deepEqual(at.texts(), ['b1']);
  at.onTake = undefined;
  await at.publishes.run();
  assert.deepEqual(at.texts(), ['b1', 'a1', 'a2']);
});

void test('no more than so many are under way', async () => {
  const at = new Fixture();
  for (let n = 0; n < 6000; n += 1) at.due(`t/${n}`, `${n}`);
  await at.publishes.run();
  assert.equal(at.published.length, 5000);
  await at.answer('0');
  await at.publishes.run();
  assert.equal(at.published.length, 5000);
  assert.equal(at.published.at(-1)!.text, '5000');
});
