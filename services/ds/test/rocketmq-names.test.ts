import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clientId, queueName } from '@lmqtt/common/ids';
import { isValidTopicFilter } from '@lmqtt/common/topic';
import {
  bucketName,
  lmqNameOf,
  lmqP2pName,
  lmqRetryName,
  topicOfLmqName,
} from '../src/rocketmq/names/lmq-name.ts';
import { UniqueKeys } from '../src/rocketmq/names/unique-key.ts';

const nameOf = (filter: string) => lmqNameOf(queueName(filter));

test('ordinary names are those that the Java nodes write', () => {
  assert.equal(nameOf('t/r1'), '%LMQ%t%r1%');
  assert.equal(nameOf('t/r1/'), '%LMQ%t%r1%');
  assert.equal(nameOf('t/r/+'), '%LMQ%t%r%+%');
  assert.equal(nameOf('t/#'), '%LMQ%t%#%');
  assert.equal(nameOf('t'), '%LMQ%t');
  assert.equal(nameOf('#'), '%LMQ%#');
  assert.equal(nameOf('/t/r1'), '%LMQ%%t%r1%');
  assert.equal(nameOf('/'), '%LMQ%%');
  assert.equal(lmqP2pName(clientId('recv01')), '%LMQ%%p2p%recv01%');
  assert.equal(lmqRetryName(clientId('recv01')), '%LMQ%%retry%recv01%');
});

test('a comma, a separator and a long text get names that no ordinary filter has', () => {
  assert.equal(nameOf('a,b/c'), '%LMQ%a#2Cb%c%');
  assert.match(nameOf('a\u0001b/+'), /^%LMQ%a_b%\+%##[0-9a-f]{64}$/);
  assert.match(nameOf('日'.repeat(90)), /^%LMQ%日{32}##[0-9a-f]{64}$/);
  const longest = 'x'.repeat(250);
  assert.equal(nameOf(longest), `%LMQ%${longest}`);
  assert.match(nameOf(`${longest}x`), /##[0-9a-f]{64}$/);
  assert.notEqual(nameOf(`${longest}x`), nameOf(`${longest}y`));
  // Client identifiers may hold what looks like an escape.
  assert.notEqual(lmqP2pName(clientId('a#2Cb')), lmqP2pName(clientId('a,b')));
  assert.equal(bucketName('main', 7), '%LMQ%##main#7');
  assert.throws(() => bucketName('a/b', 1), /not a cluster id/);
});

const level = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 60 }).map((text) => text.replace(/[\0/+#]/g, '.')),
  fc.constantFrom('+', '', ',', '\u0001', '%', '2C', 'a,b', 'é'.repeat(90)),
);
const filters = fc
  .tuple(fc.array(level, { minLength: 1, maxLength: 6 }), fc.boolean())
  .map(([levels, rest]) => [...levels, ...(rest ? ['#'] : [])].join('/'))
  .filter((filter) => isValidTopicFilter(filter) && !filter.startsWith('$share'));

test('every name is fit for the broker, and only filters that Java nodes give one name share it', () => {
  const javaName = (filter: string) =>
    (filter.includes('/') && !filter.endsWith('/') ? `${filter}/` : filter).replaceAll('/', '%');
  fc.assert(
    fc.property(filters, filters, (one, other) => {
      const name = nameOf(one);
      assert.ok(Buffer.byteLength(name) <= 255);
      assert.ok(name.startsWith('%LMQ%'));
      for (const illegal of [',', '\u0001', '\u0002', '/']) assert.ok(!name.includes(illegal));
      assert.equal(name === nameOf(other), javaName(one) === javaName(other));
    }),
    { numRuns: 2000 },
  );
});

test('a topic is read from ordinary names only', () => {
  assert.equal(topicOfLmqName('%LMQ%t%r1%'), 't/r1');
  assert.equal(topicOfLmqName('%LMQ%t'), 't');
  assert.equal(topicOfLmqName('%LMQ%%p2p%c%'), '/p2p/c');
  for (const name of [nameOf('t/+'), nameOf('a,b'), nameOf('x'.repeat(300)), bucketName('c', 1)]) {
    assert.equal(topicOfLmqName(name), undefined);
  }
  assert.equal(topicOfLmqName('%LMQ%'), undefined);
  assert.equal(topicOfLmqName('t%r1%'), undefined);
});

test('keys differ, and have the time where tools of RocketMQ look for it', () => {
  const keys = new UniqueKeys();
  const start = Date.UTC(2026, 10, 1);
  const seen = new Set<string>();
  for (let number = 0; number < 140_000; number += 1) seen.add(keys.next(start + (number >> 12)));
  assert.equal(seen.size, 140_000);
  const key = keys.next(start + 86_400_000);
  assert.match(key, /^[0-9A-F]{32}$/);
  assert.equal(parseInt(key.slice(20, 28), 16), 86_400_000);
  assert.equal(parseInt(keys.next(Date.UTC(2026, 11, 1) + 5).slice(20, 28), 16), 5);
});
