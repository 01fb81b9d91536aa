import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { queueId } from '@lmqtt/common/ids';
import { ReadAnswers, ReadRights } from '@lmqtt/common/read-rights';
import type { Subscription } from '../src/session/cursor.ts';
import { JudgedFilters } from '../src/session/judged-filters.ts';

function rights(text: string): ReadRights {
  return new ReadRights(text, new ReadAnswers(1000));
}

function subscriptions(count: number, filterOf: (index: number) => string): Subscription[] {
  return Array.from({ length: count }, (_, index) => ({
    filter: filterOf(index),
    options: {
      qos: 0,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0,
      subscriptionIdentifier: undefined,
    },
    queue: queueId(index + 1),
    group: undefined,
    cursors: [],
    identifiers: undefined,
    rights: undefined,
    mount: '',
  }));
}

function turnsOf(judged: JudgedFilters): number {
  for (let turns = 1; ; turns += 1) if (judged.next()) return turns;
}

void describe('a change of rights', () => {
  void it('judges the filters of a session with many of them over many turns', () => {
    const judged = new JudgedFilters(
      subscriptions(10_000, (index) => `a/${index}`).values(),
      rights('-\0+a/#'),
      undefined,
    );
    assert.ok(turnsOf(judged) >= 50);
    assert.equal(judged.lostAll, false);
  });

  void it('judges no message of a filter that may be read whole', () => {
    const now = rights('-\0-a/1/x\0+a/#');
    const all = subscriptions(3, (index) => `a/${index}/+`);
    for (const each of all) each.rights = now;
    turnsOf(new JudgedFilters(all.values(), now, undefined));
    assert.deepEqual(
      all.map((each) => each.rights),
      [undefined, now, undefined],
    );
  });

  void it('leaves nothing to read only where there was something before', () => {
    const none = rights('-');
    const lost = (former: ReadRights | undefined, count: number): boolean => {
      const judged = new JudgedFilters(
        subscriptions(count, (index) => `a/${index}`).values(),
        none,
        former,
      );
      turnsOf(judged);
      return judged.lostAll;
    };
    assert.equal(lost(undefined, 500), true);
    assert.equal(lost(rights('-\0+a/7'), 500), true);
    assert.equal(lost(rights('-\0+b/#'), 500), false);
    assert.equal(lost(undefined, 0), false);
  });
});
