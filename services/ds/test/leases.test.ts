// A node acts for as long as it renews its lease, and not a moment longer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeId } from '@lmqtt/common/ids';
import { messageOf } from '@lmqtt/common/message';
import type { Will } from '@lmqtt/proto/link';
import { lost, pause, publish, publishOf, subscribeTo, texts, tryConnect } from './fake-cs.ts';
import { leaseMs, Node, SplitDs } from './fake-nodes.ts';

async function withSplit(run: (split: SplitDs) => Promise<void>): Promise<void> {
  const split = await SplitDs.start();
  try {
    await run(split);
  } finally {
    await split.stop();
  }
}

function will(text: string): Will {
  const payload = Buffer.from(text);
  const message = messageOf({ topic: 'will', qos: 1, retain: false, payload });
  return { message, delayS: 0, messageExpiryS: undefined };
}

const clean = { sessionExpiryS: 0 };

test('a node that renews stays; one that does not is judged, and its sessions end', () =>
  withSplit(async (split) => {
    const ended: NodeId[] = [];
    split.ds.link.onNodeEnded((node) => ended.push(node));
    const a = await Node.attach(split, 'a');
    const b = await Node.attach(split, 'b');
    const watcher = await a.connect('watcher');
    await subscribeTo(a, watcher.session, 'will');
    const silent = await b.connect('silent', { ...clean, will: will('silent') });
    await b.connect('persistent', { will: will('persistent') });
    await subscribeTo(b, silent.session, 't');
    assert.equal(await publish(a, watcher.session, 't', 'x'), 0);
    b.pause();
    await pause(leaseMs * 2.5);
    assert.deepEqual(ended, [b.cs.node]);
    assert.equal(split.ds.link.renew(b.cs.node), false);
    assert.equal(split.ds.link.renew(a.cs.node), true);
    await pause(300);
    assert.deepEqual(texts(a.cs.pushed).toSorted(), ['persistent', 'silent']);
    assert.equal(await publish(a, watcher.session, 't', 'nobody'), 0x10);
    assert.equal(split.ds.sessionCount, 2);
  }));

test('nothing that comes from a node that is over counts', () =>
  withSplit(async (split) => {
    const a = await Node.attach(split, 'a');
    const b = await Node.attach(split, 'b');
    const watcher = await a.connect('watcher');
    await subscribeTo(a, watcher.session, 't');
    const { session } = await b.connect('b');
    await subscribeTo(b, session, 'u');
    b.pause();
    split.passMs(leaseMs / 2);
    assert.equal(split.ds.link.renew(a.cs.node), true);
    split.passMs(leaseMs / 2);
    await split.ds.link.judgeLeases();
    b.link.publish([publishOf(session, 't', 'late', 1), publishOf(session, 't', 'late', 0)]);
    const position = { kind: 'position', session, queue: 1 as never, partition: 0 } as const;
    assert.equal(b.link.write([{ ...position, position: 9 }]), false);
    const [subscribed] = await b.link.subscribe(session, []);
    assert.equal(subscribed, undefined);
    const refused = await tryConnect(b, 'new');
    assert.equal(refused.answer.kind, 'refused');
    await pause(100);
    assert.deepEqual(texts(a.cs.pushed), []);
    assert.deepEqual(b.cs.answered, []);
    assert.equal(split.ds.link.clientOf(b.cs.node, session), undefined);
  }));

test('a node id belongs to one process until its lease is judged', () =>
  withSplit(async (split) => {
    const a = await Node.attach(split, 'a');
    const held = await a.connect('p');
    await assert.rejects(Node.attach(split, 'a', 'a 2'), { name: 'NodeIdInUse' });
    a.pause();
    await pause(leaseMs + 300);
    const other = await Node.attach(split, 'a', 'a 2');
    const again = await other.connect('p');
    assert.equal(again.answer.sessionPresent, true);
    await assert.rejects(a.present(split, [a.presented(held)]), { name: 'NodeIdInUse' });
  }));

test('a node that was judged begins anew: what it presents is refused', () =>
  withSplit(async (split) => {
    const a = await Node.attach(split, 'a');
    const b = await Node.attach(split, 'b');
    const moved = await a.connect('moved');
    const lies = await a.connect('lies');
    a.pause();
    await pause(leaseMs + 300);
    await b.connect('moved');
    await a.present(split, [a.presented(moved), a.presented(lies)]);
    assert.deepEqual(a.refusals, [
      { session: moved.session, reasonCode: 0x8e },
      { session: lies.session, reasonCode: 0x89 },
    ]);
    assert.equal((await a.connect('lies')).answer.sessionPresent, true);
  }));

test('a process that lost its attachment begins anew at once', () =>
  withSplit(async (split) => {
    const a = await Node.attach(split, 'a');
    await a.connect('p');
    await a.present(split, []);
    assert.equal((await a.connect('p')).answer.sessionPresent, true);
  }));

test('a client whose node does not answer is taken over when that is judged', () =>
  withSplit(async (split) => {
    const a = await Node.attach(split, 'a');
    const b = await Node.attach(split, 'b');
    await a.connect('p');
    a.pause();
    const startedMs = performance.now();
    const { answer } = await b.connect('p');
    assert.equal(answer.sessionPresent, true);
    assert.ok(performance.now() - startedMs > leaseMs / 2);
    assert.equal(a.cs.kicked.length, 1);
  }));

test('a node that leaves: its wills wait for their clients', () =>
  withSplit(async (split) => {
    const a = await Node.attach(split, 'a');
    const b = await Node.attach(split, 'b');
    const watcher = await a.connect('watcher');
    await subscribeTo(a, watcher.session, 'will');
    await b.connect('left', { ...clean, will: will('left') });
    await b.connect('here', { ...clean, will: will('here') });
    b.pause();
    await split.ds.link.detach(b.cs.node);
    await a.connect('left', clean);
    await pause(500);
    assert.deepEqual(texts(a.cs.pushed), []);
    assert.equal(split.ds.link.renew(b.cs.node), false);
    // Its name is free.
    const again = await Node.attach(split, 'b', 'b 2');
    again.pause();
  }));

test('a ds that stood still judges nobody by it', () =>
  withSplit(async (split) => {
    const a = await Node.attach(split, 'a');
    const b = await Node.attach(split, 'b');
    await a.connect('a');
    await b.connect('b');
    b.pause();
    split.standStill(10 * leaseMs);
    await split.ds.link.judgeLeases();
    assert.equal((await split.ds.client('b' as never))?.connection?.node, 'b');
    // Time in which this process gets no core is time in which it stands still.
    const isGone = async (): Promise<boolean> =>
      (await split.ds.client('b' as never))?.connection === null;
    for (let tries = 0; tries < 100 && !(await isGone()); tries += 1) await pause(leaseMs / 10);
    assert.equal((await split.ds.client('b' as never))?.connection, null);
    assert.equal((await split.ds.client('a' as never))?.connection?.node, 'a');
  }));

test('a claim under way on a node that is judged leaves nothing connected', () =>
  withSplit(async (split) => {
    const a = await Node.attach(split, 'a');
    const b = await Node.attach(split, 'b');
    // A does not let go, so B's claim waits for it.
    const { session } = await a.connect('p');
    const waiting = tryConnect(b, 'p');
    await pause(50);
    b.pause();
    await pause(leaseMs + 300);
    await a.link.disconnect(session, lost);
    assert.equal((await waiting).answer.kind, 'refused');
    const line = await split.ds.client('p' as never);
    assert.equal(line?.connection, null);
  }));
