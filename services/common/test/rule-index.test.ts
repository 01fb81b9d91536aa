import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReadAnswers, ReadRights } from '../src/read-rights.ts';
import { RuleIndex } from '../src/rule-index.ts';
import { matches, overlaps } from '../src/topic.ts';

const many = 10_000;

function list(count: number, item: (index: number) => string): string[] {
  return Array.from({ length: count }, (_, index) => item(index));
}

function indexOf(filters: readonly string[]): RuleIndex {
  return new RuleIndex(filters.map((filter) => filter.split('/')));
}

/** How many rules are looked at for a filter. */
function looked(index: RuleIndex, filter: string, below = Number.POSITIVE_INFINITY): number {
  let count = 0;
  index.near(filter, below, () => {
    count += 1;
    return false;
  });
  return count;
}

void describe('index of access rules', () => {
  void it('finds the rules that overlap a filter without walking the others', () => {
    const index = indexOf(['+/pub/#', ...list(many, (each) => `dev${each}/#`), '#']);
    assert.equal(looked(index, 'dev7/state'), 2);
    assert.equal(looked(index, 'dev7/pub/1'), 3);
    assert.equal(looked(index, '+/pub/1'), many + 2);
  });

  void it('does not look behind the rule that decides about all of a filter', () => {
    const index = indexOf(['+/pub/#', ...list(many, (each) => `dev${each}/#`)]);
    assert.equal(looked(index, '+/pub/1', index.first('other/pub/1')), 0);
    assert.equal(index.first('dev7/pub/1'), 0);
    assert.equal(index.first('dev7/state'), 8);
    assert.equal(index.first('other/state'), Number.POSITIVE_INFINITY);
  });

  void it('stops at the first rule that is enough', () => {
    let count = 0;
    indexOf(list(many, (each) => `dev${each}/#`)).near('#', many, () => {
      count += 1;
      return count === 3;
    });
    assert.equal(count, 3);
  });

  void it('judges a filter with thousands of rules that add no answer to be judged by message', () => {
    const pairs = list(many / 2, (each) => `+dev${each}/pub/#\0-dev${each}/#`);
    const rights = new ReadRights(`-\0${pairs.join('\0')}\0+#`, new ReadAnswers(100));
    assert.equal(rights.of('+/pub/1'), 'some');
    assert.equal(rights.of('dev7/pub/1'), 'all');
    assert.equal(rights.of('dev7/state'), 'nothing');
    assert.equal(rights.allows('dev7/pub/1'), true);
    assert.equal(rights.allows('dev7/state'), false);
  });
});

void describe('index of access rules, whatever is asked first', () => {
  const levels = ['a', 'b', '+', '', '$c'];
  const filters = list(400, (each) => {
    const parts = list(1 + (each % 4), (at) => levels[(each * 7 + at * (each % 11)) % 5]!);
    return each % 3 === 0 ? [...parts, '#'].join('/') : parts.join('/');
  });
  const topics = list(400, (each) =>
    list(
      1 + (each % 5),
      (at) => ['a', 'b', 'x', '', '$c'][(each * 3 + at * (each % 13)) % 5]!,
    ).join('/'),
  ).filter((topic) => topic !== '');

  void it('finds the first rule that matches a topic', () => {
    const index = indexOf(filters);
    for (const topic of topics) {
      const found = filters.findIndex((filter) => matches(filter, topic));
      assert.equal(index.first(topic), found < 0 ? Number.POSITIVE_INFINITY : found, topic);
    }
  });

  void it('finds all rules that may match a topic of a filter', () => {
    const index = indexOf(filters);
    for (const asked of filters) {
      const near = new Set<number>();
      index.near(asked, Number.POSITIVE_INFINITY, (one) => {
        near.add(one);
        return false;
      });
      for (const [one, filter] of filters.entries())
        if (overlaps(filter, asked)) assert.ok(near.has(one), `${filter} is near ${asked}`);
    }
  });
});
