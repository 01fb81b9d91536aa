// The queue of a client whose session is new is read for the first time when something is in it.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Message } from '@lmqtt/common/message';
import { clientId, queueId } from '@lmqtt/common/ids';
import { p2pQueue } from '@lmqtt/common/p2p';
import { UnreadQueues } from '../src/queue/unread-queues.ts';
import { type Cell, type FakeClient, startNode, turns } from './node-fixture.ts';
import { stored } from './queue-fixture.ts';
import { subscriptionState } from './scripted-ds.ts';

const queue = 7;
const end = 5;
const topic = 'a/p2p/c';

const message = (text: string, offset: number, previous = offset - 1): Message =>
  stored(text, 0, [[queue, offset, previous]], topic);

interface Opened extends Cell {
  readonly client: FakeClient;
}

/** A client whose queue ends at `end`; `meanwhile`: before ds answers its CONNECT. */
async function open(
  t: TestContext,
  {
    clean = true,
    meanwhile = () => {},
  }: { clean?: boolean; meanwhile?: (cell: Cell) => void } = {},
): Promise<Opened> {
  const cell = startNode(t);
  const { ds } = cell;
  ds.answers = false;
  const client = await cell.connect('c', { clean });
  const [asked] = ds.connects.splice(0);
  meanwhile(cell);
  ds.answers = true;
  const answer = await ds.connect(asked!.request);
  assert.equal(answer.kind, 'accepted');
  ds.answers = false;
  const own = subscriptionState(p2pQueue(clientId('c')), queue, 2, { position: end });
  const positions = [{ partition: 0, start: end, position: end, done: [] }];
  const subscriptions = [{ ...own, positions }];
  const state = { subscriptions, outbound: [], inbound: [] };
  if (answer.kind === 'accepted') asked!.resolve({ ...answer, sessionPresent: false, state });
  await turns();
  assert.deepEqual(client.took(), ['connack']);
  return { ...cell, client };
}

test('nothing is read before something is pushed, which goes out at once', async (t) => {
  const { ds, client } = await open(t);
  assert.equal(ds.reads.length, 0);
  ds.node.push([message('one', end), message('two', end + 1)]);
  await turns();
  assert.deepEqual(client.took(), ['publish', 'publish']);
  assert.equal(ds.reads.length, 0);
});

test('a push that came before the answer to CONNECT is read', async (t) => {
  const meanwhile = ({ ds }: Cell): void => ds.node.push([message('early', end)]);
  const { ds, client } = await open(t, { meanwhile });
  const [read] = ds.reads.splice(0);
  assert.equal(read?.request.from, end);
  read.resolve({ messages: [message('early', end)], next: end + 1, end: end + 1 });
  await turns();
  assert.deepEqual(client.took(), ['publish']);
});

test('a push that was lost before the answer to CONNECT is read', async (t) => {
  const meanwhile = ({ ds }: Cell): void =>
    ds.node.behind([{ queue: queueId(queue), partition: 0, end: end + 1 }]);
  const { ds } = await open(t, { meanwhile });
  assert.equal(ds.reads.length, 1);
});

test('a push that was lost later shows by the next one, by its end and by the slow round', async (t) => {
  const gap = await open(t);
  gap.ds.node.push([message('two', end + 1, end)]);
  await turns();
  assert.equal(gap.ds.reads[0]?.request.from, end);
  const told = await open(t);
  told.ds.node.behind([{ queue: queueId(queue), partition: 0, end: end + 1 }]);
  await turns();
  assert.equal(told.ds.reads[0]?.request.from, end);
  const checked = await open(t);
  checked.node.feeds.recheck(0, 10);
  await turns();
  assert.equal(checked.ds.reads[0]?.request.from, end);
});

test('a client that says that its session goes on has its queue read', async (t) => {
  const { ds } = await open(t, { clean: false });
  assert.equal(ds.reads.length, 1);
});

test('what came to another session, which ends before the answer to CONNECT, is read', async (t) => {
  const meanwhile = ({ node, ds }: Cell): void => {
    const feed = node.feed(queueId(queue), 0);
    ds.node.push([message('for another', end)]);
    node.releaseFeed(feed);
  };
  const { ds } = await open(t, { meanwhile });
  assert.equal(ds.reads.length, 1);
});

test('pushes for other queues that nobody reads here cost no read', async (t) => {
  const meanwhile = ({ ds }: Cell): void =>
    ds.node.push([stored('for others', 0, [[queue + 1, 0, -1]])]);
  const { ds } = await open(t, { meanwhile });
  assert.equal(ds.reads.length, 0);
});

test('where the answer to CONNECT comes late, or much was pushed, its queue is read', async (t) => {
  const late = await open(t, {
    meanwhile: ({ node }) => {
      node.feeds.unread.next();
      node.feeds.unread.next();
    },
  });
  assert.equal(late.ds.reads.length, 1);
  const early = ({ ds }: Cell): void => ds.node.push([message('early', end)]);
  const meanwhile = (cell: Cell): void => {
    early(cell);
    cell.node.feeds.unread.next();
  };
  const next = await open(t, { meanwhile });
  assert.equal(next.ds.reads.length, 1, 'in the next round');
  const many = await open(t, {
    meanwhile: ({ ds }) => {
      const queues = Array.from({ length: 20_000 }, (_, n) => [n + 100, 0, -1] as const);
      ds.node.push([stored('for many', 0, queues)]);
    },
  });
  assert.equal(many.ds.reads.length, 1);
});

test('nothing is remembered while nobody connects', () => {
  const unread = new UnreadQueues();
  unread.add(queueId(1));
  const watched = unread.watch();
  assert.equal(unread.has(queueId(1), watched), false);
  unread.add(queueId(1));
  unread.next();
  assert.equal(unread.has(queueId(1), watched), true);
  unread.add(queueId(2));
  assert.equal(unread.has(queueId(2), watched), true);
  unread.next();
  unread.next();
  unread.add(queueId(2));
  assert.equal(unread.has(queueId(2), unread.watch()), false);
});
