// The REST interface against a running broker of each shape, each answer against its description.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import * as packets from '../harness/packets.ts';
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

  void test('the last events of one are told, its session gone or not', async () => {
    const clientId = unique('history');
    const topic = unique('t');
    const first = await suite.client({ ...lasting, clientId });
    await first.subscribe([topic, `${topic}/2`], 1);
    await suite.client({ ...lasting, clientId, clean: false, sessionPresent: true });
    await first.expectDisconnect(0x8e);
    interface Events {
      readonly events: readonly { readonly event: string; readonly detail: string }[];
    }
    const path = `${pathOf(clientId)}/events`;
    const { events } = await rest().get<Events>(path);
    assert.deepEqual(
      events.map(({ event }) => event),
      ['connected', 'subscribed', 'taken over', 'disconnected', 'connected'],
    );
    assert.equal(events[1]?.detail, `${topic}, ${topic}/2`);
    assert.deepEqual(await rest().get(`${pathOf(unique())}/events`), { events: [] });
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

interface Banned {
  readonly banned: readonly {
    readonly kind: string;
    readonly who: string;
    readonly by: string;
    readonly endsAtMs: number | null;
  }[];
  readonly next: string | null;
}

const banPath = (kind: string, who: string): string => `/banned/${kind}/${encodeURIComponent(who)}`;

/** Bans the client identifier for as long as the work goes on. */
async function whileBanned(clientId: string, work: () => Promise<void>): Promise<void> {
  const path = banPath('client', clientId);
  assert.equal((await rest().ask('PUT', path, { reason: 'a test' })).status, 200);
  try {
    await work();
  } finally {
    assert.equal((await rest().ask('DELETE', path)).status, 204);
  }
}

void describe('bans', () => {
  for (const version of [3, 4, 5] as const)
    void test(`a client of version ${version} that is banned is sent away and refused`, async () => {
      const clientId = unique('banned');
      const client = await suite.client({ version, clientId });
      const other = await suite.client({ version });
      await whileBanned(clientId, async () => {
        if (version === 5) await client.expectDisconnect(0x98);
        await client.expectClose();
        const again = await suite.open();
        await again.connect({ version, clientId, reason: version === 5 ? 0x8a : 5 });
        await again.expectClose();
        await other.ping();
      });
      await until(async () => {
        const again = await suite.open();
        again.version = version;
        again.send(packets.connect({ version, clientId }));
        const { reason } = await again.expect('connack');
        again.destroy();
        return reason === 0;
      });
    });

  void test('an address that no client has bans nobody, and is listed until its end', async () => {
    const path = banPath('address', '192.0.2.77/24');
    const mine = async (): Promise<Banned['banned']> =>
      (await rest().get<Banned>('/banned?kind=address&limit=1000')).banned.filter(
        ({ who }) => who === '192.0.2.0/24',
      );
    const client = await suite.client();
    assert.equal((await rest().ask('PUT', path, { forS: 3600 })).status, 200);
    const [found] = await mine();
    assert.deepEqual([found?.kind, found?.by], ['address', 'loopback']);
    assert.ok((found?.endsAtMs ?? 0) > Date.now());
    await client.ping();
    assert.equal((await rest().ask('PUT', path, { endsAtMs: 1 })).status, 400);
    assert.equal((await rest().ask('PUT', path, { forS: 1 })).status, 200);
    await until(async () => (await mine()).length === 0);
    assert.equal((await rest().ask('DELETE', path)).status, 404);
  });

  void test('are listed in pages', async () => {
    const stem = unique('page');
    const names = ['a', 'b', 'c'].map((letter) => `${stem}-${letter}`);
    for (const who of names)
      assert.equal((await rest().ask('PUT', banPath('user', who), { forS: 3600 })).status, 200);
    const found: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const from: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const page: Banned = await rest().get(`/banned?limit=2${from}`);
      found.push(...page.banned.map(({ who }) => who).filter((who) => who.startsWith(stem)));
      cursor = page.next;
    }
    assert.deepEqual(found, names);
    for (const who of names)
      assert.equal((await rest().ask('DELETE', banPath('user', who))).status, 204);
    assert.equal((await rest().ask('PUT', banPath('client', 'x'), { untl: 5 })).status, 400);
    assert.equal((await rest().ask('PUT', banPath('topic', 'x'), {})).status, 400);
  });
});

interface Published {
  readonly reasonCode: number;
  readonly stored: { readonly offset: number } | null;
  readonly filters: readonly string[];
  readonly subscriptions: number;
}

interface Subscription {
  readonly clientId: string;
  readonly connected: boolean;
  readonly filter: string;
  readonly group: string | null;
}

void describe('messages', () => {
  void test('are published as by a client, and the answer says where and to how many', async () => {
    const topic = unique('publish');
    const client = await suite.client({ version: 5 });
    await client.subscribe([`${topic}/#`], 2);
    const body = { topic: `${topic}/1`, qos: 1, payload: 'hällo', contentType: 'text/plain' };
    const user = [{ name: 'a', value: 'b' }];
    const { status, body: published } = await rest().ask<Published>('POST', '/publish', {
      ...{ ...body, responseTopic: 'r', correlationData: 'AAE=', userProperties: user },
      expiryS: 60,
    });
    assert.equal(status, 200);
    assert.equal(published.subscriptions, 1);
    assert.deepEqual(published.filters, [`${topic}/#`]);
    assert.ok(published.stored !== null);
    const { payload, properties } = await client.find('publish', { topic: `${topic}/1` });
    assert.equal(String(payload), 'hällo');
    assert.equal(properties.contentType, 'text/plain');
    assert.equal(properties.responseTopic, 'r');
    assert.deepEqual([...Buffer.from(properties.correlationData!)], [0, 1]);
    assert.ok(properties.messageExpiryInterval! <= 60);
    const nobody = await rest().ask<Published>('POST', '/publish', { topic: unique(), qos: 1 });
    assert.equal(nobody.body.subscriptions, 0);
    const { body: batch } = await rest().ask<{ results: Published[] }>('POST', '/publish/batch', [
      { topic: `${topic}/2`, payloadJson: { a: 1 } },
      { topic: '$SYS/x', payload: 'x' },
      { topic: `${topic}/3`, payloadBase64: 'AAEC', qos: 2 },
    ]);
    assert.deepEqual(
      batch.results.map(({ reasonCode }) => reasonCode),
      [0, 0x87, 0],
    );
    assert.equal(
      String((await client.find('publish', { topic: `${topic}/2` })).payload),
      '{"a":1}',
    );
    const third = await client.find('publish', { topic: `${topic}/3` });
    assert.deepEqual([...Buffer.from(third.payload)], [0, 1, 2]);
    for (const wrong of [
      { payload: 'no topic' },
      { topic: 'a/#', payload: 'x' },
      { topic: 'a', payload: 'x', payloadBase64: 'AA==' },
      { topic: 'a', payloads: 'x' },
    ])
      assert.equal((await rest().ask('POST', '/publish', wrong)).status, 400);
    assert.equal((await rest().ask('POST', '/publish', { topic: '$SYS/x' })).status, 403);
  });

  void test('who would get a message on a topic, and by which filter', async () => {
    const topic = unique('who');
    const [one = '', two = ''] = [unique('one'), unique('two')].toSorted();
    const away = await suite.client({ ...lasting, clientId: one });
    await away.subscribe([`${topic}/+`, `${topic}/other`], 1);
    await away.disconnect();
    await until(() => isAway(one));
    const here = await suite.client({ clientId: two });
    await here.subscribe([`$share/g/${topic}/#`], 1);
    const { subscriptions } = await rest().get<{ subscriptions: Subscription[] }>(
      `/subscriptions?limit=1000&topic=${topic}/1`,
    );
    const ours = subscriptions.filter(({ clientId }) => clientId === one || clientId === two);
    assert.deepEqual(
      ours.map(({ clientId, connected, filter, group }) => [clientId, connected, filter, group]),
      [
        [one, false, `${topic}/+`, null],
        [two, true, `$share/g/${topic}/#`, 'g'],
      ],
    );
    const by = await rest().get<{ subscriptions: Subscription[] }>(
      `/subscriptions?filter=${encodeURIComponent(`${topic}/+`)}`,
    );
    assert.deepEqual(
      by.subscriptions.map(({ clientId }) => clientId),
      [one],
    );
  });

  void test('retained ones are listed, shown and deleted', async () => {
    const topic = unique('retained');
    const client = await suite.client();
    for (const name of ['a', 'b', 'c'])
      await client.publish(`${topic}/${name}`, `${name}!`, { qos: 1, retain: true });
    const topics: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const from: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const filter = encodeURIComponent(`${topic}/#`);
      const page: { messages: { topic: string }[]; next: string | null } = await rest().get(
        `/retained?limit=2&filter=${filter}${from}`,
      );
      topics.push(...page.messages.map((message) => message.topic));
      cursor = page.next;
    }
    assert.deepEqual(topics, [`${topic}/a`, `${topic}/b`, `${topic}/c`]);
    const path = `/retained/${encodeURIComponent(`${topic}/b`)}`;
    assert.equal((await rest().get<{ payload: string }>(path)).payload, 'b!');
    assert.equal((await rest().ask('DELETE', path)).status, 204);
    await until(async () => (await rest().ask('GET', path)).status === 404);
    assert.equal((await rest().ask('DELETE', path)).status, 404);
  });

  void test('queues have ends, readers and messages, and groups what is out and behind', async () => {
    const topic = unique('queue');
    const clientId = unique('reader');
    const reader = await suite.client({ ...lasting, clientId });
    await reader.subscribe(topic, 1);
    const member = await suite.client({ ...lasting, clientId: unique('member') });
    await member.subscribe(`$share/g/${topic}`, 1);
    const publisher = await suite.client();
    await publisher.publish(topic, 'first', { qos: 1 });
    await reader.find('publish', { topic });
    await member.find('publish', { topic });
    const { queues } = await rest().get<{ queues: { id: number; groups: number }[] }>(
      `/queues?filter=${topic}`,
    );
    assert.deepEqual([queues.length, queues[0]?.groups], [1, 1]);
    const id = queues[0]!.id;
    interface Queue {
      partitions: { partition: number; first: number; end: number }[];
      readers: { clientId: string; inFlight: number }[];
    }
    const queue = (): Promise<Queue> => rest().get(`/queues/${id}`);
    await until(async () => (await queue()).readers[0]?.inFlight === 1);
    const { partitions, readers } = await queue();
    assert.equal(readers[0]?.clientId, clientId);
    const full = partitions.find(({ first, end }) => end > first);
    assert.ok(full);
    const { messages } = await rest().get<{ messages: { topic: string; payload: string }[] }>(
      `/queues/${id}/messages?partition=${full.partition}&from=${full.first}`,
    );
    assert.deepEqual(
      messages.map((message) => [message.topic, message.payload]),
      [[topic, 'first']],
    );
    interface Groups {
      groups: { filter: string; out: number; lag: number; members: object[] }[];
    }
    const group = async (): Promise<Groups['groups'][number] | undefined> =>
      (await rest().get<Groups>('/groups')).groups.find(({ filter }) => filter === topic);
    await until(async () => (await group())?.out === 1);
    const found = await group();
    assert.deepEqual([found?.lag, found?.members.length], [1, 1]);
    assert.equal((await rest().ask('GET', '/queues/999999999')).status, 404);
  });
});

void describe('the node that is asked', () => {
  void test('tells its settings without secrets, takes another log level, and has figures', async () => {
    interface Config {
      readonly settings: { name: string; value: unknown; from: string }[];
    }
    const { settings } = await rest().get<Config>('/config');
    const names = settings.map(({ name }) => name);
    assert.ok(names.includes('LOG_LEVEL') && names.includes('OPS_PORT'));
    assert.ok(settings.some(({ from }) => from !== 'default'));
    const secrets = settings.filter(({ name }) => /SECRET|TOKEN$|REDIS_URL/.test(name));
    assert.ok(secrets.every(({ value }) => value === null || value === '[hidden]'));
    const before = (await rest().get<{ level: string }>('/log-level')).level;
    const set = (level: string): ReturnType<Rest['ask']> =>
      rest().ask('PUT', '/log-level', { level });
    assert.equal((await set('loud')).status, 400);
    assert.equal((await set('warn')).status, 200);
    assert.equal((await rest().get<{ level: string }>('/log-level')).level, 'warn');
    assert.equal((await set(before)).status, 200);
    interface Stats {
      readonly connections: number;
      readonly counters: Record<string, { total: number; rate1m: number }>;
    }
    const client = await suite.client();
    await client.publish(unique(), 'x', { qos: 1 });
    const received = async (): Promise<number> =>
      (await rest().get<Stats>('/stats')).counters['publish/messages/received']?.total ?? 0;
    await until(async () => (await received()) > 0);
    const { nodes } = await rest().get<{ nodes: { address: string | null }[] }>('/nodes');
    assert.ok(nodes.length >= 1);
  });
});
