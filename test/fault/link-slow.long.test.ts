// A message of nearly the largest size over the link, in both directions.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { connected, type RawClient, unique } from '../harness/wire.ts';
import { patienceMs, SlowLink, wide } from './slow-link.ts';

const mib = 1 << 20;
const bytes = 240 * mib;
const packetId = 1;

/**
 * Such a message in pieces, without the whole of it in memory: the link's proxy is in this process,
 * and is not to stand still.
 */
async function sendLarge({ stream }: RawClient, topic: string): Promise<void> {
  const length = 2 + Buffer.byteLength(topic) + 2 + bytes;
  const head = [0x32];
  for (let left = length; left > 0; left = Math.floor(left / 0x80))
    head.push((left % 0x80) | (left >= 0x80 ? 0x80 : 0));
  stream.write(Buffer.from([...head, topic.length >> 8, topic.length & 0xff]));
  stream.write(Buffer.from(topic));
  stream.write(Buffer.from([packetId >> 8, packetId & 0xff]));
  const piece = Buffer.alloc(mib);
  for (let left = bytes; left > 0; left -= mib)
    if (!stream.write(piece)) await once(stream, 'drain');
}

/** Resolves when so many bytes more have come: such a message is not put together here. */
function counted(client: RawClient): Promise<void> {
  let left = bytes;
  client.stream.removeAllListeners('data');
  return new Promise((resolve) => {
    client.stream.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left <= 0) resolve();
    });
  });
}

for (const [way, from, to] of [
  ['up', 1, 2],
  ['down', 2, 1],
] as const) {
  void test(`slow link: one message of 240 MB over 1 Gbit/s, ${way}`, async (t) => {
    const link = await SlowLink.start(t, wide, {
      MAX_PACKET_SIZE: '256m',
      PENDING_APPEND_BYTES_MAX: '300m',
    });
    const topic = unique('huge');
    const subscriber = await connected(link.port(to), { keepAliveS: 0 });
    await subscriber.subscribe(topic, 1);
    const publisher = await connected(link.port(from), { keepAliveS: 0 });
    const unharmed = await link.witness();
    const arrived = counted(subscriber);
    await sendLarge(publisher, topic);
    const other = await connected(link.port(1));
    await other.publish(unique('small'), 'small', { qos: 0 });
    await publisher.expect('puback', { packetId }, patienceMs);
    await arrived;
    assert.equal(other.closed, false);
    await unharmed();
  });
}
