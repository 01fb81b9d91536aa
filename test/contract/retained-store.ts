import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type Message, messageOf, type OrderKey } from '@lmqtt/common/message';
import type { RetainedStore } from '@lmqtt/ds/retained-store/retained-store';

/** A store with what the suite needs around it; it has room for 3 messages and 100 bytes. */
export interface RetainedStoreUnderTest {
  readonly store: RetainedStore;
  crash(): Promise<RetainedStoreUnderTest>;
  close(): Promise<void>;
}

/** Checks each sentence of the comment of the port. */
export function retainedStoreContract(
  name: string,
  make: (t: TestContext) => Promise<RetainedStoreUnderTest>,
): void {
  const check = (promise: string, work: (bench: Bench) => Promise<void>): void => {
    void test(`${name}: ${promise}`, async (t) => {
      const bench = new Bench(await make(t));
      try {
        await work(bench);
      } finally {
        await bench.under.close();
      }
    });
  };

  check('the greater order key counts, whichever came first', async (bench) => {
    await bench.put('a', 'new', 5);
    await bench.put('a', 'old', 3);
    assert.deepEqual(await bench.texts('a'), ['new']);
    await bench.put('a', '', 4);
    assert.deepEqual(await bench.texts('a'), ['new']);
    await bench.put('a', '', 6);
    await bench.put('a', 'late', 5);
    assert.deepEqual(await bench.texts('a'), []);
    await bench.put('a', 'next', 7);
    assert.deepEqual(await bench.texts('a'), ['next']);
  });

  check('what is durable is there after a crash, and what was deleted is not', async (bench) => {
    await bench.put('a', 'one', 1);
    await bench.put('b', 'two', 2);
    await bench.put('b', '', 3);
    await bench.crash();
    assert.deepEqual(await bench.texts('#'), ['one']);
    assert.equal(bench.store.count, 1);
    await bench.put('b', 'late', 2);
    assert.deepEqual(await bench.texts('b'), []);
  });

  check('what has an order key is seen when it is durable', async (bench) => {
    let done = false;
    const put = bench.put('a', 'x', 1).then(() => {
      done = true;
    });
    assert.deepEqual([await bench.texts('a'), done], [[], false]);
    await put;
    assert.deepEqual(await bench.texts('a'), ['x']);
  });

  check('what has none gets one greater than before, and is seen at once', async (bench) => {
    const first = retainedOf('a', '1');
    const second = retainedOf('a', '2');
    bench.store.put(first, undefined);
    bench.store.put(second, undefined);
    assert.ok(second.orderKey!.offset > first.orderKey!.offset);
    assert.deepEqual(await bench.texts('a'), ['2']);
  });

  check('match gives every topic once, in order, a page at a time', async (bench) => {
    for (const topic of ['r/c', 'r/a', 'r/b']) await bench.put(topic, topic, 1);
    const found: string[] = [];
    for (let after: string | undefined = ''; after !== undefined;) {
      const page = await bench.store.match('r/+', after, 1, 1000);
      assert.ok(page.messages.length <= 1);
      found.push(...page.messages.map((message) => message.topic));
      after = page.next;
    }
    assert.deepEqual(found, ['r/a', 'r/b', 'r/c']);
    const page = await bench.store.match('r/+', '', 10, 1);
    assert.equal(page.messages.length, 1);
    assert.equal(page.next, 'r/a');
  });

  check('what is given is the own copy of the caller, with RETAIN and its key', async (bench) => {
    await bench.put('a', 'x', 7);
    const [one] = (await bench.store.match('a', '', 1, 100)).messages;
    const [other] = (await bench.store.match('a', '', 1, 100)).messages;
    assert.notEqual(one, other);
    assert.equal(one?.retain, true);
    assert.deepEqual(one.orderKey, key(7));
    assert.deepEqual([one.topic, one.qos, one.publisher], ['a', 1, 'p']);
    assert.equal(one.properties?.toString(), 'props');
  });

  check('what has expired is not given', async (bench) => {
    const message = messageOf({
      topic: 'a',
      qos: 1,
      retain: true,
      payload: Buffer.from('x'),
      expiresAtMs: Date.now() + 50,
    });
    await new Promise((resolve) => {
      bench.store.put(message, key(1), resolve);
    });
    assert.equal((await bench.texts('a')).length, 1);
    await new Promise((resolve) => {
      setTimeout(resolve, 80);
    });
    assert.equal((await bench.texts('a')).length, 0);
  });

  check('a version can be read while it is pinned, after a crash as well', async (bench) => {
    await bench.put('a', 'old', 1);
    bench.store.pin('a', key(1));
    await bench.put('a', 'new', 2);
    const version = async (offset: number): Promise<string | undefined> =>
      (await bench.store.version('a', key(offset)))?.payload.toString();
    assert.deepEqual([await version(1), await version(2)], ['old', 'new']);
    assert.equal(await version(3), undefined);
    await bench.crash();
    bench.store.pin('a', key(1));
    assert.equal(await version(1), 'old');
    bench.store.unpin('a', key(1));
  });

  check('there is room for so many messages and bytes', async (bench) => {
    for (const topic of ['a', 'b', 'c']) {
      assert.equal(bench.store.admits(retainedOf(topic, 'x')), true);
      await bench.put(topic, 'x', 1);
    }
    assert.equal(bench.store.admits(retainedOf('d', 'x')), false);
    assert.equal(bench.store.admits(retainedOf('c', 'y')), true);
    assert.equal(bench.store.admits(retainedOf('c', 'y'.repeat(1000))), false);
    assert.equal(bench.store.admits(retainedOf('d', '')), true);
    await bench.put('a', '', 2);
    assert.equal(bench.store.admits(retainedOf('d', 'x')), true);
    assert.equal(bench.store.count, 2);
  });
}

class Bench {
  under: RetainedStoreUnderTest;

  constructor(under: RetainedStoreUnderTest) {
    this.under = under;
  }

  get store(): RetainedStore {
    return this.under.store;
  }

  async crash(): Promise<void> {
    this.under = await this.under.crash();
  }

  put(topic: string, text: string, offset: number): Promise<void> {
    return new Promise((resolve) => {
      this.store.put(retainedOf(topic, text), key(offset), (reasonCode) => {
        assert.equal(reasonCode, 0);
        resolve();
      });
    });
  }

  async texts(filter: string): Promise<string[]> {
    const { messages } = await this.store.match(filter, '', 100, 1000);
    return messages.map((message) => message.payload.toString());
  }
}

function retainedOf(topic: string, text: string): Message {
  const payload = Buffer.from(text);
  const properties = Buffer.from('props');
  return messageOf({ topic, qos: 1, retain: true, payload, properties, publisher: 'p' });
}

function key(offset: number): OrderKey {
  return { placement: 0, offset };
}
