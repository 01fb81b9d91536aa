import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId, type Epoch, epoch as epochOf, nodeId } from '@lmqtt/common/ids';
import type { Presentation, Presented } from '@lmqtt/ds/session-store/session-store';
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

/** The sentences of the port on sessions whose nodes outlive ds. */
export function presentedSessionsContract(name: string, make: MakeSessionStore): void {
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

  check('a presented session goes on with its epoch', async (bench) => {
    const { session, epoch } = await bench.claim('a');
    await bench.store.subscribe(session, epoch, [subscription('t')]);
    await bench.write({ session, epoch }, [sent(3, 2)]);
    const { session: again } = taken(await present(bench, presentation('a', epoch)));
    assert.equal(again.connected, true);
    assert.equal(again.epoch, epoch);
    assert.equal(again.subscriptions[0]?.filter, 't');
    assert.equal(again.outboundCount, 1);
    await bench.write({ session: again, epoch }, [sent(4, 1)]);
    assert.equal(again.outboundCount, 2);
    assert.equal(((await bench.store.release(again, epoch, kept)) || { ended: true }).ended, false);
  });

  check('one that outlives its connection only with the epoch that is stored', async (bench) => {
    const first = await bench.claim('a');
    const second = await bench.claim('a');
    let old: Presented | undefined;
    let now: Presented | undefined;
    let never: Presented | undefined;
    await bench.crash(async (store) => {
      old = await store.present(presentation('a', first.epoch));
      now = await store.present(presentation('a', second.epoch));
      never = await store.present(presentation('b', second.epoch));
    });
    assert.deepEqual(old, { kind: 'claimed' });
    assert.equal(now?.kind, 'taken up');
    assert.deepEqual(never, { kind: 'ended' });
  });

  check('one that outlives its connection only while it is connected', async (bench) => {
    const { session, epoch } = await bench.claim('a');
    await bench.store.release(session, epoch, kept);
    assert.deepEqual(await present(bench, presentation('a', epoch)), { kind: 'ended' });
    assert.equal((await bench.claim('a')).present, true);
  });

  check('start ends the connections of all others', async (bench) => {
    const gone = await bench.claim('gone', { sessionExpiryS: 1 });
    const here = await bench.claim('here', { sessionExpiryS: 1 });
    await present(bench, presentation('here', here.epoch));
    const due = await bench.due();
    assert.deepEqual(
      due.map((one) => one.kind === 'expired' && one.session.clientId),
      [gone.session.clientId],
    );
    await pause(300);
    assert.deepEqual(await bench.store.takeDue(10), []);
  });

  check('one that ends with its connection is made of what is presented', async (bench) => {
    const { session, epoch } = await bench.claim('a', { sessionExpiryS: 0 });
    await bench.store.subscribe(session, epoch, [subscription('t')]);
    const whole = { ...clean('a', epoch), subscriptions: [subscription('u')], inbound: [7] };
    const { session: again } = taken(await present(bench, whole));
    assert.deepEqual(
      again.subscriptions.map((one) => one.filter),
      ['u'],
    );
    assert.deepEqual([...again.inbound], [7]);
    assert.equal(await bench.store.subscribe(again, epoch, [subscription('v')]), true);
    assert.deepEqual(await bench.store.release(again, epoch, kept), { ended: true });
    assert.ok((await bench.claim('a')).epoch > epoch);
  });

  check('of two of one client the greater epoch stays', async (bench) => {
    const low = epochOf(1000);
    const high = epochOf(2000);
    const seen: Presented[] = [];
    await bench.crash(async (store) => {
      seen.push(await store.present(clean('a', low)));
      seen.push(await store.present(clean('a', high)));
      seen.push(await store.present(clean('a', low)));
      seen.push(await store.present(clean('a', high)));
    });
    const [first, second, third, fourth] = seen;
    assert.equal(second?.kind === 'taken up' && second.ended, taken(first).session);
    assert.equal(taken(first).session.removed, true);
    assert.deepEqual(third, { kind: 'claimed' });
    assert.deepEqual(fourth, { kind: 'ended' });
  });

  check(
    'a stored session with a greater epoch refuses it, also one that is absent',
    async (bench) => {
      const { session, epoch } = await bench.claim('a');
      await bench.store.release(session, epoch, kept);
      const older = epochOf(epoch - 1);
      assert.deepEqual(await present(bench, clean('a', older)), { kind: 'claimed' });
    },
  );

  check('the will of a presented session waits as before', async (bench) => {
    for (const sessionExpiryS of [0, 3600]) {
      const id = `client ${sessionExpiryS}`;
      const claimed = await bench.claim(id, { sessionExpiryS, will: will(0) });
      const lost = await bench.claim(`lost ${sessionExpiryS}`, { sessionExpiryS, will: will(0) });
      assert.ok(lost.epoch > 0);
      const again = await present(bench, { ...presentation(id, claimed.epoch), sessionExpiryS });
      const due = await bench.due();
      // The will of the lost one; not twice.
      assert.deepEqual(due.map(topicOf), ['will']);
      for (const one of due) if (one.kind === 'will') bench.store.willSent(one);
      const release = { ...kept, publishWill: true };
      await bench.store.release(taken(again).session, claimed.epoch, release);
      const later = await bench.due();
      assert.deepEqual(
        later.map((one) => one.kind === 'will' && one.will.clientId),
        [id],
      );
      for (const one of later) if (one.kind === 'will') bench.store.willSent(one);
    }
  });

  check('the will of a presented session goes out once if its node is gone then', async (bench) => {
    const { epoch } = await bench.claim('a', { sessionExpiryS: 0, will: will(0) });
    await present(bench, clean('a', epoch));
    await bench.crash();
    const due = await bench.due();
    assert.deepEqual(due.map(topicOf), ['will']);
    assert.deepEqual(await bench.store.takeDue(10), []);
  });
}

async function present(bench: Bench, one: Presentation): Promise<Presented> {
  let answer: Presented | undefined;
  await bench.crash(async (store) => {
    answer = await store.present(one);
  });
  assert.ok(answer !== undefined);
  return answer;
}

function taken(answer: Presented | undefined): Presented & { readonly kind: 'taken up' } {
  if (answer?.kind !== 'taken up') throw new Error(JSON.stringify(answer));
  return answer;
}

function presentation(id: string, epoch: Epoch): Presentation {
  return {
    clientId: clientId(id),
    epoch,
    node: nodeId('cs'),
    handle,
    user: null,
    sessionExpiryS: 3600,
    subscriptions: [],
    inbound: [],
  };
}

function clean(id: string, epoch: Epoch): Presentation {
  return { ...presentation(id, epoch), sessionExpiryS: 0 };
}
