// What is read from and written to the KV configuration of an installation of the Java nodes, and
// which light queues follow from it, over a name server in memory.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FurtherNames } from '../src/java-nodes/further-names.ts';
import {
  javaConfigOf,
  javaNamespace,
  type JavaConfig,
  seedsIn,
} from '../src/java-nodes/kv-config.ts';
import { WrittenFilters } from '../src/java-nodes/written-filters.ts';

const configOf = (table: Record<string, string>, retry: readonly string[] = []): JavaConfig =>
  javaConfigOf(seedsIn(new Map(Object.entries(table))), new Set(retry));

function namesOf(
  table: Record<string, string> | undefined,
  dispatch: 'auto' | 'held' | 'always' = 'auto',
): { readonly names: FurtherNames; readonly leftOut: () => number } {
  let count = 0;
  const leftOut = (names: number): void => {
    count += names;
  };
  const names = new FurtherNames({ clusterId: 'lmqtt', dispatch, leftOut });
  names.changed(table === undefined ? undefined : configOf(table));
  return { names, leftOut: () => count };
}

class KvServer {
  readonly tables = new Map<string, Map<string, string>>();
  /** Puts that are taken before the next one fails. */
  putsLeft = Infinity;

  async listKv(namespace: string): Promise<ReadonlyMap<string, string>> {
    return new Map(this.tables.get(namespace));
  }

  async putKv(namespace: string, key: string, value: string): Promise<void> {
    if (this.putsLeft === 0) throw new Error('away');
    this.putsLeft -= 1;
    const table = this.tables.get(namespace) ?? new Map<string, string>();
    this.tables.set(namespace, table.set(key, value));
  }

  get filters(): string | undefined {
    return this.tables.get(javaNamespace)?.get('t');
  }
}

interface Keeping {
  readonly server: KvServer;
  readonly held: Set<string>;
  readonly keepUp: () => Promise<void>;
}

function keeping(filtersMax: number = 100, filters?: string): Keeping {
  const server = new KvServer();
  const table = new Map([['ALL_FIRST_TOPICS', 't']]);
  if (filters !== undefined) table.set('t', filters);
  server.tables.set(javaNamespace, table);
  const held = new Set<string>();
  const written = new WrittenFilters({
    client: server,
    held: () => held,
    filtersMax,
    tooMany: () => {},
  });
  const keepUp = async (): Promise<void> =>
    written.keepUp(javaConfigOf(seedsIn(await server.listKv(javaNamespace)), new Set()));
  return { server, held, keepUp };
}

void test('lists are read as they are written by hand', () => {
  const config = configOf(
    {
      ALL_FIRST_TOPICS: 't1, t2,,retry,t1',
      LMQ_CONNECT_NODES: '10.0.0.1,10.0.0.2',
      t1: 't1/+, t1/r/#',
      other: 'x/+',
    },
    ['retry'],
  );
  assert.deepEqual(config.firstTopics, ['t1', 't2']);
  assert.deepEqual(config.retryTopics, ['retry']);
  assert.deepEqual(config.nodes, ['10.0.0.1', '10.0.0.2']);
  assert.deepEqual([...config.filters], [['t1', ['t1/+', 't1/r/#']]]);
});

void test('a message names the queue of its topic and those of filters that match', () => {
  const { names } = namesOf({ ALL_FIRST_TOPICS: 't', t: 't/+,t/r/+/,t/#,+/x,#' });
  assert.deepEqual(names.of('t/a', 't'), ['%LMQ%t%a%', '%LMQ%t%#%', '%LMQ%t%+%']);
  assert.deepEqual(names.of('t/r/b', 't'), ['%LMQ%t%r%b%', '%LMQ%t%#%', '%LMQ%t%r%+%']);
  assert.deepEqual(names.of('t/r/b/', 't'), ['%LMQ%t%r%b%', '%LMQ%t%#%', '%LMQ%t%r%+%']);
  assert.deepEqual(names.of('t/a', 'lmqtt'), [], 'Java nodes do not look there');
});

void test('without Java nodes it names nothing more, unless DISPATCH says so', () => {
  assert.deepEqual(namesOf(undefined).names.of('t/a', 't'), []);
  assert.deepEqual(namesOf(undefined, 'always').names.of('t/a', 'lmqtt'), ['%LMQ%t%a%']);
  const table = { ALL_FIRST_TOPICS: 't', t: 't/+' };
  assert.deepEqual(namesOf(table, 'held').names.of('t/a', 't'), ['%LMQ%t%+%']);
});

void test('names without room are left out and counted', () => {
  const plus = Array.from({ length: 50 }, (_, index) => `t/${'+/'.repeat(index)}#`);
  const { names, leftOut } = namesOf({
    ALL_FIRST_TOPICS: 't',
    t: plus.join(','),
  });
  const found = names.of(`t/a/${'x/'.repeat(60)}`, 't');
  assert.ok(found.length > 5 && found.length < 50, `${found.length}`);
  assert.equal(found.length + leftOut(), 51);
});

void test('filters of sessions are written beside those of the operator, and taken away alone', async () => {
  const { server, held, keepUp } = keeping(100, 't/op/+');
  for (const filter of ['t/a/+', 't/op/+', 't/plain', '+/x', '#', 'u/+', '$share/t/+'])
    held.add(filter);
  await keepUp();
  assert.equal(server.filters, 't/op/+,t/a/+');
  await server.putKv(javaNamespace, 't', `${server.filters},t/op2/#`);
  held.delete('t/a/+');
  held.delete('t/op/+');
  await keepUp();
  assert.equal(server.filters, 't/op/+,t/op2/#');
});

void test('an empty value, on which Java nodes fail, is never written', async () => {
  const { server, held, keepUp } = keeping();
  await keepUp();
  assert.equal(server.filters, undefined);
  held.add('t/+');
  await keepUp();
  assert.equal(server.filters, 't/+');
  held.clear();
  await keepUp();
  assert.equal(server.filters, 't');
});

void test('whoever dies between two writes leaves nothing that is not taken away', async () => {
  for (let puts = 0; puts < 3; puts += 1) {
    const { server, held, keepUp } = keeping(100, 't/op/+');
    held.add('t/a/+');
    await keepUp();
    held.add('t/b/+');
    held.delete('t/a/+');
    server.putsLeft = puts;
    await keepUp().catch(() => {});
    server.putsLeft = Infinity;
    held.clear();
    await keepUp();
    assert.equal(server.filters, 't/op/+', `after ${puts} writes`);
  }
});

void test('past JAVA_FILTERS_MAX the others are not written', async () => {
  const { server, held, keepUp } = keeping(2);
  for (const name of ['c', 'a', 'b']) held.add(`t/${name}/+`);
  await keepUp();
  assert.equal(server.filters, 't/a/+,t/b/+');
});
