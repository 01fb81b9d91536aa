// State that replay has brought back is part of the next checkpoint, so that it outlives the
// segments.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { systemClock } from '@lmqtt/common/clock';
import { clientId, nodeId, queueId, sessionHandle } from '@lmqtt/common/ids';
import { messageOf } from '@lmqtt/common/message';
import { DiskJournal } from '../src/journal/disk-journal.ts';
import { EmbeddedQueueStore } from '../src/queue-store/embedded/embedded-queue-store.ts';
import type { Append, InboundId } from '../src/queue-store/queue-store.ts';
import { EmbeddedRegistry } from '../src/registry/embedded/embedded-registry.ts';
import { EmbeddedSessionStore } from '../src/session-store/embedded/embedded-session-store.ts';
import { scratchDirectory } from './journal-ledger.ts';

interface Opened {
  readonly journal: DiskJournal;
  readonly registry: EmbeddedRegistry;
  readonly sessions: EmbeddedSessionStore;
  readonly queues: EmbeddedQueueStore;
  /** As a kill would. */
  readonly crash: () => Promise<void>;
}

const segmentBytes = 64 << 10;
const queue = queueId(1);

async function open(
  directory: string,
  csOutlives = false,
  beforeStart: (sessions: EmbeddedSessionStore) => void = () => undefined,
): Promise<Opened> {
  const journal = new DiskJournal({ directory, segmentBytes });
  const registry = new EmbeddedRegistry(journal, systemClock, { leaseMs: 3000, csOutlives });
  const sessions = new EmbeddedSessionStore(journal, systemClock, { csOutlives });
  const queues = new EmbeddedQueueStore(journal, sessions, { everyMs: 10 });
  await journal.open();
  registry.start();
  beforeStart(sessions);
  sessions.start();
  const crash = async (): Promise<void> => {
    await queues.close();
    await journal.abandon();
  };
  return { journal, registry, sessions, queues, crash };
}

/** Opened, checkpointed and crashed: the next one has only what that checkpoint holds. */
async function again(directory: string, csOutlives = false): Promise<Opened> {
  const between = await open(directory, csOutlives);
  await between.journal.checkpoint();
  await between.crash();
  return open(directory, csOutlives);
}

function append(
  queues: EmbeddedQueueStore,
  to: number,
  payloadBytes: number,
  inbound?: InboundId,
): Promise<Append> {
  const message = messageOf({
    topic: 't',
    qos: 1,
    retain: false,
    payload: Buffer.alloc(payloadBytes),
  });
  const one: Append = {
    message,
    queues: [queueId(to)],
    lane: '',
    inbound,
    reasonCode: -1,
    orderKey: undefined,
  };
  return new Promise((resolve) => queues.append([one], () => resolve(one)));
}

async function ending(t: TestContext, opened: Opened): Promise<Opened> {
  t.after(opened.crash);
  return opened;
}

test('a queue id is not given twice', async (t) => {
  const directory = scratchDirectory(t);
  const first = await open(directory);
  const given = first.registry.newQueue();
  await first.journal.durable();
  await first.crash();
  const last = await ending(t, await again(directory));
  assert.ok(last.registry.newQueue() > given);
});

test('a node that is attached is known, one that has left is not', async (t) => {
  const directory = scratchDirectory(t);
  const first = await open(directory, true);
  await first.registry.join(nodeId('stays'), 'one');
  await first.registry.join(nodeId('leaves'), 'two');
  await first.journal.checkpoint();
  first.registry.leave(nodeId('leaves'));
  await first.journal.durable();
  await first.crash();
  const last = await ending(t, await again(directory, true));
  assert.deepEqual(last.registry.attached, [{ node: 'stays', instance: 'one' }]);
});

test('nodes of an earlier run are of no interest where there are no others', async (t) => {
  const directory = scratchDirectory(t);
  const first = await open(directory, true);
  await first.registry.join(nodeId('n'), 'one');
  await first.crash();
  const alone = await open(directory);
  assert.deepEqual(alone.registry.attached, []);
  await alone.journal.durable();
  await alone.crash();
  const last = await ending(t, await again(directory, true));
  assert.deepEqual(last.registry.attached, []);
});

test('inbound identifiers of a session that ends with its connection', async (t) => {
  const directory = scratchDirectory(t);
  const first = await open(directory, true);
  const claimed = await first.sessions.claim({
    clientId: clientId('a'),
    node: nodeId('n'),
    handle: sessionHandle(1),
    user: null,
    userChange: 'replace',
    cleanStart: true,
    sessionExpiryS: 0,
    will: undefined,
  });
  assert.ok(claimed.kind === 'claimed');
  const { session, epoch } = claimed;
  for (const packetId of [1, 2]) {
    const inbound = { clientId: session.clientId, epoch, packetId };
    await append(first.queues, queue, 10, inbound);
  }
  const done = { kind: 'inbound-done', session: sessionHandle(1), packetId: 1 } as const;
  first.sessions.write(session, epoch, done);
  await new Promise<void>((resolve) => first.sessions.commit(resolve));
  await first.crash();
  for (let round = 0; round < 2; round += 1) {
    const presented = await open(directory, true, (sessions) => {
      const answer = sessions.present({
        clientId: session.clientId,
        epoch,
        node: nodeId('n'),
        handle: sessionHandle(1),
        user: null,
        sessionExpiryS: 0,
        subscriptions: [],
        inbound: [],
      });
      assert.equal(answer.kind, 'taken up');
    });
    const known = presented.sessions.find(session.clientId);
    assert.deepEqual([...(known?.inbound ?? [])], [2]);
    await presented.journal.checkpoint();
    await presented.crash();
  }
});

test('a will that was sent does not come back', async (t) => {
  const directory = scratchDirectory(t);
  const first = await open(directory);
  const message = messageOf({ topic: 'will', qos: 1, retain: false, payload: Buffer.from('x') });
  const claimed = await first.sessions.claim({
    clientId: clientId('a'),
    node: nodeId('n'),
    handle: sessionHandle(1),
    user: null,
    userChange: 'replace',
    cleanStart: true,
    sessionExpiryS: 0,
    will: {
      clientId: clientId('a'),
      principal: { principal: {}, address: '' },
      will: { message, delayS: 0, messageExpiryS: undefined },
    },
  });
  assert.ok(claimed.kind === 'claimed');
  const { session, epoch } = claimed;
  await first.journal.checkpoint();
  const release = { publishWill: true, sessionExpiryS: undefined, graceMs: 0 };
  await first.sessions.release(session, epoch, release);
  const [due] = first.sessions.takeDue(1);
  assert.equal(due?.kind, 'will');
  first.sessions.willSending(due);
  first.sessions.willSent(due);
  await first.journal.durable();
  await first.crash();
  const last = await ending(t, await again(directory));
  assert.deepEqual(last.sessions.takeDue(1), []);
});

test('offsets go on where they were, though their messages were trimmed before the seal', async (t) => {
  const directory = scratchDirectory(t);
  const first = await open(directory);
  const { message } = await append(first.queues, queue, 10);
  const offset = message.entries[0]?.offset ?? -1;
  first.queues.trim(queue, 0, offset + 1);
  // Another queue fills the segment, which gets its index.
  while (!first.journal.segments.some((segment) => segment.indexed)) {
    await append(first.queues, 2, 10_000);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await first.crash();
  const last = await ending(t, await again(directory));
  const next = await append(last.queues, queue, 10);
  assert.equal(next.message.entries[0]?.offset, offset + 1);
});
