import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionHandle } from '@lmqtt/common/ids';
import type { RetainedAnswer } from '@lmqtt/proto/link';
import {
  type Broker,
  connect,
  durable,
  publish,
  startBroker,
  subscribeTo,
  texts,
  until,
} from './fake-cs.ts';

async function withBroker(
  run: (broker: Broker, session: SessionHandle) => Promise<Broker | void>,
  settings: Record<string, string | number> = {},
): Promise<void> {
  const broker = await startBroker(settings);
  let last = broker;
  try {
    const { session } = await connect(broker, 'a');
    last = (await run(broker, session)) ?? broker;
  } finally {
    await last.stop();
  }
}

function page(
  broker: Broker,
  session: SessionHandle,
  filter: string,
  after = '',
  messagesMax = 100,
): Promise<RetainedAnswer> {
  return broker.link.readRetained({ session, filter, after, messagesMax, bytesMax: 1 << 20 });
}

test('retained messages are set, replaced, deleted and outlive a restart', () =>
  withBroker(async (first, session) => {
    assert.equal(await publish(first, session, 'r/1', 'old', 1, true), 0x10);
    await publish(first, session, 'r/1', 'new', 1, true);
    await publish(first, session, 'r/2', 'zero', 0, true);
    await publish(first, session, 'r/3', 'x', 2, true);
    await publish(first, session, 'r/3', '', 1, true);
    assert.deepEqual(texts((await page(first, session, 'r/#')).messages), ['new', 'zero']);
    const broker = await first.crash();
    const again = await connect(broker, 'a');
    const { messages } = await page(broker, again.session, 'r/#');
    assert.deepEqual(texts(messages), ['new', 'zero']);
    assert.ok(messages.every((message) => message.retain && message.orderKey !== undefined));
    return broker;
  }));

test('a live message and its retained one have the same order key', () =>
  withBroker(async (broker, session) => {
    await subscribeTo(broker, session, 'r/#');
    await publish(broker, session, 'r/1', 'stored', 1, true);
    await publish(broker, session, 'r/2', 'unstored', 0, true);
    await until(() => broker.cs.pushed.length === 2, 'the pushes');
    const { messages } = await page(broker, session, 'r/#');
    const keys = new Map(messages.map((message) => [message.topic, message.orderKey]));
    for (const live of broker.cs.pushed) assert.deepEqual(live.orderKey, keys.get(live.topic));
  }));

test('all matches come, a page at a time', () =>
  withBroker(async (broker, session) => {
    for (let i = 0; i < 25; i += 1)
      await publish(broker, session, `r/${String(i).padStart(2, '0')}`, `${i}`, 1, true);
    const found: string[] = [];
    for (let after: string | undefined = ''; after !== undefined;) {
      const answer: RetainedAnswer = await page(broker, session, 'r/+', after, 10);
      found.push(...texts(answer.messages));
      after = answer.next;
    }
    assert.deepEqual(
      found,
      Array.from({ length: 25 }, (_, i) => `${i}`),
    );
  }));

test('a version in flight is kept over replacement and restart', () =>
  withBroker(async (first, session) => {
    await publish(first, session, 'r', 'old', 1, true);
    await subscribeTo(first, session, 'r');
    const [old] = (await page(first, session, 'r')).messages;
    const orderKey = old!.orderKey!;
    await publish(first, session, 'r', 'new', 1, true);
    const place = { kind: 'retained', topic: 'r', orderKey } as const;
    await durable(first, [
      { kind: 'sent', session, packetId: 1, qos: 1, sequence: 1, place, filter: 'r' },
    ]);
    const broker = await first.crash();
    const again = await connect(broker, 'a');
    assert.deepEqual(again.answer.state.outbound[0]?.place, place);
    const request = { session: again.session, filter: 'r', after: '', messagesMax: 1, bytesMax: 1 };
    const version = await broker.link.readRetained({
      ...request,
      version: { topic: 'r', orderKey },
    });
    assert.deepEqual(texts(version.messages), ['old']);
    return broker;
  }));

test('retain handling decides whether retained messages are to be sent', () =>
  withBroker(async (broker, session) => {
    const none = await subscribeTo(broker, session, 'none', { retainHandling: 0 });
    assert.equal(none.retained, false);
    assert.equal(none.subscription.retainedAfter, undefined);
    await publish(broker, session, 'r', 'x', 1, true);
    assert.equal((await subscribeTo(broker, session, 'r', { retainHandling: 1 })).retained, true);
    assert.equal((await subscribeTo(broker, session, 'r', { retainHandling: 1 })).retained, false);
    assert.equal((await subscribeTo(broker, session, 'r', { retainHandling: 2 })).retained, false);
    const answer = await subscribeTo(broker, session, 'r', { retainHandling: 0 });
    assert.equal(answer.retained, true);
    assert.equal(answer.subscription.retainedAfter, '');
  }));

test('past the limits a message is refused, or delivered and not retained', () =>
  withBroker(
    async (broker, session) => {
      await publish(broker, session, 'r/1', 'x', 1, true);
      await publish(broker, session, 'r/2', 'x', 1, true);
      assert.equal(await publish(broker, session, 'r/3', 'x', 1, true), 0x97);
      const old = await connect(broker, 'old', { protocolVersion: 4 });
      await subscribeTo(broker, session, 'r/3');
      assert.equal(await publish(broker, old.session, 'r/3', 'x', 1, true), 0);
      await until(() => broker.cs.pushed.length === 1, 'the delivery');
      assert.equal(await publish(broker, session, 'r/2', 'y', 1, true), 0x10);
      await publish(broker, session, 'r/2', '', 1, true);
      assert.equal(await publish(broker, session, 'r/3', 'x', 1, true), 0);
    },
    { 'max-retained-messages': 2 },
  ));

test('$SYS is there for who subscribes, and clients may not publish to it', () =>
  withBroker(
    async (broker, session) => {
      assert.equal(await publish(broker, session, '$SYS/broker/version', 'mine', 1), 0x87);
      const answer = await subscribeTo(broker, session, '$SYS/broker/clients/#');
      assert.equal(answer.retained, true);
      const { messages } = await page(broker, session, '$SYS/broker/clients/#');
      assert.ok(messages.some((message) => message.topic === '$SYS/broker/clients/connected'));
      await until(() => broker.cs.pushed.length > 0, 'the figures');
      assert.ok(broker.cs.pushed.every((one) => one.topic.startsWith('$SYS/broker/clients/')));
    },
    { 'sys-interval-s': 1 },
  ));
