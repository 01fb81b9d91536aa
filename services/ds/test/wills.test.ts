import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageOf } from '@lmqtt/common/message';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { ConnectRequest, Will } from '@lmqtt/proto/link';
import {
  type Broker,
  connect,
  left,
  lost,
  pause,
  startBroker,
  subscribeTo,
  texts,
  tryConnect,
  until,
} from './fake-cs.ts';

function will(delayS: number, text = 'gone', retain = false): Will {
  const message = messageOf({ topic: 'will', qos: 1, retain, payload: Buffer.from(text) });
  return { message, delayS, messageExpiryS: undefined };
}

async function withWatched(
  run: (broker: Broker, wills: () => string[]) => Promise<void>,
): Promise<void> {
  const broker = await startBroker();
  try {
    const { session } = await connect(broker, 'watcher');
    await subscribeTo(broker, session, 'will');
    await run(broker, () => texts(broker.cs.pushed));
  } finally {
    await broker.stop();
  }
}

const short: Partial<ConnectRequest> = { sessionExpiryS: 0 };

test('a will goes out when its connection is lost', () =>
  withWatched(async (broker, wills) => {
    const { session } = await connect(broker, 'a', { ...short, will: will(0) });
    await broker.link.disconnect(session, lost);
    await until(() => wills().length === 1, 'the will');
    assert.equal(broker.cs.pushed[0]?.publisher, 'a');
    assert.equal(broker.cs.pushed[0]?.qos, 1);
  }));

test('a client that its node sends away as planned: its will waits, and goes when it is back', () =>
  withWatched(async (broker, wills) => {
    const planned = { ...lost, reason: 'this node drains', planned: true };
    const a = await connect(broker, 'a', { will: will(0) });
    await broker.link.disconnect(a.session, planned);
    // The session ends with its connection: the will waits all the same.
    const b = await connect(broker, 'b', { ...short, will: will(0) });
    await broker.link.disconnect(b.session, planned);
    await pause(400);
    assert.deepEqual(wills(), []);
    const again = await connect(broker, 'a', { will: will(0, 'later') });
    await connect(broker, 'b', short);
    await broker.link.disconnect(again.session, lost);
    await until(() => wills().length > 0, 'the will of the second connection');
    assert.deepEqual(wills(), ['later']);
  }));

test('DISCONNECT removes the will', () =>
  withWatched(async (broker, wills) => {
    const { session } = await connect(broker, 'a', { ...short, will: will(0) });
    await broker.link.disconnect(session, left);
    await pause(400);
    assert.deepEqual(wills(), []);
  }));

test('a will with a delay waits, and goes out when the session ends first', () =>
  withWatched(async (broker, wills) => {
    const a = await connect(broker, 'a', { sessionExpiryS: 1, will: will(100) });
    await broker.link.disconnect(a.session, lost);
    await pause(500);
    assert.deepEqual(wills(), []);
    await until(() => wills().length === 1, 'the will');
  }));

test('a claim cancels a will that waits, if the session continues', () =>
  withWatched(async (broker, wills) => {
    const a = await connect(broker, 'a', { will: will(1) });
    await broker.link.disconnect(a.session, lost);
    const again = await connect(broker, 'a');
    assert.equal(again.answer.sessionPresent, true);
    await pause(1500);
    assert.deepEqual(wills(), []);
  }));

test('a claim makes a will that waits due, if the session does not continue', () =>
  withWatched(async (broker, wills) => {
    const a = await connect(broker, 'a', { will: will(100) });
    await broker.link.disconnect(a.session, lost);
    await connect(broker, 'a', { cleanStart: true });
    await until(() => wills().length === 1, 'the will');
  }));

test('a takeover sends a will without delay, and cancels one with', () =>
  withWatched(async (broker, wills) => {
    broker.cs.onKick = (session) => void broker.link.disconnect(session, lost);
    await connect(broker, 'a', { will: will(0, 'a') });
    await connect(broker, 'b', { will: will(1, 'b') });
    await connect(broker, 'a');
    await connect(broker, 'b');
    await pause(1500);
    assert.deepEqual(wills(), ['a']);
  }));

test('a will outlives a crash of the broker, and its delay runs only while a broker does', async () => {
  const first = await startBroker();
  const watcher = await connect(first, 'watcher');
  await subscribeTo(first, watcher.session, 'will');
  await connect(first, 'a', { ...short, will: will(0, 'at once') });
  await connect(first, 'b', { will: will(1, 'later') });
  await connect(first, 'c', { will: will(1, 'back in time') });
  const broker = await first.crash();
  try {
    const again = await connect(broker, 'watcher');
    await connect(broker, 'c');
    const { queue } = again.answer.state.subscriptions[0]!;
    const stored = async (): Promise<string[]> => {
      const request = { queue, partition: 0, from: 0, messagesMax: 10, bytesMax: 1000 };
      return texts((await broker.link.read(request)).messages);
    };
    for (let tries = 0; tries < 100 && (await stored()).length < 2; tries += 1) await pause(100);
    await pause(500);
    assert.deepEqual(await stored(), ['at once', 'later']);
  } finally {
    await broker.stop();
  }
});

test('a planned stop sends no will of a client that comes back', async () => {
  const first = await startBroker();
  await connect(first, 'a', { ...short, will: will(0) });
  const broker = await first.restart();
  try {
    const watcher = await connect(broker, 'watcher');
    await subscribeTo(broker, watcher.session, 'will');
    await connect(broker, 'a', { ...short });
    await pause(500);
    assert.deepEqual(texts(broker.cs.pushed), []);
  } finally {
    await broker.stop();
  }
});

test('a will may be retained', () =>
  withWatched(async (broker, wills) => {
    const { session } = await connect(broker, 'a', { ...short, will: will(0, 'kept', true) });
    await broker.link.disconnect(session, lost);
    await until(() => wills().length === 1, 'the will');
    const watcher = await connect(broker, 'late');
    await subscribeTo(broker, watcher.session, 'will');
    const answer = await broker.link.readRetained({
      session: watcher.session,
      filter: 'will',
      after: '',
      messagesMax: 10,
      bytesMax: 1000,
    });
    assert.deepEqual(texts(answer.messages), ['kept']);
  }));

test('a will that asks for a delay by its topic is refused by a code that its version has', () =>
  withWatched(async (broker) => {
    const codes: unknown[] = [];
    for (const topic of ['$delayed/x/t', '$delayed/5/t']) {
      const message = messageOf({ topic, qos: 0, retain: false, payload: Buffer.alloc(0) });
      for (const protocolVersion of [5, 4, 3]) {
        const request = { protocolVersion, will: { ...will(0), message } };
        const { answer } = await tryConnect(broker, 'a', request);
        codes.push(answer.kind === 'refused' ? answer.reasonCode : answer.kind);
      }
    }
    const { topicNameInvalid, notAuthorized } = ReasonCode;
    const expected = [topicNameInvalid, notAuthorized, notAuthorized];
    assert.deepEqual(codes, [...expected, ...expected]);
  }));
