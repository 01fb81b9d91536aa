// A ds that is to leave hands over what it has, as far as there is another one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type NodeId, nodeId } from '@lmqtt/common/ids';
import { DsDrain } from '../src/cluster/drain.ts';
import { PeerQuestions } from '../src/cluster/ds-questions.ts';
import { nodeDrains } from '../src/cluster/node-drains.ts';
import type { NodeLine, NodeRecord } from '../src/registry/nodes.ts';
import { until } from './fake-cs.ts';

const self = nodeId('ds-1');

function recordOf(id: string, role: 'cs' | 'ds'): NodeRecord {
  const facts = { instance: '', version: '', address: '', startedAtMs: 0 };
  return { id: nodeId(id), role, ...facts };
}

/** A ds with sessions and groups, beside others. */
class Leaving {
  readonly said: string[] = [];
  ds: NodeRecord[] = [recordOf('ds-1', 'ds'), recordOf('ds-2', 'ds')];
  sessions = 0;
  groups = 0;
  readonly drain: DsDrain;

  constructor() {
    const say = (word: string) => (): Promise<void> => {
      this.said.push(word);
      return Promise.resolve();
    };
    const listed = (): readonly NodeRecord[] => this.ds;
    this.drain = new DsDrain({
      self,
      registeredNodes: {
        drain: say('drain'),
        undrain: say('undrain'),
        get ds() {
          return listed();
        },
      },
      work: { handOver: say('work'), keep: () => this.said.push('work stays') },
      groups: {
        handOver: (groupsMax, isEmpty) => {
          if (isEmpty) this.groups = Math.max(0, this.groups - groupsMax);
          return Promise.resolve(this.groups);
        },
        keep: () => this.said.push('groups stay'),
      },
      sessions: () => this.sessions,
      failed: (error) => assert.fail(String(error)),
    });
  }
}

test('a ds leaves when its sessions and groups have gone, those some at a time', async () => {
  const leaving = new Leaving();
  leaving.sessions = 3;
  leaving.groups = 120;
  let isGone = false;
  const gone = leaving.drain.leave(60_000).then(() => {
    isGone = true;
  });
  await until(() => leaving.said.length === 2, 'the others know');
  assert.deepEqual(leaving.said, ['drain', 'work']);
  assert.equal(leaving.drain.draining, true);
  assert.equal(leaving.groups, 120);
  assert.equal(isGone, false);
  leaving.sessions = 0;
  await gone;
  assert.equal(leaving.groups, 0);
  await leaving.drain.takeBack();
});

test('without another ds there is nothing to wait for; nor when the other one goes, too', async () => {
  const alone = new Leaving();
  alone.ds = [recordOf('ds-1', 'ds')];
  alone.sessions = 1;
  await alone.drain.leave(60_000);
  assert.deepEqual(alone.said, []);
  const both = new Leaving();
  both.sessions = 1;
  const gone = both.drain.leave(60_000);
  await until(() => both.said.length === 2, 'it drains');
  both.ds = [];
  await gone;
  await both.drain.takeBack();
});

test('a drain is taken back', async () => {
  const leaving = new Leaving();
  await leaving.drain.begin();
  await leaving.drain.begin();
  await leaving.drain.takeBack();
  await leaving.drain.takeBack();
  assert.deepEqual(leaving.said, ['drain', 'work', 'undrain', 'work stays', 'groups stay']);
  assert.equal(leaving.drain.draining, false);
});

test('the node that is meant drains, wherever it is; the only ds does not', async () => {
  const said: string[] = [];
  const line = (id: string, role: 'cs' | 'ds'): NodeLine => ({
    ...recordOf(id, role),
    state: 'alive',
    leaseAgeMs: 0,
    connections: 0,
  });
  let lines = [line('ds-1', 'ds'), line('cs-1', 'cs')];
  const registeredNodes = { list: () => Promise.resolve(lines) };
  const inbox = { onMessage: () => {}, send: () => {} };
  const questions = new PeerQuestions({
    ...{ self, registeredNodes, inbox },
    events: { unexpected: (where: string) => assert.fail(where) },
  });
  const act = (word: string) => (): Promise<void> => {
    said.push(word);
    return Promise.resolve();
  };
  const drains = nodeDrains({
    ...{ self, registeredNodes, questions },
    drain: { begin: act('begin'), takeBack: act('take back') },
    drainCs: (cs: NodeId, draining: boolean) => {
      if (cs !== 'cs-1') return false;
      said.push(`cs ${String(draining)}`);
      return true;
    },
  });
  assert.equal(await drains(nodeId('cs-1'), true), 'asked');
  assert.equal(await drains(nodeId('nobody'), true), 'unknown');
  assert.equal(await drains(self, true), 'alone');
  assert.equal(await drains(self, false), 'asked');
  // A standalone on servers: its clients may go, and nobody could have the rest.
  lines = [line('ds-1', 'ds'), line('ds-1', 'cs')];
  assert.notEqual(await drains(self, true), 'alone');
  assert.deepEqual(said, ['cs true', 'take back']);
  lines = [line('ds-1', 'ds'), { ...line('ds-2', 'ds'), state: 'gone' }];
  assert.equal(await drains(self, true), 'alone');
  assert.deepEqual(said, ['cs true', 'take back']);
});
