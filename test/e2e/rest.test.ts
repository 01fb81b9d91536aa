// The REST interface against a running broker of each shape, each answer against its description.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Rest } from '../harness/rest.ts';
import { Suite } from '../harness/suite.ts';
import { unique } from '../harness/wire.ts';

const suite = new Suite();

let asked: Rest | undefined;
const rest = (): Rest => (asked ??= new Rest(suite.broker.opsPort));

interface Client {
  readonly clientId: string;
  readonly connection: { readonly nodeId: string } | null;
}

interface Detail extends Client {
  readonly will: { readonly topic: string; readonly delayS: number } | null;
  readonly subscriptionList: readonly {
    readonly filter: string;
    readonly group: string | null;
    readonly backlog: number;
    readonly inFlight: number;
  }[];
  readonly outboundQos1: number;
}

const pathOf = (id: string): string => `/clients/${encodeURIComponent(id)}`;
const lasting = { version: 5, properties: { sessionExpiryInterval: 600 } } as const;

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await delay(20);
}

const isAway = async (id: string): Promise<boolean> =>
  (await rest().get<Client>(pathOf(id))).connection === null;

async function idsOf(query: string): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const from: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const page: { clients: Client[]; next: string | null } = await rest().get(
      `/clients?limit=2&${query}${from}`,
    );
    assert.ok(page.clients.length <= 2);
    ids.push(...page.clients.map(({ clientId }) => clientId));
    cursor = page.next;
  }
  return ids;
}

void describe('clients', () => {
  void test('are listed in pages, filtered, connected or not', async () => {
    const stem = unique('list');
    const filter = unique('filter');
    const ids = ['a', 'b', 'c', 'd', 'e'].map((letter) => `${stem}-${letter}`);
    for (const [index, clientId] of ids.entries()) {
      const client = await suite.client({ ...lasting, clientId });
      if (index % 2 === 0) await client.subscribe(filter, 1);
      if (index === 1 || index === 4) await client.disconnect();
    }
    await suite.client({ clientId: `${stem}-f` });
    for (const id of [ids[1]!, ids[4]!]) await until(() => isAway(id));
    const names = async (query: string): Promise<string> =>
      (await idsOf(`prefix=${stem}&${query}`)).map((id) => id.slice(stem.length + 1)).join('');
    assert.equal(await names(''), 'abcdef');
    assert.equal(await names('connected=true'), 'acdf');
    assert.equal(await names('connected=false'), 'be');
    assert.equal(await names('protocol=4'), 'f');
    assert.equal(await names('address=127.0.0.0/8'), 'acdf');
    assert.equal(await names('address=10.0.0.0/8'), '');
    assert.equal(await names(`subscribed=${filter}`), 'ace');
    assert.equal(await names('user=nobody'), '');
    const nodes = new Map<string, string>();
    for (const id of [...ids, `${stem}-f`]) {
      const node = (await rest().get<Client>(pathOf(id))).connection?.nodeId;
      if (node !== undefined) nodes.set(node, (nodes.get(node) ?? '') + id.slice(stem.length + 1));
    }
    for (const [node, there] of nodes) assert.equal(await names(`node=${node}`), there);
    assert.equal((await rest().ask('GET', '/clients?address=x')).status, 400);
    assert.equal((await rest().ask('GET', '/clients?usr=fred')).status, 400);
  });

  void test('one is shown with its will, its subscriptions and how far it has come', async () => {
    const clientId = unique('detail');
    const topic = unique('t');
    const client = await suite.client({
      ...lasting,
      clientId,
      will: { topic: `${topic}/will`, payload: 'x', qos: 1, properties: { willDelayInterval: 7 } },
    });
    await client.subscribe([`${topic}/#`, `$share/g/${topic}/s`], 1);
    await client.publish(`${topic}/1`, 'x', { qos: 1 });
    await client.find('publish', { topic: `${topic}/1` });
    const detail = (): Promise<Detail> => rest().get(pathOf(clientId));
    await until(async () => (await detail()).outboundQos1 === 1);
    const { will, subscriptionList } = await detail();
    assert.deepEqual([will?.topic, will?.delayS], [`${topic}/will`, 7]);
    assert.deepEqual(
      subscriptionList.map(({ filter, group }) => [filter, group]),
      [
        [`${topic}/#`, null],
        [`$share/g/${topic}/s`, 'g'],
      ],
    );
    assert.deepEqual([subscriptionList[0]?.backlog, subscriptionList[0]?.inFlight], [0, 1]);
    await client.disconnect();
    await until(() => isAway(clientId));
    const other = await suite.client();
    for (let count = 0; count < 3; count += 1) await other.publish(`${topic}/2`, 'x', { qos: 1 });
    await until(async () => (await detail()).subscriptionList[0]?.backlog === 3);
    assert.equal((await detail()).subscriptionList[0]?.inFlight, 1);
  });

  void test('a session is removed, connected or not', async () => {
    const clientId = unique('removed');
    const topic = unique('t');
    const watcher = await suite.client();
    await watcher.subscribe(`${topic}/will`, 1);
    const will = { topic: `${topic}/will`, payload: 'gone', qos: 1 } as const;
    const path = `/sessions/${encodeURIComponent(clientId)}`;
    const client = await suite.client({ ...lasting, clientId, will });
    await client.subscribe(topic, 1);
    assert.equal((await rest().ask('DELETE', path)).status, 204);
    await client.expectDisconnect(0x98);
    await watcher.find('publish', { topic: `${topic}/will` });
    assert.equal((await rest().ask('GET', pathOf(clientId))).status, 404);
    assert.equal((await rest().ask('DELETE', path)).status, 404);

    const away = await suite.client({ ...lasting, clientId, clean: false });
    await away.subscribe(topic, 1);
    await away.disconnect();
    await until(() => isAway(clientId));
    assert.equal((await rest().ask('DELETE', path)).status, 204);
    assert.equal((await rest().ask('GET', pathOf(clientId))).status, 404);
    // The client begins anew.
    await suite.client({ ...lasting, clientId, clean: false, sessionPresent: false });
  });

  void test('many are disconnected at a rate', async () => {
    const stem = unique('bulk');
    const clients = [];
    for (let count = 0; count < 12; count += 1)
      clients.push(await suite.client({ ...lasting, clientId: `${stem}-${count}` }));
    const stays = await suite.client({ clientId: unique('stays') });
    const bulk = (body: object): ReturnType<Rest['ask']> =>
      rest().ask('POST', '/clients/disconnect', body);
    assert.equal((await bulk({})).status, 400);
    assert.equal((await bulk({ prefx: stem })).status, 400);
    const answer = await bulk({ prefix: stem, ratePerS: 50 });
    assert.deepEqual([answer.status, answer.body], [202, { clients: 12 }]);
    for (const client of clients) await client.expectDisconnect(0x98);
    await stays.ping();
  });
});
