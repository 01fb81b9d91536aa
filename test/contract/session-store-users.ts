import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId, nodeId, queueId } from '@lmqtt/common/ids';
import type { RedisSessionStore } from '@lmqtt/ds/session-store/redis/redis-session-store';
import type { Claim, Claimed, ClaimRefused, Held } from '@lmqtt/ds/session-store/session-store';
import type { SessionUser, StoredSession } from '@lmqtt/ds/session-store/stored-session';
import { Inboxes, openStore, type SessionRedis } from './redis-session-bench.ts';
import {
  Bench,
  handle,
  kept,
  type MakeSessionStore,
  pause,
  sent,
  subscription,
  topicOf,
  will,
} from './session-store.ts';

const refused: ClaimRefused = { kind: 'refused', reason: 'other user' };

function claimOf(id: string, claim: Partial<Claim>): Claim {
  return {
    clientId: clientId(id),
    node: nodeId('cs'),
    handle,
    user: null,
    userChange: 'refuse',
    cleanStart: false,
    sessionExpiryS: 3600,
    will: undefined,
    ...claim,
  };
}

/** The sentences of the port on whose a session is. */
export function sessionUsersContract(name: string, make: MakeSessionStore): void {
  const check = (promise: string, work: (bench: Bench) => Promise<void>): void => {
    void test(`${name}: ${promise}`, async (t) => {
      const bench = new Bench(await make(t));
      try {
        await work(bench);
      } finally {
        await bench.under.close();
      }
    });
  };

  check('a session belongs to the user of its claim, also after a crash', async (bench) => {
    for (const user of ['ann', null, '']) {
      const id = `of ${user}`;
      const { session, epoch } = await bench.claim(id, { user });
      assert.equal(session.user, user);
      await bench.store.subscribe(session, epoch, [subscription('t')]);
      await bench.crash();
      const again = await bench.claim(id, { user });
      assert.equal(again.present, true);
      assert.equal(again.session.user, user);
      assert.equal(again.session.subscriptions.length, 1);
    }
  });

  check('a later account of a name never has the session, and is not refused', async (bench) => {
    for (const [first, second] of [
      ['ann\0one', 'ann\0two'],
      ['ann', 'ann\0two'],
    ] as const) {
      const id = first;
      const before = await bench.claim(id, { user: first });
      await bench.store.release(before.session, before.epoch, { ...kept, publishWill: false });
      const now = await bench.claim(id, { user: second, userChange: 'refuse' });
      assert.equal(now.present, false);
      assert.equal(now.session.user, second);
      const other = claimOf(id, { user: 'anna\0two' });
      assert.equal((await bench.store.claim(other)).kind, 'refused');
    }
  });

  const pairs: [SessionUser, SessionUser][] = [
    ['ann', 'ben'],
    ['ann', null],
    [null, 'ann'],
    ['', null],
    ['+', '-'],
  ];
  for (const [first, second] of pairs) {
    check(`the claim of ${second} ends a session of ${first}, begins another`, async (bench) => {
      const before = await bench.claim('a', { user: first, will: will(100) });
      await bench.store.subscribe(before.session, before.epoch, [subscription('t')]);
      await bench.write(before, [sent(1, 2)]);
      await bench.store.release(before.session, before.epoch, { ...kept, publishWill: true });
      const now = await bench.claim('a', { user: second });
      assert.equal(now.present, false);
      assert.equal(now.ended, before.session);
      assert.equal(before.session.removed, true);
      assert.deepEqual(now.session.state(), { subscriptions: [], outbound: [], inbound: [] });
      assert.deepEqual((await bench.due()).map(topicOf), ['will']);
      await bench.crash();
      const again = await bench.claim('a', { user: second });
      assert.equal(again.present, true);
      assert.equal(again.session.subscriptions.length, 0);
      assert.equal((await bench.claim('a', { user: first })).present, false);
    });
  }

  check('a claim that says so is refused, and changes nothing', async (bench) => {
    const first = await bench.claim('a', { user: 'ann', will: will(100) });
    await bench.store.subscribe(first.session, first.epoch, [subscription('t')]);
    await bench.store.release(first.session, first.epoch, { ...kept, publishWill: true });
    for (const [user, cleanStart] of [
      ['ben', false],
      ['ben', true],
      [null, true],
    ] as const) {
      const claim = claimOf('a', { user, cleanStart, sessionExpiryS: 0 });
      assert.deepEqual(await bench.store.claim(claim), refused);
    }
    assert.deepEqual(await bench.store.takeDue(10), []);
    await bench.crash();
    assert.deepEqual(await bench.store.claim(claimOf('a', { user: 'ben' })), refused);
    const again = await bench.claim('a', { user: 'ann', userChange: 'refuse' });
    assert.equal(again.present, true);
    assert.equal(again.session.subscriptions.length, 1);
  });

  check('a claim that would be refused makes a session where none is left', async (bench) => {
    const gone = await bench.claim('gone', { user: 'ann', sessionExpiryS: 0 });
    await bench.store.release(gone.session, gone.epoch, kept);
    const old = await bench.claim('old', { user: 'ann', sessionExpiryS: 1 });
    await bench.store.release(old.session, old.epoch, kept);
    await pause(1200);
    for (const id of ['gone', 'old', 'never']) {
      const now = await bench.claim(id, { user: 'ben', userChange: 'refuse' });
      assert.equal(now.present, false);
      assert.equal(now.session.user, 'ben');
    }
  });

  check(
    'a will that waits because of a planned stop is not for others to cancel',
    async (bench) => {
      const first = await bench.claim('a', { user: 'ann', will: will(0) });
      const stop = { ...kept, publishWill: true, graceMs: 100_000 };
      await bench.store.release(first.session, first.epoch, stop);
      await bench.crash();
      await bench.claim('a', { user: 'ben' });
      await bench.claim('a', { user: 'ben' });
      assert.deepEqual((await bench.due()).map(topicOf), ['will']);
    },
  );

  check('a presented session is that of its user', async (bench) => {
    const ids = ['a', 'clean'] as const;
    const lives = await Promise.all(
      ids.map((id) => bench.claim(id, { user: 'ann', sessionExpiryS: id === 'a' ? 3600 : 0 })),
    );
    await bench.crash(async (store) => {
      for (const { session, epoch } of lives) {
        const { clientId: id, sessionExpiryS } = session;
        const head = { clientId: id, epoch, node: nodeId('cs'), handle, sessionExpiryS };
        const parts = { user: 'ann', subscriptions: [], inbound: [] };
        const answer = await store.present({ ...head, ...parts });
        assert.ok(answer.kind === 'taken up');
        assert.equal(answer.session.user, 'ann');
        await store.release(answer.session, epoch, { ...kept, sessionExpiryS: 3600 });
      }
    });
    for (const id of ids)
      assert.deepEqual(await bench.store.claim(claimOf(id, { user: 'ben' })), refused);
    assert.equal((await bench.claim('a', { user: 'ann' })).present, true);
  });
}

/**
 * Sessions that a version without users has stored belong to the first who comes. `forget` makes
 * that session, which is connected, one of these.
 */
export function olderSessionsContract(
  name: string,
  make: MakeSessionStore,
  forget: (session: StoredSession) => Promise<void>,
): void {
  void test(`${name}: a session without a user belongs to the first who claims it`, async (t) => {
    const bench = new Bench(await make(t));
    const first = await bench.claim('a', { user: 'ann' });
    await bench.store.subscribe(first.session, first.epoch, [subscription('t')]);
    await forget(first.session);
    await bench.store.release(first.session, first.epoch, kept);
    await bench.crash();
    const now = await bench.claim('a', { user: 'ben', userChange: 'refuse' });
    assert.equal(now.present, true);
    assert.equal(now.session.user, 'ben');
    await bench.crash();
    assert.deepEqual(await bench.store.claim(claimOf('a', { user: 'ann' })), refused);
    assert.equal((await bench.claim('a', { user: 'ben' })).present, true);
    await bench.under.close();
  });
}

/** The sentences on users where several ds have one store. */
export function sharedUsersContract(name: string, at: SessionRedis): void {
  const check = (
    promise: string,
    work: (one: RedisSessionStore, two: RedisSessionStore) => Promise<void>,
  ): void => {
    void test(`${name}: ${promise}`, async (t) => {
      const [clusterId, inboxes] = [at.newClusterId(), new Inboxes()];
      const stores = await Promise.all(
        ['ds-1', 'ds-2'].map((ds) => openStore(at.url, clusterId, ds, inboxes)),
      );
      t.after(() => stores.forEach((open) => open.close()));
      await work(stores[0]!.store, stores[1]!.store);
    });
  };
  const claimed = async (store: RedisSessionStore, claim: Claim): Promise<Claimed> => {
    const answer: Claimed | Held | ClaimRefused = await store.claim(claim);
    assert.ok(answer.kind === 'claimed');
    return answer;
  };

  for (const sessionExpiryS of [0, 3600]) {
    check(
      `connected at another ds it is held, or refused: ${sessionExpiryS} s`,
      async (one, two) => {
        const of = (user: SessionUser, more: Partial<Claim> = {}): Claim =>
          claimOf('a', { user, sessionExpiryS, ...more });
        const first = await claimed(one, of('ann'));
        const stays = sessionExpiryS === 0 ? { ...refused, whileConnected: true } : refused;
        assert.deepEqual(await two.claim(of('ben')), stays);
        assert.deepEqual(await two.claim(of(null, { node: nodeId('other') })), stays);
        // The connection there goes on, and the end of its node is still its end.
        assert.equal(await one.subscribe(first.session, first.epoch, [subscription('t')]), true);
        const answer = await two.claim(of('ben', { userChange: 'replace' }));
        assert.ok(answer.kind === 'held');
        await one.endNode(nodeId('cs'), 0);
        assert.equal(await two.freed(answer, 5000), true);
        const second = await claimed(two, of('ben', { userChange: 'replace' }));
        assert.equal(second.present, false);
        assert.equal(second.session.subscriptions.length, 0);
        if (sessionExpiryS > 0) assert.equal(second.ended?.subscriptions[0]?.queue, queueId(5));
        await two.release(second.session, second.epoch, kept);
      },
    );
  }

  check('of two users who claim at once one has it, and the other is refused', async (one, two) => {
    const answers = await Promise.all([
      one.claim(claimOf('a', { user: 'ann' })),
      two.claim(claimOf('a', { user: 'ben' })),
    ]);
    assert.deepEqual(answers.map(({ kind }) => kind).toSorted(), ['claimed', 'refused']);
  });
}
