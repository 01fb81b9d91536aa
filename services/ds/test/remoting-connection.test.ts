// The connection against a peer of raw TCP, which answers what the test says, or nothing.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { BrokerConnection } from '../src/rocketmq/remoting/broker-connection.ts';
import { RocketmqClient } from '../src/rocketmq/remoting/client.ts';
import type { ConnectionOptions } from '../src/rocketmq/remoting/connection-options.ts';
import { ConnectionLost, RemotingError, RequestTimeout } from '../src/rocketmq/remoting/errors.ts';
import type { PullAnswer } from '../src/rocketmq/remoting/requests/pull-message.ts';
import type { SendAnswer, SendRequest } from '../src/rocketmq/remoting/requests/send-message.ts';
import { answerTo, EventLines, optionsWith, RemotingPeer, stored } from './remoting-peer.ts';

interface Setting {
  readonly peer: RemotingPeer;
  readonly events: EventLines;
  readonly broker: BrokerConnection;
}

async function withBroker(
  more: Partial<ConnectionOptions>,
  run: (setting: Setting) => Promise<void>,
): Promise<void> {
  const peer = new RemotingPeer();
  await peer.listen();
  const events = new EventLines();
  const broker = new BrokerConnection(peer.address, optionsWith(events, more));
  try {
    await run({ peer, events, broker });
  } finally {
    broker.close();
    await peer.close();
  }
}

const message = (text: string, more: Partial<SendRequest> = {}): SendRequest => ({
  ...{ topic: 't', queueId: 0, properties: '', body: Buffer.from(text), bornMs: 1 },
  ...more,
});

const send = (
  broker: BrokerConnection,
  text: string,
  more: Partial<SendRequest> = {},
): Promise<SendAnswer> =>
  new Promise((resolve) => {
    broker.send(message(text, more), resolve);
  });

const pull = (broker: BrokerConnection, suspendMs: number = 0): Promise<PullAnswer> => {
  const request = { group: 'g', topic: 't', queueId: 0, offset: 0, messagesMax: 1, suspendMs };
  return new Promise((resolve) => {
    broker.pull({ ...request, subscription: '*' }, resolve);
  });
};

const kinds = (answers: readonly { readonly kind: string }[]): string[] =>
  answers.map(({ kind }) => kind);

async function up(broker: BrokerConnection): Promise<void> {
  if (broker.up) return;
  await new Promise<void>((resolve) => {
    const stop = broker.onState((isUp) => {
      if (!isUp) return;
      stop();
      resolve();
    });
  });
}

test('one turn of the event loop is one write, and answers find their requests in any order', () =>
  withBroker({}, async ({ peer, events, broker }) => {
    peer.onAsked = () => {
      if (peer.asked.length < 100) return;
      for (const asked of peer.asked.toReversed()) {
        const fields = { ...stored, queueOffset: asked.body.toString() };
        asked.socket.write(answerTo(asked, 0, fields));
      }
    };
    await up(broker);
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) => send(broker, String(index))),
    );
    assert.deepEqual(
      answers.map((answer) => answer.kind === 'stored' && answer.queueOffset),
      Array.from({ length: 100 }, (_, index) => index),
    );
    assert.deepEqual(events.writes, [100]);
    assert.deepEqual(
      peer.asked.map(({ body }) => body.toString()),
      Array.from({ length: 100 }, (_, index) => String(index)),
    );
  }));

test('a large body is written whole, and larger batches in several writes', () =>
  withBroker({}, async ({ peer, events, broker }) => {
    peer.onAsked = (asked) => asked.socket.write(answerTo(asked, 0, stored));
    await up(broker);
    const body = Buffer.alloc(3 * 1024 * 1024, 1);
    const answers = await Promise.all([1, 2, 3, 4].map(() => send(broker, '', { body })));
    assert.deepEqual(kinds(answers), ['stored', 'stored', 'stored', 'stored']);
    assert.ok(peer.asked.every((asked) => asked.body.equals(body)));
    assert.deepEqual(events.writes, [2, 2]);
  }));

test('rare calls throw what the broker says', () =>
  withBroker({}, async ({ peer, broker }) => {
    peer.onAsked = (asked) => asked.socket.write(answerTo(asked, 16, {}, { remark: 'no "right"' }));
    await assert.rejects(broker.maxOffset({ topic: 't', queueId: 0 }), (error) => {
      assert.ok(error instanceof RemotingError);
      assert.equal(error.code, 16);
      assert.equal(error.remark, 'no "right"');
      return true;
    });
  }));

test('a lost connection: what was written is unknown, and it comes back by itself', () =>
  withBroker({}, async ({ peer, events, broker }) => {
    const states: boolean[] = [];
    broker.onState((isUp) => states.push(isUp));
    await up(broker);
    peer.onAsked = (asked) => asked.socket.destroy();
    const answers = await Promise.all([send(broker, 'a'), send(broker, 'b'), pull(broker, 1000)]);
    assert.deepEqual(kinds(answers), ['unknown', 'unknown', 'failed']);
    peer.onAsked = (asked) => asked.socket.write(answerTo(asked, 0, stored));
    assert.equal((await send(broker, 'c')).kind, 'stored');
    assert.deepEqual(states, [true, false, true]);
    assert.equal(events.lines.filter((line) => line.startsWith('lost')).length, 1);
  }));

test('an answer to a loss may ask again at once, in the same order', () =>
  withBroker({}, async ({ peer, broker }) => {
    peer.onAsked = (asked) => asked.socket.destroy();
    const order: string[] = [];
    const all = ['a', 'b', 'c'].map(async (text) => {
      const first = await new Promise<SendAnswer>((resolve) => {
        broker.send(message(text), (answer) => {
          peer.onAsked = (asked) => {
            order.push(asked.body.toString());
            asked.socket.write(answerTo(asked, 0, stored));
          };
          broker.send(message(`${text}2`), resolve);
          assert.equal(answer.kind, 'unknown');
        });
      });
      assert.equal(first.kind, 'stored');
    });
    await Promise.all(all);
    assert.deepEqual(order, ['a2', 'b2', 'c2']);
  }));

test('without a connection a request waits until it times out, and is never written', () =>
  withBroker({}, async ({ peer, events, broker }) => {
    const port = Number(peer.address.split(':')[1]);
    await peer.close();
    const waiting = send(broker, 'waits', { timeoutMs: 10_000 });
    const timedOut = await send(broker, 'too late', { timeoutMs: 100 });
    assert.equal(timedOut.kind, 'not sent');
    await assert.rejects(broker.minOffset({ topic: 't', queueId: 0 }), RequestTimeout);
    const back = new RemotingPeer();
    back.onAsked = (asked) => asked.socket.write(answerTo(asked, 0, stored));
    await back.listen(port);
    assert.equal((await waiting).kind, 'stored');
    assert.deepEqual(
      back.asked.map(({ body }) => body.toString()),
      ['waits'],
    );
    assert.ok(events.lines.includes('not connected'));
    broker.close();
    await back.close();
  }));

test('a request that is not answered times out; its answer may come later', () =>
  withBroker({ requestTimeoutMs: 1000 }, async ({ peer, events, broker }) => {
    await up(broker);
    peer.onAsked = (asked) => {
      // The connection is alive: only this one is late.
      if (asked.body.toString() !== 'late') asked.socket.write(answerTo(asked, 0, stored));
    };
    const late = send(broker, 'late');
    const ticks = setInterval(() => void send(broker, 'tick'), 20);
    assert.equal((await late).kind, 'unknown');
    clearInterval(ticks);
    assert.ok(broker.up);
    const asked = peer.asked.find(({ body }) => body.toString() === 'late');
    assert.ok(asked);
    asked.socket.write(answerTo(asked, 0, stored));
    await events.until('late');
    assert.equal((await send(broker, 'next')).kind, 'stored');
  }));

test('a peer that says nothing at all is given up', () =>
  withBroker({ requestTimeoutMs: 100 }, async ({ events, broker }) => {
    const answers = await Promise.all([send(broker, 'a'), pull(broker, 5000)]);
    assert.deepEqual(kinds(answers), ['unknown', 'failed']);
    assert.ok(events.lines.includes('lost: silent'));
  }));

test('garbage ends the connection, and only that one', () =>
  withBroker({}, async ({ peer, events, broker }) => {
    const other = new BrokerConnection(peer.address, optionsWith(new EventLines()));
    await up(other);
    peer.onAsked = (asked) => asked.socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
    assert.equal((await send(broker, 'a')).kind, 'unknown');
    assert.equal(events.lines.filter((line) => line.startsWith('garbage')).length, 1);
    // An answer that lacks what it must have.
    peer.onAsked = (asked) => asked.socket.write(answerTo(asked, 0, { queueId: '0' }));
    assert.equal((await send(broker, 'b')).kind, 'unknown');
    assert.equal(events.lines.filter((line) => line.startsWith('garbage')).length, 2);
    assert.ok(other.up);
    other.close();
  }));

test('an answer above the limit ends the connection', () =>
  withBroker({ frameBytesMax: 1000 }, async ({ peer, events, broker }) => {
    peer.onAsked = (asked) =>
      asked.socket.write(answerTo(asked, 0, {}, { body: Buffer.alloc(1000) }));
    assert.equal((await pull(broker)).kind, 'failed');
    assert.ok(events.lines.some((line) => line.startsWith('garbage: a frame of')));
  }));

test('what the broker asks of consumers is passed over', () =>
  withBroker({}, async ({ peer, broker }) => {
    peer.onAsked = (asked) => {
      const unasked = answerTo(asked, 40).toString('latin1').replace('"flag":1', '"flag":0');
      asked.socket.write(Buffer.from(unasked, 'latin1'));
      asked.socket.write(answerTo(asked, 0, stored));
    };
    assert.equal((await send(broker, 'a')).kind, 'stored');
  }));

test('past the limit nothing is taken', () =>
  withBroker({ outstandingMax: 2 }, async ({ peer, events, broker }) => {
    let inside = true;
    const answers = Promise.all([1, 2, 3].map((text) => send(broker, String(text))));
    broker.send(message('4'), (answer) => {
      assert.equal(inside, false);
      assert.equal(answer.kind, 'not sent');
    });
    inside = false;
    peer.onAsked = (asked) => asked.socket.write(answerTo(asked, 0, stored));
    assert.deepEqual(kinds(await answers), ['stored', 'stored', 'not sent']);
    assert.deepEqual(
      events.lines.filter((line) => line === 'too many'),
      ['too many', 'too many'],
    );
  }));

test('a reset: what is not written never leaves, what is written is unknown', () =>
  withBroker({}, async ({ peer, events, broker }) => {
    await up(broker);
    const written = send(broker, 'written');
    while (peer.asked.length === 0) await new Promise(setImmediate);
    const [socket] = peer.sockets;
    assert.ok(socket);
    const reset = assert.rejects(once(socket, 'close'), /ECONNRESET/);
    const unwritten = send(broker, 'unwritten');
    broker.reset('lease ends');
    assert.deepEqual(kinds(await Promise.all([written, unwritten])), ['unknown', 'not sent']);
    await reset;
    assert.ok(events.lines.includes('lost: lease ends'));
    peer.onAsked = (asked) => asked.socket.write(answerTo(asked, 0, stored));
    assert.equal((await send(broker, 'after')).kind, 'stored');
    assert.deepEqual(
      peer.asked.map(({ body }) => body.toString()),
      ['written', 'after'],
    );
  }));

test('a reset while the connection is away answers too', () =>
  withBroker({}, async ({ peer, broker }) => {
    await peer.close();
    const waiting = send(broker, 'a');
    broker.reset('lease ends');
    assert.equal((await waiting).kind, 'not sent');
    await peer.listen();
  }));

test('what fills the kernel is cut off by a reset', () =>
  withBroker({ requestTimeoutMs: 500 }, async ({ peer, broker }) => {
    await up(broker);
    const [socket] = peer.sockets;
    assert.ok(socket);
    socket.pause();
    const body = Buffer.alloc(4 * 1024 * 1024);
    const answers = [1, 2, 3, 4, 5].map(() => send(broker, '', { body, timeoutMs: 60_000 }));
    const last = await send(broker, 'last', { timeoutMs: 200 });
    assert.equal(last.kind, 'not sent');
    broker.reset('lease ends');
    const all = kinds(await Promise.all(answers));
    assert.equal(all[0], 'unknown');
    assert.equal(all.at(-1), 'not sent');
    socket.resume();
    await new Promise((resolve) => {
      socket.once('close', resolve);
    });
    assert.ok(peer.asked.length < 5);
  }));

test('who may not write resets instead', () => {
  let may = true;
  return withBroker({ mayWrite: () => may }, async ({ peer, events, broker }) => {
    peer.onAsked = (asked) => asked.socket.write(answerTo(asked, 0, stored));
    assert.equal((await send(broker, 'a')).kind, 'stored');
    may = false;
    assert.equal((await send(broker, 'b')).kind, 'not sent');
    assert.ok(events.lines.includes('lost: this node may not write any more'));
    may = true;
    assert.equal((await send(broker, 'c')).kind, 'stored');
    assert.deepEqual(
      peer.asked.map(({ body }) => body.toString()),
      ['a', 'c'],
    );
  });
});

test('after close nothing is asked', () =>
  withBroker({}, async ({ broker }) => {
    const outstanding = send(broker, 'a');
    broker.close();
    assert.equal((await outstanding).kind, 'not sent');
    assert.equal((await send(broker, 'b')).kind, 'not sent');
    await assert.rejects(broker.brokerConfig(), ConnectionLost);
  }));

test('the next name server is asked where one does not answer or does not know', async () => {
  const [gone, ignorant, knowing] = [new RemotingPeer(), new RemotingPeer(), new RemotingPeer()];
  for (const peer of [gone, ignorant, knowing]) await peer.listen();
  await gone.close();
  ignorant.onAsked = (asked) => asked.socket.write(answerTo(asked, 17));
  knowing.onAsked = (asked) => {
    const body = Buffer.from('{"brokerDatas":[],"queueDatas":[]}');
    const code = asked.fields['topic'] === 'known' ? 0 : 17;
    asked.socket.write(answerTo(asked, code, {}, { body }));
  };
  const nameServers = [gone, ignorant, knowing].map(({ address }) => address);
  const client = new RocketmqClient({ ...optionsWith(new EventLines()), nameServers });
  assert.deepEqual(await client.route('known'), { brokers: [] });
  assert.equal(await client.route('unknown'), undefined);
  assert.equal(await client.getKv('n', 'k').catch(() => 'no'), 'no');
  await Promise.all([ignorant.close(), knowing.close()]);
  await assert.rejects(client.route('known'), /no name server answers: .*ECONNREFUSED/);
  client.close();
});

test('an address that is none is refused', () => {
  const options = optionsWith(new EventLines());
  for (const address of ['', 'host', 'host:', ':1', 'host:0', 'host:99999', 'host:x']) {
    assert.throws(() => new BrokerConnection(address, options), /not host:port/);
  }
});
