// Sessions of many subscriptions are taken up over turns, and ds opens behind the last of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { portionMax } from '@lmqtt/common/in-portions';
import { nextTurn } from '@lmqtt/common/pause';
import type { SubscriptionState } from '@lmqtt/proto/session-state';
import { plain, publish, texts, until } from './fake-cs.ts';
import { Node, SplitDs, subscribed } from './fake-nodes.ts';

const filters = Array.from({ length: 5 * portionMax + 7 }, (_, index) => `m/${index}`);

/** Each of them has one message, which is done. */
function behindOne(subscriptions: readonly SubscriptionState[]): SubscriptionState[] {
  return subscriptions.map((one) => ({
    ...one,
    positions: [{ partition: 0, start: 0, position: 1, done: [] }],
  }));
}

for (const sessionExpiryS of [0, 3600]) {
  test(`a session of many subscriptions that is presented, with an expiry of ${sessionExpiryS} s`, async () => {
    let split = await SplitDs.start();
    try {
      const a = await Node.attach(split, 'a');
      const b = await Node.attach(split, 'b');
      const many = await a.connect('many', { sessionExpiryS });
      const answers = await a.link.subscribe(
        many.session,
        filters.map((filter) => ({ filter, options: plain })),
      );
      const states = answers.map((answer) => {
        assert.ok(answer.kind === 'granted');
        return answer.subscription;
      });
      const publisher = await b.connect('publisher');
      for (const filter of [filters[0]!, filters.at(-1)!])
        await publish(b, publisher.session, filter, 'before');
      split = await split.kill();
      let isOpen = false;
      void split.ds.gathered.then(() => (isOpen = true));
      const presented = [
        a.present(split, [a.presented(many, subscribed(behindOne(states)))]),
        b.present(split, [b.presented(publisher)]),
      ];
      await nextTurn();
      assert.equal(isOpen, false, 'the session is being taken up');
      await Promise.all(presented);
      assert.deepEqual([...a.refusals, ...b.refusals], []);

      a.cs.pushed.length = 0;
      for (const filter of filters)
        assert.equal(await publish(b, publisher.session, filter, filter), 0, filter);
      await until(() => a.cs.pushed.length >= filters.length, 'a push for each subscription');
      assert.deepEqual(texts(a.cs.pushed), filters);
      if (sessionExpiryS === 0) return;

      // How far each has come was stored: the session is the same for another connection.
      const end = { publishWill: false, sessionExpiryS: undefined, reason: 'left' };
      await a.link.disconnect(many.session, end);
      const again = await a.connect('many', { sessionExpiryS, cleanStart: false });
      const { subscriptions } = again.answer.state;
      const kept = [...subscriptions];
      while (kept.length < filters.length)
        kept.push(...(await a.link.subscriptionsOf(again.session, kept.length)));
      assert.deepEqual(
        kept.map(({ filter, positions }) => [filter, positions[0]?.position]),
        filters.map((filter) => [filter, 1]),
      );
    } finally {
      await split.stop();
    }
  });
}
