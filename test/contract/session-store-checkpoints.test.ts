import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@lmqtt/common/clock';
import { Cursor } from '@lmqtt/common/cursor';
import { clientId, nodeId, queueId, sessionHandle } from '@lmqtt/common/ids';
import { EmbeddedSessionStore } from '@lmqtt/ds/session-store/embedded/embedded-session-store';
import type { Claimed } from '@lmqtt/ds/session-store/session-store';
import type { SessionWrite } from '@lmqtt/proto/link';
import { onJournal } from './embedded-journal.ts';

const handle = sessionHandle(1);
const options = {
  qos: 2,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 0,
  subscriptionIdentifier: undefined,
} as const;

/** The same numbers for the same seed. */
function randomOf(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** State of each session as a client would find it. */
function picture(store: EmbeddedSessionStore): unknown {
  return [...store.sessions]
    .filter((session) => session.persistent)
    .map((session) => {
      const { subscriptions, outbound, inbound } = session.state();
      return {
        id: session.clientId,
        subscriptions: subscriptions
          .map(({ filter, queue, positions }) => {
            return { filter, queue, positions: positions.map((one) => ({ ...one })) };
          })
          .toSorted((a, b) => (a.filter < b.filter ? -1 : 1)),
        outbound: outbound.toSorted((a, b) => a.packetId - b.packetId),
        inbound: inbound.toSorted((a, b) => a - b),
      };
    })
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

for (const seed of [1, 2, 3, 4, 5, 6]) {
  void test(`random changes among checkpoints are all there after a crash: seed ${seed}`, async (t) => {
    const upTo = randomOf(seed);
    let on = await onJournal(
      t,
      (journal) => new EmbeddedSessionStore(journal, systemClock),
      (store) => {
        store.start();
      },
    );
    for (let round = 0; round < 3; round += 1) {
      const { store } = on;
      const claims = new Map<string, Claimed>();
      let checkpoint = Promise.resolve();
      for (let step = 0; step < 400; step += 1) {
        const id = `c${upTo(4)}`;
        if (upTo(25) === 0) checkpoint = on.journal.checkpoint();
        const claimed = claims.get(id);
        if (claimed === undefined || upTo(20) === 0) {
          claims.set(id, await claim(store, id, upTo(4) === 0));
          continue;
        }
        await change(store, claimed, upTo);
        if (upTo(40) === 0) {
          await new Promise((resolve) => {
            setImmediate(resolve);
          });
        }
      }
      await checkpoint;
      await on.journal.durable();
      const before = picture(store);
      on = await on.crash();
      assert.deepEqual(picture(on.store), before);
    }
    await on.close();
  });
}

async function claim(
  store: EmbeddedSessionStore,
  id: string,
  cleanStart: boolean,
): Promise<Claimed> {
  const claimed = await store.claim({
    clientId: clientId(id),
    node: nodeId('cs'),
    handle,
    user: 'ann',
    userChange: 'replace',
    cleanStart,
    sessionExpiryS: 3600,
    will: undefined,
  });
  assert.ok(claimed.kind === 'claimed');
  return claimed;
}

async function change(
  store: EmbeddedSessionStore,
  { session, epoch }: Claimed,
  upTo: (limit: number) => number,
): Promise<void> {
  const filter = `f${upTo(3)}`;
  const known = session.subscription(filter);
  const kind = upTo(10);
  if (kind === 0 || known === undefined) {
    const queue = queueId(upTo(1000));
    const cursors = [Cursor.at(0, upTo(50))];
    const put = { filter, options, group: undefined, queue, cursors };
    await store.subscribe(session, epoch, [{ ...put, retainedAfter: undefined, live: false }]);
    return;
  }
  if (kind === 1) {
    await store.unsubscribe(session, epoch, [filter]);
    return;
  }
  store.write(session, epoch, writeOf(known.queue, filter, kind, upTo));
}

function writeOf(
  queue: ReturnType<typeof queueId>,
  filter: string,
  kind: number,
  upTo: (limit: number) => number,
): SessionWrite {
  const packetId = 1 + upTo(8);
  if (kind < 6) {
    const place = { kind: 'queue', queue, partition: 0, offset: upTo(200) } as const;
    return { kind: 'sent', session: handle, packetId, qos: 2, sequence: upTo(99), place, filter };
  }
  if (kind === 6) return { kind: 'released', session: handle, packetId };
  if (kind < 9) return { kind: 'done', session: handle, packetId, failed: false };
  return { kind: 'position', session: handle, queue, partition: 0, position: upTo(120) };
}
