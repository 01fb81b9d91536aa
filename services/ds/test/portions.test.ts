// What one turn of the event loop does for many sessions, or for one that is large.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cursor } from '@lmqtt/common/cursor';
import { clientId, epoch, type QueueId, queueId } from '@lmqtt/common/ids';
import { portionMax } from '@lmqtt/common/in-portions';
import { takeCheckpoint } from '../src/journal/checkpoint.ts';
import type { EntryBytes, EntryKey, Participant } from '../src/journal/participant.ts';
import type { Change, CheckpointState } from '../src/journal/state.ts';
import { entryBytes } from '../src/session-store/embedded/session-entry.ts';
import { sessionOfEntry, type SessionEntry } from '../src/session-store/session-record.ts';
import { StoredSession } from '../src/session-store/stored-session.ts';
import { AbsentLimits, type QueueLimitsPorts } from '../src/use-cases/queue-limits.ts';

function list(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

/** Counts work by turns of the event loop. */
class WorkByTurn {
  most = 0;
  #ofTurn = 0;

  note(amount: number): void {
    if (this.#ofTurn === 0)
      setImmediate(() => {
        this.#ofTurn = 0;
      });
    this.#ofTurn += amount;
    this.most = Math.max(this.most, this.#ofTurn);
  }
}

function sessionOf(number: number, subscriptions: number, outbound: number = 0): StoredSession {
  const session = new StoredSession(number, clientId(`c${number}`), epoch(1), 600);
  for (const each of list(subscriptions))
    session.putSubscription({
      filter: `some/filter/of/${each}`,
      options: {
        qos: 1,
        noLocal: false,
        retainAsPublished: false,
        retainHandling: 0,
        subscriptionIdentifier: undefined,
      },
      group: undefined,
      queue: queueId(each + 1),
      cursors: [new Cursor(0, 0, 7, [])],
      retainedAfter: undefined,
      live: false,
    });
  for (const each of list(outbound))
    session.putOutbound({
      packetId: each + 1,
      qos: 2,
      state: 'sent',
      sequence: each,
      place: { kind: 'queue', queue: queueId(1), partition: 0, offset: 7 + each },
      filter: 'some/filter/of/0',
    });
  return session;
}

class Entries implements Participant {
  readonly name = 'entries';
  readonly #entry: (key: EntryKey) => EntryBytes | undefined;
  changed: EntryKey[];

  constructor(changed: EntryKey[], entry: (key: EntryKey) => EntryBytes | undefined) {
    this.changed = changed;
    this.#entry = entry;
  }

  load(): void {}

  takeChanged(): EntryKey[] {
    return this.changed.splice(0);
  }

  entry(key: EntryKey): EntryBytes | undefined {
    return this.#entry(key);
  }

  putBack(keys: Iterable<EntryKey>): void {
    this.changed.push(...keys);
  }
}

const mark = { segment: 0, position: 0, sequence: 0, order: 0, brokerTimeMs: 0 };

/** Writes a checkpoint to memory; answers with the entries and the largest transaction. */
async function checkpointOf(
  entries: Entries,
): Promise<{ kept: Map<EntryKey, Buffer>; most: number }> {
  const kept = new Map<EntryKey, Buffer>();
  let most = 0;
  const state: Pick<CheckpointState, 'write'> = {
    write: async (changes: readonly Change[]) => {
      let bytes = 0;
      for (const { key, value } of changes) {
        bytes += value?.length ?? 0;
        if (value === undefined) kept.delete(key);
        else kept.set(key, value);
      }
      most = Math.max(most, bytes);
    },
  };
  await takeCheckpoint(state as CheckpointState, [entries], mark, () => Promise.resolve());
  return { kept, most };
}

test('a checkpoint makes few bytes of entries in one turn', async () => {
  const work = new WorkByTurn();
  const keys = list(500);
  const entries = new Entries(keys, () => {
    work.note(20_000);
    return Buffer.alloc(20_000);
  });
  const { kept, most } = await checkpointOf(entries);
  assert.equal(kept.size, 500);
  assert.ok(work.most <= 300_000, `${work.most} bytes in one turn`);
  assert.ok(most <= 1_000_000, `${most} bytes in one transaction`);
});

test('a checkpoint makes the entry of a large session over turns, of how it was at one moment', async () => {
  const session = sessionOf(1, 10_000, 20_000);
  session.markDone({ kind: 'queue', queue: queueId(1), partition: 0, offset: 9 });
  const before = session.state();
  const entry = entryBytes(session);
  assert.ok(!Buffer.isBuffer(entry));
  const work = new WorkByTurn();
  const noted = function* (): Iterable<Buffer> {
    for (const piece of entry.pieces) {
      work.note(piece.length);
      yield piece;
    }
  };
  const entries = new Entries([1], () => ({ pieces: noted() }));
  const written = checkpointOf(entries);
  session.markDone({ kind: 'queue', queue: queueId(1), partition: 0, offset: 10 });
  session.removeSubscription('some/filter/of/9999');
  session.removeOutbound(20_000);
  const value = (await written).kept.get(1);
  const read = sessionOfEntry(JSON.parse(String(value)) as SessionEntry);
  assert.deepEqual(read.state(), before);
  assert.ok(work.most < 500_000, `${work.most} bytes in one turn`);
});

test('limits of absent sessions of many subscriptions are looked at over turns', async () => {
  const work = new WorkByTurn();
  const sessions = list(20).map((number) => sessionOf(number, 5 * portionMax));
  const moved: QueueId[] = [];
  const ports: QueueLimitsPorts = {
    queueStore: {
      ends: (queue) => {
        work.note(1);
        return Promise.resolve([{ partition: 0, first: 8, end: queue === 1 ? 8 : 0 }]);
      },
      read: () => Promise.reject(new Error('nothing is read')),
    },
    sessionStore: { write: () => {}, commit: () => {} },
    events: { messagesLost: () => {}, queueCut: () => {} },
    messagesMax: 10,
    bytesMax: 1000,
    messageBytesMax: 10,
    moved: (queue) => moved.push(queue),
    isOfAllTopics: () => false,
  };
  // One comes back while its queues are asked: nothing of it is moved any more.
  const [first] = sessions;
  setImmediate(() => {
    first!.connected = true;
  });
  await new AbsentLimits(ports, () => sessions).run();
  assert.ok(work.most <= 2 * portionMax, `${work.most} queues in one turn`);
  assert.equal(moved.length, 19 * 5 * portionMax);
});
