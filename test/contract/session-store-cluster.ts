import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { clientId, epoch, groupId, laneNode, nodeId, queueId } from '@lmqtt/common/ids';
import { Cursor } from '@lmqtt/common/cursor';
import { StoreFailure } from '@lmqtt/common/store-failure';
import type { Intent } from '@lmqtt/ds/queue-store/intents';
import type { RedisSessionStore } from '@lmqtt/ds/session-store/redis/redis-session-store';
import type { Claim, Claimed, Due, Held } from '@lmqtt/ds/session-store/session-store';
import type { StoredSession, StoredSubscription } from '@lmqtt/ds/session-store/stored-session';
import { Inboxes, openStore, type OpenStore, type SessionRedis } from './redis-session-bench.ts';
import { handle, kept, pause, sent, subscription, will } from './session-store.ts';

const cs = nodeId('cs');
const lane = laneNode(cs, 'ds-1');
const timeoutMs = 500;
const patientMs = 10_000;
const killsCount = 5;
const manySessions = 10_000;

/** Two ds on one store. */
class TwoDs {
  readonly clusterId: string;
  readonly inboxes: Inboxes = new Inboxes();
  readonly #t: TestContext;
  readonly #at: SessionRedis;
  one!: RedisSessionStore;
  two!: RedisSessionStore;

  constructor(t: TestContext, at: SessionRedis) {
    this.#t = t;
    this.#at = at;
    this.clusterId = at.newClusterId();
  }

  static async open(t: TestContext, at: SessionRedis): Promise<TwoDs> {
    const both = new TwoDs(t, at);
    both.one = (await both.ds('ds-1')).store;
    both.two = (await both.ds('ds-2')).store;
    return both;
  }

  async ds(name: string, commandTimeoutMs: number = timeoutMs): Promise<OpenStore> {
    const open = await openStore(
      this.#at.url,
      this.clusterId,
      name,
      this.inboxes,
      commandTimeoutMs,
    );
    this.#t.after(() => open.close());
    return open;
  }
}

function claimOf(id: string, claim: Partial<Claim> = {}): Claim {
  return {
    clientId: clientId(id),
    node: lane,
    handle,
    user: null,
    userChange: 'replace',
    cleanStart: false,
    sessionExpiryS: 3600,
    ...claim,
    will: claim.will && { ...claim.will, clientId: clientId(id) },
  };
}

async function claimed(
  store: RedisSessionStore,
  id: string,
  claim: Partial<Claim> = {},
): Promise<Claimed> {
  const answer = await store.claim(claimOf(id, claim));
  assert.ok(answer.kind === 'claimed', 'no other ds has it');
  return answer;
}

async function held(
  store: RedisSessionStore,
  id: string,
  claim: Partial<Claim> = {},
): Promise<Held> {
  const answer = await store.claim(claimOf(id, claim));
  assert.ok(answer.kind === 'held', 'another ds has it');
  return answer;
}

function durable(store: RedisSessionStore): Promise<void> {
  return new Promise((resolve) => {
    store.commit(resolve);
  });
}

async function dueOf(store: RedisSessionStore): Promise<Due[]> {
  for (let tries = 0; tries < 200; tries += 1) {
    const due = await store.takeDue(100);
    if (due.length > 0) return due;
    await pause(20);
  }
  return [];
}

function presentationOf({ session, epoch }: Claimed): Parameters<RedisSessionStore['present']>[0] {
  const { clientId: id, sessionExpiryS } = session;
  const node = laneNode(cs, 'ds-2');
  const head = { clientId: id, epoch, node, handle, user: null, sessionExpiryS };
  return { ...head, subscriptions: [], inbound: [] };
}

function intentOf({ session, epoch }: Claimed, packetId: number): Intent {
  const place = { topic: 'orders', broker: 'broker-a', queueId: 3 };
  return { clientId: session.clientId, epoch, packetId, key: `key ${packetId}`, place, from: 77 };
}

/** Sentences of ClusterSessionStore and Intents. */
export function clusterSessionsContract(name: string, at: SessionRedis): void {
  const check = (promise: string, work: (both: TwoDs, t: TestContext) => Promise<void>): void => {
    void test(`${name}: ${promise}`, async (t) => work(await TwoDs.open(t, at), t));
  };

  check('a session whose connection is at another ds is held until that ends', async (both) => {
    const first = await claimed(both.one, 'a');
    await both.one.subscribe(first.session, first.epoch, [subscription('t')]);
    const answer = await held(both.two, 'a');
    assert.deepEqual(answer, {
      kind: 'held',
      clientId: 'a',
      epoch: first.epoch,
      node: lane,
      handle,
    });
    assert.equal(await both.two.freed(answer, 100), false);
    const freed = both.two.freed(answer, 5000);
    both.one.write(first.session, first.epoch, sent(1, 1));
    assert.deepEqual(await both.one.release(first.session, first.epoch, kept), { ended: false });
    assert.equal(await freed, true);
    const second = await claimed(both.two, 'a');
    assert.equal(second.present, true);
    assert.ok(second.epoch > first.epoch);
    assert.deepEqual(
      second.session.state().outbound.map((one) => one.packetId),
      [1],
    );
  });

  check('freed also where the node of the connection has ended', async (both) => {
    await claimed(both.one, 'a', { sessionExpiryS: 0 });
    const answer = await held(both.two, 'a', { sessionExpiryS: 0 });
    const freed = both.two.freed(answer, 5000);
    await both.one.endNode(cs, 0);
    assert.equal(await freed, true);
    assert.equal((await claimed(both.two, 'a', { sessionExpiryS: 0 })).present, false);
  });

  check('a connection that nobody answers for is ended, and nothing but that one', async (both) => {
    const first = await claimed(both.one, 'a');
    await both.one.subscribe(first.session, first.epoch, [subscription('t')]);
    const answer = await held(both.two, 'a');
    await both.two.endHeld({ ...answer, epoch: epoch(first.epoch + 1) });
    assert.deepEqual(await held(both.two, 'a'), answer);
    await both.two.endHeld(answer);
    const second = await claimed(both.two, 'a');
    assert.equal(second.present, true);
    assert.equal(second.session.subscription('t')?.queue, 5);
    const fenced = new Promise<StoredSession>((resolve) => both.one.onFenced(resolve));
    both.one.write(first.session, first.epoch, sent(1, 1));
    assert.equal(await fenced, first.session);
    await both.two.endHeld(answer);
    assert.equal((await held(both.one, 'a')).epoch, second.epoch);
  });

  check('a presented session is written by its new ds, and no longer by the old', async (both) => {
    const first = await claimed(both.one, 'a');
    await both.one.subscribe(first.session, first.epoch, [subscription('t')]);
    const fenced: StoredSession[] = [];
    both.one.onFenced((session) => fenced.push(session));
    const answer = await both.two.present(presentationOf(first));
    assert.ok(answer.kind === 'taken up');
    assert.equal(answer.session.subscription('t')?.queue, 5);
    both.one.write(first.session, first.epoch, sent(1, 1));
    await durable(both.one);
    assert.deepEqual(fenced, [first.session]);
    both.one.write(first.session, first.epoch, sent(2, 1));
    await durable(both.one);
    assert.equal(fenced.length, 1);
    assert.equal(await both.one.subscribe(first.session, first.epoch, []), false);
    assert.equal(await both.one.release(first.session, first.epoch, kept), false);
    both.two.write(answer.session, first.epoch, sent(3, 2));
    await durable(both.two);
    const seen = await both.one.look(clientId('a'));
    assert.deepEqual(
      seen?.state().outbound.map((one) => one.packetId),
      [3],
    );
    assert.equal(seen.connected, true);
  });

  check('a session of many subscriptions is read whole, presented and claimed', async (both) => {
    const filters = Array.from({ length: 1000 }, (_, index) => `m/${index}`);
    const filtersOf = (session: StoredSession): string[] =>
      session.subscriptions.map(({ filter }) => filter).toSorted();
    const first = await claimed(both.one, 'a');
    await both.one.subscribe(first.session, first.epoch, filters.map(subscription));
    const answer = await both.two.present(presentationOf(first));
    assert.ok(answer.kind === 'taken up');
    assert.deepEqual(filtersOf(answer.session), filters.toSorted());
    assert.equal((await both.one.look(clientId('a')))?.subscriptions.length, filters.length);

    assert.equal(answer.session.connected, true);
    const second = await claimed(both.two, 'a');
    assert.equal(second.present, true);
    assert.deepEqual(filtersOf(second.session), filters.toSorted());
    assert.equal(answer.session.connected, false);
    assert.equal(await both.two.subscribe(second.session, second.epoch, []), true);
  });

  check('what is fenced does not hold up others of its batch', async (both) => {
    const lost = await claimed(both.one, 'lost');
    const stays = await claimed(both.one, 'stays');
    await both.two.present(presentationOf(lost));
    both.one.write(lost.session, lost.epoch, sent(1, 1));
    both.one.write(stays.session, stays.epoch, sent(1, 1));
    await durable(both.one);
    assert.equal((await both.two.look(clientId('stays')))?.outboundCount, 1);
    assert.equal((await both.two.look(clientId('lost')))?.outboundCount, 0);
  });

  check('all of a session comes back', async (both) => {
    const first = await claimed(both.one, 'ä b\u{1F600}');
    const { session, epoch } = first;
    const options = {
      qos: 1,
      noLocal: true,
      retainAsPublished: true,
      retainHandling: 2,
      subscriptionIdentifier: 268_435_455,
    } as const;
    const put: StoredSubscription[] = [
      {
        ...subscription('a b/+/#'),
        options,
        queue: queueId(2 ** 47),
        cursors: [new Cursor(0, 5, 9, [11, 12, 13, 20]), new Cursor(7, 0, 2 ** 47, [])],
        retainedAfter: 'x y  z',
      },
      { ...subscription('$share/g/t'), group: groupId(9), cursors: [] },
      { ...subscription('empty'), retainedAfter: '' },
    ];
    await both.one.subscribe(session, epoch, put);
    const retained = {
      kind: 'retained',
      topic: 'r s',
      orderKey: { placement: 3, offset: 4 },
    } as const;
    const group = {
      kind: 'group',
      group: groupId(9),
      queue: queueId(5),
      partition: 1,
      offset: 6,
    } as const;
    const common = { kind: 'sent', session: handle, qos: 2, sequence: 1 } as const;
    both.one.write(session, epoch, { ...common, packetId: 1, place: retained, filter: 'a b/+/#' });
    both.one.write(session, epoch, {
      ...{ ...common, sequence: 2 },
      ...{ packetId: 65_535, place: group, filter: '$share/g/t' },
    });
    both.one.write(session, epoch, { kind: 'released', session: handle, packetId: 1 });
    await new Promise<void>((resolve) => {
      both.one.intents.stored([{ clientId: session.clientId, epoch, packetId: 8 }], resolve);
    });
    const seen = await both.two.look(session.clientId);
    const sorted = (one: StoredSession): unknown => {
      const state = one.state();
      state.subscriptions.sort((a, b) => (a.filter < b.filter ? -1 : 1));
      return state;
    };
    assert.ok(seen !== undefined);
    assert.deepEqual(sorted(seen), sorted(session));
    assert.deepEqual([...seen.inbound], [8]);
  });

  check('intents are durable, fenced, and found by the next ds', async (both) => {
    for (const sessionExpiryS of [0, 3600]) {
      const first = await claimed(both.one, `a ${sessionExpiryS}`, { sessionExpiryS });
      const intend = (batch: Intent[]): Promise<boolean[]> =>
        new Promise((resolve) => {
          both.one.intents.intend(batch, resolve);
        });
      const [one, two, three] = [intentOf(first, 1), intentOf(first, 2), intentOf(first, 3)];
      assert.deepEqual(await intend([one, two, three]), [true, true, true]);
      await new Promise<void>((resolve) => {
        both.one.intents.stored([two], resolve);
      });
      both.one.intents.dropped([three]);
      await durable(both.one);
      const answer = await both.two.present(presentationOf(first));
      assert.ok(answer.kind === 'taken up');
      assert.deepEqual(answer.session.intents, [one]);
      assert.deepEqual([...answer.session.inbound], [2]);
      assert.deepEqual(await both.two.intents.open(first.session.clientId), [one]);
      assert.deepEqual(await intend([intentOf(first, 4)]), [false]);
    }
  });

  check('a will whose taker died is given to the next with the same key', async (both) => {
    const { session, epoch } = await claimed(both.one, 'a', {
      sessionExpiryS: 0,
      will: will(0),
    });
    await both.one.release(session, epoch, { ...kept, publishWill: true });
    const [first] = await dueOf(both.one);
    assert.ok(first?.kind === 'will' && first.sending?.again === false);
    assert.deepEqual(await both.one.takeDue(10), []);
    both.one.close();
    const [second] = await dueOf(both.two);
    assert.ok(second?.kind === 'will' && second.sending?.again === true);
    assert.equal(second.sending.key, first.sending.key);
    assert.equal(second.sending.sinceMs, first.sending.sinceMs);
    both.two.willSent(second);
    await pause(1100);
    assert.deepEqual(await both.two.takeDue(10), []);
  });

  check('a will that another ds is sending stays with it until it says more', async (both) => {
    const first = await claimed(both.one, 'a', { sessionExpiryS: 0, will: will(0) });
    const { clientId: id } = first.session;
    void both.one.release(first.session, first.epoch, { ...kept, publishWill: true });
    const [due] = (await both.one.takeWills(id)).wills;
    assert.ok(due !== undefined);
    assert.equal((await claimed(both.two, 'a')).willsDue, true);
    await pause(1200);
    assert.deepEqual(await both.two.takeWills(id), { wills: [], busy: true });
    assert.deepEqual(await both.two.takeDue(10), []);
    both.one.willDelayed(due);
    let again = await both.two.takeWills(id);
    while (again.busy) again = await both.two.takeWills(id);
    assert.deepEqual(
      again.wills.map(({ number, sending }) => [number, sending?.again, sending?.key]),
      [[due.number, true, due.sending?.key]],
    );
    both.one.willDelayed(due);
    assert.deepEqual(await both.one.takeWills(id), { wills: [], busy: true });
    both.two.willSent(again.wills[0]!);
    while ((await both.one.takeWills(id)).busy) await pause(20);
    assert.deepEqual(await both.one.takeWills(id), { wills: [], busy: false });
  });

  check('endNode ends what was connected there, once, and leaves the rest', async (both) => {
    const persistent = await claimed(both.one, 'persistent', { sessionExpiryS: 1, will: will(0) });
    await claimed(both.one, 'clean', { sessionExpiryS: 0, will: will(0) });
    const elsewhere = await claimed(both.one, 'elsewhere', { node: nodeId('cs-of-another') });
    const fenced: string[] = [];
    both.one.onFenced((session) => fenced.push(session.clientId));
    await Promise.all([both.one.endNode(cs, 0), both.two.endNode(cs, 0)]);
    both.one.write(persistent.session, persistent.epoch, sent(1, 1));
    both.one.write(elsewhere.session, elsewhere.epoch, sent(1, 1));
    await durable(both.one);
    assert.deepEqual(fenced, ['persistent']);
    const wills = new Set<string>();
    const expired = new Set<string>();
    for (let tries = 0; tries < 100 && (wills.size < 2 || expired.size < 1); tries += 1) {
      for (const one of await both.two.takeDue(10)) {
        if (one.kind === 'expired') expired.add(one.session.clientId);
        else {
          assert.ok(!wills.has(one.will.clientId));
          wills.add(one.will.clientId);
          both.two.willSent(one);
        }
      }
      await pause(20);
    }
    assert.deepEqual([[...wills].sort(), [...expired]], [['clean', 'persistent'], ['persistent']]);
    assert.equal(await both.two.look(clientId('clean')), undefined);
    assert.equal((await both.two.look(clientId('elsewhere')))?.connected, true);
    const again = await claimed(both.two, 'clean', { sessionExpiryS: 0 });
    assert.equal(again.present, false);
  });

  check('what was claimed after a node was judged is of its next instance', async (both) => {
    const before = await claimed(both.one, 'before');
    await pause(5);
    const judgedMs = Date.now();
    await pause(5);
    await claimed(both.one, 'after');
    const leaseEndedAtMs = judgedMs - 1000;
    await both.two.endNode(cs, 0, { atMs: judgedMs, leaseEndedAtMs });
    assert.equal((await both.two.look(clientId('after')))?.connected, true);
    const seen = await both.two.look(before.session.clientId);
    assert.equal(seen?.connected, false);
    assert.equal(seen.expiresAtMs, leaseEndedAtMs + 3_600_000);
    await both.two.endNode(cs, 0);
    assert.equal((await both.two.look(clientId('after')))?.connected, false);
  });

  check('one that ended with its node is not presented by it again', async (both) => {
    const first = await claimed(both.one, 'a', { sessionExpiryS: 0 });
    both.one.drop(first.session);
    await both.two.endNode(cs, 0);
    assert.deepEqual(await both.two.present(presentationOf(first)), { kind: 'ended' });
    assert.equal(await both.two.look(first.session.clientId), undefined);
    const second = await claimed(both.two, 'a', { sessionExpiryS: 0 });
    both.two.drop(second.session);
    assert.equal((await both.one.present(presentationOf(second))).kind, 'taken up');
  });

  check('a session that its ds has dropped ends with its node, whoever ends it', async (both) => {
    const { session } = await claimed(both.one, 'a');
    both.one.drop(session);
    // Notes that are no longer needed go a moment later.
    await pause(400);
    await both.two.endNode(cs, 0);
    const answer = await both.two.claim(claimOf('a'));
    assert.equal(answer.kind, 'claimed');
  });

  check('a session that was dropped can be presented to the same ds again', async (both) => {
    const first = await claimed(both.one, 'a', { sessionExpiryS: 0 });
    both.one.drop(first.session);
    const answer = await both.one.present(presentationOf(first));
    assert.equal(answer.kind, 'taken up');
    both.one.drop(first.session);
    assert.deepEqual(await both.one.present(presentationOf(first)), { kind: 'ended' });
  });

  check('a release that Redis did not hear comes before the next claim', async (both) => {
    const first = await claimed(both.one, 'a', { will: will(0) });
    both.one.write(first.session, first.epoch, sent(1, 2));
    for (const server of at.servers) server.pause();
    const released = both.one.release(first.session, first.epoch, kept);
    await assert.rejects(both.one.claim(claimOf('a')), StoreFailure);
    await assert.rejects(both.two.claim(claimOf('a')), StoreFailure);
    for (const server of at.servers) server.resume();
    assert.deepEqual(await released, { ended: false });
    let again: Claimed | undefined;
    for (let tries = 0; tries < 100 && again === undefined; tries += 1) {
      const answer = await both.two.claim(claimOf('a')).catch(() => undefined);
      if (answer?.kind === 'claimed') again = answer;
      else await pause(50);
    }
    assert.equal(again?.session.outboundCount, 1);
    assert.deepEqual(await both.two.takeDue(10), [], 'DISCONNECT has removed the will');
  });

  check('while Redis is silent nothing is called durable, and then all is', async (both) => {
    const first = await claimed(both.one, 'a');
    await both.one.subscribe(first.session, first.epoch, [subscription('t')]);
    for (const server of at.servers) server.pause();
    let told = 0;
    for (let n = 1; n <= 50; n += 1) {
      both.one.write(first.session, first.epoch, sent(n, 1));
      both.one.write(first.session, first.epoch, {
        kind: 'done',
        session: handle,
        packetId: n,
        failed: false,
      });
      both.one.commit(() => (told += 1));
      await pause(20);
    }
    const refusal = assert.rejects(
      both.one.subscribe(first.session, first.epoch, [subscription('u')]),
      StoreFailure,
    );
    const claim = assert.rejects(both.one.claim(claimOf('b', { sessionExpiryS: 0 })), StoreFailure);
    await Promise.all([refusal, claim]);
    assert.equal(told, 0);
    for (const server of at.servers) server.resume();
    await durable(both.one);
    assert.equal(told, 50);
    const seen = await both.two.look(clientId('a'));
    assert.deepEqual(
      seen?.subscription('t')?.cursors[0],
      first.session.subscription('t')?.cursors[0],
    );
    assert.ok(seen?.subscription('u') !== undefined, 'what memory has is stored');
    assert.equal(seen.outboundCount, 0);
    // Its claim was given up.
    for (let tries = 0; tries < 200; tries += 1) {
      if ((await both.two.look(clientId('b'))) === undefined) break;
      await pause(20);
    }
    await claimed(both.two, 'b');
  });

  check('after writes that were given up the store has what memory has', async (both) => {
    const sessions = await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const one = await claimed(both.one, `device ${n}`);
        await both.one.subscribe(one.session, one.epoch, [subscription('t')]);
        return { ...one, inFlight: [] as number[], next: n };
      }),
    );
    const order: number[] = [];
    let commits = 0;
    for (let turn = 0; turn < 1500; turn += 1) {
      for (const one of sessions) {
        const sends = one.inFlight.length < 30 && (turn * 7 + one.next) % 5 < 3;
        one.next += 1;
        const packetId = sends ? one.next : one.inFlight.splice(turn % 13, 1)[0];
        if (packetId === undefined) continue;
        if (sends) one.inFlight.push(packetId);
        const done = { kind: 'done', session: handle, packetId, failed: false } as const;
        both.one.write(one.session, one.epoch, sends ? sent(packetId, 2) : done);
      }
      const now = (commits += 1);
      both.one.commit(() => order.push(now));
      // Longer than a command's time-out: what is in the connection then comes late, or never.
      if (turn % 300 === 100) for (const server of at.servers) server.pause();
      if (turn % 300 === 299) for (const server of at.servers) server.resume();
      await pause(2);
    }
    await durable(both.one);
    assert.deepEqual(
      order,
      Array.from({ length: commits }, (_, n) => n + 1),
    );
    for (const { session } of sessions) {
      let seen: StoredSession | undefined;
      for (let tries = 0; tries < 50 && seen === undefined; tries += 1)
        seen = await both.two.look(session.clientId).catch(() => undefined);
      assert.deepEqual(seen?.state(), session.state());
    }
  });

  check('what was told as durable is there when Redis was killed', async (both, t) => {
    t.diagnostic('kill -9, several times');
    const stop = { now: false };
    const first = await claimed(both.one, 'a');
    await both.one.subscribe(first.session, first.epoch, [subscription('t')]);
    let told = 0;
    const writer = (async () => {
      for (let n = 0; !stop.now; n += 1) {
        const position = n + 1;
        const place = { queue: queueId(5), partition: 0 } as const;
        both.one.write(first.session, first.epoch, {
          ...{ kind: 'position', session: handle },
          ...{ ...place, position },
        });
        both.one.commit(() => {
          assert.ok(told < position, 'in order');
          told = position;
        });
        await pause(1);
      }
    })();
    for (let kills = 0; kills < killsCount; kills += 1) {
      await pause(50);
      for (const server of at.servers) await server.kill9();
      const before = told;
      for (const server of at.servers) await server.start();
      const reader = await both.ds('reader');
      let seen: StoredSession | undefined;
      for (let tries = 0; tries < 100 && seen === undefined; tries += 1) {
        seen = await reader.store.look(clientId('a')).catch(() => undefined);
        if (seen === undefined) await pause(100);
      }
      reader.close();
      const [cursor] = seen?.subscription('t')?.cursors ?? [];
      assert.ok(cursor !== undefined && cursor.position >= before, `${cursor?.position} ${before}`);
    }
    stop.now = true;
    await writer;
    await durable(both.one);
    assert.ok(told > 0);
  });

  check('the end of a node with 10,000 sessions, and what one costs', async (both, t) => {
    const third = await both.ds('ds-3', patientMs);
    const fourth = await both.ds('ds-4', patientMs);
    const { redis, store } = third;
    const ids = Array.from({ length: manySessions }, (_, n) => `device-${n}`);
    const before = redis.commandCount;
    const startMs = performance.now();
    for (let at = 0; at < ids.length; at += 500) {
      await Promise.all(
        ids.slice(at, at + 500).map(async (id) => {
          const one = await claimed(store, id);
          await store.subscribe(one.session, one.epoch, [subscription(`devices/${id}/commands`)]);
        }),
      );
    }
    const connectMs = performance.now() - startMs;
    const perConnect = (redis.commandCount - before) / ids.length;
    const endMs = performance.now();
    await fourth.store.endNode(cs, 0);
    t.diagnostic(
      `${ids.length} claimed and subscribed in ${connectMs.toFixed(0)} ms, ${perConnect} commands ` +
        `each; ended in ${(performance.now() - endMs).toFixed(0)} ms`,
    );
    for (const id of ids.slice(0, 100)) {
      assert.equal((await fourth.store.look(clientId(id)))?.connected, false);
    }
    third.close();
    const [id] = ids;
    assert.equal((await claimed(fourth.store, id!)).present, true);
  });
}
