// Lanes of a cs, and renewals that a registry elsewhere has to confirm.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { nodeId } from '@lmqtt/common/ids';
import { calls } from '@lmqtt/proto/calls';
import type { Admission } from '../src/rpc/admission.ts';
import { until } from './fake-cs.ts';
import { startRpcDs } from './rpc-ds.ts';
import { RpcPeer } from './rpc-peer.ts';

interface Asked {
  readonly node: string;
  readonly connections: number;
  answer(held: boolean): void;
  fail(): void;
}

/** The admission of ds, with a registry that answers when the test says so. */
function slowly(asked: Asked[], left: [string, boolean][]): (link: Admission) => Admission {
  return (link) => ({
    leaseMs: link.leaseMs,
    admit: (downstream, instance, sessions, about) =>
      link.admit(downstream, instance, sessions, about),
    renew: (node, connections) =>
      new Promise((resolve, reject) => {
        asked.push({
          node,
          connections,
          answer: resolve,
          fail: () => reject(new Error('no answer of the registry')),
        });
      }),
    detach(node, goesOn) {
      left.push([node, goesOn]);
      return link.detach(node, goesOn);
    },
    onNodeEnded: (listener) => link.onNodeEnded(listener),
    clientOf: (node, session) => link.clientOf(node, session),
  });
}

test('a Renew is answered when it is confirmed; without an answer nothing is renewed', async () => {
  const asked: Asked[] = [];
  const broker = await startRpcDs({ 'lease-ms': 30_000 }, undefined, slowly(asked, []));
  try {
    const peer = await RpcPeer.attached({ port: broker.port });
    const numbers = [1, 2, 3].map(() => peer.renew({}, 7));
    await until(() => asked.length === 3, 'the questions');
    await pause(20);
    assert.deepEqual(peer.renewedNumbers, []);
    assert.equal(asked[0]!.connections, 7);
    asked[0]!.answer(true);
    await until(() => peer.renewedNumbers.length === 1, 'an answer');
    asked[1]!.fail();
    await until(() => peer.renewedNumbers.length === 2, 'another one');
    assert.deepEqual(peer.renewedNumbers, numbers.slice(0, 2));
    assert.deepEqual(peer.unconfirmedNumbers, [numbers[1]]);
    assert.equal(peer.isOpen, true);
    assert.ok(broker.lines.some((line) => line.includes('lease of a node not renewed')));
    asked[2]!.answer(false);
    await until(() => peer.ended !== undefined, 'the end of the stream');
    assert.equal(peer.ended?.code, status.ABORTED);
    assert.equal(peer.renewedNumbers.length, 2);
  } finally {
    await broker.stop();
  }
});

test('what a closed attachment asked is answered by nobody', async () => {
  const asked: Asked[] = [];
  const broker = await startRpcDs({ 'lease-ms': 30_000 }, undefined, slowly(asked, []));
  try {
    const options = { port: broker.port, instance: 'one' };
    const peer = await RpcPeer.attached(options);
    peer.renew({}, 1);
    peer.renew({}, 1);
    await until(() => asked.length === 2, 'the questions');
    const next = await RpcPeer.attached(options);
    asked[0]!.answer(false);
    asked[1]!.fail();
    next.renew({}, 1);
    await until(() => asked.length === 3, 'a question');
    asked[2]!.answer(true);
    await until(() => next.renewedNumbers.length === 1, 'the answer');
    next.cut();
  } finally {
    await broker.stop();
  }
});

test('lanes of a cs are one node to operators; one of them leaves, and the others go on', async () => {
  const left: [string, boolean][] = [];
  const broker = await startRpcDs({ 'lease-ms': 30_000 }, undefined, slowly([], left));
  try {
    const lane = (name: string): Promise<RpcPeer> =>
      RpcPeer.attached({ port: broker.port, node: `a@${name}`, instance: 'one' });
    const [own, orphan] = [await lane('ds-1'), await lane('ds-2')];
    own.renew({ x: 3 }, 5);
    orphan.renew({ x: 3 }, 5);
    await until(() => broker.rpc.nodes()[0]?.connections === 5, 'the Renew');
    const lines = broker.rpc.nodes().map(({ node, connections }) => [node, connections]);
    assert.deepEqual(lines, [['a', 5]]);
    assert.deepEqual(broker.rpc.counters(), { x: 3 });
    await orphan.call(calls.leave, { goesOn: true });
    assert.deepEqual(left, [['a@ds-2', true]]);
    assert.equal(broker.rpc.nodes().length, 1);
    own.cut();
  } finally {
    await broker.stop();
  }
});

test('a lane that went elsewhere is let go; one that is only cut goes on', async () => {
  const abandoned: string[] = [];
  const broker = await startRpcDs({ 'lease-ms': 30_000 }, undefined, (link) => ({
    ...slowly([], [])(link),
    leaseMs: 300,
    abandoned: (node) => void abandoned.push(node),
  }));
  try {
    const peers: RpcPeer[] = [];
    for (const name of ['ds-1', 'ds-2']) {
      peers.push(await RpcPeer.attached({ port: broker.port, node: `a@${name}`, instance: 'one' }));
    }
    const [stays, goes] = peers;
    for (const peer of peers) peer.cut();
    await stays!.open();
    assert.equal(stays!.welcome?.resumed, true);
    await until(() => abandoned.length === 1, 'the end of the other one');
    assert.deepEqual(abandoned, ['a@ds-2']);
    // Its own process may begin anew under the name.
    await goes!.attach();
    assert.equal(goes!.welcome?.resumed, false);
    assert.equal(stays!.isOpen, true);
    for (const peer of peers) peer.cut();
  } finally {
    await broker.stop();
  }
});

test('a cs hears with its renewals that it is to drain, until it says that it does', async () => {
  const broker = await startRpcDs({ 'lease-ms': 30_000 });
  try {
    const peer = await RpcPeer.attached({ port: broker.port, node: 'cs-1' });
    const wishOf = async (draining: boolean): Promise<boolean | undefined> => {
      const { length } = peer.renewedNumbers;
      peer.renew({}, 0, draining);
      await until(() => peer.renewedNumbers.length > length, 'an answer');
      return peer.drainWish;
    };
    assert.equal(await wishOf(false), undefined);
    assert.equal(broker.rpc.drain(nodeId('cs-2'), true), false);
    assert.equal(broker.rpc.drain(nodeId('cs-1'), true), true);
    assert.equal(await wishOf(false), true);
    assert.equal(await wishOf(false), true);
    assert.equal(await wishOf(true), undefined);
    assert.deepEqual(
      broker.rpc.nodes().map(({ node, draining }) => [node, draining]),
      [['cs-1', true]],
    );
    broker.rpc.drain(nodeId('cs-1'), false);
    assert.equal(await wishOf(true), false);
    assert.equal(await wishOf(false), undefined);
    assert.equal(await wishOf(false), undefined);
  } finally {
    await broker.stop();
  }
});
