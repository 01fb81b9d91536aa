import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SettingsError } from '@lmqtt/common/settings/parse';
import { TopicTemplates } from '@lmqtt/ds/rocketmq/mapping/topic-templates';

const of = (values: Readonly<Record<string, string>>) => (name: string) => values[name];

test('templates: the first rule for topic and tag, with its values', () => {
  const templates = new TopicTemplates(
    'orders:paid = shop/{prop.shop}/orders/{keys}, orders = {topic}/{tag}, a|b=x',
  );
  assert.deepEqual([...templates.topics], ['orders', 'a|b']);
  const paid = { TAGS: 'paid', KEYS: '1', shop: 'berlin' };
  assert.equal(templates.topicOf('orders', of(paid)), 'shop/berlin/orders/1');
  assert.equal(templates.topicOf('orders', of({ TAGS: 'new' })), 'orders/new');
  assert.equal(templates.topicOf('a|b', of({})), 'x');
  assert.equal(templates.topicOf('others', of(paid)), undefined);
  assert.equal(templates.topicOf('orders', of({ TAGS: 'paid', KEYS: '1' })), '');
  assert.equal(templates.topicOf('orders', of({})), '');
});

test('templates that are none say what is wrong', () => {
  for (const text of [
    ...['orders', 'orders=', '=a', 'a b = x', 'orders: = x', 'orders = a/{body}', '%LMQ%x = a'],
    ...['orders = a/{keys', 'orders = a}/b', 'orders = a/+', 'orders = a/#', 'orders = {prop.}'],
  ])
    assert.throws(() => new TopicTemplates(text), SettingsError, text);
});
