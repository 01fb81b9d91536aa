import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId, epoch } from '@lmqtt/common/ids';
import { messageOf } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';
import type { Append } from '../src/queue-store/queue-store.ts';
import { SendLane, PendingSend, type SendState } from '../src/queue-store/rocketmq/lane.ts';

function appendOf(qos: Qos): Append {
  const inbound = { clientId: clientId('c'), epoch: epoch(1), packetId: 1 };
  return {
    message: messageOf({ topic: 't', qos, retain: false, payload: Buffer.of(1), publisher: 'c' }),
    ...{ queues: [], lane: 'c t', reasonCode: 0, orderKey: undefined },
    inbound: qos === 2 ? inbound : undefined,
  };
}

/** All but those that wait have begun. */
function laneOf(states: readonly SendState[], qos: Qos = 1): SendLane {
  const lane = new SendLane('c t');
  const batch = { done: () => undefined, answered: [] };
  for (const state of states) {
    const send = new PendingSend(appendOf(qos), batch, lane, 1, 1000);
    send.state = state;
    lane.sends.push(send);
    if (state !== 'waiting') lane.begun += 1;
  }
  return lane;
}

function places(lane: SendLane, sends: readonly PendingSend[]): number[] {
  return sends.map((send) => lane.sends.indexOf(send));
}

void test('the next is the first that waits; what is settled leaves from the front only', () => {
  const lane = laneOf(['stored', 'sent', 'stored', 'waiting']);
  assert.equal(lane.next, lane.sends[3]);
  assert.equal(lane.takeSettled()?.state, 'stored');
  assert.equal(lane.begun, 2);
  assert.equal(lane.takeSettled(), undefined);
  lane.sends[0]!.state = 'failed';
  assert.equal(lane.takeSettled()?.state, 'failed');
  assert.equal(lane.takeSettled()?.state, 'stored');
  assert.equal(lane.takeSettled(), undefined);
  assert.equal(lane.sends.length, 1);
});

void test('at QoS 2 it leaves when its identifier is durable, too', () => {
  const lane = laneOf(['telling'], 2);
  assert.equal(lane.takeSettled(), undefined);
  lane.sends[0]!.state = 'stored';
  assert.notEqual(lane.takeSettled(), undefined);
});

void test('overtaken is what was refused or lost before one that is stored', () => {
  const lane = laneOf(['refused', 'stored', 'unknown', 'failed', 'stored', 'refused', 'waiting']);
  assert.deepEqual(places(lane, lane.overtaken()), [0, 2]);
  assert.deepEqual(laneOf(['refused', 'unknown', 'sent']).overtaken(), []);
});

void test('undone is what has to be sent again, unsure what has to be found out first', () => {
  assert.equal(laneOf(['stored', 'sent', 'failed']).firstUndone, -1);
  assert.equal(laneOf(['stored', 'unknown', 'refused']).firstUndone, 1);
  assert.deepEqual(laneOf(['unknown', 'refused'], 1).unsure, []);
  const lane = laneOf(['unknown', 'refused', 'unknown', 'waiting'], 2);
  assert.deepEqual(places(lane, lane.unsure), [0, 2]);
});

void test('it waits longer each time that it comes to nothing, and not after a success', () => {
  const lane = new SendLane('c t');
  const waits: number[] = [];
  for (let count = 0; count < 8; count += 1) {
    lane.backOff(1000);
    waits.push(lane.resumeAtMs - 1000);
  }
  assert.deepEqual(waits, [10, 20, 40, 80, 160, 320, 500, 500]);
  assert.equal(lane.isCautious, true);
  lane.succeeded();
  assert.equal(lane.isCautious, false);
  assert.equal(lane.resumeAtMs, 0);
});
