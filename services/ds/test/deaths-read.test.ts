// A broker that dies again and again under QoS 2, in the midst of a message, and indexes late what
// it has stored: what readers of a light queue get, by reading and by what the tails tell.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { queueId } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import { ScriptedStore } from './scripted-store.ts';

const lanes = Array.from({ length: 40 }, (_, n) => `lane-${n}`);
const deaths = 6;
const inFlight = 2;
const trafficMs = 100;
const awayMs = 50;
const readMessages = 100;
const indexedMs = 20_000;
const queue = queueId(1);
const lmq = '%LMQ%all';

interface Publishing {
  readonly acknowledged: Set<string>;
  readonly failed: string[];
  isOver: boolean;
}

/** Each lane has so many publishes in flight until it is over. */
async function publish(scripted: ScriptedStore, publishing: Publishing): Promise<void> {
  const next = new Map(lanes.map((lane) => [lane, 0]));
  const one = async (lane: string): Promise<void> => {
    while (!publishing.isOver) {
      const number = next.get(lane) ?? 0;
      next.set(lane, number + 1);
      const text = `${lane} ${number}`;
      const append = { ...scripted.make(lane, text), queues: [queue] };
      await scripted.append([append]);
      if (append.reasonCode === 0) publishing.acknowledged.add(text);
      else publishing.failed.push(text);
      await delay(1);
    }
  };
  await Promise.all(lanes.flatMap((lane) => Array.from({ length: inFlight }, () => one(lane))));
}

/** All of the light queue, from its beginning. */
async function read(scripted: ScriptedStore, partition: number): Promise<Message[]> {
  const messages: Message[] = [];
  for (let from = 0; ;) {
    const request = { queue, partition, from, messagesMax: readMessages, bytesMax: 1 << 20 };
    const answer = await scripted.store.read(request);
    messages.push(...answer.messages);
    if (answer.next <= from) return messages;
    from = answer.next;
  }
}

async function until(is: () => boolean): Promise<void> {
  while (!is()) await delay(5);
}

const textOf = (message: Message): string => message.payload.toString();

void test('what is acknowledged is in its light queue, once, in the order of its lane', async (t) => {
  const scripted = new ScriptedStore();
  const { broker } = scripted;
  scripted.queues = { placeOf: () => lmq, atPlace: (name) => (name === lmq ? [queue] : []) };
  t.after(() => broker.close());
  t.after(() => scripted.close());
  await broker.start();
  await scripted.start();
  const { store } = scripted;
  broker.sendQueueWaitMs = 60_000;
  let turn = 0;
  // Most is indexed at once.
  broker.indexLagMs = () => ((turn += 1) % 10 === 0 ? 20 : 0);
  const told = new Set<string>();
  store.onArrivals((messages) => {
    for (const message of messages) told.add(textOf(message));
  });
  const publishing: Publishing = { acknowledged: new Set(), failed: [], isOver: false };
  const over = publish(scripted, publishing);
  for (let death = 1; death <= deaths; death += 1) {
    await delay(trafficMs);
    let left = death * 3;
    broker.fate = () => {
      left -= 1;
      if (left === 0) return 'torn';
      return left > 0 ? 'unanswered' : 'lost';
    };
    await delay(awayMs);
    await broker.goAway();
    await delay(awayMs);
    broker.fate = () => 'stored';
    const before = publishing.acknowledged.size;
    await broker.comeBack(`${death + 1}`);
    await until(() => publishing.acknowledged.size > before + lanes.length);
  }
  publishing.isOver = true;
  await over;
  assert.deepEqual(publishing.failed, []);
  const partition = store.partitions()[0]!;
  const endMs = performance.now() + indexedMs;
  let texts: string[] = [];
  let missing: string[] = [...publishing.acknowledged];
  while (missing.length > 0 && performance.now() < endMs) {
    texts = (await read(scripted, partition)).map(textOf);
    const all = new Set(texts);
    missing = [...publishing.acknowledged].filter((text) => !all.has(text) || !told.has(text));
  }
  assert.deepEqual(missing, []);
  assert.equal(new Set(texts).size, texts.length);
  const numbers = new Map<string, number>();
  for (const text of texts) {
    const [lane = '', number = ''] = text.split(' ');
    assert.equal(Number(number), (numbers.get(lane) ?? -1) + 1, text);
    numbers.set(lane, Number(number));
  }
});
