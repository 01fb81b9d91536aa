// Frames and headers, against bytes made here.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnswerHeader, GarbageReceived } from '../src/rocketmq/remoting/answer-header.ts';
import { FrameReader, writeFrame } from '../src/rocketmq/remoting/frame.ts';
import { parseTolerantly } from '../src/rocketmq/remoting/json.ts';
import { pullHeader } from '../src/rocketmq/remoting/requests/pull-message.ts';
import { clusterBrokersOf } from '../src/rocketmq/remoting/requests/cluster-brokers.ts';
import { routeOf } from '../src/rocketmq/remoting/requests/route.ts';
import {
  propertyText,
  sendAnswer,
  sendHeader,
} from '../src/rocketmq/remoting/requests/send-message.ts';
import { frame } from './remoting-peer.ts';

const header = (opaque: number): string =>
  `{"code":0,"extFields":{"queueId":"1"},"flag":1,"language":"JAVA","opaque":${opaque}}`;

function readAll(chunks: readonly Buffer[], bytesMax: number = 1000): [number, string][] {
  const read: [number, string][] = [];
  const reader = new FrameReader(bytesMax, (answer, body) => {
    read.push([answer.opaque, body.toString()]);
    return true;
  });
  for (const chunk of chunks) reader.push(chunk);
  return read;
}

test('frames are cut wherever the chunks end', () => {
  const bytes = Buffer.concat([
    frame(header(1), Buffer.from('one')),
    frame(header(2)),
    frame(header(3), Buffer.from('three')),
  ]);
  const expected = [
    [1, 'one'],
    [2, ''],
    [3, 'three'],
  ];
  for (let size = 1; size <= bytes.length; size += 1) {
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
    assert.deepEqual(readAll(chunks), expected, `chunks of ${size}`);
  }
});

test('what is read stops where the taker says so', () => {
  const opaques: number[] = [];
  const reader = new FrameReader(1000, (answer) => {
    opaques.push(answer.opaque);
    return false;
  });
  reader.push(Buffer.concat([frame(header(1)), frame(header(2))]));
  assert.deepEqual(opaques, [1]);
});

test('garbage is told from frames', () => {
  const garbage: Record<string, Buffer> = {
    'too long': Buffer.from([0x7f, 0, 0, 0]),
    'too short': Buffer.from([0, 0, 0, 3]),
    http: Buffer.from('HTTP/1.1 400 Bad Request\r\n'),
    'header past the frame': Buffer.from([0, 0, 0, 6, 0, 0, 0, 9, 0, 0]),
    'other kind': frame(header(1), undefined, 1),
    'no json': frame('x'),
    'broken json': frame('{"a":"\\}'),
    'no opaque': frame('{"code":0,"flag":1}'),
    'no number': frame('{"code":"a","flag":1,"opaque":1}'),
    list: frame('["\\n"]'),
  };
  for (const [name, bytes] of Object.entries(garbage)) {
    assert.throws(() => readAll([bytes]), GarbageReceived, name);
  }
});

test('a header with escapes says the same as one without', () => {
  const fields = '"extFields":{"msgId":"m","offset":"12"},"flag":1,"opaque":5';
  const plain = new AnswerHeader(`{"code":2,${fields},"remark":"busy"}`);
  const escaped = new AnswerHeader(
    `{"code":2,${fields},"remark":"\\"opaque\\":7,\\"msgId\\":\\"x\\""}`,
  );
  for (const each of [plain, escaped]) {
    assert.equal(each.code, 2);
    assert.equal(each.opaque, 5);
    assert.equal(each.field('msgId'), 'm');
    assert.equal(each.numberField('offset'), 12);
    assert.equal(each.field('none'), undefined);
    assert.throws(() => each.numberField('msgId'), GarbageReceived);
  }
  assert.equal(plain.remark, 'busy');
  assert.equal(escaped.remark, '"opaque":7,"msgId":"x"');
  assert.equal(new AnswerHeader(`{"code":0,${fields}}`).remark, undefined);
});

test('headers built by hand are JSON, whatever is in them', () => {
  const properties = propertyText([
    ['TAGS', 'MQTT_COMMON'],
    ['note', 'quotes " and \\ and ü日本 and \n and \ud800'],
  ]);
  const request = { topic: 't', queueId: 4, properties, body: Buffer.alloc(0), bornMs: 99 };
  const sent: unknown = JSON.parse(sendHeader(request, 17, undefined));
  assert.deepEqual(sent, {
    ...{ code: 310, language: 'OTHER', version: 401, flag: 0, opaque: 17 },
    extFields: {
      ...{ a: 'lmqtt', b: 't', c: 'TBW102', d: '8', e: '4', f: '0', g: '99', h: '0' },
      ...{ i: properties, j: '0', k: 'false', m: 'false' },
    },
  });
  const pull = { group: '%LMQ%"g"', topic: '%LMQ%a"', queueId: 0, offset: 9, messagesMax: 32 };
  const pulled: unknown = JSON.parse(
    pullHeader({ ...pull, suspendMs: 100, subscription: '*' }, 18, undefined),
  );
  assert.deepEqual(pulled, {
    ...{ code: 11, language: 'OTHER', version: 401, flag: 0, opaque: 18 },
    extFields: {
      ...{ consumerGroup: '%LMQ%"g"', topic: '%LMQ%a"', queueId: '0', queueOffset: '9' },
      ...{ maxMsgNums: '32', sysFlag: '6', commitOffset: '0', suspendTimeoutMillis: '100' },
      ...{ subscription: '*', subVersion: '0', expressionType: 'TAG' },
    },
  });
});

test('a frame written is the frame read', () => {
  const text = header(8).replace('JAVA', 'ü');
  const bytes = Buffer.alloc(200);
  const end = writeFrame(bytes, 0, text, Buffer.from('body'));
  assert.deepEqual(readAll([bytes.subarray(0, end)]), [[8, 'body']]);
});

test('answers to sends are told apart by what is certain', () => {
  const answer = (code: number, remark: string = ''): string => {
    const fields = '"extFields":{"queueId":"1","queueOffset":"2","msgId":"m"}';
    return sendAnswer(
      new AnswerHeader(`{"code":${code},${fields},"flag":1,"opaque":1,"remark":"${remark}"}`),
    ).kind;
  };
  for (const code of [0, 10, 11, 12]) assert.equal(answer(code), 'stored');
  for (const code of [2, 3, 13, 14, 15, 16, 17, 29, 2017]) assert.equal(answer(code), 'refused');
  assert.equal(answer(1, 'create mapped file failed, server is busy or broken.'), 'refused');
  for (const code of [1, 99]) assert.equal(answer(code, 'UNKNOWN_ERROR'), 'unknown');
});

test('bodies of name servers are read with and without quotes around numbers', () => {
  assert.deepEqual(parseTolerantly('{0:"a{1:b",-1:{ 2 :[1,{3:4}]},"5":"\\"{6:"}'), {
    0: 'a{1:b',
    '-1': { 2: [1, { 3: 4 }] },
    5: '"{6:',
  });
  const cluster =
    '{"brokerAddrTable":{"a":{"brokerAddrs":{0:"h:1",1:"h:2"},"brokerName":"a","cluster":"c"},' +
    '"b":{"brokerAddrs":{1:"h:3"},"brokerName":"b","cluster":"c"}},"clusterAddrTable":{"c":["a"]}}';
  assert.deepEqual(clusterBrokersOf(Buffer.from(cluster)).brokers, [
    { name: 'a', cluster: 'c', master: 'h:1' },
    { name: 'b', cluster: 'c', master: undefined },
  ]);
  const route =
    '{"brokerDatas":[{"brokerAddrs":{"0":"h:1"},"brokerName":"a","cluster":"c"}],"queueDatas":' +
    '[{"brokerName":"a","perm":4,"readQueueNums":8,"writeQueueNums":6}]}';
  assert.deepEqual(routeOf(Buffer.from(route)).brokers, [
    {
      ...{ name: 'a', cluster: 'c', master: 'h:1', readQueues: 8, writeQueues: 6 },
      ...{ readable: true, writable: false },
    },
  ]);
});
