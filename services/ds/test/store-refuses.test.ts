import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StoreFailure } from '@lmqtt/common/store-failure';
import { DiskFiles, type OpenFile } from '../src/journal/files.ts';
import {
  connect,
  durable,
  left,
  pause,
  publish,
  startBroker,
  subscribeTo,
  tryConnect,
} from './fake-cs.ts';

/** The disk, full when told. */
class FullDisk extends DiskFiles {
  full = false;

  override async open(path: string, mode: 'read' | 'write' | 'create'): Promise<OpenFile> {
    const file = await super.open(path, mode);
    const write = file.write.bind(file);
    file.write = (buffer, start, bytes, position, done) => {
      if (!this.full) write(buffer, start, bytes, position, done);
      else
        setImmediate(() => {
          done(Object.assign(new Error('no space left'), { code: 'ENOSPC' }));
        });
    };
    return file;
  }
}

test('while the disk is full nothing is promised, and afterwards what was promised is there', async () => {
  const files = new FullDisk();
  const broker = await startBroker({}, { files });
  let last = broker;
  // The broker's own timers keep no process up; its listeners would.
  const awake = setInterval(() => {}, 1000);
  try {
    const a = await connect(broker, 'a');
    const { subscription } = await subscribeTo(broker, a.session, 't');
    const { queue } = subscription;
    assert.equal(await publish(broker, a.session, 't', 'before'), 0);
    files.full = true;
    assert.equal(await publish(broker, a.session, 't', 'refused'), 0x97);
    assert.equal(await publish(broker, a.session, 'r', 'refused', 1, true), 0x97);
    assert.notEqual(broker.ds.failure, null);
    const b = await tryConnect(broker, 'b');
    assert.deepEqual(
      [b.answer.kind, b.answer.kind === 'refused' && b.answer.reasonCode],
      ['refused', 0x97],
    );
    const banned = { kind: 'client', who: 'b', reason: '', by: 'ann', end: null } as const;
    await assert.rejects(broker.ds.bans.put(banned), StoreFailure);
    assert.equal(broker.ds.bans.count, 0);
    const place = { kind: 'queue', queue, partition: 0, offset: 0 } as const;
    let written = false;
    const sent = { packetId: 1, qos: 2, sequence: 1, place, filter: 't' } as const;
    const write = durable(broker, [{ kind: 'sent', session: a.session, ...sent }]).then(() => {
      written = true;
    });
    const options = { ...subscription.options, qos: 0 } as const;
    const [refused] = await broker.link.subscribe(a.session, [{ filter: 'u', options }]);
    assert.deepEqual(refused, { kind: 'refused', reasonCode: 0x97 });
    await pause(100);
    assert.equal(written, false);
    files.full = false;
    await write;
    assert.equal(await publish(broker, a.session, 't', 'after'), 0);
    assert.equal(broker.ds.failure, null);
    assert.equal(await publish(broker, a.session, 'u', 'nobody'), 0x10);
    assert.equal((await connect(broker, 'b')).answer.sessionPresent, false);
    await broker.link.disconnect(a.session, left);
    last = await broker.crash();
    const again = await connect(last, 'a');
    const { state } = again.answer;
    assert.deepEqual(
      state.subscriptions.map((one) => one.filter),
      ['t'],
    );
    assert.deepEqual(
      state.outbound.map((one) => one.packetId),
      [1],
    );
    const request = { queue, partition: 0, from: 0, messagesMax: 10, bytesMax: 1000 };
    const { messages } = await last.link.read(request);
    assert.deepEqual(
      messages.map((message) => message.payload.toString()),
      ['before', 'after'],
    );
  } finally {
    clearInterval(awake);
    await last.stop();
  }
});

test('what waited for the disk is told before what is written when it goes on', async () => {
  const files = new FullDisk();
  const broker = await startBroker({}, { files });
  const awake = setInterval(() => {}, 1000);
  try {
    const { session } = await connect(broker, 'a');
    const { subscription } = await subscribeTo(broker, session, 't');
    const { queue } = subscription;
    const told: number[] = [];
    const write = async (packetId: number): Promise<void> => {
      const place = { kind: 'queue', queue, partition: 0, offset: packetId } as const;
      const sent = { packetId, qos: 2, sequence: packetId, place, filter: 't' } as const;
      await durable(broker, [{ kind: 'sent', session, ...sent }]);
      told.push(packetId);
    };
    files.full = true;
    const waiting = [write(1), write(2)];
    while (broker.ds.failure === null) await pause(1);
    waiting.push(write(3));
    files.full = false;
    while (broker.ds.failure !== null) await pause(1);
    waiting.push(write(4));
    await Promise.all(waiting);
    assert.deepEqual(told, [1, 2, 3, 4]);
  } finally {
    clearInterval(awake);
    await broker.stop();
  }
});
