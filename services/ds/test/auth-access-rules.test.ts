import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { clientId } from '@lmqtt/common/ids';
import { matches } from '@lmqtt/common/topic';
import fc from 'fast-check';
import { AccessRuleLines, AccessRules, judge } from '../src/auth/access-rules.ts';
import type { FileOutcome } from '../src/auth/reloaded-file.ts';

type Question = [action: 'publish' | 'subscribe', topicOrFilter: string];

function rulesOf(text: string): ReturnType<AccessRuleLines['parsed']>['value'] {
  const lines = new AccessRuleLines();
  for (const [index, line] of text.split('\n').entries()) lines.line(line, index + 1);
  return lines.parsed().value;
}

function allowed(
  text: string,
  [action, topicOrFilter]: Question,
  asker: { user?: string; clientId?: string; address?: string } = {},
): boolean {
  const { user, clientId: id = 'c1', address = '10.1.2.3' } = asker;
  return judge(rulesOf(text), { user, clientId: id, address }, action, topicOrFilter);
}

describe('access rules', () => {
  it('denies what no rule names, and lets the first that fits decide', () => {
    assert.equal(allowed('', ['publish', 'a']), false);
    assert.equal(allowed('# nothing\n\n', ['subscribe', 'a']), false);
    const text = 'deny all publish a/b\nallow all publish a/#\r\n  deny all publish a/c';
    assert.equal(allowed(text, ['publish', 'a/b']), false);
    assert.equal(allowed(text, ['publish', 'a/c']), true);
    assert.equal(allowed(text, ['subscribe', 'a/c']), false);
    assert.equal(allowed('allow all all #', ['publish', '$SYS/x']), false);
    assert.equal(allowed('allow all all $SYS/#', ['subscribe', '$SYS/#']), true);
    assert.equal(allowed('allow all all a b/#', ['publish', 'a b/c d']), true);
  });

  it('knows users, clients and addresses', () => {
    const user = (text: string, name?: string): boolean =>
      allowed(text, ['publish', 'a'], name === undefined ? {} : { user: name });
    assert.equal(user('allow user=ann all #', 'ann'), true);
    assert.equal(user('allow user=ann all #', 'bob'), false);
    assert.equal(user('allow user=* all #', 'bob'), true);
    assert.equal(user('allow user=* all #'), false, 'anonymous');
    assert.equal(user('allow user="ann \\"x\\\\ y" all #', 'ann "x\\ y'), true);
    const client = (text: string, id: string): boolean =>
      allowed(text, ['publish', 'a'], { clientId: id });
    assert.equal(client('allow client=c7 all #', 'c7'), true);
    assert.equal(client('allow client=c7 all #', 'c70'), false);
    assert.equal(client('allow client=* all #', 'any'), true);
    const from = (rule: string, address: string): boolean =>
      allowed(`allow address=${rule} all #`, ['publish', 'a'], { address });
    assert.equal(from('10.0.0.0/8', '10.255.0.1'), true);
    assert.equal(from('10.0.0.0/8', '11.0.0.1'), false);
    assert.equal(from('10.0.0.0/8', '::ffff:10.0.0.1'), true);
    assert.equal(from('127.0.0.1', '127.0.0.1'), true);
    assert.equal(from('127.0.0.1', '127.0.0.2'), false);
    assert.equal(from('0.0.0.0/0', '1.2.3.4'), true);
    assert.equal(from('fe80::/10', 'fe80::1%eth0'), true);
    assert.equal(from('2001:db8::/32', '2001:db9::1'), false);
    assert.equal(from('10.0.0.0/8', 'not an address'), false);
  });

  it('allows a subscription of which something may be read, and denies one of which nothing may', () => {
    const text = 'deny all all a/secret/#\nallow all subscribe a/#';
    for (const asked of ['a/x', 'a/x/+', 'a/+', 'a/#', '#', '+/+', 'a/+/x'])
      assert.equal(allowed(text, ['subscribe', asked]), true, asked);
    for (const asked of ['a/secret', 'a/secret/x', 'a/secret/#', 'b/#', '$SYS/#'])
      assert.equal(allowed(text, ['subscribe', asked]), false, asked);
  });

  it('allows exactly the subscriptions that match a topic that may be read', () => {
    const level = fc.constantFrom('a', 'b', '+');
    const filter = fc
      .tuple(fc.array(level, { minLength: 1, maxLength: 3 }), fc.boolean())
      .map(([levels, below]) => (below ? [...levels, '#'] : levels).join('/'));
    const rule = fc.tuple(fc.boolean(), filter);
    const topics = ['a', 'b', 'c'].flatMap((x) => [
      x,
      ...['a', 'b', 'c'].flatMap((y) => [
        `${x}/${y}`,
        ...['a', 'b', 'c'].flatMap((z) => [`${x}/${y}/${z}`, `${x}/${y}/${z}/c`]),
      ]),
    ]);
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 5 }), filter, (rules, asked) => {
        const text = rules.map(([allow, f]) => `${allow ? 'allow' : 'deny'} all all ${f}`);
        // Reading a topic and writing it go by the same rules here.
        const isRead = topics.some(
          (topic) => matches(asked, topic) && allowed(text.join('\n'), ['publish', topic]),
        );
        assert.equal(allowed(text.join('\n'), ['subscribe', asked]), isRead);
      }),
      { numRuns: 3000 },
    );
  });

  it('puts names in, and no name widens a filter', () => {
    const text = 'allow all all d/%c/#\nallow all all u-%u/100%%';
    assert.equal(allowed(text, ['publish', 'd/c1/x']), true);
    assert.equal(allowed(text, ['publish', 'd/c2/x']), false);
    assert.equal(allowed(text, ['subscribe', 'd/c1/#']), true);
    assert.equal(allowed(text, ['publish', 'u-ann/100%'], { user: 'ann' }), true);
    assert.equal(allowed(text, ['publish', 'u-/100%']), false, 'no user');
    for (const id of ['+', '#', 'a/b', 'c1/+', 'x+', '+/+', 'a\0b'])
      for (const asked of ['d/+/#', 'd/a/b/c', 'd/c1/x', `d/${id}/x`, '#'])
        for (const action of ['publish', 'subscribe'] as const)
          assert.equal(allowed(text, [action, asked], { clientId: id }), false, `${id} ${asked}`);
    const first = 'allow all all %c/#';
    assert.equal(allowed(first, ['subscribe', '$SYS/#'], { clientId: '$SYS' }), false);
    assert.equal(allowed(first, ['publish', 'a$/x'], { clientId: 'a$' }), true);
  });

  it('denies no less for a name that cannot be put in', () => {
    const text = 'deny all all d/%c/#\nallow all all #\nallow all all $SYS/#';
    assert.equal(allowed(text, ['publish', 'd/c2/x']), true);
    assert.equal(allowed(text, ['publish', 'd/c1/x']), false);
    assert.equal(allowed(text, ['publish', 'd/a/b/x'], { clientId: 'a/b' }), false);
    assert.equal(allowed(text, ['subscribe', 'd/+/x'], { clientId: '+' }), false);
    assert.equal(allowed(text, ['publish', 'e'], { clientId: '+' }), true);
    const first = 'deny all all %c/#\nallow all all $SYS/#';
    assert.equal(allowed(first, ['subscribe', '$SYS/x'], { clientId: '$SYS' }), false);
    assert.equal(allowed(first, ['subscribe', '$SYS/x'], { clientId: '$SYS/x' }), false);
  });

  it('says which line is wrong, and not what is in it', () => {
    const bad: [string, RegExp][] = [
      ['permit all all #', /line 1: begins neither/],
      ['allow all read #', /line 1: the action/],
      ['\n\nallow everyone all #', /line 3: who is meant/],
      ['allow user= all #', /line 1: who/],
      ['allow all all', /line 1: not/],
      ['allow all all a#', /line 1: not a valid/],
      ['allow all all $share/g/a', /line 1: a rule is for/],
      ['allow all all a/%x', /line 1: a %/],
      ['allow all all a/%', /line 1: a %/],
      ['allow address=10.0.0.0/33 all #', /line 1: not an IP/],
      ['allow address=host all #', /line 1: not an IP/],
      ['allow user="a b all #', /line 1: not/],
    ];
    for (const [text, error] of bad) assert.throws(() => rulesOf(text), error, text);
  });

  it('reads the file again, and keeps the rules where it is broken', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'lmqtt-acl-'));
    t.after(() => rm(folder, { recursive: true }));
    const path = join(folder, 'acl');
    await writeFile(path, 'allow all publish a');
    const outcomes: FileOutcome[] = [];
    const rules = await AccessRules.open(path, {
      settleMs: 5,
      report: (outcome) => outcomes.push(outcome),
    });
    t.after(() => rules.close());
    const ask = (action: 'publish' | 'subscribe', topic: string): boolean =>
      rules.authorise({ user: undefined }, clientId('c'), '127.0.0.1', action, topic);
    const outcome = async (count: number): Promise<void> => {
      const deadline = Date.now() + 60_000;
      while (outcomes.length < count) {
        assert.ok(Date.now() < deadline, `outcome ${count}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    assert.equal(ask('publish', 'a'), true);
    assert.equal(ask('publish', 'b'), false);
    const before = rules.version;
    await writeFile(path, 'allow all all b/#\n');
    // A look may fall between the emptying and the writing.
    await outcome(2);
    const deadline = Date.now() + 60_000;
    while (!ask('publish', 'b') && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(ask('publish', 'a'), false);
    assert.equal(ask('subscribe', '$share/g/b/+'), true);
    assert.equal(ask('subscribe', '$share/g/a'), false);
    assert.equal(ask('subscribe', '$share/b'), false);
    assert.ok(rules.version > before);
    const kept = rules.version;
    await writeFile(path, 'allow secret-word\n');
    while (outcomes.at(-1)?.kind !== 'refused' && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 5));
    const refused = outcomes.at(-1);
    assert.ok(refused?.kind === 'refused' && refused.reason.startsWith('line 1: '));
    assert.doesNotMatch(refused.reason, /secret-word/);
    assert.equal(ask('publish', 'b'), true);
    assert.ok(rules.version >= kept);
    await assert.rejects(AccessRules.open(path, { report: () => {} }), /acl: line 1/);
    await assert.rejects(AccessRules.open(join(folder, 'none'), { report: () => {} }), /ENOENT/);
  });
});
