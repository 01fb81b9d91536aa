import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Message, messageOf } from '@lmqtt/common/message';
import { clientId, queueId, sessionHandle } from '@lmqtt/common/ids';
import fc from 'fast-check';
import { calls, presentedSession } from '../src/calls.ts';
import type { Codec } from '../src/calls.ts';
import type { ConnectRequest, PresentedSession } from '../src/link.ts';
import type { SubscriptionState } from '../src/session-state.ts';
import * as values from './link-arbitraries.ts';

function assertRoundTrips<T>(codec: Codec<T>, value: fc.Arbitrary<T>): void {
  const property = fc.property(value, (sent) => {
    const arrived = codec.decode(codec.encode(sent));
    assert.deepEqual(values.comparable(arrived), values.comparable(sent));
    assert.deepStrictEqual(keysOf(arrived), keysOf(sent));
  });
  fc.assert(property, { numRuns: 200 });
}

/** Fields that are undefined are there, whoever made the object. */
function keysOf(value: unknown): unknown {
  if (value instanceof Message || Buffer.isBuffer(value)) return 'whole';
  if (Array.isArray(value)) return value.map(keysOf);
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.entries(value)
    .map(([key, part]) => [key, keysOf(part)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

test('what a call says arrives as it was said', async (t) => {
  await t.test('connect', () => {
    assertRoundTrips(calls.connect.request, values.connectRequest);
    assertRoundTrips(calls.connect.answer, values.connectAnswer);
  });
  await t.test('enhanced authentication', () => {
    assertRoundTrips(calls.continueConnect.request, values.authenticationStep);
    assertRoundTrips(calls.continueConnect.answer, values.connectAnswer);
    assertRoundTrips(calls.reauthenticate.request, values.authenticationStep);
    assertRoundTrips(calls.reauthenticate.answer, values.reauthenticateAnswer);
  });
  await t.test('disconnect', () => {
    assertRoundTrips(calls.disconnect.request, values.disconnectRequest);
  });
  await t.test('subscribe and unsubscribe', () => {
    assertRoundTrips(calls.subscribe.request, values.subscribeRequest);
    assertRoundTrips(calls.subscribe.answer, values.subscribeAnswers);
    assertRoundTrips(calls.unsubscribe.request, values.unsubscribeRequest);
    assertRoundTrips(calls.unsubscribe.answer, values.reasonCodes);
  });
  await t.test('subscriptions of a session', () => {
    assertRoundTrips(calls.subscriptionsOf.request, values.subscriptionsRequest);
    assertRoundTrips(calls.subscriptionsOf.answer, values.subscriptions);
  });
  await t.test('settle', () => {
    assertRoundTrips(calls.settle.request, values.session);
  });
  await t.test('messages that were not delivered', () => {
    assertRoundTrips(calls.undelivered.request, values.undeliveredRequest);
  });
  await t.test('retained messages', () => {
    assertRoundTrips(calls.readRetained.request, values.retainedRequest);
    assertRoundTrips(calls.readRetained.answer, values.retainedAnswer);
  });
  await t.test('a presented session', () => {
    assertRoundTrips(presentedSession, values.presentedSession);
  });
});

test('answers that say nothing are empty', () => {
  for (const codec of [calls.disconnect.answer, calls.leave.answer, calls.settle.answer]) {
    const body = codec.encode();
    assert.equal(body.length, 0);
    assert.equal(codec.decode(body), undefined);
  }
});

test('methods are numbered as they stand in the service', () => {
  const { connect, continueConnect, reauthenticate, disconnect } = calls;
  const { subscribe, unsubscribe, readRetained, leave, settle } = calls;
  const numbers = [
    ...[connect, continueConnect, reauthenticate, disconnect],
    ...[subscribe, unsubscribe, readRetained, leave, settle],
  ].map((call) => call.method);
  assert.deepEqual(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 10]);
});

test('absent and empty are not the same', () => {
  const empty = Buffer.alloc(0);
  const request: ConnectRequest = {
    session: sessionHandle(1),
    protocolVersion: 5,
    clientId: clientId(''),
    randomClientId: false,
    cleanStart: false,
    sessionExpiryS: 0xffff_ffff,
    keepAliveS: 0,
    userName: '',
    password: empty,
    authenticationMethod: undefined,
    authenticationData: undefined,
    will: {
      message: messageOf({ topic: 't', qos: 0, retain: false, payload: empty }),
      delayS: 0,
      messageExpiryS: 0,
    },
    peer: { address: '', port: 0, tls: false },
  };
  const arrived = calls.connect.request.decode(calls.connect.request.encode(request));
  assert.equal(arrived.userName, '');
  assert.deepEqual(arrived.password, empty);
  assert.equal(arrived.authenticationMethod, undefined);
  assert.equal(arrived.authenticationData, undefined);
  assert.equal(arrived.will?.messageExpiryS, 0);
  assert.equal(arrived.peer.certificateSubject, undefined);
});

test('a message of a call lies as in a PUBLISH, a will in bytes of its own', () => {
  const message = messageOf({ topic: 'tö', qos: 1, retain: true, payload: Buffer.from('pay') });
  const { answer } = calls.readRetained;
  const [read] = answer.decode(
    answer.encode({ messages: [message], next: undefined, ends: [] }),
  ).messages;
  assert.ok(read !== undefined);
  const body = read.buffer.subarray(read.topicStart, read.payloadEnd);
  assert.equal(body.toString('hex'), `0003${Buffer.from('tö').toString('hex')}0000706179`);
  assert.equal(read.payloadStart, read.topicStart + 2 + 3 + 2);

  const request: ConnectRequest = {
    session: sessionHandle(1),
    protocolVersion: 4,
    clientId: clientId('c'),
    randomClientId: false,
    cleanStart: true,
    sessionExpiryS: 0,
    keepAliveS: 10,
    userName: undefined,
    password: undefined,
    authenticationMethod: undefined,
    authenticationData: undefined,
    will: { message, delayS: 0, messageExpiryS: undefined },
    peer: { address: '::1', port: 1, tls: false },
  };
  const frame = calls.connect.request.encode(request);
  const { will } = calls.connect.request.decode(frame);
  frame.fill(0xff);
  assert.ok(will !== undefined);
  assert.equal(will.message.payload.toString(), 'pay');
});

test('a session of ten thousand subscriptions is presented', () => {
  const subscriptions = Array.from({ length: 10_000 }, (_, index): SubscriptionState => {
    const position = { partition: 0, start: index, position: 2 ** 40 + index, done: [] };
    return {
      filter: `a/${index}/+`,
      options: {
        qos: 1,
        noLocal: false,
        retainAsPublished: true,
        retainHandling: 2,
        subscriptionIdentifier: index,
      },
      group: undefined,
      queue: queueId(index + 1),
      positions: [position],
      retainedAfter: undefined,
    };
  });
  const [session] = fc.sample(values.presentedSession, { numRuns: 1, seed: 1 });
  assert.ok(session !== undefined);
  const sent: PresentedSession = { ...session, state: { ...session.state, subscriptions } };
  const arrived = presentedSession.decode(presentedSession.encode(sent));
  assert.deepEqual(arrived.state.subscriptions, subscriptions);
});

test('what is no such message throws', () => {
  const decoders = [
    ...Object.values(calls).flatMap((call) => [call.request, call.answer]),
    presentedSession,
  ].map((codec) => (body: Buffer) => codec.decode(body));
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array)),
    fc.tuple(values.presentedSession, fc.nat(), fc.nat({ max: 255 })).map(([session, at, byte]) => {
      const body = presentedSession.encode(session);
      body[at % body.length] = byte;
      return body;
    }),
  );
  const property = fc.property(bodies, fc.nat({ max: decoders.length - 1 }), (body, index) => {
    try {
      decoders[index]?.(body);
    } catch (error) {
      assert.ok(error instanceof Error);
    }
  });
  fc.assert(property, { numRuns: 1000 });
  assert.throws(() => calls.connect.request.decode(Buffer.alloc(0)), /peer is missing/);
  assert.throws(() => calls.connect.answer.decode(Buffer.alloc(0)), /is missing/);
  assert.throws(() => calls.connect.request.decode(Buffer.from([0x0a])), RangeError);
});
