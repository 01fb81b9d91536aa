import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId, laneNode, nodeId } from '@lmqtt/common/ids';
import { openRedis } from '@lmqtt/ds/redis/connection';
import { RedisKeys } from '@lmqtt/ds/redis/keys';
import type { RedisSessionStore } from '@lmqtt/ds/session-store/redis/redis-session-store';
import { SessionKeys } from '@lmqtt/ds/session-store/redis/keys';
import type { SessionsMax } from '@lmqtt/ds/session-store/session-counts';
import type { Claim, Claimed } from '@lmqtt/ds/session-store/session-store';
import { Inboxes, openStore, type SessionRedis } from './redis-session-bench.ts';
import { Bench, handle, kept, type MakeSessionStore, pause } from './session-store.ts';

/** Limits with which the suite wants its stores made. */
export const sessionLimits: SessionsMax = { total: 5, perUser: 3 };

const tooMany = { kind: 'refused', reason: 'MAX_SESSIONS' };
const tooManyOfUser = { kind: 'refused', reason: 'MAX_SESSIONS_PER_USER' };

function claimOf(id: string, claim: Partial<Claim> = {}): Claim {
  return {
    clientId: clientId(id),
    node: nodeId('cs'),
    handle,
    user: null,
    userChange: 'replace',
    cleanStart: false,
    sessionExpiryS: 3600,
    will: undefined,
    ...claim,
  };
}

/** The sentences of the port on how many sessions there may be. */
export function sessionLimitsContract(name: string, make: MakeSessionStore): void {
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
  const absent = async (bench: Bench, id: string, claim: Partial<Claim> = {}): Promise<Claimed> => {
    const claimed = await bench.claim(id, claim);
    await bench.store.release(claimed.session, claimed.epoch, kept);
    return claimed;
  };

  check('stored sessions past their limit are refused, also after a crash', async (bench) => {
    for (let number = 0; number < 5; number += 1)
      await absent(bench, `c${number}`, { user: `user ${number}` });
    const refused = claimOf('one more', { user: 'another' });
    assert.deepEqual(await bench.store.claim(refused), tooMany);
    assert.equal(bench.store.storedCount, 5);
    await bench.crash();
    assert.deepEqual(await bench.store.claim(refused), tooMany);
    // A session that ends with its connection is not stored.
    const clean = await bench.claim('one more', { user: 'another', sessionExpiryS: 0 });
    await bench.store.release(clean.session, clean.epoch, kept);
    assert.deepEqual(await bench.store.claim(refused), tooMany);
  });

  check('stored sessions of one user have their own limit', async (bench) => {
    for (const id of ['a', 'b', 'c']) await absent(bench, id);
    for (const user of [null, 'ann']) {
      const answer = await bench.store.claim(claimOf('d', { user }));
      if (user === null) assert.deepEqual(answer, tooManyOfUser);
      else assert.equal(answer.kind, 'claimed');
    }
    await bench.crash();
    assert.deepEqual(await bench.store.claim(claimOf('e')), tooManyOfUser);
    assert.equal((await bench.claim('e', { user: 'ann' })).present, false);
  });

  check('sessions at their limits go on, and may begin anew', async (bench) => {
    for (const id of ['a', 'b', 'c']) await absent(bench, id, { user: 'ann' });
    for (const id of ['d', 'e']) await absent(bench, id);
    await bench.crash();
    for (const id of ['a', 'b', 'c']) {
      assert.equal((await absent(bench, id, { user: 'ann' })).present, true);
      assert.equal((await absent(bench, id, { user: 'ann', cleanStart: true })).present, false);
    }
    // Another user's session may be replaced by whoever has room.
    assert.deepEqual(await bench.store.claim(claimOf('d', { user: 'ann' })), tooManyOfUser);
    assert.equal((await absent(bench, 'a')).present, false);
    assert.equal((await absent(bench, 'd', { user: 'ann' })).present, false);
    assert.equal(bench.store.storedCount, 5);
  });

  check('what ends makes room, however it ends', async (bench) => {
    const fill = async (): Promise<void> => {
      for (let number = 0; number < 5; number += 1)
        await absent(bench, `c${number}`, { user: `user ${number}` });
      assert.deepEqual(await bench.store.claim(claimOf('one more')), tooMany);
    };
    const room = async (): Promise<void> => {
      // Between two ds, or a ds and what it counts, the count may lag.
      for (let tries = 0; tries < 200 && bench.store.storedCount === 5; tries += 1) await pause(10);
      const claimed = await bench.claim('one more');
      await bench.store.remove(claimed.session);
      for (let tries = 0; tries < 200 && bench.store.storedCount === 5; tries += 1) await pause(10);
    };
    await fill();
    const removed = await bench.claim('c0', { user: 'user 0' });
    await bench.store.remove(removed.session);
    await room();
    await fill();
    const ending = await bench.claim('c1', { user: 'user 1' });
    await bench.store.release(ending.session, ending.epoch, { ...kept, sessionExpiryS: 0 });
    await room();
    await fill();
    await absent(bench, 'c2', { user: 'user 2', sessionExpiryS: 0 });
    await room();
    await fill();
    await absent(bench, 'c3', { user: 'user 3', sessionExpiryS: 0, cleanStart: true });
    await room();
    await fill();
    await absent(bench, 'c4', { user: 'user 4', sessionExpiryS: 1 });
    const [due] = await bench.due();
    assert.equal(due?.kind, 'expired');
    await room();
    await fill();
  });
}

/** The count of several ds. */
export function sharedLimitsContract(name: string, at: SessionRedis): void {
  const check = (
    promise: string,
    work: (one: RedisSessionStore, two: RedisSessionStore, clusterId: string) => Promise<void>,
  ): void => {
    void test(`${name}: ${promise}`, async (t) => {
      const [clusterId, inboxes] = [at.newClusterId(), new Inboxes()];
      const stores = await Promise.all(
        ['ds-1', 'ds-2'].map((ds) =>
          openStore(at.url, clusterId, ds, inboxes, 2000, sessionLimits),
        ),
      );
      t.after(() => stores.forEach((open) => open.close()));
      await work(stores[0]!.store, stores[1]!.store, clusterId);
    });
  };

  check('of many claims at once at two ds as many succeed as may', async (one, two) => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, number) => {
        const node = laneNode(nodeId('cs'), `ds-${1 + (number % 2)}`);
        const claim = claimOf(`c${number}`, { user: `user ${number}`, node });
        return (number % 2 === 0 ? one : two).claim(claim);
      }),
    );
    assert.equal(answers.filter(({ kind }) => kind === 'claimed').length, 5);
    await one.readCount(false);
    assert.equal(one.storedCount, 5);
  });

  check('one that is counted and is no more is found', async (one, two, clusterId) => {
    for (let number = 0; number < 5; number += 1)
      await one.claim(claimOf(`c${number}`, { user: `user ${number}` }));
    const redis = await openRedis({ url: at.url });
    await redis.command('DEL', new SessionKeys(new RedisKeys(clusterId)).session(clientId('c0')));
    redis.close();
    assert.equal((await two.claim(claimOf('d'))).kind, 'refused');
    await two.readCount(true);
    assert.equal((await two.claim(claimOf('d'))).kind, 'refused');
    await two.readCount(true);
    assert.equal((await two.claim(claimOf('d'))).kind, 'claimed');
    await two.readCount(true);
    await two.readCount(true);
    await two.readCount(false);
    assert.equal(two.storedCount, 5);
  });

  check(
    'one that an older version has stored goes on, and is counted then',
    async (one, two, clusterId) => {
      const claimed = await one.claim(claimOf('older'));
      assert.ok(claimed.kind === 'claimed');
      await one.release(claimed.session, claimed.epoch, kept);
      const redis = await openRedis({ url: at.url });
      const keys = new SessionKeys(new RedisKeys(clusterId));
      await redis.command('DEL', keys.storedSessions, keys.storedByUser);
      redis.close();
      for (let number = 0; number < 5; number += 1)
        await two.claim(claimOf(`c${number}`, { user: `user ${number}` }));
      const again = await two.claim(claimOf('older'));
      assert.equal(again.kind === 'claimed' && again.present, true);
      await two.readCount(false);
      assert.equal(two.storedCount, 6);
    },
  );
}
