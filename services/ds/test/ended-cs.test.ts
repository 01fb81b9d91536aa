import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeId, type NodeId } from '@lmqtt/common/ids';
import { EndedCs } from '../src/cluster/ended-cs.ts';
import type { EndedNode } from '../src/registry/nodes.ts';

/** Steps, in their order; `fails`: how often ending a node's connections fails. */
function start(ids: string[], fails: Record<string, number> = {}, held: string[] = []) {
  const done: string[] = [];
  const failures: unknown[] = [];
  const settled = new Map<string, () => void>();
  const ends = ids.map((id): EndedNode => ({
    id: nodeId(id),
    role: 'cs',
    instance: 'i',
    left: false,
  }));
  const endedCs = new EndedCs({
    sessionStore: {
      endNode: (id: NodeId) => {
        fails[id] = (fails[id] ?? 0) - 1;
        done.push(`end ${id}`);
        return fails[id] < 0 ? Promise.resolve() : Promise.reject(new Error('Redis is away'));
      },
    },
    registeredNodes: {
      takeEnded: () => Promise.resolve(ends.splice(0)),
      settled: ({ id }) => {
        done.push(`settled ${id}`);
        settled.get(id)?.();
        return Promise.resolve();
      },
    },
    routeLog: {
      forget: (id: NodeId) => (held.includes(id) ? new Promise(() => {}) : Promise.resolve()),
    },
    events: { unexpected: (_where, error) => failures.push(error) },
  });
  return {
    endedCs,
    done,
    failures,
    untilSettled: (id: string) => new Promise<void>((resolve) => settled.set(id, resolve)),
  };
}

void test('what fails is done again, until it is done', async () => {
  const { endedCs, done, failures, untilSettled } = start(['cs-1'], { 'cs-1': 2 });
  const settled = untilSettled('cs-1');
  await endedCs.take();
  // It is taken once.
  await endedCs.take();
  await settled;
  assert.deepEqual(done, ['end cs-1', 'end cs-1', 'end cs-1', 'settled cs-1']);
  assert.equal(failures.length, 2);
});

void test('a node whose routes are not forgotten yet holds up no other', async () => {
  const { endedCs, done, untilSettled } = start(['cs-1', 'cs-2'], {}, ['cs-1']);
  const settled = untilSettled('cs-2');
  await endedCs.take();
  await settled;
  assert.deepEqual(done, ['end cs-1', 'end cs-2', 'settled cs-2']);
});

void test('a ds that stops leaves the rest to another', async () => {
  const { endedCs, done, failures } = start(['cs-1'], { 'cs-1': 1000 });
  await endedCs.take();
  endedCs.stop();
  await new Promise((resolve) => setTimeout(resolve, 600));
  assert.ok(done.length <= 1, done.join());
  assert.ok(failures.length <= 1);
});
