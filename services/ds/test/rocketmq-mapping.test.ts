import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pickPlace } from '../src/rocketmq/mapping/place.ts';
import { isTopicForMessages } from '../src/rocketmq/mapping/rocketmq-topic.ts';
import { hasTagsByRule, TopicMapping } from '../src/rocketmq/mapping/topic-mapping.ts';

const none = { defaultTopic: 'lmqtt', topicRules: '', topicCreate: '' };

function mapping(settings: Partial<typeof none>, there: string[] = [], taken: string[] = []) {
  return new TopicMapping(
    { ...none, ...settings },
    (topic) => there.includes(topic),
    (topic) => taken.includes(topic),
  );
}

test('the first level where there is such a topic, else the default', () => {
  const map = mapping({}, ['lmqtt', 't', 'ns%t', 'TBW102']);
  assert.deepEqual(map.of('t/r1'), { topic: 't', create: false });
  assert.deepEqual(map.of('/t/r1'), { topic: 't', create: false });
  assert.deepEqual(map.of('t'), { topic: 't', create: false });
  assert.deepEqual(map.of('ns%t/x'), { topic: 'ns%t', create: false });
  for (const topic of ['u/r1', '//t', '/', 'TBW102/x', '$SYS/x', 'ü/x', '%LMQ%t/x']) {
    assert.deepEqual(map.of(topic), { topic: 'lmqtt', create: false }, topic);
  }
  assert.deepEqual(mapping({}).of('t'), { topic: 'lmqtt', create: true });
});

test('what is taken for something else never carries messages', () => {
  const map = mapping({ topicCreate: '*' }, ['DefaultCluster'], ['DefaultCluster', 'retries']);
  assert.equal(map.of('DefaultCluster/x').topic, 'lmqtt');
  assert.equal(map.of('retries/x').topic, 'lmqtt');
  assert.deepEqual(map.of('x/y'), { topic: 'x', create: true });
});

test('rules come first, in their order; patterns say what may be created', () => {
  const map = mapping(
    {
      topicRules: 'sensors/# = iot_sensors, fleet/+/x = fleet,fleet/a/# = a',
      topicCreate: 'dev-*, one',
    },
    ['sensors', 'fleet'],
  );
  assert.deepEqual(map.of('sensors/1'), { topic: 'iot_sensors', create: true });
  assert.deepEqual(map.of('sensors'), { topic: 'iot_sensors', create: true });
  assert.deepEqual(map.of('fleet/a/x'), { topic: 'fleet', create: false });
  assert.deepEqual(map.of('fleet/a/y'), { topic: 'a', create: true });
  assert.deepEqual(map.of('fleet/b/y'), { topic: 'fleet', create: false });
  assert.deepEqual(map.of('dev-7/x'), { topic: 'dev-7', create: true });
  assert.deepEqual(map.of('one'), { topic: 'one', create: true });
  assert.equal(map.of('one1/x').topic, 'lmqtt');
});

test('tags and keys of levels of the MQTT topic', () => {
  const map = mapping({ topicRules: 'fleet/# = fleet:{3}:{2},a/# = b::{topic} x, c = d:fixed' });
  assert.deepEqual(map.of('fleet/car/speed'), {
    ...{ topic: 'fleet', create: true, tag: 'speed', keys: 'car' },
  });
  assert.deepEqual(map.of('fleet/car'), {
    ...{ topic: 'fleet', create: true, tag: undefined, keys: 'car' },
  });
  assert.equal(map.of('a/1').keys, 'a/1 x');
  assert.equal(map.of('a/1').tag, undefined);
  assert.equal(map.of('c').tag, 'fixed');
  for (const topicRules of ['a = b:{0}', 'a = b:{x}', 'a = b:c:d:e', 'a = b:c|d'])
    assert.throws(() => mapping({ topicRules }), topicRules);
});

test('a RocketMQ topic of levels of the MQTT topic, where there is one or it may be created', () => {
  const topicRules = 'fleet/+/# = iot_{2}:{3},x/# = {2}-{1}, fleet/# = others';
  const there = ['iot_car', 'lmqtt', 'others'];
  const map = mapping({ topicRules, topicCreate: 'iot_t*' }, there, ['iot_taken']);
  assert.deepEqual(map.of('fleet/car/speed'), {
    ...{ topic: 'iot_car', create: false, tag: 'speed', keys: undefined },
  });
  assert.deepEqual(map.of('fleet/train'), { topic: 'iot_train', create: true });
  assert.deepEqual(map.of('fleet/ship'), { topic: 'lmqtt', create: false });
  assert.deepEqual(map.ruled('fleet/ship'), {
    ...{ topic: 'iot_ship', isMade: true, tag: undefined, keys: undefined },
  });
  for (const topic of ['fleet/ü/x', `fleet/${'x'.repeat(127)}`, 'fleet/taken', 'fleet'])
    assert.deepEqual(map.of(topic), { topic: 'others', create: false }, topic);
  assert.equal(map.of('x/%LMQ%').topic, 'lmqtt');
  for (const wrong of ['a/# = {topic}', 'a/# = x{0}', 'a/# = {2}/x', 'a/# = %RETRY%{2}'])
    assert.throws(() => mapping({ topicRules: wrong }), /TOPIC_RULES must name/, wrong);
});

test('RocketMQ topics in which messages have tags of their own', () => {
  const has = hasTagsByRule('a/# = plain, b/# = tagged:{2}, c/# = iot_{2}_x:{3}');
  for (const topic of ['tagged', 'iot_car_x']) assert.ok(has(topic), topic);
  for (const topic of ['plain', 'tagged1', 'iot_car']) assert.ok(!has(topic), topic);
});

test('a mistake in the settings says what was wanted', () => {
  assert.throws(() => mapping({ defaultTopic: '%RETRY%x' }), /DEFAULT_TOPIC must be/);
  assert.throws(() => mapping({ topicRules: 'a/#/b = c' }), /TOPIC_RULES must be like/);
  assert.throws(() => mapping({ topicRules: 'a/b' }), /TOPIC_RULES must be like/);
  assert.throws(() => mapping({ topicRules: '$share/g/a = b' }), /TOPIC_RULES must be like/);
  assert.throws(() => mapping({ topicRules: 'a/b = ü' }), /TOPIC_RULES must name/);
  assert.throws(() => mapping({ topicCreate: 'a/b' }), /TOPIC_CREATE must be/);
});

test('names of topics that RocketMQ takes and does not need itself', () => {
  for (const name of ['t', 'a-b_c', 'ns%t', 'x'.repeat(127)]) assert.ok(isTopicForMessages(name));
  const not = ['', 'x'.repeat(128), 'a.b', 'a b', '%LMQ%x', '%RETRY%g', 'ns%RETRY%g', 'TBW102'];
  for (const name of [...not, 'rmq_sys_x', 'RMQ_SYS_TRACE_TOPIC', 'c_REPLY_TOPIC', '%SYS_MQTT']) {
    assert.ok(!isTopicForMessages(name), name);
  }
});

function places(brokers: number) {
  return Array.from({ length: brokers * 4 }, (_, index) => ({
    broker: `broker-${index >> 2}`,
    queueId: index & 3,
  }));
}

test('places: any order, evenly, and only what must move moves', () => {
  assert.equal(pickPlace('t', []), undefined);
  // The same on every node, of every version.
  assert.deepEqual(
    ['t/r1', 'a', 'sensors/7/température'].map((topic) => pickPlace(topic, places(3))),
    [
      { broker: 'broker-2', queueId: 0 },
      { broker: 'broker-2', queueId: 2 },
      { broker: 'broker-2', queueId: 1 },
    ],
  );
  const counts = new Map<string, number>();
  let moved = 0;
  for (let number = 0; number < 12_000; number += 1) {
    const topic = `fleet/${number}/state`;
    const place = pickPlace(topic, places(3));
    const name = `${place?.broker}/${place?.queueId}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
    const wider = pickPlace(topic, places(4));
    if (wider?.broker === 'broker-3') moved += 1;
    else assert.deepEqual(wider, place);
  }
  assert.equal(counts.size, 12);
  for (const count of counts.values()) assert.ok(count > 850 && count < 1150, `${count}`);
  assert.ok(moved > 2700 && moved < 3300, `${moved}`);
  fc.assert(
    fc.property(fc.string(), fc.shuffledSubarray(places(3), { minLength: 1 }), (topic, some) => {
      const place = pickPlace(topic, some);
      assert.deepEqual(pickPlace(topic, some.toReversed()), place);
      const without = some.filter((one) => one !== some[0]);
      if (place !== some[0]) assert.deepEqual(pickPlace(topic, without), place);
    }),
  );
});
