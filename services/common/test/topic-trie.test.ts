import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { matches } from '@lmqtt/common/topic';
import { TopicTree, TopicTrie } from '@lmqtt/common/topic-trie';

const level = fc.constantFrom('a', 'b', '', 'ab', '-', '$x', '0', 'a-');
const topics = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter((topic) => topic.length > 0);
const filters = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 4 }), fc.boolean())
  .map(([levels, below]) => (below ? [...levels, '#'] : levels).join('/'))
  .filter((filter) => filter.length > 0);

describe('TopicTrie', () => {
  it('finds what matches, after any adding and removing', () => {
    const steps = fc.array(fc.tuple(fc.boolean(), filters, fc.integer({ min: 0, max: 20 })), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(steps, fc.array(topics, { maxLength: 12 }), (changes, asked) => {
        const trie = new TopicTrie<number>();
        const model = new Map<string, [string, number]>();
        for (const [adding, filter, value] of changes) {
          const key = `${value} ${filter}`;
          if (adding) assert.equal(trie.add(filter, value), !model.has(key));
          else assert.equal(trie.remove(filter, value), model.has(key));
          if (adding) model.set(key, [filter, value]);
          else model.delete(key);
        }
        assert.equal(trie.size, model.size);
        for (const topic of asked) {
          const expected = [...model.values()].filter(([filter]) => matches(filter, topic));
          const byNumber = (x: number, y: number): number => x - y;
          assert.deepEqual(
            trie.match(topic).toSorted(byNumber),
            expected.map(([, value]) => value).toSorted(byNumber),
          );
        }
        for (const [filter, value] of model.values())
          assert.equal(trie.remove(filter, value), true);
        assert.equal(trie.size, 0);
        for (const topic of asked) assert.deepEqual(trie.match(topic), []);
      }),
      { numRuns: 1000 },
    );
  });

  it('holds many values of one filter', () => {
    for (const filter of ['a/b', 'a/+', '#']) {
      const trie = new TopicTrie<number>();
      for (let value = 0; value < 1000; value += 1) assert.equal(trie.add(filter, value), true);
      assert.equal(trie.add(filter, 7), false);
      assert.equal(trie.match('a/b').length, 1000);
      for (let value = 0; value < 1000; value += 2) assert.equal(trie.remove(filter, value), true);
      assert.equal(trie.match('a/b').length, 500);
    }
  });
});

function all<T>(tree: TopicTree<T>, filter: string, limit: number): [string, T][] {
  const items: [string, T][] = [];
  let after: string | undefined;
  for (let pages = 0; pages < 10_000; pages += 1) {
    const page = tree.matching(filter, after, limit);
    assert.ok(page.items.length <= limit);
    items.push(...page.items);
    if (page.next === undefined) return items;
    assert.ok(after === undefined || page.next > after, 'a page moves on');
    after = page.next;
  }
  throw new Error('no end of pages');
}

describe('TopicTree', () => {
  it('pages through exactly the topics that match, in order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(topics, fc.boolean()), { maxLength: 80 }),
        filters,
        fc.integer({ min: 1, max: 5 }),
        (changes, filter, limit) => {
          const tree = new TopicTree<number>();
          const model = new Map<string, number>();
          for (const [index, [topic, setting]] of changes.entries()) {
            if (setting) {
              tree.set(topic, index);
              model.set(topic, index);
            } else assert.equal(tree.delete(topic), model.delete(topic));
          }
          assert.equal(tree.size, model.size);
          const expected = [...model]
            .filter(([topic]) => matches(filter, topic))
            .toSorted(([x], [y]) => (x < y ? -1 : 1));
          assert.deepEqual(all(tree, filter, limit), expected);
          for (const [topic, value] of model) assert.equal(tree.get(topic), value);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('keeps its place while topics come and go', () => {
    const tree = new TopicTree<number>();
    for (let index = 0; index < 3000; index += 1) tree.set(`d/${index}/state`, index);
    const first = tree.matching('d/+/state', undefined, 1000);
    assert.equal(first.items.length, 1000);
    const last = first.items.at(-1)![0];
    tree.delete(last);
    for (const [topic] of first.items.slice(0, 500)) tree.delete(topic);
    for (let index = 0; index < 500; index += 1) tree.set(`a/${index}/state`, index);
    const seen = new Set(first.items.map(([topic]) => topic));
    let after = first.next;
    while (after !== undefined) {
      const page = tree.matching('d/+/state', after, 700);
      for (const [topic] of page.items) {
        assert.equal(seen.has(topic), false);
        seen.add(topic);
      }
      after = page.next;
    }
    assert.equal(seen.size, 3000);
  });

  it('skips what a filter cannot match', () => {
    const tree = new TopicTree<number>();
    for (let device = 0; device < 200; device += 1)
      for (let value = 0; value < 100; value += 1) tree.set(`d/${device}/v/${value}`, value);
    tree.set('e/x', 1);
    assert.equal(all(tree, 'd/+/v/7', 1000).length, 200);
    assert.deepEqual(tree.matching('+/x', undefined, 10).items, [['e/x', 1]]);
    // One page: 20,000 topics lie in between, more than one page looks at.
    assert.equal(tree.matching('+/x', undefined, 10).next, undefined);
  });
});
