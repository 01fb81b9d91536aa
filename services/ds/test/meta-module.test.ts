// Modules of META_MODULE: retained messages that are written to one and come from it, its failures,
// and the lists of an installation on RocketMQ.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isNewer, type Message, messageOf, type OrderKey } from '@lmqtt/common/message';
import { matches } from '@lmqtt/common/topic';
import type { MetaFunctions, RetainedRecord } from '../src/meta/meta.ts';
import { MetaModule } from '../src/meta/meta-module.ts';
import { messageIn, recordOf } from '../src/meta/retained-record.ts';
import { WrittenRetained } from '../src/meta/written-retained.ts';
import type { RetainedStore } from '../src/retained-store/retained-store.ts';

/** The latest message of each topic, at once. */
class LatestMessages implements RetainedStore {
  readonly kept = new Map<string, Message>();
  #offset = 0;

  get count(): number {
    return this.kept.size;
  }

  get bytes(): number {
    return 0;
  }

  admits(): boolean {
    return this.kept.size < 10;
  }

  put(message: Message, orderKey: OrderKey | undefined, done?: (reasonCode: number) => void): void {
    this.#offset += 1;
    message.orderKey = orderKey ?? { placement: 0, offset: this.#offset };
    if (done !== undefined) setImmediate(done, 0);
    const before = this.kept.get(message.topic)?.orderKey;
    if (before !== undefined && !isNewer(message.orderKey, before)) return;
    if (message.payloadBytes === 0) this.kept.delete(message.topic);
    else this.kept.set(message.topic, message);
  }

  async match(filter: string): ReturnType<RetainedStore['match']> {
    const messages = [...this.kept.values()].filter(({ topic }) => matches(filter, topic));
    return { messages, next: undefined };
  }

  async version(): Promise<undefined> {
    return undefined;
  }

  pin(): void {}
  unpin(): void {}
}

interface Opened {
  readonly inner: LatestMessages;
  readonly store: WrittenRetained;
  readonly failures: string[];
}

function openStore(functions: MetaFunctions, passes = false, timeoutMs = 60_000): Opened {
  const failures: string[] = [];
  const failed = (name: string, problem: string): void => {
    failures.push(`${name}: ${problem}`);
  };
  const inner = new LatestMessages();
  const module = new MetaModule(functions, { timeoutMs, failed });
  const options = { passesFailures: passes, unwrittenMax: 3 };
  return { inner, store: new WrittenRetained(inner, module, options), failures };
}

const messageTo = (topic: string, text: string): Message =>
  messageOf({ topic, qos: 1, retain: true, payload: Buffer.from(text) });

function put(store: RetainedStore, topic: string, text: string): Promise<number> {
  return new Promise((resolve) => {
    store.put(messageTo(topic, text), undefined, resolve);
  });
}

/** A module over a map. */
function mapModule(kept: Map<string, RetainedRecord>): MetaFunctions {
  return {
    listRetained: () => kept.values(),
    putRetained: (record) => kept.set(record.topic, record),
    deleteRetained: (topic) => kept.delete(topic),
  };
}

const textsOf = (kept: ReadonlyMap<string, { payload: Uint8Array }>): string[] =>
  [...kept].map(([topic, { payload }]) => `${topic} ${Buffer.from(payload).toString()}`).toSorted();

describe('retained messages of a module', () => {
  it('are written before they are acknowledged, and deleted', async () => {
    const kept = new Map<string, RetainedRecord>();
    const { store } = openStore(mapModule(kept));
    assert.equal(await put(store, 'a', 'one'), 0);
    assert.deepEqual(textsOf(kept), ['a one']);
    assert.equal(await put(store, 'a', 'two'), 0);
    assert.deepEqual(textsOf(kept), ['a two']);
    assert.equal(await put(store, 'a', ''), 0);
    assert.deepEqual(textsOf(kept), []);
    store.put(messageTo('b', 'lazy'), undefined);
    await store.flush(60_000);
    assert.deepEqual(textsOf(kept), ['b lazy']);
    assert.equal(store.unwritten, 0);
  });

  it('come from it at the start, and others go', async () => {
    const kept = new Map<string, RetainedRecord>();
    const qos = 1;
    for (const topic of ['a', 'b']) kept.set(topic, { topic, qos, payload: Buffer.from('kept') });
    kept.set('old', { topic: 'old', qos, payload: Buffer.from('x'), expires_at: 1 });
    const whole = openStore(mapModule(kept));
    await put(whole.inner, 'b', 'other');
    await put(whole.inner, 'c', 'gone');
    await whole.store.load(true);
    assert.deepEqual(textsOf(whole.inner.kept), ['a kept', 'b kept']);
    const shared = openStore(mapModule(kept));
    await shared.store.load(false);
    assert.deepEqual(textsOf(shared.inner.kept), ['a kept', 'b kept']);
    const filled = openStore(mapModule(kept));
    await put(filled.inner, 'c', 'stays');
    await filled.store.load(false);
    assert.deepEqual(textsOf(filled.inner.kept), ['c stays']);
  });

  it('never replace what another node has put while they were read', async () => {
    const kept = new Map<string, RetainedRecord>();
    const { store, inner } = openStore({
      ...mapModule(kept),
      async *listRetained() {
        inner.put(messageTo('a', 'newer'), undefined);
        for (const topic of ['a', 'b']) yield { topic, qos: 1, payload: Buffer.from('kept') };
      },
    });
    await store.load(false);
    assert.deepEqual(textsOf(inner.kept), ['a newer', 'b kept']);
  });

  it('are as many as there is room for where it is away', async () => {
    const functions: MetaFunctions = {
      ...mapModule(new Map()),
      deleteRetained: () => Promise.reject(new Error('away')),
    };
    const { store } = openStore(functions);
    for (const topic of ['a', 'b', 'c']) assert.equal(await put(store, topic, ''), 0x83);
    assert.equal(store.unwritten, 3);
    assert.deepEqual(
      ['c', 'd'].map((topic) => store.admits(messageTo(topic, ''))),
      [true, false],
    );
    store.close();
  });

  it('end the start where it fails to list them', async () => {
    const functions = mapModule(new Map());
    const wrong: [unknown, RegExp][] = [
      [[{ topic: 'a' }], /payload/],
      [[{ topic: 'a/#', payload: Buffer.from('x') }], /topic of it is not valid/],
      [[5], /no object/],
      [5, /./],
    ];
    for (const [said, expected] of wrong) {
      const listRetained = (): RetainedRecord[] => said as RetainedRecord[];
      const { store, failures } = openStore({ ...functions, listRetained });
      await assert.rejects(store.load(true), expected);
      assert.equal(failures.length, 1, String(expected));
    }
    async function* broken(): AsyncGenerator<RetainedRecord> {
      yield { topic: 'a', qos: 0, payload: Buffer.from('x') };
      throw new Error('the disk');
    }
    const { store, failures } = openStore({ ...functions, listRetained: broken });
    await assert.rejects(store.load(true), /the disk/);
    assert.deepEqual(failures, ['listRetained: the disk']);
    const many = new Map<string, RetainedRecord>();
    for (let at = 0; at < 11; at += 1)
      many.set(`${at}`, { topic: `${at}`, qos: 0, payload: Buffer.from('x') });
    await assert.rejects(openStore(mapModule(many)).store.load(true), /MAX_RETAINED/);
  });

  it('refuse the publisher where it fails, or not, and are written later', async () => {
    for (const passes of [false, true]) {
      const kept = new Map<string, RetainedRecord>();
      let away = true;
      const { store, inner, failures } = openStore(
        {
          ...mapModule(kept),
          async putRetained(record) {
            if (away) throw new Error('away');
            kept.set(record.topic, record);
          },
        },
        passes,
      );
      assert.equal(await put(store, 'a', 'one'), passes ? 0 : 0x83);
      assert.deepEqual(textsOf(inner.kept), ['a one'], 'readers see it');
      while (failures.length === 0) await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(failures, ['putRetained: away']);
      assert.equal(store.unwritten, 1);
      away = false;
      await store.flush(60_000);
      assert.deepEqual(textsOf(kept), ['a one']);
      store.close();
    }
  });

  it('are written one at a time for a topic, the last one last', async () => {
    const written: string[] = [];
    let underWay = 0;
    let most = 0;
    const { store } = openStore({
      ...mapModule(new Map()),
      async putRetained({ payload }) {
        underWay += 1;
        most = Math.max(most, underWay);
        // The first takes longest.
        for (let turns = written.length === 0 ? 10 : 1; turns > 0; turns -= 1)
          await new Promise((resolve) => setImmediate(resolve));
        underWay -= 1;
        written.push(Buffer.from(payload).toString());
      },
    });
    const answers = Array.from({ length: 20 }, (_, at) => put(store, 'a', String(at)));
    assert.deepEqual(new Set(await Promise.all(answers)), new Set([0]));
    assert.equal(most, 1);
    assert.equal(written.at(-1), '19');
    assert.ok(written.length < 20, 'those between need no write');
  });

  it('are written again where another node has changed the topic meanwhile', async () => {
    const kept = new Map<string, RetainedRecord>();
    let other: (() => void) | undefined;
    const { store, inner } = openStore({
      ...mapModule(kept),
      putRetained(record) {
        kept.set(record.topic, record);
        other?.();
        other = undefined;
      },
    });
    other = () => inner.put(messageTo('a', 'of the other'), undefined);
    assert.equal(await put(store, 'a', 'ours'), 0);
    await store.flush(60_000);
    assert.deepEqual(textsOf(kept), ['a of the other']);
  });

  it('fail where a function takes too long', async () => {
    const functions = { ...mapModule(new Map()), putRetained: () => new Promise(() => undefined) };
    const { store, failures } = openStore(functions, false, 10);
    assert.equal(await put(store, 'a', 'one'), 0x83);
    assert.deepEqual(failures, ['putRetained: no answer in 10 ms']);
    store.close();
  });

  it('keep their properties, their end and their publisher', () => {
    const record: RetainedRecord = {
      topic: 'a',
      qos: 2,
      payload: Buffer.from('x'),
      properties: {
        contentType: 'text/plain',
        correlationData: Buffer.from([1, 2]),
        userProperties: [{ key: 'k', value: 'v' }],
      },
      expires_at: 4_000_000_000,
      clientid: 'me',
    };
    const again = recordOf(messageIn(record));
    assert.deepEqual(again, { ...record, properties: { ...record.properties } });
  });
});

describe('a module of META_MODULE', () => {
  const options = { timeoutMs: 10_000, failed: () => {} };

  it('has what belongs together', () => {
    const { putRetained } = mapModule(new Map());
    assert.throws(() => new MetaModule({}, options), /neither/);
    assert.throws(() => new MetaModule({ wildcards: () => [] }, options), /neither/);
    assert.throws(() => new MetaModule({ putRetained: putRetained! }, options), /not all/);
  });

  it('says first topics, filters and nodes', async () => {
    const module = new MetaModule(
      {
        firstTopics: async () => ['t1', 't2'],
        wildcards: (topic) => (topic === 't1' ? ['t1/+'] : []),
        connectNodes: () => ['10.0.0.1'],
      },
      options,
    );
    assert.deepEqual(await module.seeds(), {
      firstTopics: ['t1', 't2'],
      filters: new Map([
        ['t1', ['t1/+']],
        ['t2', []],
      ]),
      nodes: ['10.0.0.1'],
    });
    assert.deepEqual([module.hasSeeds, module.keepsRetained], [true, false]);
    const odd = new MetaModule({ firstTopics: () => [5] as never }, options);
    await assert.rejects(odd.seeds(), /no list of texts/);
  });
});
