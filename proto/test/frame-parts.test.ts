import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Exchange } from '../src/wire/exchange.ts';
import type { Channel } from '../src/wire/exchange.ts';
import { FrameParts } from '../src/wire/frame-parts.ts';
import { WireError } from '../src/wire/wire-error.ts';

mock.timers.enable({ apis: ['setTimeout'] });

const limits = { windowFrames: 8, frameBytesMax: 256 << 10 };
const field = 20;
const large = 1 << 20;

/** Two ends: what one writes, the frames on their way, and what has come of them. */
class Way {
  readonly frames: Buffer[] = [];
  readonly answers: Buffer[] = [];
  readonly arrived: string[] = [];
  readonly sender: Exchange;
  receiver: Exchange;

  constructor(receivedBytesMax = Infinity) {
    this.sender = new Exchange(limits, { pulse: () => {}, item: () => {} });
    this.receiver = new Exchange(
      { ...limits, receivedBytesMax },
      {
        pulse: () => {},
        item: (reader, _field, end) => {
          reader.at += 1;
          const name = reader.text();
          this.arrived.push(`${name} ${end - reader.at}`);
        },
      },
    );
    this.open();
  }

  open(): void {
    this.frames.length = 0;
    this.answers.length = 0;
    this.sender.bind((frame) => this.frames.push(Buffer.from(frame)));
    this.receiver.bind((frame) => this.answers.push(Buffer.from(frame)));
    this.sender.resume(this.receiver.received);
    this.receiver.resume(this.sender.received);
  }

  cut(): void {
    this.sender.unbind();
    this.receiver.unbind();
  }

  write(name: string, bytes: number, channel: Channel): void {
    this.sender.beginLarge(bytes);
    const writer = this.sender.open(field, channel);
    writer.writtenText(0x0a, name);
    writer.reserve(bytes);
    writer.buffer.fill(0x78, writer.at, writer.at + bytes);
    writer.at += bytes;
    this.sender.close();
  }

  async deliver(count = Infinity): Promise<void> {
    for (let done = 0; done < count; done++) {
      await new Promise<void>((resolve) => process.nextTick(resolve));
      const frame = this.frames.shift();
      if (frame !== undefined) assert.equal(this.receiver.receive(frame), true);
      await new Promise<void>((resolve) => process.nextTick(resolve));
      mock.timers.tick(10);
      for (const answer of this.answers.splice(0)) this.sender.receive(answer);
      if (frame === undefined) return;
    }
  }
}

test('large message: it leaves in parts, and control between them', async () => {
  const way = new Way();
  way.write('small', 10, 'bulk');
  way.write('large', large, 'bulk');
  await way.deliver(3);
  assert.deepEqual(way.arrived, ['small 10']);
  for (const frame of way.frames) assert.ok(frame.length < large / 4);
  way.write('control', 20, 'control');
  await way.deliver();
  assert.deepEqual(way.arrived, ['small 10', 'control 20', `large ${large}`]);
  assert.equal(way.sender.waitingBytes, 0);
  assert.equal(way.sender.unacknowledgedFrames, 0);
});

test('no more than the window is under way, whatever waits', async () => {
  const way = new Way();
  way.write('large', 8 * large, 'bulk');
  await new Promise<void>((resolve) => process.nextTick(resolve));
  const underWay = way.frames.reduce((sum, { length }) => sum + length, 0);
  assert.ok(underWay <= 1.5 * way.sender.windowBytes);
  assert.equal(way.sender.unacknowledgedFrames, 1);
  await way.deliver();
  assert.deepEqual(way.arrived, [`large ${8 * large}`]);
});

test('a stream that breaks between parts: only what did not arrive goes again', async () => {
  const way = new Way();
  way.write('large', large, 'bulk');
  way.write('next', 10, 'bulk');
  let frames = 0;
  for (let round = 0; round < 3; round++) {
    await way.deliver(4);
    frames += 4;
    way.cut();
    way.open();
  }
  while (way.arrived.length < 2) {
    await way.deliver(1);
    frames += 1;
    assert.ok(frames < 200);
  }
  assert.deepEqual(way.arrived, [`large ${large}`, 'next 10']);
});

test('control keeps its order, also where some of it was written behind little of bulk', async () => {
  const way = new Way();
  way.write('first', 10, 'control');
  for (let index = 0; index < 20; index++) way.write(`bulk ${index}`, 50_000, 'bulk');
  way.write('second', 10, 'control');
  way.write('third', 10, 'control');
  await way.deliver();
  const control = way.arrived.filter((line) => !line.startsWith('bulk'));
  assert.deepEqual(control, ['first 10', 'second 10', 'third 10']);
  const bulk = way.arrived.filter((line) => line.startsWith('bulk'));
  assert.deepEqual(
    bulk,
    bulk.map((_, index) => `bulk ${index} 50000`),
  );
  assert.ok(way.arrived.indexOf('third 10') < way.arrived.length - 5, 'control overtook');
});

test('marks say what has left', async () => {
  const way = new Way();
  assert.equal(way.sender.hasLeft(way.sender.bulkMark), true);
  way.write('large', large, 'bulk');
  const mark = way.sender.bulkMark;
  await way.deliver(2);
  assert.equal(way.sender.hasLeft(mark), false);
  await way.deliver();
  assert.equal(way.sender.hasLeft(mark), true);
  way.write('dropped', large, 'bulk');
  const dropped = way.sender.bulkMark;
  way.sender.reset();
  assert.equal(way.sender.hasLeft(dropped), true);
});

test('parts: a total that lies costs no memory, and what does not fit is garbage', () => {
  const part = Buffer.alloc(10);
  const lying = new FrameParts(Infinity);
  assert.equal(lying.add(part, 2 ** 40), undefined);
  assert.throws(() => new FrameParts(1000).add(part, 1001), WireError);
  assert.throws(() => new FrameParts(1000).add(part, 0), WireError);
  const parts = new FrameParts(1000);
  assert.equal(parts.add(part, 15), undefined);
  assert.throws(() => parts.add(part, 0), WireError);
});

test('a frame past what may be received is garbage', async () => {
  const way = new Way(large / 2);
  way.write('large', large, 'bulk');
  await new Promise<void>((resolve) => process.nextTick(resolve));
  assert.throws(() => way.receiver.receive(way.frames[0]!), WireError);
});
