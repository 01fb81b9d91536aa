import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@lmqtt/common/clock';
import { groupId, nodeId, queueId, sessionHandle } from '@lmqtt/common/ids';
import { silentLogs } from '@lmqtt/common/log';
import { messageOf } from '@lmqtt/common/message';
import { Metrics } from '@lmqtt/common/metrics';
import type { Assignment } from '@lmqtt/proto/assignment';
import { type DownstreamHandler, readDownstream } from '@lmqtt/proto/wire/downstream-reader';
import { Exchange, type FrameTaker } from '@lmqtt/proto/wire/exchange';
import { DownstreamItems } from '../src/rpc/downstream-items.ts';
import { RpcEvents } from '../src/rpc/rpc-events.ts';

const limits = { windowFrames: 1000, frameBytesMax: 1 << 20 };
const idle: FrameTaker = { pulse: () => {}, item: () => {} };

const session = sessionHandle(1);
const group = groupId(2);

function assignment(offset: number, payload: string): Assignment {
  const message = messageOf({ topic: 't', qos: 1, retain: false, payload: Buffer.from(payload) });
  return { session, group, filter: '$share/g/t', queue: queueId(3), partition: 0, offset, message };
}

/** Items that a cs hears, as words. */
function heard(frames: readonly Buffer[]): string[] {
  const said: string[] = [];
  const handler: Pick<DownstreamHandler, 'assign' | 'fence'> = {
    assign: (batch) => said.push(...batch.map(({ offset }) => `message ${offset}`)),
    fence: ({ number }) => said.push(`fence ${number}`),
  };
  const exchange = new Exchange(limits, {
    pulse: () => {},
    item: (reader, field, end) => readDownstream(handler as DownstreamHandler, reader, field, end),
  });
  for (const frame of frames) assert.equal(exchange.receive(frame), true);
  return said;
}

test('a fence stays behind the assignments before it, and reaches a cs that does not keep up', () => {
  const exchange = new Exchange(limits, idle);
  const events = new RpcEvents(silentLogs(), new Metrics(), systemClock);
  const items = new DownstreamItems(nodeId('cs'), exchange, 1000, events);
  items.assign([assignment(0, 'x'.repeat(2000))]);
  // QoS 0 is dropped where so much waits.
  items.assign([assignment(-1, 'dropped')]);
  items.fence({ session, group, epoch: 1, number: 7 });
  items.assign([assignment(1, 'behind')]);
  const frames: Buffer[] = [];
  exchange.bind((frame) => frames.push(frame));
  exchange.resume(0);
  assert.deepEqual(heard(frames), ['message 0', 'fence 7', 'message 1']);
});
