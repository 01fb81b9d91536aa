import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId, epoch, type GroupId, groupId, queueId, queueName } from '@lmqtt/common/ids';
import { openGroups } from '../src/use-cases/open-groups.ts';
import { Queue } from '../src/routing/routes.ts';
import { StoredSession } from '../src/session-store/stored-session.ts';

const count = 500;

function queueOf(index: number): Queue {
  return new Queue(queueId(index + 1), queueName(`t/${index}`));
}

/** Opens nothing before so many are wanted at once. */
class PatientGroups {
  readonly #waiting: (() => void)[] = [];

  async open(name: string, { id }: Queue): Promise<{ readonly id: GroupId }> {
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === count) for (const each of this.#waiting) each();
    });
    if (name === 'fails') throw new Error('it cannot be opened');
    return { id: groupId(id) };
  }
}

for (const fails of [false, true]) {
  test(`shared filters of one SUBSCRIBE find their groups together; one fails: ${fails}`, async () => {
    const member = new StoredSession(1, clientId('c'), epoch(1), 0);
    const wanted = Array.from({ length: count + 1 }, (_, index) => ({
      name: index === 3 ? undefined : fails && index === 0 ? 'fails' : `g${index}`,
      queue: queueOf(index),
    }));
    const opened: { readonly id: GroupId }[] = [];
    const opening = openGroups(new PatientGroups(), member, wanted, opened);
    if (fails) await assert.rejects(opening, /cannot be opened/);
    else {
      const groups = await opening;
      assert.deepEqual(
        groups.map((group) => group?.id),
        wanted.map(({ name, queue }) => (name === undefined ? undefined : groupId(queue.id))),
      );
    }
    assert.equal(opened.length, fails ? count - 1 : count);
  });
}
