// A message that matches more queues than its record can name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queueId } from '@lmqtt/common/ids';
import { messageOf } from '@lmqtt/common/message';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { DiskJournal } from '../src/journal/disk-journal.ts';
import { EmbeddedQueueStore } from '../src/queue-store/embedded/embedded-queue-store.ts';
import { recordQueuesMax } from '../src/queue-store/embedded/message-record.ts';
import type { Append } from '../src/queue-store/queue-store.ts';
import { scratchDirectory } from './journal-ledger.ts';

test('a message of 65,536 queues is refused with 0x97; one of 65,535 is read from each after a restart', async (t) => {
  const directory = scratchDirectory(t);
  const inbound = { storing: () => undefined, stored: () => undefined, has: () => false };
  const open = async (): Promise<{ journal: DiskJournal; store: EmbeddedQueueStore }> => {
    const journal = new DiskJournal({ directory, onEvent: () => undefined });
    const store = new EmbeddedQueueStore(journal, inbound, {});
    await journal.open();
    return { journal, store };
  };
  const first = await open();
  const append = async (text: string, queues: number): Promise<Append> => {
    const message = messageOf({ topic: 'a', qos: 1, retain: false, payload: Buffer.from(text) });
    const all = Array.from({ length: queues }, (_, index) => queueId(index + 1));
    const one: Append = {
      ...{ message, queues: all, lane: '', inbound: undefined },
      ...{ reasonCode: -1, orderKey: undefined },
    };
    await new Promise((done) => {
      first.store.append([one], done);
    });
    return one;
  };
  const refused = await append('refused', recordQueuesMax + 1);
  assert.equal(refused.reasonCode, ReasonCode.quotaExceeded);
  assert.equal(refused.final, true);
  assert.equal((await append('taken', recordQueuesMax)).reasonCode, 0);
  assert.equal((await append('next', 1)).reasonCode, 0);
  await first.store.close();
  await first.journal.close();
  const again = await open();
  const read = async (queue: number): Promise<string[]> => {
    const page = { messagesMax: 10, bytesMax: 1 << 20 };
    const { messages } = await again.store.read({
      ...{ queue: queueId(queue), partition: 0, from: 0 },
      ...page,
    });
    return messages.map(({ payload }) => payload.toString());
  };
  assert.deepEqual(await read(1), ['taken', 'next']);
  assert.deepEqual(await read(recordQueuesMax), ['taken']);
  await again.store.close();
  await again.journal.close();
});
