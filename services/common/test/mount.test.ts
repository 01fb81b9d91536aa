import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { messageOf } from '../src/message.ts';
import {
  isOfMount,
  mountedFilter,
  mountedTopic,
  mountOf,
  mountProblem,
  unmountedTopic,
} from '../src/mount.ts';
import { mountedMessage, unmountedMessage } from '../src/mounted-message.ts';
import { ReadRightsTable, rulesOfText, textOfRules } from '../src/read-rights.ts';
import { isValidTopicName, matches } from '../src/topic.ts';

void test('a template is a topic that ends with /, with names in it', () => {
  for (const good of ['a/', 'tenants/%u/', '%c/', 'a%%b/%u/x/'])
    assert.equal(mountProblem(good), undefined, good);
  for (const bad of ['a', '%u', '%x/', '$SYS/', '/a/', 'a/+/', '#/', '', '/'])
    assert.notEqual(mountProblem(bad), undefined, bad);
});

void test('a name that is no plain piece of a level makes no namespace', () => {
  const of = (user: string | undefined): string | undefined =>
    mountOf('t/%u/%%/%c/', { user, clientId: 'c' });
  assert.equal(of('ann'), 't/ann/%/c/');
  for (const user of [undefined, '', 'a/b', '+', '#', 'a\0']) assert.equal(of(user), undefined);
  assert.equal(mountOf('%u/', { user: '$SYS', clientId: '' }), undefined);
  assert.equal(mountOf('%u/', { user: '$&%c', clientId: 'x' }), undefined);
  assert.equal(mountOf('x%u/', { user: '$&%c', clientId: 'x' }), 'x$&%c/');
});

void test('what is in front of a topic stays in front', () => {
  const topics = [
    ['a/b', 'm/a/b'],
    ['$delayed/5/a', '$delayed/5/m/a'],
    ['$SYS/x', '$SYS/x'],
    ['$other/x', undefined],
    ['$delayed/5/$lmqtt/x', undefined],
  ] as const;
  for (const [topic, full] of topics) assert.equal(mountedTopic('m/', topic), full, topic);
  const filters = [
    ['#', 'm/#'],
    ['$share/g/+/a', '$share/g/m/+/a'],
    ['$replay/-5s/a/#', '$replay/-5s/m/a/#'],
    ['$replay/-5s/$share/g/a', '$replay/-5s/$share/g/m/a'],
    ['$SYS/#', '$SYS/#'],
    ['$share/g/$SYS/#', '$share/g/$SYS/#'],
    ['$p2p/c', 'm/$p2p/c'],
  ] as const;
  for (const [filter, full] of filters) assert.equal(mountedFilter('m/', filter), full, filter);
});

void test('a name of more than 65,535 bytes is none [MQTT-4.7.3-3]', () => {
  assert.equal(mountedTopic('ab/', 'x'.repeat(65_532))?.length, 65_535);
  assert.equal(mountedTopic('ab/', 'x'.repeat(65_533)), undefined);
  assert.equal(mountedFilter('ab/', 'x'.repeat(65_533)), undefined);
  assert.equal(mountedTopic('ab/', 'ä'.repeat(32_767)), undefined);
});

const level = fc.stringMatching(/^[a-zä%$]{0,3}$/);
const name = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'));
const mount = name.filter((each) => !/^[/$]|^$/.test(each)).map((each) => `${each}/`);

void test('a topic comes back as it was, and is of its namespace alone', () => {
  fc.assert(
    fc.property(mount, mount, name, (own, other, topic) => {
      fc.pre(isValidTopicName(topic) && !topic.startsWith('$'));
      const full = mountedTopic(own, topic);
      assert.ok(full !== undefined && isOfMount(own, full));
      assert.equal(unmountedTopic(own, full), topic);
      const isApart = !own.startsWith(other) && !other.startsWith(own);
      if (isApart) assert.equal(unmountedTopic(other, full), undefined);
    }),
  );
});

void test('filters match in a namespace what they match without it', () => {
  const wild = fc
    .array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 3 })
    .chain((levels) => fc.constantFrom(levels.join('/'), [...levels, '#'].join('/'), '#'));
  fc.assert(
    fc.property(mount, wild, name, (own, filter, topic) => {
      fc.pre(isValidTopicName(topic) && !topic.startsWith('$'));
      fc.pre(filter !== '' && !filter.startsWith('$'));
      const full = mountedTopic(own, topic) ?? '';
      assert.equal(matches(mountedFilter(own, filter) ?? '', full), matches(filter, topic));
    }),
  );
});

void test('rights within a namespace have its topics and $SYS, and not the level above', () => {
  const rules = { rules: [], otherwise: true, within: 't/a/' };
  const text = textOfRules(rules);
  assert.deepEqual(rulesOfText(text), rules);
  const rights = new ReadRightsTable(100).of(text)!;
  const allowed = ['t/a/x', '$SYS/x', 't/a', 't/a/', 't/a/$x', 't/b/x', 'x'].filter((topic) =>
    rights.allows(topic),
  );
  assert.deepEqual(allowed, ['t/a/x', '$SYS/x']);
  assert.deepEqual(
    ['t/a/#', 't/a/x', 't/b/#', '#', '$share/g/t/a/x'].map((filter) => rights.of(filter)),
    ['some', 'all', 'nothing', 'nothing', 'all'],
  );
});

void test('topics in the properties go with the topic', () => {
  const text = (value: string): Buffer =>
    Buffer.concat([Buffer.from([0, value.length]), Buffer.from(value)]);
  const properties = Buffer.concat([
    Buffer.from([0x01, 0x01, 0x08]),
    text('answers/1'),
    Buffer.from([0x26]),
    text('lmqtt-receipt'),
    text('receipts'),
    Buffer.from([0x26]),
    text('other'),
    text('m/x'),
  ]);
  const payload = Buffer.from('p');
  const message = messageOf({ topic: 'a', qos: 1, retain: false, payload, properties });
  const full = mountedMessage('m/', message)!;
  const shown = String(full.properties);
  assert.equal(full.topic, 'm/a');
  assert.ok(shown.includes('m/answers/1') && shown.includes('m/receipts'));
  const back = unmountedMessage('m/', full);
  assert.deepEqual([back.topic, back.properties], ['a', properties]);
  assert.equal(unmountedMessage('m/', full), back);
  assert.equal(unmountedMessage('n/', full), full);
});
