import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  intersection,
  type Readable,
  ReadAnswers,
  readableBy,
  ReadRights,
  ReadRightsTable,
  type ReadRule,
  rulesOfText,
  textOfRules,
} from '../src/read-rights.ts';
import { matches, overlaps } from '../src/topic.ts';

/** `-a/b +#`: denied below a/b, the rest allowed. */
function rules(text: string): ReadRule[] {
  return text
    .split(' ')
    .filter((rule) => rule !== '')
    .map((rule) => ({ allow: rule.startsWith('+'), filter: rule.slice(1) }));
}

function readable(text: string, filter: string, otherwise = false): Readable {
  return readableBy({ rules: rules(text), otherwise }, filter);
}

/**
 * All topics of up to four levels of a small alphabet: an empty level and one that no rule names
 * among them.
 */
const alphabet = ['a', 'b', '', 'other', '$s'];
const topics: string[] = [];
let stems: string[][] = [[]];
for (let levels = 1; levels <= 4; levels += 1) {
  stems = stems.flatMap((stem) => alphabet.map((level) => [...stem, level]));
  topics.push(...stems.map((stem) => stem.join('/')).filter((topic) => topic !== ''));
}

const level = fc.constantFrom('a', 'b', '', '+', '$s');
const filter = fc
  .tuple(fc.array(level, { maxLength: 3 }), fc.boolean())
  .map(([levels, below]) => (below ? [...levels, '#'] : levels).join('/'))
  .filter((text) => text !== '');
const rule = fc.record({ allow: fc.boolean(), filter }, { noNullPrototype: true });
const ruleList = fc.oneof(
  fc.array(rule, { maxLength: 6 }),
  fc.array(rule, { minLength: 17, maxLength: 40 }),
);

function first(list: readonly ReadRule[], otherwise: boolean, topic: string): boolean {
  return list.find((rule) => matches(rule.filter, topic))?.allow ?? otherwise;
}

describe('read rights', () => {
  it('say how much of a subscription may be read', () => {
    const table: [rules: string, filter: string, expected: Readable][] = [
      ['', '#', 'nothing'],
      ['+#', '#', 'all'],
      ['+#', '$SYS/#', 'nothing'],
      ['+$SYS/#', '#', 'nothing'],
      ['-secret/# +#', '#', 'some'],
      ['-secret/# +#', 'secret/#', 'nothing'],
      ['-secret/# +#', 'secret', 'nothing'],
      ['-secret/# +#', 'secret/+/x', 'nothing'],
      ['-secret/# +#', '+', 'some'],
      ['-secret/+ +#', 'secret/#', 'some'],
      ['-secret/# +#', 'public/#', 'all'],
      ['-secret/# +#', '+/x', 'some'],
      ['-test/nosubscribe +#', 'test/nosubscribe', 'nothing'],
      ['-test/nosubscribe +#', 'test/+', 'some'],
      ['-test/nosubscribe +#', 'test/nosubscribe/#', 'some'],
      ['+a/b', 'a/#', 'some'],
      ['+a/b', '+/+', 'some'],
      ['+a/#', 'a', 'all'],
      ['+a/+', 'a/#', 'some'],
      ['+a/+ +a', 'a/#', 'some'],
      ['-a/+/# +a/#', 'a/#', 'some'],
      ['-a/+/# +a/+', 'a/+', 'nothing'],
      ['-a -a/+/# +a/#', 'a/#', 'nothing'],
      ['-+/# +#', '#', 'nothing'],
      ['-/# +#', '/#', 'nothing'],
      ['+a/b -a/# +#', 'a/#', 'some'],
      ['-+ -+/+ +#', '+/+/+', 'all'],
      ['-+ -+/+ +#', '#', 'some'],
      ['-$s/a +$s/#', '$s/#', 'some'],
      ['-$s/a +$s/#', '$s/a', 'nothing'],
      ['+/#', '/+', 'all'],
    ];
    for (const [text, asked, expected] of table)
      assert.equal(readable(text, asked), expected, `${text} ${asked}`);
    assert.equal(readable('', '#', true), 'all');
    assert.equal(readable('-a', '+', true), 'some');
  });

  it('agree with all topics, one by one', () => {
    fc.assert(
      fc.property(ruleList, fc.boolean(), filter, (list, otherwise, asked) => {
        const answers = new Set<boolean>();
        for (const topic of topics)
          if (matches(asked, topic)) answers.add(first(list, otherwise, topic));
        const expected = answers.size === 2 ? 'some' : answers.has(true) ? 'all' : 'nothing';
        assert.equal(readableBy({ rules: list, otherwise }, asked), expected);
      }),
      { numRuns: 5000 },
    );
  });

  it('answer for one topic as the first rule that matches it, before and after the memory is full', () => {
    fc.assert(
      fc.property(ruleList, fc.boolean(), (list, otherwise) => {
        const answers = new ReadAnswers(50);
        const rights = new ReadRights(textOfRules({ rules: list, otherwise }), answers);
        for (const topic of [...topics.slice(0, 80), ...topics.slice(0, 80)])
          assert.equal(rights.allows(topic), first(list, otherwise, topic), topic);
        assert.ok(answers.count <= 50);
      }),
      { numRuns: 300 },
    );
  });

  it('have a text from which they come back', () => {
    fc.assert(
      fc.property(ruleList, fc.boolean(), (list, otherwise) => {
        const text = textOfRules({ rules: list, otherwise });
        assert.deepEqual(rulesOfText(text), { rules: list, otherwise });
      }),
    );
  });

  it('are one for all clients that have the same', () => {
    const table = new ReadRightsTable(100, 2);
    assert.equal(table.of(undefined), undefined);
    const text = textOfRules({ rules: rules('-a +#'), otherwise: false });
    assert.equal(table.of(text), table.of(text));
    for (const other of ['x', 'y', 'z'])
      table.of(textOfRules({ rules: rules(`+${other}`), otherwise: false }));
    assert.equal(table.of(text)?.allows('a'), false);
    assert.equal(table.of(text)?.of('$share/g/+'), 'some');
    assert.equal(table.of(text)?.of('$share/g'), 'nothing');
  });

  it('the common part of two filters matches what both match', () => {
    fc.assert(
      fc.property(filter, filter, (one, other) => {
        const common = intersection(one, other);
        assert.equal(common !== undefined, overlaps(one, other));
        for (const topic of topics) {
          const both = matches(one, topic) && matches(other, topic);
          assert.equal(common !== undefined && matches(common, topic), both, topic);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
