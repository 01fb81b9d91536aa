import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  covers,
  isValidTopicFilter,
  levelCount,
  matches,
  overlaps,
  parseSharedFilter,
  wildcardPlaces,
} from '@lmqtt/common/topic';

/** Few levels of few letters, so that equal ones are common. */
const level = fc.constantFrom('a', 'b', '', 'ab', '-', '$x');
const topics = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter((topic) => topic.length > 0);
const filters = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 4 }), fc.boolean())
  .map(([levels, below]) => (below ? [...levels, '#'] : levels).join('/'))
  .filter((filter) => filter.length > 0);

/** The words of the specification, level by level, with no thought for speed. */
function matchesSlowly(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false;
  const want = filter.split('/');
  const have = topic.split('/');
  for (const [index, wanted] of want.entries()) {
    if (wanted === '#') return true;
    if (have[index] === undefined || (wanted !== '+' && wanted !== have[index])) return false;
  }
  return want.length === have.length;
}

/** `want` without its last level, for the parent that `#` matches too. */
function matchesWithParent(filter: string, topic: string): boolean {
  if (matchesSlowly(filter, topic)) return true;
  return filter.endsWith('/#') && matchesSlowly(filter.slice(0, -2), topic);
}

const allTopics: string[] = (() => {
  const levels = ['a', 'b', '', 'ab', '-', '$x', 'other'];
  let all = levels;
  const found = [...levels];
  for (let depth = 2; depth <= 5; depth += 1) {
    // Depth 5 needs only show that something may follow.
    const next = depth === 5 ? ['a', 'other'] : levels;
    all = all.flatMap((topic) => next.map((one) => `${topic}/${one}`));
    found.push(...all);
  }
  return found.filter((topic) => topic.length > 0);
})();

describe('topic', () => {
  it('[MQTT-4.7.1-1] [MQTT-4.7.1-2] judges topic filters', () => {
    for (const good of ['#', '+', '/', '+/+', '/+', '+/#', 'a/#', 'a/+/b', '+/a', '/#', '$SYS/#'])
      assert.equal(isValidTopicFilter(good), true, good);
    for (const bad of [
      '',
      'a#',
      '#/a',
      'a/#/b',
      'a+',
      '+a',
      'a/b+',
      'a/+b/c',
      '##',
      '++',
      '/#/',
      'a\0',
    ])
      assert.equal(isValidTopicFilter(bad), false, bad);
  });

  it('[MQTT-4.8.2-1] [MQTT-4.8.2-2] takes shared filters apart', () => {
    assert.deepEqual(parseSharedFilter('$share/g/a/+'), { group: 'g', filter: 'a/+' });
    assert.deepEqual(parseSharedFilter('$share/g//'), { group: 'g', filter: '/' });
    for (const plain of ['$share', 'share/g/a', '$shared/g/a', 'a/$share/g/b'])
      assert.equal(parseSharedFilter(plain), undefined, plain);
    for (const bad of [
      '$share/',
      '$share/g',
      '$share/g/',
      '$share//a',
      '$share/+/a',
      '$share/g#/a',
    ])
      assert.equal(parseSharedFilter(bad), 'malformed', bad);
    assert.equal(isValidTopicFilter('$share/g/a/#'), true);
    for (const bad of ['$share/g', '$share/g/a#', '$share/g/#/a', '$share//a'])
      assert.equal(isValidTopicFilter(bad), false, bad);
  });

  it('counts levels', () => {
    assert.deepEqual(['a', 'a/b', '/', '//a'].map(levelCount), [1, 2, 2, 3]);
  });

  it('says where the wildcards are: no topic matches two filters with the same places', () => {
    const places = { a: '', 'a/b': '', '+': '+', '#': '#', 'a/+/#': 'x+#', '/+': 'x+', '+/': '+x' };
    for (const [filter, expected] of Object.entries(places))
      assert.equal(wildcardPlaces(filter), expected, filter);
    const level = fc.constantFrom('a', 'b', '', '+');
    const filters = fc
      .tuple(fc.array(level, { minLength: 1, maxLength: 4 }), fc.constantFrom('', '/#'))
      .map(([levels, end]) => levels.join('/') + end);
    const topics = fc.array(fc.constantFrom('a', 'b', ''), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(filters, filters, topics, (one, other, topic) => {
        const isBoth = matches(one, topic.join('/')) && matches(other, topic.join('/'));
        return one === other || !isBoth || wildcardPlaces(one) !== wildcardPlaces(other);
      }),
    );
  });

  it('[MQTT-4.7.2-1] keeps leading wildcards away from $ topics', () => {
    for (const filter of ['#', '+/x', '+/#', '+']) {
      assert.equal(matches(filter, '$SYS/x'), false, filter);
      assert.equal(matches(filter, '$SYS'), false, filter);
      assert.equal(covers(filter, '$SYS/x'), false, filter);
    }
    assert.equal(matches('$SYS/#', '$SYS/x'), true);
    assert.equal(matches('a/+', 'a/$x'), true);
  });

  it('matches as the examples of the specification', () => {
    const yes = [
      ['sport/tennis/player1/#', 'sport/tennis/player1'],
      ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon'],
      ['sport/#', 'sport'],
      ['sport/+', 'sport/'],
      ['+/+', '/finance'],
      ['/+', '/finance'],
      ['+/tennis/#', 'sport/tennis'],
    ] as const;
    for (const [filter, topic] of yes) assert.equal(matches(filter, topic), true, filter);
    const no = [
      ['sport/+', 'sport'],
      ['+', '/finance'],
      ['sport/tennis/+', 'sport/tennis/player1/ranking'],
      ['sport/#', 'sports'],
      ['ACCOUNTS', 'Accounts'],
    ] as const;
    for (const [filter, topic] of no) assert.equal(matches(filter, topic), false, filter);
  });

  it('matches as the rules read one by one', () => {
    fc.assert(
      fc.property(filters, topics, (filter, topic) =>
        assert.equal(matches(filter, topic), matchesWithParent(filter, topic)),
      ),
      { numRuns: 5000 },
    );
  });

  it('covers a filter exactly when it matches each topic of it', () => {
    fc.assert(
      fc.property(filters, filters, (outer, inner) => {
        const escaped = allTopics.find((topic) => matches(inner, topic) && !matches(outer, topic));
        assert.equal(covers(outer, inner), escaped === undefined, `${outer} ${inner} ${escaped}`);
      }),
      { numRuns: 1500 },
    );
  });

  it('finds an overlap exactly when some topic is matched by both', () => {
    fc.assert(
      fc.property(filters, filters, (one, other) => {
        const shared = allTopics.find((topic) => matches(one, topic) && matches(other, topic));
        assert.equal(overlaps(one, other), shared !== undefined, `${one} ${other} ${shared}`);
      }),
      { numRuns: 1500 },
    );
  });
});
