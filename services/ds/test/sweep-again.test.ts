import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type QueueId, queueId, queueName } from '@lmqtt/common/ids';
import type { RouteLog, RouteOpening } from '../src/registry/route-log.ts';
import { type ReturnedStore, SweepAgain } from '../src/cluster/sweep-again.ts';
import { deleteQueues } from '../src/cluster/work.ts';

const swept = Array.from({ length: 250 }, (_, n) => ({
  name: queueName(`swept/${n}`),
  place: `place ${n}`,
}));

test('queues that a broker has again after its return are opened, once, and by nobody held', async () => {
  const opened: RouteOpening[] = [];
  const told: string[] = [];
  const routeLog: Pick<RouteLog, 'sweptLately' | 'open'> = {
    sweptLately: () => Promise.resolve(swept),
    open: (openings) => {
      opened.push(...openings);
      return Promise.resolve(openings.map(() => queueId(1)));
    },
  };
  let nowMs = 0;
  let isAway = false;
  const back = new Set(['place 3', 'place 120', 'place 249']);
  const broker: { -readonly [Key in keyof ReturnedStore]: ReturnedStore[Key] } = {
    name: 'broker-a',
    answersSinceMs: 0,
    has: (place) => (isAway ? Promise.reject(new Error('away')) : Promise.resolve(back.has(place))),
  };
  const again = new SweepAgain({
    routeLog,
    events: { sweptAgain: (name, queues) => told.push(`${name} ${queues}`) },
    stores: () => [broker, { ...broker, name: 'broker-b', answersSinceMs: undefined }],
    monotonicMs: () => nowMs,
  });
  // It may still be building its index.
  await again.run();
  assert.deepEqual(opened, []);
  nowMs = 30_000;
  isAway = true;
  await assert.rejects(again.run());
  isAway = false;
  await again.run();
  assert.deepEqual(
    opened.map(({ place, holder, node }) => [place, holder, node]),
    [...back].map((place) => [place, undefined, undefined]),
  );
  assert.deepEqual(told, ['broker-a 3']);
  await again.run();
  assert.equal(opened.length, 3);
  // Another life.
  broker.answersSinceMs = 40_000;
  nowMs = 70_000;
  back.delete('place 3');
  await again.run();
  assert.equal(opened.length, 5);
  assert.deepEqual(told, ['broker-a 3', 'broker-a 2']);
});

void test('names of queues that were deleted are free, also where a later one cannot be deleted', async () => {
  const told: number[][] = [];
  const ports = {
    drop: (place: string) =>
      place === 'away' ? Promise.reject(new Error('its broker is away')) : Promise.resolve(),
    routeLog: {
      swept: (queues: readonly QueueId[]) => {
        told.push([...queues]);
        return Promise.resolve();
      },
    },
  };
  const queues = ['a', 'b', 'away', 'd'].map((place, at) => ({ queue: queueId(at), place }));
  await assert.rejects(deleteQueues(ports, queues), /away/);
  await deleteQueues(ports, queues.slice(0, 1));
  assert.deepEqual(told, [[0, 1], [0]]);
});
