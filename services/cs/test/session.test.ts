import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId, epoch, groupId, queueId, sessionHandle } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';
import type { ReadAnswer, ReadRequest, SessionWrite } from '@lmqtt/proto/link';
import type { SubscriptionState } from '@lmqtt/proto/session-state';
import { QueueFeed } from '../src/queue/feed.ts';
import { puback, pubcomp, pubrec } from '../src/session/acknowledgement.ts';
import { Session } from '../src/session/session.ts';
import type { SessionNode } from '../src/session/outbound-session.ts';
import type { Outlet } from '../src/session/outlet.ts';
import { readFrom, stored } from './queue-fixture.ts';

interface Sent {
  readonly text: string;
  readonly qos: Qos;
  readonly dup: boolean;
  readonly packetId: number;
  readonly identifiers: readonly number[] | undefined;
}

/** A session over a store of given messages, with an outlet that notes what is sent. */
function setUp(options: { persistent?: boolean; windowSize?: number; messages?: Message[] } = {}) {
  const messages = options.messages ?? [];
  const sent: Sent[] = [];
  const released: number[] = [];
  const writes: SessionWrite[] = [];
  const durable: (() => void)[] = [];
  const feeds = new Map<number, QueueFeed>();
  const limits = {
    ringMessagesMax: 64,
    ringBytesMax: 1 << 20,
    readMessagesMax: 10,
    readBytesMax: 1e6,
  };
  const none = (): void => {};
  const node: SessionNode = {
    journal: {
      write: (write) => writes.push(write),
      writeDurably: (write, then) => {
        writes.push(write);
        durable.push(then);
      },
    },
    events: {
      expired: none,
      tooLarge: none,
      droppedSlow: none,
      windowFull: none,
      refusedByClient: none,
      lost: none,
    },
    time: { wallMs: 1_000_000 },
    feed(queue) {
      let feed = feeds.get(queue);
      if (feed === undefined) {
        const read = (request: ReadRequest): Promise<ReadAnswer> =>
          Promise.resolve(readFrom(messages, request));
        feed = new QueueFeed(queue, 0, limits, read, () => 0);
        feeds.set(queue, feed);
      }
      return feed;
    },
    partitionsOf: () => [],
    releaseFeed: none,
    readRetained: () => Promise.resolve({ messages: [], next: undefined, ends: [] }),
    readQueue: (request) => Promise.resolve(readFrom(messages, request)),
    schedule: none,
    positionMoved: none,
    sendReceipt: () => {},
    credit: none,
  };
  const outlet: Outlet = {
    writable: true,
    sendPublish(message, qos, dup, _retain, packetId, identifiers) {
      sent.push({ text: message.payload.toString(), qos, dup, packetId, identifiers });
      return true;
    },
    sendPubrel: (packetId) => released.push(packetId),
  };
  const session = new Session(
    {
      handle: sessionHandle(1),
      clientId: clientId('c'),
      epoch: epoch(1),
      persistent: options.persistent ?? false,
      windowSize: options.windowSize ?? 10,
    },
    node,
    outlet,
  );
  const run = async (): Promise<void> => {
    for (let round = 0; round < 6; round++) {
      session.pump();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { session, sent, released, writes, durable, run };
}

function subscription(
  filter: string,
  queue: number,
  qos: Qos,
  identifier?: number,
  position = 0,
  done: number[] = [],
): SubscriptionState {
  return {
    filter,
    options: {
      qos,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0,
      subscriptionIdentifier: identifier,
    },
    group: undefined,
    queue: queueId(queue),
    positions: [{ partition: 0, start: 0, position, done }],
    retainedAfter: undefined,
  };
}

test('[MQTT-3.3.4-2] a message in two queues goes out once, highest QoS, all identifiers', async () => {
  const messages = [
    stored('only 1', 2, [[1, 0, -1]], 'a/x'),
    stored(
      'both',
      2,
      [
        [1, 1, 0],
        [2, 0, -1],
      ],
      'a/b',
    ),
    stored('only 2', 2, [[2, 1, 0]], 'c/b'),
  ];
  const { session, sent, run } = setUp({ messages });
  session.subscribe(subscription('a/+', 1, 1, 7));
  session.subscribe(subscription('+/b', 2, 2, 8));
  await run();
  assert.deepEqual(
    sent.map(({ text, qos, identifiers }) => ({ text, qos, identifiers: identifiers?.toSorted() })),
    [
      { text: 'only 1', qos: 1, identifiers: [7] },
      { text: 'both', qos: 2, identifiers: [7, 8] },
      { text: 'only 2', qos: 2, identifiers: [8] },
    ],
  );
});

test('holes that the store tells nothing of hold up no message that is in several queues', async () => {
  // Queues that share a light queue: offsets count what is for others, too.
  const messages = [
    stored('first', 1, [
      [1, 0, -1],
      [2, 0, -1],
      [3, 4, 3],
    ]),
    stored('in one', 1, [[1, 1, 0]]),
    stored('second', 1, [
      [1, 2, 1],
      [2, 2, 1],
      [3, 7, 6],
    ]),
    stored('third', 2, [
      [2, 5, 4],
      [3, 9, 8],
    ]),
  ];
  const { session, sent, run } = setUp({ messages });
  session.subscribe(subscription('t', 1, 1));
  session.subscribe(subscription('+', 2, 2));
  session.subscribe(subscription('#', 3, 1));
  await run();
  assert.deepEqual(
    sent.map(({ text, qos }) => [text, qos]),
    [
      ['first', 1],
      ['in one', 1],
      ['second', 1],
      ['third', 2],
    ],
  );
});

test('a page that comes when another cursor has moved on begins where that is by then', async () => {
  const messages = [0, 1, 2].map((n) =>
    stored(
      String(n),
      1,
      [
        [1, n, n - 1],
        [2, n, n - 1],
      ],
      'a/b',
    ),
  );
  const { session, sent, run } = setUp({ messages });
  const first = session.subscribe(subscription('a/+', 1, 1));
  session.subscribe(subscription('+/b', 2, 1));
  const [cursor] = first.cursors;
  assert.ok(cursor);
  await run();
  cursor.loaded({ messages, next: 3, end: 3 });
  await run();
  assert.deepEqual(
    sent.map(({ text }) => text),
    ['0', '1', '2'],
  );
});

test('no more than the window is in flight, and an acknowledgement lets the next one go', async () => {
  const messages = [0, 1, 2, 3].map((n) => stored(String(n), 1, [[1, n, n - 1]]));
  const { session, sent, run } = setUp({ messages, windowSize: 2 });
  session.subscribe(subscription('t', 1, 1));
  await run();
  assert.deepEqual(
    sent.map((each) => each.text),
    ['0', '1'],
  );
  assert.equal(puback(session, sent[1]!.packetId, false), 'ok');
  await run();
  assert.deepEqual(
    sent.map((each) => each.text),
    ['0', '1', '2'],
  );
  // The first is still open: the position stays below it.
  assert.equal(session.cursorOf(queueId(1), 0)?.position, 0);
  puback(session, sent[0]!.packetId, false);
  assert.equal(session.cursorOf(queueId(1), 0)?.position, 2);
});

test('positions of a subscription that is to begin anew are told no more', async () => {
  const messages = [stored('m0', 1, [[1, 0, -1]]), stored('m1', 1, [[1, 1, 0]])];
  const { session, sent, run } = setUp({ messages });
  session.subscribe(subscription('t', 1, 1));
  await run();
  const former = session.cursorOf(queueId(1), 0)!;
  session.tellPositions('t', false);
  puback(session, sent[0]!.packetId, false);
  assert.equal(former.takePosition(), undefined);
  // Refused: it goes on.
  session.tellPositions('t', true);
  assert.equal(former.takePosition(), 1);
  // Granted: the other one reads the same queue.
  session.unsubscribe('t');
  session.subscribe(subscription('t', 1, 1));
  puback(session, sent[1]!.packetId, false);
  assert.equal(former.takePosition(), undefined);
});

test('QoS 2 of a stored session: nothing is sent before its identifier is durable', async () => {
  const messages = [stored('m', 2, [[1, 0, -1]])];
  const { session, sent, released, writes, durable, run } = setUp({ messages, persistent: true });
  session.subscribe(subscription('t', 1, 2));
  await run();
  assert.equal(sent.length, 0);
  assert.equal(writes[0]?.kind, 'sent');
  durable.shift()?.();
  assert.equal(sent.length, 1);
  assert.equal(pubrec(session, sent[0]!.packetId, false), 'ok');
  assert.equal(released.length, 0);
  durable.shift()?.();
  assert.deepEqual(released, [sent[0]!.packetId]);
  assert.equal(pubcomp(session, sent[0]!.packetId, false), 'ok');
  assert.equal(session.cursorOf(queueId(1), 0)?.position, 1);
});

test('[MQTT-4.6.0-1] QoS 1 behind a QoS 2 that is being stored waits for it, and for itself', async () => {
  const messages = ([1, 2, 1, 1] as const).map((qos, n) => stored(String(n), qos, [[1, n, n - 1]]));
  const { session, sent, durable, run } = setUp({ messages, persistent: true });
  session.subscribe(subscription('t', 1, 2));
  await run();
  const texts = (): string[] => sent.map(({ text }) => text);
  assert.deepEqual(texts(), ['0']);
  assert.equal(durable.length, 3);
  assert.equal(puback(session, 3, false), 'wrong');
  for (const stored of durable.splice(0)) stored();
  assert.deepEqual(texts(), ['0', '1', '2', '3']);
  assert.equal(puback(session, 3, false), 'ok');
});

test('[MQTT-4.4.0-1] after a reconnect: original identifiers, DUP, in order, then what is new', async () => {
  const messages = [0, 1, 2, 3, 4].map((n) => stored(String(n), 1, [[1, n, n - 1]]));
  const { session, sent, run } = setUp({ messages, persistent: true });
  session.subscribe(subscription('t', 1, 1, undefined, 0, [1]));
  const place = (offset: number) =>
    ({ kind: 'queue', queue: queueId(1), partition: 0, offset }) as const;
  session.redeliver([
    { packetId: 9, qos: 1, state: 'sent', sequence: 3, place: place(2), filter: 't' },
    { packetId: 5, qos: 1, state: 'sent', sequence: 1, place: place(0), filter: 't' },
  ]);
  await run();
  assert.deepEqual(
    sent.map(({ text, dup }) => ({ text, dup })),
    [
      { text: '0', dup: true },
      { text: '2', dup: true },
      { text: '3', dup: false },
      { text: '4', dup: false },
    ],
  );
  assert.deepEqual(
    sent.slice(0, 2).map((each) => each.packetId),
    [5, 9],
  );
});

test('[MQTT-3.8.4-3] what was stored before options were replaced goes out by the old ones', async () => {
  const messages = [0, 1, 2, 3].map((n) => stored(String(n), 2, [[1, n, n - 1]], 'a', 'c'));
  const { session, sent, run } = setUp({ messages });
  const noLocal = subscription('a', 1, 2, 1);
  session.subscribe({ ...noLocal, options: { ...noLocal.options, noLocal: true } });
  session.subscribe(subscription('a', 1, 1, 2), [{ partition: 0, offset: 2 }]);
  session.subscribe(subscription('a', 1, 0, 3), [{ partition: 0, offset: 3 }]);
  await run();
  assert.deepEqual(
    sent.map(({ text, qos, identifiers }) => ({ text, qos, identifiers })),
    [
      { text: '2', qos: 1, identifiers: [2] },
      { text: '3', qos: 0, identifiers: [3] },
    ],
  );
});

test('[MQTT-4.8.2-5] what a group gave before its fence and by another way is not taken', async () => {
  const { session, sent, writes, run } = setUp();
  const filter = '$share/g/a';
  const group = groupId(9);
  session.subscribe({ ...subscription(filter, 1, 2), group, positions: [] });
  const fence = (number: number): void =>
    session.fence({ session: session.handle, group, epoch: 4, number });
  const give = (text: string, offset: number, fence: number): void =>
    session.assign({
      session: session.handle,
      group,
      filter,
      queue: queueId(1),
      partition: 0,
      offset,
      message: stored(text, 1, [[1, offset, offset - 1]], 'a'),
      epoch: 4,
      fence,
    });
  give('0', 0, 1);
  await run();
  fence(3);
  give('late', 1, 1);
  fence(2);
  give('1', 1, 3);
  await run();
  assert.deepEqual(
    sent.map(({ text }) => text),
    ['0', '1'],
  );
  const answers = writes.filter((write) => write.kind === 'fenced');
  assert.deepEqual(
    answers.map(({ number, letGo }) => ({ number, letGo })),
    [{ number: 3, letGo: 0 }],
  );
});
