import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { clientId, nodeId, queueId, sessionHandle, type SessionHandle } from '@lmqtt/common/ids';
import { Cursor } from '@lmqtt/common/cursor';
import { messageOf } from '@lmqtt/common/message';
import type {
  Claim,
  Claimed,
  Due,
  DueStore,
  DueWill,
  Presentation,
  Presented,
  SessionStore,
} from '@lmqtt/ds/session-store/session-store';
import type { StoredSubscription } from '@lmqtt/ds/session-store/stored-session';
import type { SessionWrite } from '@lmqtt/proto/link';

/** The store as the suite looks at it. */
export type CheckedStore = SessionStore &
  DueStore & {
    readonly storedCount: number;
    present(presentation: Presentation): Presented | Promise<Presented>;
  };

/** A store with what the suite needs around it. */
export interface SessionStoreUnderTest {
  readonly store: CheckedStore;
  /** Stops as a crash would and starts again on the same storage; `before` comes before `start`. */
  crash(before?: (store: CheckedStore) => void | Promise<void>): Promise<SessionStoreUnderTest>;
  close(): Promise<void>;
}

export const handle: SessionHandle = sessionHandle(1);
const queue = queueId(5);

export type MakeSessionStore = (t: TestContext) => Promise<SessionStoreUnderTest>;

/** Checks each sentence of the comment of the port. */
export function sessionStoreContract(name: string, make: MakeSessionStore): void {
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

  check('what a resolved call has changed is there after a crash', async (bench) => {
    const { session, epoch } = await bench.claim('a');
    assert.equal(
      await bench.store.subscribe(session, epoch, [subscription('t'), subscription('u')]),
      true,
    );
    assert.equal(await bench.store.unsubscribe(session, epoch, ['u']), true);
    await bench.crash();
    const again = await bench.claim('a');
    assert.equal(again.present, true);
    assert.deepEqual(
      again.session.subscriptions.map((one) => [one.filter, one.queue]),
      [['t', queue]],
    );
  });

  check('what a durable write has changed is there after a crash', async (bench) => {
    const { session, epoch } = await bench.claim('a');
    await bench.store.subscribe(session, epoch, [subscription('t')]);
    await bench.write({ session, epoch }, [sent(1, 1), sent(2, 2), sent(3, 2), sent(4, 1)]);
    await bench.write({ session, epoch }, [
      { kind: 'released', session: handle, packetId: 2 },
      { kind: 'done', session: handle, packetId: 3, failed: false },
      { kind: 'done', session: handle, packetId: 1, failed: false },
      { kind: 'retained-cursor', session: handle, filter: 't', after: 'some/topic' },
    ]);
    await bench.crash();
    const state = (await bench.claim('a')).session.state();
    assert.deepEqual(
      state.outbound.map((one) => [one.packetId, one.qos, one.state, one.sequence]),
      [
        [2, 2, 'released', 2],
        [4, 1, 'sent', 4],
      ],
    );
    const [stored] = state.subscriptions;
    assert.equal(stored?.retainedAfter, 'some/topic');
    assert.deepEqual(
      { ...stored.positions[0] },
      { partition: 0, start: 0, position: 0, done: [1, 3] },
    );
  });

  check('done is kept above the position until that has passed it', async (bench) => {
    const { session, epoch } = await bench.claim('a');
    await bench.store.subscribe(session, epoch, [subscription('t')]);
    await bench.write({ session, epoch }, [sent(3, 2)]);
    await bench.write({ session, epoch }, [
      { kind: 'done', session: handle, packetId: 3, failed: false },
    ]);
    assert.deepEqual(session.state().subscriptions[0]?.positions[0]?.done, [3]);
    await bench.write({ session, epoch }, [
      { kind: 'position', session: handle, queue, partition: 0, position: 9 },
    ]);
    const [position] = session.state().subscriptions[0]!.positions;
    assert.deepEqual({ ...position }, { partition: 0, start: 0, position: 9, done: [] });
  });

  check('a subscription of the same filter is replaced', async (bench) => {
    const { session, epoch } = await bench.claim('a');
    await bench.store.subscribe(session, epoch, [subscription('t')]);
    const other = { ...subscription('t'), options: { ...options, qos: 0 } as const };
    await bench.store.subscribe(session, epoch, [other]);
    await bench.crash();
    const again = await bench.claim('a');
    assert.deepEqual(
      again.session.subscriptions.map((one) => one.options.qos),
      [0],
    );
  });

  check('a change by an older epoch is refused', async (bench) => {
    const first = await bench.claim('a');
    await bench.store.subscribe(first.session, first.epoch, [subscription('t')]);
    const second = await bench.claim('a');
    assert.ok(second.epoch > first.epoch);
    const { session } = second;
    assert.equal(await bench.store.subscribe(session, first.epoch, [subscription('x')]), false);
    assert.equal(await bench.store.unsubscribe(session, first.epoch, ['t']), false);
    assert.equal(await bench.store.release(session, first.epoch, kept), false);
    bench.store.write(session, first.epoch, sent(1, 1));
    await bench.write({ session, epoch: second.epoch }, []);
    assert.equal(session.outboundCount, 0);
    assert.equal(session.subscriptions.length, 1);
  });

  check('an epoch is the wall clock, or one more than the last', async (bench) => {
    const startMs = Date.now();
    const { epoch } = await bench.claim('a');
    assert.ok(epoch >= startMs && epoch <= Date.now() + 1000);
    assert.ok((await bench.claim('a')).epoch > epoch);
  });

  check('epochs grow over a crash', async (bench) => {
    const first = await bench.claim('a');
    await bench.crash();
    assert.ok((await bench.claim('a')).epoch > first.epoch);
  });

  check('a session that ends with its connection is not there after a crash', async (bench) => {
    const { session, epoch } = await bench.claim('a', { sessionExpiryS: 0 });
    await bench.store.subscribe(session, epoch, [subscription('t')]);
    await bench.crash();
    assert.equal((await bench.claim('a')).present, false);
  });

  check('a clean start ends what was there', async (bench) => {
    const first = await bench.claim('a');
    await bench.store.subscribe(first.session, first.epoch, [subscription('t')]);
    await bench.store.release(first.session, first.epoch, kept);
    const second = await bench.claim('a', { cleanStart: true });
    assert.equal(second.present, false);
    assert.equal(second.ended, first.session);
    assert.equal(first.session.removed, true);
    await bench.crash();
    assert.equal((await bench.claim('a')).session.subscriptions.length, 0);
  });

  check('release ends a session without expiry, and one given at the end counts', async (bench) => {
    const first = await bench.claim('a', { sessionExpiryS: 0 });
    assert.deepEqual(await bench.store.release(first.session, first.epoch, kept), { ended: true });
    const second = await bench.claim('b');
    const now = { ...kept, sessionExpiryS: 0 };
    assert.deepEqual(await bench.store.release(second.session, second.epoch, now), { ended: true });
    const third = await bench.claim('c');
    assert.deepEqual(await bench.store.release(third.session, third.epoch, kept), { ended: false });
  });

  check('an absent session falls due when its expiry has passed', async (bench) => {
    const { session, epoch } = await bench.claim('a', { sessionExpiryS: 1 });
    await bench.store.release(session, epoch, kept);
    assert.deepEqual(await bench.store.takeDue(10), []);
    const due = await bench.due();
    assert.deepEqual(due, [{ kind: 'expired', session }]);
    assert.equal(session.removed, true);
    assert.deepEqual(await bench.store.takeDue(10), []);
  });

  check('a claim in time keeps it', async (bench) => {
    const first = await bench.claim('a', { sessionExpiryS: 1 });
    await bench.store.release(first.session, first.epoch, kept);
    await bench.claim('a', { sessionExpiryS: 1 });
    await pause(1200);
    assert.deepEqual(await bench.store.takeDue(10), []);
  });

  check('a will that was not removed falls due, once', async (bench) => {
    const { session, epoch } = await bench.claim('a', { sessionExpiryS: 0, will: will(0) });
    await bench.store.release(session, epoch, { ...kept, publishWill: true });
    const due = await bench.due();
    assert.deepEqual(due.map(topicOf), ['will']);
    assert.deepEqual(await bench.store.takeDue(10), []);
  });

  check('a will that was taken and not sent is given again after a crash', async (bench) => {
    const { session, epoch } = await bench.claim('a', { sessionExpiryS: 0, will: will(0) });
    await bench.store.release(session, epoch, { ...kept, publishWill: true });
    assert.equal((await bench.due()).length, 1);
    await bench.crash();
    const [due] = await bench.due();
    assert.equal(due?.kind, 'will');
    bench.store.willSent(due);
    await bench.claim('other', { will: will(100) });
    await bench.crash();
    await pause(100);
    assert.deepEqual(await bench.store.takeDue(10), []);
  });

  check('a will of a connection that a crash ended falls due', async (bench) => {
    await bench.claim('a', { sessionExpiryS: 0, will: will(0) });
    await bench.crash();
    assert.deepEqual((await bench.due()).map(topicOf), ['will']);
  });

  check('a claim cancels a will that waits, only if the session continues', async (bench) => {
    for (const cleanStart of [false, true]) {
      const first = await bench.claim('a', { will: will(100) });
      await bench.store.release(first.session, first.epoch, { ...kept, publishWill: true });
      await bench.claim('a', { cleanStart });
      const due = cleanStart ? await bench.due() : await bench.store.takeDue(10);
      assert.equal(due.length, cleanStart ? 1 : 0);
    }
  });

  check('a claim makes a will without delay due', async (bench) => {
    await bench.claim('a', { will: will(0) });
    await bench.claim('a');
    assert.equal((await bench.due()).length, 1);
  });

  check('wills that a release or a claim makes due are taken at once', async (bench) => {
    const first = await bench.claim('a', { will: will(0) });
    assert.equal(first.willsDue, false);
    const released = bench.store.release(first.session, first.epoch, {
      ...kept,
      publishWill: true,
    });
    const { wills } = await bench.store.takeWills(first.session.clientId);
    assert.deepEqual(wills.map(topicOf), ['will']);
    await released;
    const second = await bench.claim('a', { will: will(100) });
    assert.equal(second.willsDue, true);
    for (const one of wills) bench.store.willSent(one);
    await bench.store.release(second.session, second.epoch, { ...kept, publishWill: true });
    assert.deepEqual((await bench.store.takeWills(first.session.clientId)).wills, []);
    const third = await bench.claim('a', { cleanStart: true });
    assert.equal(third.willsDue, true);
    assert.equal((await bench.store.takeWills(first.session.clientId)).wills.length, 1);
    assert.equal((await bench.store.takeWills(first.session.clientId)).wills.length, 0);
    assert.deepEqual(await bench.store.takeDue(10), []);
  });

  check('a will that was delayed is due all the same, and no claim cancels it', async (bench) => {
    const { session, epoch } = await bench.claim('a', { will: will(0) });
    await bench.store.release(session, epoch, { ...kept, publishWill: true });
    const [due] = (await bench.store.takeWills(session.clientId)).wills;
    bench.store.willDelayed(due!);
    assert.equal((await bench.claim('a')).willsDue, true);
    const again = async (): Promise<DueWill[]> => [
      ...(await bench.store.takeWills(session.clientId)).wills,
    ];
    let wills = await again();
    for (let tries = 0; tries < 100 && wills.length === 0; tries += 1) {
      await pause(20);
      wills = await again();
    }
    assert.deepEqual(wills.map(topicOf), ['will']);
  });

  check('a will that waits because of a planned stop is cancelled by any claim', async (bench) => {
    const first = await bench.claim('a', { sessionExpiryS: 0, will: will(0) });
    const stop = { ...kept, publishWill: true, graceMs: 300 };
    await bench.store.release(first.session, first.epoch, stop);
    await bench.crash();
    await bench.claim('a', { cleanStart: true, sessionExpiryS: 0 });
    await pause(500);
    assert.deepEqual(await bench.store.takeDue(10), []);
  });

  check('remove ends a session, and its will falls due', async (bench) => {
    const { session } = await bench.claim('a', { will: will(100) });
    await bench.store.remove(session);
    assert.equal(session.removed, true);
    assert.equal((await bench.due()).length, 1);
    assert.equal((await bench.claim('a')).present, false);
  });

  check('durable callbacks come in the order of their batches', async (bench) => {
    const { session, epoch } = await bench.claim('a');
    await bench.store.subscribe(session, epoch, [subscription('t')]);
    const order: number[] = [];
    for (let n = 0; n < 20; n += 1) {
      if (n % 2 === 0) bench.store.write(session, epoch, sent(n + 1, 1));
      bench.store.commit(() => order.push(n));
    }
    await bench.write({ session, epoch }, []);
    assert.deepEqual(
      order,
      Array.from({ length: 20 }, (_, n) => n),
    );
  });
}

export class Bench {
  under: SessionStoreUnderTest;

  constructor(under: SessionStoreUnderTest) {
    this.under = under;
  }

  get store(): CheckedStore {
    return this.under.store;
  }

  async crash(before?: (store: CheckedStore) => void | Promise<void>): Promise<void> {
    this.under = await this.under.crash(before);
  }

  async claim(id: string, claim: Partial<Claim> = {}): Promise<Claimed> {
    const claimed = await this.store.claim({
      clientId: clientId(id),
      node: nodeId('cs'),
      handle,
      user: null,
      userChange: 'replace',
      cleanStart: false,
      sessionExpiryS: 3600,
      ...claim,
      will: claim.will && { ...claim.will, clientId: clientId(id) },
    });
    assert.ok(claimed.kind === 'claimed', 'no other ds has it');
    return claimed;
  }

  write(claimed: Pick<Claimed, 'session' | 'epoch'>, writes: SessionWrite[]): Promise<void> {
    for (const write of writes) this.store.write(claimed.session, claimed.epoch, write);
    return new Promise((resolve) => {
      this.store.commit(resolve);
    });
  }

  /** Wills and sessions that fall due within a time. */
  async due(): Promise<Due[]> {
    for (let tries = 0; tries < 1000; tries += 1) {
      const due = await this.store.takeDue(10);
      if (due.length > 0) return due;
      await pause(20);
    }
    return [];
  }
}

export const kept = { publishWill: false, sessionExpiryS: undefined, graceMs: 0 };

const options = {
  qos: 2,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 0,
  subscriptionIdentifier: undefined,
} as const;

export function subscription(filter: string): StoredSubscription {
  return {
    filter,
    options,
    group: undefined,
    queue,
    cursors: [Cursor.at(0, 0)],
    retainedAfter: undefined,
    live: false,
  };
}

/** Packet identifier n is for offset n. */
export function sent(packetId: number, qos: 1 | 2): SessionWrite {
  const offset = packetId;
  return {
    kind: 'sent',
    session: handle,
    packetId,
    qos,
    sequence: packetId,
    place: { kind: 'queue', queue, partition: 0, offset },
    filter: 't',
  };
}

export function will(delayS: number): Claim['will'] {
  const message = messageOf({ topic: 'will', qos: 1, retain: false, payload: Buffer.from('x') });
  return {
    clientId: clientId(''),
    will: { message, delayS, messageExpiryS: undefined },
    principal: { principal: { user: undefined }, address: '' },
  };
}

export function topicOf(due: Due): string {
  return due.kind === 'will' ? due.will.will.message.topic : '';
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
