// Streams that break, stall, lose and repeat: the conversation goes on, and neither end sees it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sessionHandle } from '@lmqtt/common/ids';
import { FakeDs } from './link-fake-ds.ts';
import { linkTo, metric, presentedOf, publishOf } from './link-fixture.ts';
import { stallingProxy } from './link-stalling-proxy.ts';

const sequenceTag = 0x09;
const release = { kind: 'inbound-done', session: sessionHandle(1), packetId: 3 } as const;

/** 0: none. */
function sequenceOf(frame: Buffer): number {
  return frame[0] === sequenceTag ? frame.readUInt32LE(1) : 0;
}

function textsOf(ds: FakeDs): string[] {
  return ds.publishes.map(({ message }) => message.payload.toString());
}

test('over cuts nothing is lost, nothing comes twice, and the sessions are not presented again', async (t) => {
  const ds = await FakeDs.start(t);
  const { node, link, server } = linkTo(t, ds, {}, [presentedOf(1)]);
  await server.whenAttached;
  const sent: string[] = [];
  let durable = 0;
  for (let round = 0; round < 40; round++) {
    sent.push(`m${round}`);
    link.publish([publishOf(`m${round}`)]);
    link.write([release], () => {
      durable += 1;
      node.happened();
    });
    if (round % 8 === 3) ds.cut();
    if (round % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await node.until('all answers', () => node.answers.length === 40 && durable === 40);
  assert.deepEqual(textsOf(ds), sent);
  assert.deepEqual(
    node.answers.map(({ message }) => message.payload.toString()),
    sent,
  );
  assert.equal(ds.log.filter((line) => line.startsWith('presents')).length, 1);
  assert.equal(node.log.filter((line) => line === 'present').length, 1);
  assert.ok(ds.streams > 1);
});

test('while the stream is away the link is not up, and QoS 0 is dropped and counted', async (t) => {
  const ds = await FakeDs.start(t);
  const { node, link, server, metrics } = linkTo(t, ds);
  await server.whenAttached;
  ds.cut();
  await node.until('down', () => !link.up);
  link.publish([publishOf('zero', 0), publishOf('one'), publishOf('zero', 0)]);
  await node.until('the answer', () => node.answers.length === 1);
  assert.deepEqual(textsOf(ds), ['one']);
  assert.deepEqual(node.changes, [
    { up: true, leased: true },
    { up: false, leased: true },
    { up: true, leased: true },
  ]);
  assert.equal(await metric(metrics, 'lmqtt_link_dropped_total{reason="link down"}'), 2);
});

test('QoS 0 is dropped while too much waits for the link, QoS 1 is not', async (t) => {
  const ds = await FakeDs.start(t);
  const { node, link, server, metrics } = linkTo(t, ds, {
    linkBufferBytesMax: 65_536,
    linkWindowFrames: 1,
    linkWindowBytesMax: 8 << 20,
  });
  await server.whenAttached;
  const large = 'x'.repeat(70_000);
  link.publish([publishOf(large)]);
  link.publish([publishOf('zero', 0), publishOf('one')]);
  await node.until('the answers', () => node.answers.length === 2);
  assert.deepEqual(textsOf(ds), [large, 'one']);
  link.publish([publishOf('zero', 0)]);
  await ds.until('QoS 0 with room', () => ds.publishes.length === 3);
  assert.equal(await metric(metrics, 'lmqtt_link_dropped_total{reason="link behind"}'), 1);
  assert.equal(await metric(metrics, 'lmqtt_limit_total{limit="link_buffer_bytes_max"}'), 1);
});

for (const way of ['up', 'down'] as const) {
  test(`a frame that is lost on its way ${way} is sent again`, async (t) => {
    const ds = await FakeDs.start(t);
    const { node, link, server } = linkTo(t, ds);
    await server.whenAttached;
    let lost = 0;
    ds[way] = (frame) => {
      if (sequenceOf(frame) === 0 || lost === 1) return [frame];
      lost += 1;
      return [];
    };
    link.publish([publishOf('a')]);
    await new Promise((resolve) => setImmediate(resolve));
    link.publish([publishOf('b')]);
    await node.until('both answers', () => node.answers.length === 2);
    assert.equal(lost, 1);
    assert.deepEqual(textsOf(ds), ['a', 'b']);
    assert.ok(ds.streams > 1);
  });

  test(`a frame that is repeated on its way ${way} is taken once`, async (t) => {
    const ds = await FakeDs.start(t);
    const { node, link, server } = linkTo(t, ds);
    await server.whenAttached;
    ds[way] = (frame) => [frame, Buffer.from(frame)];
    for (const text of ['a', 'b', 'c']) {
      link.publish([publishOf(text)]);
      await node.until(text, () => node.answers.at(-1)?.message.payload.toString() === text);
    }
    assert.deepEqual(textsOf(ds), ['a', 'b', 'c']);
    assert.equal(node.answers.length, 3);
    assert.equal(ds.streams, 1);
  });
}

test('a stream without answers to renewals is cut after half a lease, and taken up again', async (t) => {
  const ds = await FakeDs.start(t, { leaseMs: 600 });
  const { node, link, server, metrics } = linkTo(t, ds);
  await server.whenAttached;
  ds.down = () => [];
  ds.up = () => [];
  await node.until('the cut', () => !link.up);
  ds.down = (frame) => [frame];
  ds.up = (frame) => [frame];
  await node.until('up again', () => link.up);
  assert.deepEqual(ds.log, ['presents 0 last']);
  assert.ok((await metric(metrics, 'lmqtt_link_streams_total{event="resumed"}')) >= 1);
});

test('a stream whose renewals wait behind bulk is not broken, and a second one keeps the lease', async (t) => {
  const ds = await FakeDs.start(t, { leaseMs: 600 });
  ds.takesPulses = true;
  ds.held.add('renewals');
  const { node, link, server, metrics } = linkTo(t, ds);
  await server.whenAttached;
  const endMs = performance.now() + 4 * 600;
  for (let count = 1; performance.now() < endMs; count++) {
    link.publish([publishOf(`${count}`)]);
    await node.until('the answer', () => node.answers.length === count);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual(
    node.changes.filter(({ up, leased }) => !up || !leased),
    [],
  );
  assert.equal(await metric(metrics, 'lmqtt_link_streams_total{event="broken"}'), 0);
});

test('a stream that brings nothing is broken though a second one is answered', async (t) => {
  const ds = await FakeDs.start(t, { leaseMs: 300 });
  ds.takesPulses = true;
  const { node, link, server } = linkTo(t, ds);
  await server.whenAttached;
  ds.down = () => [];
  await node.until('the break', () => !link.up);
  ds.down = (frame) => [frame];
  await node.until('up again', () => link.up);
  assert.deepEqual(ds.log, ['presents 0 last']);
});

test('garbage breaks the stream; what was not taken is sent again', async (t) => {
  const ds = await FakeDs.start(t);
  const { node, link, server } = linkTo(t, ds);
  await server.whenAttached;
  ds.send(Buffer.from('no frame at all'));
  await node.until('the break', () => node.changes.length >= 2);
  await node.until('up again', () => link.up);
  link.publish([publishOf('a')]);
  await node.until('the answer', () => node.answers.length === 1);
  assert.deepEqual(ds.log, ['presents 0 last', 'publish a']);
});

test('garbage in a frame that was begun: the sessions are presented again', async (t) => {
  const ds = await FakeDs.start(t);
  const { node, link, server } = linkTo(t, ds);
  await server.whenAttached;
  const writer = ds.exchange.open(99);
  writer.reserve(16);
  writer.number(0x08, 1);
  ds.exchange.close();
  await node.until('the break', () => node.changes.length >= 2);
  await node.until('up again', () => link.up);
  assert.deepEqual(ds.log, ['presents 0 last', 'presents 0 last']);
});

test('a black hole is noticed, also by what connects into it', async (t) => {
  const ds = await FakeDs.start(t, { leaseMs: 600 });
  const proxy = await stallingProxy(t, ds);
  const { node, link, server, metrics } = linkTo(t, proxy);
  await server.whenAttached;
  link.publish([publishOf('before')]);
  await node.until('the answer', () => node.answers.length === 1);
  proxy.stall = true;
  link.publish([publishOf('into it')]);
  await node.until('frozen', () => node.changes.at(-1)?.leased === false);
  assert.equal(link.up, false);
  // A second stream ends in it too, by the time-out of connecting.
  for (let round = 0; round < 300; round++) {
    if ((await metric(metrics, 'lmqtt_link_streams_total{event="broken"}')) >= 2) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  proxy.stall = false;
  await node.until('up again', () => link.up);
  await node.until('the answer', () => node.answers.length === 2);
  assert.deepEqual(textsOf(ds), ['before', 'into it']);
});
