import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { nodeId } from '@lmqtt/common/ids';
import { OrdinaryQueue } from '../src/queue-store/rocketmq/ordinary-queue.ts';
import { TailPace } from '../src/queue-store/rocketmq/tail-pace.ts';
import type { Broker } from '../src/queue-store/rocketmq/broker.ts';
import type { DsMessage, Inbox } from '../src/registry/inbox.ts';

mock.timers.enable({ apis: ['setInterval'] });

let nowMs = 1000;

/** A ds with one queue; its tail is `position` where it has one. */
function ds(id: string, inbox: Inbox, position?: () => number) {
  const queue = new OrdinaryQueue(
    'topic',
    { name: 'b', onAnswers: () => {} } as Broker & object,
    2,
  );
  const tails = {
    get all() {
      if (position === undefined) return [];
      return [{ queue, position: position(), lag: queue.end - position() }];
    },
  };
  const topics = { named: () => ({ queues: new Map([[queue.name, queue]]) }) };
  const pace = new TailPace(
    {
      settings: { tailLagMax: 100 },
      clock: { monotonicMs: () => nowMs },
      nodes: { aliveDs: new Set([nodeId('one'), nodeId('two')]) },
      self: nodeId(id),
      inbox,
    },
    topics,
    tails,
  );
  return { queue, pace };
}

void test('a queue far ahead of a tail that moves is ahead, at this ds and at the others', () => {
  const sent: DsMessage[] = [];
  let hear: (message: DsMessage) => void = () => {};
  let position = 0;
  const silent = {
    send: (_: unknown, message: DsMessage) => sent.push(message),
    onMessage: () => {},
  };
  const one = ds('one', silent, () => position);
  const two = ds('two', {
    send: () => {},
    onMessage: (listener) => {
      hear = (message) => listener(nodeId('one'), message);
    },
  });
  const tick = (): void => {
    mock.timers.tick(100);
    for (const message of sent.splice(0)) hear(message);
  };
  for (const { queue } of [one, two]) queue.given(199);
  position = 50;
  one.queue.tailMoved(position, nowMs);
  assert.equal(one.pace.isAhead(one.queue), true);
  assert.equal(two.pace.isAhead(two.queue), false, 'of a tail of which nothing is known');
  tick();
  assert.equal(two.pace.isAhead(two.queue), true);

  nowMs += 500;
  assert.equal(one.pace.isAhead(one.queue), false, 'a tail that stands still');
  tick();
  assert.equal(two.pace.isAhead(two.queue), false, 'one that another ds has');

  position = 199;
  one.queue.tailMoved(position, nowMs);
  assert.equal(one.pace.isAhead(one.queue), false);
  tick();
  assert.equal(two.queue.tailAt, 199, 'told once more');
  position = 200;
  mock.timers.tick(100);
  assert.equal(sent.length, 0);
  one.pace.close();
  two.pace.close();
});
