// Each answer of a broker to a send, from a RocketMQ that is scripted, and what the publisher is
// told: docs/refusals.md.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { queueId } from '@lmqtt/common/ids';
import { messageOf } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';
import type { RocketmqQueueStore } from '@lmqtt/ds/queue-store/rocketmq/rocketmq-queue-store';
import { refusals } from '@lmqtt/ds/queue-store/rocketmq/refusal';
import type { Append } from '@lmqtt/ds/queue-store/queue-store';
import { answerCodes, nameOfCode } from '@lmqtt/ds/rocketmq/remoting/codes';
import { type OpenStore, openStore, StoreSurroundings } from './rocketmq-store.ts';
import { ScriptedRocketmq } from './scripted-rocketmq.ts';

const appendWaitMs = 1500;

/** By code: what a v5 publisher is told, and whether it is told at once. */
const told: Readonly<Record<number, readonly [reasonCode: number, isFinal: boolean]>> = {
  1: [0x83, false],
  2: [0x83, false],
  3: [0x83, true],
  10: [0x00, true],
  11: [0x00, true],
  12: [0x00, true],
  13: [0x99, true],
  14: [0x83, false],
  15: [0x83, true],
  16: [0x87, true],
  17: [0x90, false],
  29: [0x83, false],
  215: [0x97, false],
  2017: [0x97, true],
};

void describe('what RocketMQ refuses', () => {
  const rocketmq = new ScriptedRocketmq('broker-a');
  const broker = rocketmq.broker('broker-a');
  let store: RocketmqQueueStore;
  let opened: OpenStore;

  before(async () => {
    await rocketmq.start();
    opened = await openStore(rocketmq, new StoreSurroundings('scripted'), {
      settings: { appendWaitMs },
      beforeStart: (it) => it.onArrivals(() => undefined),
    });
    ({ store } = opened);
  });
  after(async () => {
    await opened.close();
    await rocketmq.stop();
  });

  let number = 0;
  /** The reason code, whether it is final, and how often the message was sent. */
  async function publish(qos: Qos): Promise<{ append: Append; sends: number }> {
    number += 1;
    const message = messageOf({
      ...{ topic: `t/${number}`, qos, retain: false },
      ...{ payload: Buffer.from('x'), publisher: 'p' },
    });
    const append: Append = {
      ...{ message, queues: [queueId(1)], lane: `${number}`, inbound: undefined },
      ...{ reasonCode: 0, orderKey: undefined },
    };
    const before = broker.sent.length;
    await new Promise<void>((resolve) => store.append([append], () => resolve()));
    return { append, sends: broker.sent.length - before };
  }

  void test('the table has every code of brokers, and what is told can stand in a PUBACK', () => {
    assert.deepEqual(
      [...refusals.keys()].toSorted((a, b) => a - b),
      Object.keys(told).map(Number),
    );
    const ofPuback = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    for (const [code, { reasonCode, isFinal }] of refusals) {
      assert.deepEqual([reasonCode, isFinal], told[code], nameOfCode(code));
      assert.ok(ofPuback.includes(reasonCode), nameOfCode(code));
    }
  });

  for (const [key, [reasonCode, isFinal]] of Object.entries(told)) {
    const code = Number(key);
    void test(`code ${code}, ${nameOfCode(code)}`, async () => {
      const fields = { queueId: '0', queueOffset: '0', msgId: 'id' };
      broker.refusing.set('send', { code, remark: 'in-sync replicas not enough', fields });
      const { append, sends } = await publish(1);
      assert.equal(append.reasonCode, reasonCode);
      if (isFinal) assert.equal(sends, 1, 'not sent again');
      else assert.ok(sends > 1, 'sent again');
      assert.equal(append.final === true, isFinal && reasonCode !== 0);
      broker.refusing.delete('send');
      assert.equal((await publish(1)).append.reasonCode, 0);
    });
  }

  void test('code 1 of a broker before 5.3 that denies', async () => {
    const remark =
      'org.apache.rocketmq.acl.common.AclException: No default permission for topic:scripted';
    broker.refusing.set('send', { code: answerCodes.systemError, remark });
    const { append, sends } = await publish(1);
    assert.equal(append.reasonCode, ReasonCode.notAuthorized);
    assert.equal(sends, 1);
    broker.refusing.delete('send');
  });

  void test('a code that nobody knows', async () => {
    broker.refusing.set('send', { code: 4321, remark: '' });
    const { append, sends } = await publish(1);
    assert.equal(append.reasonCode, ReasonCode.implementationSpecificError);
    assert.ok(sends > 1);
    broker.refusing.delete('send');
  });

  void test('the code is that of the last answer', async () => {
    broker.refusing.set('send', { code: answerCodes.flowControl, remark: '' });
    setTimeout(() => {
      broker.refusing.set('send', { code: answerCodes.topicNotExist, remark: '' });
    }, appendWaitMs / 3);
    assert.equal((await publish(1)).append.reasonCode, ReasonCode.topicNameInvalid);
    broker.refusing.delete('send');
  });

  void test('QoS 0 is sent once', async () => {
    broker.refusing.set('send', { code: answerCodes.systemBusy, remark: '' });
    assert.equal((await publish(0)).sends, 1);
    broker.refusing.delete('send');
  });

  void test('a queue whose end may not be asked is not subscribed to', async () => {
    broker.refusing.set('maxOffset', { code: answerCodes.noPermission, remark: 'no Get' });
    await assert.rejects(
      store.ends(queueId(1)),
      (error) => error instanceof StoreFailure && error.reasonCode === ReasonCode.notAuthorized,
    );
    broker.refusing.set('maxOffset', { code: answerCodes.systemBusy, remark: '' });
    const [end] = await store.ends(queueId(1));
    assert.ok(end !== undefined && end.end < 0, 'by time, as of a broker that is away');
    broker.refusing.delete('maxOffset');
  });
});
