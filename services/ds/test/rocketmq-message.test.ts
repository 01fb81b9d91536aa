import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { queueId } from '@lmqtt/common/ids';
import { messageOf } from '@lmqtt/common/message';
import type { Message, MessageParts } from '@lmqtt/common/message';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { judge } from '../src/rocketmq/message/judge.ts';
import { encodePublishProperties, noPublishProperties } from '@lmqtt/common/publish-properties';
import { bodyOf, namesBytesMax, propertiesOf } from '../src/rocketmq/message/stored-properties.ts';
import { StoredReader } from '../src/rocketmq/message/stored-reader.ts';
import type { StoredSource } from '../src/rocketmq/message/stored-reader.ts';
import type { StoredMessage } from '../src/rocketmq/message/stored-message.ts';
import { bucketName, wildcardBuckets } from '../src/rocketmq/names/lmq-name.ts';
import { javaBytes } from './rocketmq-java-bytes.ts';
import { storedBytes, textOfProperties } from './rocketmq-stored.ts';

const nowMs = 1_795_405_229_814;
const key = 'F11F752E6AFFA40000007215C5020001';

/** Every name is of one queue, numbered by its length. */
const source: StoredSource = {
  partition: 2,
  queuesOf: (name) => (name === '%LMQ%nobody%' ? [] : [queueId(name.length)]),
  placementOf: () => 5,
};

function message(parts: Partial<MessageParts> = {}): Message {
  const defaults = { topic: 't/r1', qos: 1 as const, retain: false, payload: Buffer.from('hello') };
  return messageOf({ ...defaults, ...parts });
}

function readOne(bytes: Buffer, reader = new StoredReader()): StoredMessage {
  const [read, ...rest] = reader.read(bytes, source);
  assert.equal(rest.length, 0);
  assert.ok(read !== undefined);
  return read;
}

function sent(from: Message, names: string[] = []): Buffer {
  assert.equal(judge(from), ReasonCode.success);
  const properties = propertiesOf(from, names, { key, nowMs });
  assert.ok(properties !== undefined);
  const lmqOffsets = names.map((_, index) => 40 + index);
  return storedBytes({
    topic: 't',
    properties,
    body: bodyOf(from),
    ...(names.length > 0 ? { lmqOffsets } : {}),
    queueId: 3,
    queueOffset: 77,
  });
}

/** Stored by another producer. */
function foreign(properties: Record<string, string>, lmqOffsets?: number[], topic = 't'): Buffer {
  const body = Buffer.from('x');
  const text = textOfProperties(Object.entries(properties));
  return storedBytes({ topic, properties: text, body, ...(lmqOffsets && { lmqOffsets }) });
}

function counts(bytes: Buffer): Partial<StoredReader['counts']> {
  const reader = new StoredReader();
  reader.read(bytes, source);
  return Object.fromEntries(Object.entries(reader.counts).filter(([, count]) => count > 0));
}

test('a message of ours comes back as it was, with its places', () => {
  const from = message({ qos: 2, retain: true, publisher: 'dev\u0001\\1', expiresAtMs: nowMs + 1 });
  const bytes = sent(from, ['%LMQ%t%r1%', '%LMQ%nobody%', '%LMQ%t%+%']);
  const read = readOne(bytes);
  assert.equal(read.topic, 't');
  assert.equal(read.queueId, 3);
  assert.equal(read.queueOffset, 77);
  assert.equal(read.physicalOffset, 123_456_789_012);
  assert.equal(read.bornMs, 1_700_000_000_123);
  assert.equal(read.storedMs, 1_700_000_000_456);
  assert.equal(read.key, key);
  assert.equal(read.tag, 'MQTT_COMMON');
  assert.equal(read.property('messageExpiryInterval'), '1');
  assert.deepEqual(read.lmqNames, ['%LMQ%t%r1%', '%LMQ%nobody%', '%LMQ%t%+%']);
  assert.deepEqual(read.lmqOffsets, [40, 41, 42]);
  assert.deepEqual(read.message.entries, [
    { queue: 10, partition: 2, offset: 40, previous: 39 },
    { queue: 9, partition: 2, offset: 42, previous: 41 },
  ]);
  assert.deepEqual(read.message.orderKey, { placement: 5, offset: 77 });
  assert.equal(read.message.topic, 't/r1');
  assert.equal(read.message.qos, 2);
  assert.equal(read.message.retain, true);
  assert.equal(read.message.publisher, 'dev\u0001\\1');
  assert.equal(read.message.expiresAtMs, nowMs + 1);
  assert.equal(read.message.properties, undefined);
  assert.equal(read.message.payload.toString(), 'hello');
  // In place.
  assert.equal(read.message.buffer, bytes);
  assert.equal(read.message.topicStart, -1);
});

test('where another producer has chosen the queue, a message has no order with the others', () => {
  const elsewhere = { ...source, placementOf: () => -1 };
  const [read] = new StoredReader().read(sent(message(), ['%LMQ%t%r1%']), elsewhere);
  assert.equal(read?.message.orderKey, undefined);
  assert.equal(read?.message.entries.length, 1);
});

test('an empty payload is stored as text, and that text is a payload, too', () => {
  const bytes = sent(message({ payload: Buffer.alloc(0) }));
  assert.ok(bytes.includes('★\r\n\t☀'));
  assert.equal(readOne(bytes).message.payloadBytes, 0);
  const text = readOne(sent(message({ payload: Buffer.from('★\r\n\t☀') })));
  assert.equal(text.message.payload.toString(), '★\r\n\t☀');
});

const text = fc.string({ unit: 'grapheme', maxLength: 20 }).map(withoutControls);
const publishProperties = fc
  .record({
    payloadFormatIndicator: fc.option(fc.constantFrom(0, 1), { nil: undefined }),
    contentType: fc.option(text, { nil: undefined }),
    responseTopic: fc.option(
      text.map((topic) => `r${topic.replace(/[+#]/g, '')}`),
      { nil: undefined },
    ),
    correlationData: fc.option(fc.uint8Array({ maxLength: 40 }), { nil: undefined }),
    userProperties: fc.array(fc.record({ key: text, value: text }), { maxLength: 5 }),
  })
  .chain((properties) => {
    const letters = Array.from(
      (properties.payloadFormatIndicator === undefined ? '' : 'f') +
        (properties.contentType === undefined ? '' : 't') +
        (properties.responseTopic === undefined ? '' : 'r') +
        (properties.correlationData === undefined ? '' : 'c') +
        'u'.repeat(properties.userProperties.length),
    );
    return fc
      .shuffledSubarray(letters, { minLength: letters.length })
      .map((order) => ({ ...properties, layout: order.join('') }));
  });

function withoutControls(given: string): string {
  return given.replaceAll('\0', '').replaceAll('\u0001', '').replaceAll('\u0002', '');
}

test('properties of MQTT 5.0 come back byte for byte, in their order', () => {
  fc.assert(
    fc.property(publishProperties, (given) => {
      const { correlationData } = given;
      const properties = encodePublishProperties({
        ...given,
        correlationData: correlationData && Buffer.from(correlationData),
      });
      const read = readOne(sent(message({ properties })));
      assert.deepEqual(read.message.properties, properties);
    }),
    { numRuns: 500 },
  );
});

test('whatever is published comes back', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
      fc.uint8Array({ maxLength: 300 }),
      fc.constantFrom(0, 1, 2),
      fc.string({ unit: 'grapheme', maxLength: 20 }),
      (name, payload, qos, publisher) => {
        const topic = `t/${withoutControls(name).replace(/[+#]/g, '')}`;
        const from = message({ topic, qos, payload: Buffer.from(payload), publisher });
        const read = readOne(sent(from, ['%LMQ%x']));
        assert.equal(read.message.topic, topic);
        assert.equal(read.message.qos, qos);
        assert.equal(read.message.publisher, publisher);
        assert.deepEqual(read.message.payload, Buffer.from(payload));
      },
    ),
  );
});

test("bytes of RocketMQ's own encoder: hosts of IPv4 and IPv6, compressed, all properties", () => {
  for (const name of ['v4', 'v6', 'zlib'] as const) {
    const read = readOne(Buffer.from(javaBytes[name], 'base64'));
    assert.equal(read.topic, 't');
    assert.equal(read.queueOffset, 77);
    assert.equal(read.storedMs, 1_700_000_000_456);
    assert.equal(read.message.topic, 't/r1');
    assert.equal(read.message.payload.toString(), 'hello');
    assert.deepEqual(read.message.entries, [{ queue: 10, partition: 2, offset: 40, previous: 39 }]);
  }
  const full = readOne(Buffer.from(javaBytes.full, 'base64'));
  assert.equal(full.message.payloadBytes, 0);
  assert.equal(full.message.publisher, 'dev\u0001\\x');
  const pairs = [
    { key: 'a', value: '1' },
    { key: 'a', value: '' },
    { key: '日本', value: '"q"\\ \n' },
  ];
  const properties = encodePublishProperties({
    layout: 'ucrtfuu',
    payloadFormatIndicator: 1,
    contentType: 'text/ü',
    responseTopic: 're/ply',
    correlationData: Buffer.of(0, 1, 2, 255),
    userProperties: pairs,
  });
  assert.deepEqual(full.message.properties, properties);
});

test('the names, as the Java nodes and ordinary consumers see them', () => {
  const properties = encodePublishProperties({
    layout: 'cutrf',
    payloadFormatIndicator: 1,
    contentType: 'text/plain',
    responseTopic: 're/ply',
    correlationData: Buffer.from('id-7'),
    userProperties: [{ key: 'k', value: 'v' }],
  });
  const from = message({ properties, expiresAtMs: nowMs + 59_001, retain: true, publisher: 'dev' });
  const names = ['%LMQ%a%', '%LMQ%b', '%LMQ%a%'];
  const text_ = propertiesOf(from, names, { key, nowMs, keys: '7', user: 'a\u0001b' }) ?? '';
  const written = Object.fromEntries(
    text_
      .split('\u0002')
      .filter((piece) => piece !== '')
      .map((piece) => piece.split('\u0001')),
  );
  const shared = {
    qosLevel: '1',
    messageExpiryInterval: '60',
    payloadFormatIndicator: '1',
    contentType: 'text/plain',
    responseTopic: 're/ply',
    mqtt5UserProperty: '[{"key":"k","value":"v"}]',
  };
  assert.deepEqual(JSON.parse(written['extData'] ?? ''), { ...shared, correlationData: 'id-7' });
  delete written['extData'];
  assert.deepEqual(written, {
    ...shared,
    correlationData: 'aWQtNw==',
    TAGS: 'MQTT_COMMON',
    UNIQ_KEY: key,
    INNER_MULTI_DISPATCH: '%LMQ%a%,%LMQ%b',
    originMqttTopic: 't/r1',
    KEYS: '7',
    lmqttPublisher: 'dev',
    lmqttUser: 'a\\1b',
    lmqttPublishedAt: `${nowMs}`,
    lmqttRetain: '1',
    lmqttExpiresAt: `${nowMs + 59_001}`,
    lmqttLayout: 'cutrf',
  });
  const tagged = propertiesOf(from, [], { key, nowMs, tag: 'x' }) ?? '';
  assert.ok(tagged.includes('TAGS\u0001x\u0002'));
});

test("a Java node's message, with properties of MQTT 5.0 in extData", () => {
  const read = readOne(
    foreign({
      originMqttTopic: 't/r1',
      qosLevel: '2',
      IS_EMPTY_MSG: 'false',
      retryTimes: '0',
      extData:
        '{"correlationData":"id-7","mqtt5UserProperty":"[{\\"key\\":\\"k\\\\u0001ü\\",\\"value\\":\\"v\\"}]",' +
        '"messageExpiryInterval":"60","qosLevel":"2","contentType":"text/plain","payloadFormatIndicator":"1"}',
    }),
  ).message;
  assert.equal(read.qos, 2);
  assert.equal(read.expiresAtMs, 1_700_000_000_123 + 60_000);
  const properties = encodePublishProperties({
    layout: 'ftcu',
    payloadFormatIndicator: 1,
    contentType: 'text/plain',
    responseTopic: undefined,
    correlationData: Buffer.from('id-7'),
    userProperties: [{ key: 'k\u0001ü', value: 'v' }],
  });
  assert.deepEqual(read.properties, properties);
});

test('the topic that is delivered', () => {
  const topicOf = (properties: Record<string, string>) =>
    readOne(
      foreign(
        properties,
        properties['INNER_MULTI_DISPATCH']?.split(',').map(() => 0),
      ),
    ).message.topic;
  const names = { INNER_MULTI_DISPATCH: '%LMQ%t%r%+%,%LMQ%t%r%wc%,%LMQ%##c#1' };
  const origin = { ...names, originMqttTopic: 't/o' };
  assert.equal(topicOf({ ...origin, extData: '{"mqttRealTopic":"t/real"}' }), 't/real');
  assert.equal(topicOf({ ...origin, extData: '{"mqttRealTopic":""}' }), 't/o');
  assert.equal(topicOf(origin), 't/o');
  assert.equal(topicOf(names), 't/r/wc');
  assert.equal(topicOf({ INNER_MULTI_DISPATCH: '%LMQ%t%+%' }), 't');
  assert.equal(topicOf({}), 't');
  const plain = readOne(foreign({ TAGS: 'MQ2MQTT' }));
  assert.equal(plain.message.qos, 1);
  assert.equal(plain.tag, 'MQ2MQTT');
  assert.deepEqual(plain.message.entries, []);
});

test('refused before anything is built: separators in texts, not in correlation data', () => {
  assert.equal(judge(message({ topic: 't/\u0001' })), ReasonCode.topicNameInvalid);
  assert.equal(judge(message({ topic: 't\u0002' })), ReasonCode.topicNameInvalid);
  const user = (pair: { key: string; value: string }) =>
    encodePublishProperties({
      layout: '',
      payloadFormatIndicator: undefined,
      contentType: undefined,
      responseTopic: undefined,
      correlationData: Buffer.of(1, 2),
      userProperties: [pair],
    });
  const judged = (pair: { key: string; value: string }) =>
    judge(message({ properties: user(pair) }));
  assert.equal(judged({ key: 'a', value: '\u0001' }), ReasonCode.payloadFormatInvalid);
  assert.equal(judged({ key: '\u0002', value: '' }), ReasonCode.payloadFormatInvalid);
  assert.equal(judged({ key: 'a', value: '' }), ReasonCode.success);
  const cut = message({ properties: Buffer.of(0x26, 0, 9, 65) });
  assert.equal(judge(cut), ReasonCode.unspecifiedError);
});

test('more properties than RocketMQ takes are refused; the copy for Java nodes goes first', () => {
  const large = (bytes: number) =>
    message({
      properties: encodePublishProperties({
        layout: '',
        payloadFormatIndicator: undefined,
        contentType: undefined,
        responseTopic: undefined,
        correlationData: undefined,
        userProperties: [{ key: 'a', value: 'x'.repeat(bytes) }],
      }),
    });
  const twice = propertiesOf(large(10_000), [], { key, nowMs }) ?? '';
  assert.ok(twice.length > 20_000);
  const once = propertiesOf(large(30_000), [], { key, nowMs }) ?? '';
  assert.ok(once.length > 30_000 && once.length < 32_767);
  assert.deepEqual(readOne(sent(large(30_000))).message.properties, large(30_000).properties);
  assert.equal(propertiesOf(large(33_000), [], { key, nowMs }), undefined);
  const names = Array.from({ length: 1200 }, (_, index) => `%LMQ%fleet%${index}%state%`);
  assert.equal(propertiesOf(message(), names, { key, nowMs }), undefined);
  assert.ok(propertiesOf(message(), names.slice(0, 700), { key, nowMs }) !== undefined);
});

test('whether the properties of a publish have room does not depend on who subscribes', () => {
  const text = (bytes: number) =>
    encodePublishProperties({
      ...noPublishProperties(),
      userProperties: [{ key: 'a', value: 'x'.repeat(bytes) }],
    });
  const stored = (bytes: number, names: readonly string[]) =>
    propertiesOf(message({ properties: text(bytes) }), names, { key, nowMs });
  let most = 33_000;
  while (stored(most, []) === undefined) most -= 1;
  assert.ok(most > 30_000, `${most}`);
  // As many names as there can be, of the most bytes.
  const exact = `%LMQ%${'e'.repeat(250)}`;
  const shared = Array.from({ length: wildcardBuckets }, (_, index) =>
    bucketName('c'.repeat(64), 1_000_000 + index),
  );
  const left = namesBytesMax - (exact.length + 15) - shared.join('').length - 15 * shared.length;
  const own = Array.from({ length: Math.floor(left / 17) }, (_, index) =>
    String.fromCharCode(0x41 + Math.floor(index / 26), 0x41 + (index % 26)),
  );
  const names = [exact, ...shared, ...own];
  assert.equal(new Set(names).size, names.length);
  assert.ok(stored(most, names) !== undefined);
  assert.equal(stored(most + 1, []), undefined);
  assert.ok((stored(most, names)?.length ?? 0) + 14 * names.length + 256 <= 32_767);
});

test('a message that a killed broker has written in part is none, wherever it ends', () => {
  const good = sent(message({ payload: Buffer.from('a body') }), ['%LMQ%t%r1%']);
  const propertiesAt = good.indexOf('a body') + 'a body'.length + 1 + 't'.length + 2;
  const reader = new StoredReader();
  for (let end = propertiesAt; end < good.length; end += 1) {
    const torn = Buffer.from(good).fill(0, end);
    assert.equal(reader.read(Buffer.concat([torn, good]), source).length, 1, `${end}`);
  }
  assert.equal(reader.counts.malformed, good.length - propertiesAt);
});

test('what is no message is passed over and counted, and the rest is read', () => {
  const good = sent(message(), ['%LMQ%t%r1%']);
  const badMagic = Buffer.from(good);
  badMagic[7] = 0;
  const badLength = Buffer.from(good);
  badLength.writeUInt32BE(0x7fffffff, 84);
  const reader = new StoredReader();
  const all = Buffer.concat([good, badMagic, good, badLength, good, good.subarray(0, 100)]);
  assert.equal(reader.read(all, source).length, 3);
  assert.equal(reader.counts.malformed, 3);

  const body = deflateSync(Buffer.from('hello'));
  const forDevices = textOfProperties([['originMqttTopic', 't']]);
  const compressed = (sysFlag: number, bytes = body) =>
    storedBytes({ topic: 't', properties: forDevices, body: bytes, sysFlag });
  assert.equal(readOne(compressed(0x301)).message.payload.toString(), 'hello');
  assert.deepEqual(counts(compressed(0x101)), { compression: 1 });
  assert.deepEqual(counts(compressed(0x201)), { compression: 1 });
  assert.deepEqual(counts(compressed(0x401)), { compression: 1 });
  assert.deepEqual(counts(compressed(1, Buffer.from('not zlib'))), { compression: 1 });
  assert.deepEqual(counts(compressed(0x80)), { batch: 1 });
  // Bodies of messages that are for no device are nobody's business.
  const plain = storedBytes({ topic: 't', properties: '', body, sysFlag: 0x80 });
  assert.equal(new StoredReader().read(plain, source).length, 0);
  assert.deepEqual(counts(plain), {});

  const names = { INNER_MULTI_DISPATCH: '%LMQ%a,%LMQ%b' };
  assert.deepEqual(counts(foreign(names)), { unindexed: 1 });
  assert.deepEqual(counts(foreign(names, [1])), { unindexed: 1 });
  assert.deepEqual(counts(foreign(names, [1, 2, 3])), { unindexed: 1 });
  assert.deepEqual(counts(foreign(names, [1, 2])), {});
  assert.deepEqual(counts(foreign({ originMqttTopic: 't/#' })), { topic: 1 });
  assert.deepEqual(counts(foreign({ originMqttTopic: 't\0' })), { topic: 1 });
  assert.deepEqual(counts(foreign({ extData: '{"mqttRealTopic":"+"}' })), { topic: 1 });
  for (const properties of [
    { extData: '[' },
    { mqtt5UserProperty: '[{"key":"a"}]' },
    { mqtt5UserProperty: 'null' },
    { responseTopic: 'a/+' },
    { payloadFormatIndicator: '2' },
  ]) {
    const bytes = foreign(properties);
    assert.deepEqual(counts(bytes), { properties: 1 });
    assert.equal(readOne(bytes).message.properties, undefined);
  }
});

test('a layout that others wrote makes no illegal packet', () => {
  const read = readOne(foreign({ lmqttLayout: 'tturxtfu', contentType: 'x'.repeat(500) })).message;
  const typeBytes = Buffer.from([0x03, 500 >> 8, 500 & 0xff]);
  const bytes = Buffer.concat([typeBytes, Buffer.from('x'.repeat(500)), Buffer.of(0x01, 0)]);
  assert.deepEqual(read.properties, bytes);
});

test('no bytes whatever make the reader throw', () => {
  const reader = new StoredReader();
  const good = Buffer.concat([sent(message(), ['%LMQ%a']), Buffer.from(javaBytes.full, 'base64')]);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 }),
      fc.nat(good.length),
      (changes, length) => {
        const bytes = Buffer.from(good.subarray(0, length));
        for (const [at, byte] of changes) if (at < length) bytes[at] = byte;
        reader.read(bytes, source);
      },
    ),
    { numRuns: 3000 },
  );
});
