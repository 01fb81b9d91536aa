// A shared group whose queue has several partitions: a topic that moves from one to another comes in
// the order in which it was stored, each message once, and a partition that is away holds nobody up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cursor } from '@lmqtt/common/cursor';
import { clientId, groupId, nodeId, queueId, queueName, sessionHandle } from '@lmqtt/common/ids';
import { type Message, messageOf } from '@lmqtt/common/message';
import type { Assignment } from '@lmqtt/proto/assignment';
import type { StoredGroup } from '../src/group-store/group-store.ts';
import type { GroupMember } from '../src/routing/group-member.ts';
import { SharedGroup } from '../src/routing/shared-group.ts';

const queue = queueId(1);
const partitions = [0, 1] as const;

class Partitions {
  readonly given: string[] = [];
  readonly away: Set<number> = new Set();
  readonly stored: Message[][] = [[], []];
  readonly group: SharedGroup<string, GroupMember<string>>;
  readonly #member: GroupMember<string> & { seat: NonNullable<GroupMember<string>['seat']> };
  failures = 0;
  #offsets = new Map<string, { partition: number; offset: number }>();

  constructor(credit = 1000, readMessages = 2) {
    const cursors = partitions.map((partition) => Cursor.at(partition, 0));
    const group: StoredGroup = { id: groupId(1), name: queueName('g/t/#'), queue, cursors };
    this.group = new SharedGroup<string, GroupMember<string>>(group, 't/#', {
      read: ({ partition, from, messagesMax }) => {
        if (this.away.has(partition)) return Promise.reject(new Error('away'));
        const all = this.stored[partition]!;
        const messages = all.slice(Math.max(0, from), Math.max(0, from) + messagesMax);
        const next = Math.max(0, from) + messages.length;
        return Promise.resolve({ messages, next, end: all.length });
      },
      flush: () => undefined,
      failed: () => (this.failures += 1),
      skip: () => undefined,
      giveUp: () => undefined,
      partitions: () => partitions,
      ...{ readMessages, retryIntervalMs: 1000, triesMax: 5 },
    });
    const node = { id: nodeId('cs'), assign: (one: Assignment) => this.#assigned(one) };
    const seat = { given: 0, givenMax: credit, handle: sessionHandle(1), node: node as never };
    this.#member = {
      ...{ key: 'm', clientId: clientId('m'), filter: '$share/g/t/#', seat },
      ...{ rights: undefined, inFlight: 0 },
    };
    this.group.members.set('m', this.#member);
  }

  /** Stored, and not told of. */
  store(partition: number, text: string, placement: number, storedMs = 1000): () => void {
    const all = this.stored[partition]!;
    const offset = all.length;
    const [topic] = text.split(' ');
    const message = messageOf({
      ...{ topic: `t/${topic}`, qos: 2, retain: false, payload: Buffer.from(text), publisher: 'p' },
    });
    const entry = { queue, partition, offset, previous: offset - 1 };
    message.entries = [entry];
    message.orderKey = { placement, offset };
    message.storedMs = storedMs;
    all.push(message);
    return () => this.group.arrived(entry, message);
  }

  credit(more: number): void {
    Object.assign(this.#member.seat, { givenMax: this.#member.seat.givenMax + more });
    this.group.pump();
  }

  /** Taken back from its member. */
  takeBack(text: string): void {
    const { partition, offset } = this.#offsets.get(text)!;
    this.group.takeBack(partition, offset);
    this.group.pump();
  }

  async until(count: number): Promise<void> {
    for (let turns = 0; turns < 1000 && this.given.length < count; turns += 1)
      await new Promise((resolve) => setImmediate(resolve));
    assert.equal(this.given.length, count, this.given.join(', '));
  }

  #assigned({ message, partition, offset }: Assignment): void {
    const text = message.payload.toString();
    this.given.push(text);
    this.#offsets.set(text, { partition, offset });
  }
}

const texts = (topic: string, from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, n) => `${topic} ${from + n}`);

async function begun(credit?: number): Promise<Partitions> {
  const all = new Partitions(credit);
  all.group.start();
  all.group.pump();
  all.store(0, 'first 0', 1)();
  all.store(1, 'other 0', 1)();
  await all.until(2);
  return all;
}

void test('what a topic has left is given out before what it has where it came to', async () => {
  const all = await begun();
  for (const text of texts('x', 0, 5)) all.store(0, text, 1);
  const pushes = texts('x', 5, 9).map((text) => all.store(1, text, 2, 900));
  // Pushed before anything of the partition that it has left.
  for (const push of pushes) push();
  await all.until(11);
  assert.deepEqual(all.given.slice(2), texts('x', 0, 9));
  all.store(1, 'x 9', 2)();
  assert.equal(all.given.at(-1), 'x 9', 'what follows is given out as it comes');
});

void test('a backlog of several partitions comes in the order in which it was stored', async () => {
  const all = new Partitions(3);
  let storedMs = 1000;
  const there = (partition: number, placement: number, from: number, to: number): void => {
    for (const text of texts('x', from, to)) all.store(partition, text, placement, (storedMs += 5));
  };
  there(1, 1, 0, 7);
  there(0, 2, 7, 12);
  there(1, 3, 12, 20);
  all.group.start();
  all.group.pump();
  for (let count = 3; count < 20; count += 3) {
    await all.until(count);
    all.credit(3);
  }
  await all.until(20);
  assert.deepEqual(all.given, texts('x', 0, 20));
});

void test('a partition that is away holds nobody up, and comes when it is back', async () => {
  const all = await begun();
  for (const text of texts('x', 0, 3)) all.store(0, text, 1);
  all.away.add(0);
  all.store(1, 'x 3', 2)();
  await all.until(3);
  assert.equal(all.given.at(-1), 'x 3');
  assert.ok(all.failures > 0);
  all.away.clear();
  // Another topic that moves asks there at once.
  all.store(1, 'y 0', 2)();
  await all.until(7);
  assert.deepEqual(all.given.slice(3).toSorted(), [...texts('x', 0, 3), 'y 0']);
});

void test('what is taken back meanwhile comes again, and everything else once', async () => {
  const all = await begun(4);
  for (const text of texts('x', 0, 6)) all.store(0, text, 1);
  for (const text of texts('y', 0, 6)) all.store(1, text, 1)();
  all.group.lookEverywhere();
  all.group.pump();
  await all.until(4);
  const again = all.given[3]!;
  all.credit(3);
  all.takeBack(again);
  await all.until(7);
  all.credit(100);
  await all.until(15);
  const counts = new Map<string, number>();
  for (const text of all.given) counts.set(text, (counts.get(text) ?? 0) + 1);
  assert.equal(counts.size, 14);
  assert.deepEqual(
    [...counts].filter(([, count]) => count > 1),
    [[again, 2]],
  );
});
