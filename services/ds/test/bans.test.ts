// Bans at the only ds: what a CONNECT gets, who is sent away, when a ban ends, and what of it is
// kept.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@lmqtt/common/clock';
import { clientId } from '@lmqtt/common/ids';
import { Metrics } from '@lmqtt/common/metrics';
import type { ConnectRequest } from '@lmqtt/proto/link';
import type { BanKind } from '../src/ban-store/ban.ts';
import type { ModuleFunctions } from '../src/auth/module/auth-module.ts';
import type { BanOutcome } from '../src/use-cases/bans.ts';
import { Flapping } from '../src/use-cases/flapping.ts';
import type { DsOptions } from '../src/service.ts';
import { Node, SplitDs } from './fake-nodes.ts';
import { type Broker, connect, startBroker, tryConnect, until } from './fake-cs.ts';

async function withBroker(
  run: (broker: Broker) => Promise<Broker | void>,
  settings: Record<string, string | number> = {},
  options: Partial<DsOptions> = {},
): Promise<void> {
  let broker = await startBroker(settings, options);
  try {
    broker = (await run(broker)) ?? broker;
  } finally {
    await broker.stop();
  }
}

function ban(
  { ds }: Broker,
  kind: BanKind,
  who: string,
  end: { forMs: number } | { atMs: number } | null = null,
): Promise<BanOutcome> {
  return ds.bans.put({ kind, who, reason: 'a reason', by: 'ann', end });
}

async function codeOf(
  broker: Broker,
  id: string,
  request: Partial<ConnectRequest> = {},
): Promise<number> {
  const { answer } = await tryConnect(broker, id, request);
  return answer.kind === 'refused' ? answer.reasonCode : 0;
}

const from = (address: string): Partial<ConnectRequest> => ({
  peer: { address, port: 1, tls: false },
});

const password = Buffer.from('x');
const as = (userName: string): Partial<ConnectRequest> => ({ userName, password });

/** Lets everybody in, and remembers who was asked about. */
function letIn(): { readonly asked: string[]; readonly auth: ModuleFunctions } {
  const asked: string[] = [];
  const auth: ModuleFunctions = {
    authenticate: ({ clientid }) => {
      asked.push(clientid);
      return 'allow';
    },
  };
  return { asked, auth };
}

test('a banned client identifier or address gets 0x8A, and nobody asks for its password', async () => {
  const { asked, auth } = letIn();
  const run = async (broker: Broker): Promise<void> => {
    await ban(broker, 'client', 'bad');
    await ban(broker, 'address', '10.0.0.0/8');
    assert.equal(await codeOf(broker, 'bad', as('ann')), 0x8a);
    assert.equal(await codeOf(broker, 'other', { ...as('ann'), ...from('10.1.2.3') }), 0x8a);
    assert.equal(await codeOf(broker, 'third', { ...as('ann'), ...from('::ffff:10.1.2.3') }), 0x8a);
    assert.deepEqual(asked, []);
    assert.equal(await codeOf(broker, 'good', { ...as('ann'), ...from('11.1.2.3') }), 0);
    assert.deepEqual(asked, ['good']);
    assert.equal(await broker.ds.bans.remove('client', 'bad'), true);
    assert.equal(await broker.ds.bans.remove('client', 'bad'), false);
    assert.equal(await codeOf(broker, 'bad', as('ann')), 0);
  };
  await withBroker(run, {}, { auth });
});

test('a banned client gets 0x8A before it begins an exchange of authentication', () =>
  withBroker(async (broker) => {
    await ban(broker, 'client', 'bad');
    const request = { authenticationMethod: 'SCRAM-SHA-256' };
    assert.equal(await codeOf(broker, 'bad', request), 0x8a);
    assert.notEqual(await codeOf(broker, 'good', request), 0x8a);
  }));

test('a banned user gets 0x8A under every client identifier, others do not', async () => {
  const { auth } = letIn();
  const run = async (broker: Broker): Promise<void> => {
    await ban(broker, 'user', 'ann');
    assert.equal(await codeOf(broker, 'one', as('ann')), 0x8a);
    assert.equal(await codeOf(broker, 'two', as('ann')), 0x8a);
    assert.equal(await codeOf(broker, 'one', as('bob')), 0);
    // A client identifier is no user.
    assert.equal(await codeOf(broker, 'ann', as('bob')), 0);
  };
  await withBroker(run, {}, { auth });
});

test('who is connected is sent away with 0x98, and nobody else', async () => {
  const { auth } = letIn();
  const run = async (broker: Broker): Promise<void> => {
    const byId = await connect(broker, 'by id', as('bob'));
    const byUser = await connect(broker, 'by user', as('ann'));
    const byAddress = await connect(broker, 'by address', { ...as('bob'), ...from('fd00::7') });
    await connect(broker, 'stays', as('bob'));
    await ban(broker, 'client', 'by id');
    await ban(broker, 'user', 'ann');
    await ban(broker, 'address', 'fd00::/64');
    const gone = [byId, byUser, byAddress].map(({ session }) => ({ session, reasonCode: 0x98 }));
    await until(() => broker.cs.kicked.length >= gone.length, 'three that are sent away');
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(broker.cs.kicked, gone);
    const events = await broker.ds.history(clientId('by user'));
    assert.ok(events.some(({ event, detail }) => event === 'banned' && /user/.test(detail)));
  };
  await withBroker(run, {}, { auth });
});

test('a ban that comes while the password is checked sends the client away', async () => {
  let decide = (): void => {};
  const asked = new Promise<void>((resolve) => {
    decide = resolve;
  });
  let isAsked = false;
  const auth: ModuleFunctions = {
    authenticate: async (): Promise<'allow'> => {
      isAsked = true;
      await asked;
      return 'allow';
    },
  };
  const run = async (broker: Broker): Promise<void> => {
    const connecting = tryConnect(broker, 'late', as('ann'));
    await until(() => isAsked, 'the check');
    await ban(broker, 'client', 'late');
    decide();
    const { session } = await connecting;
    await until(() => broker.cs.kicked.length > 0, 'one that is sent away');
    assert.deepEqual(broker.cs.kicked, [{ session, reasonCode: 0x98 }]);
  };
  await withBroker(run, {}, { auth });
});

test('a session that its cs presents after its ban is sent away', async () => {
  const first = await SplitDs.start();
  const node = await Node.attach(first, 'cs');
  const held = await node.connect('presented');
  const second = await first.kill();
  try {
    const wanted = { kind: 'client', who: 'presented', reason: '', by: 'ann', end: null } as const;
    await second.ds.bans.put(wanted);
    await node.present(second, [node.presented(held)]);
    await until(() => node.cs.kicked.length > 0, 'one that is sent away');
    assert.deepEqual(node.cs.kicked, [{ session: held.session, reasonCode: 0x98 }]);
  } finally {
    node.pause();
    await second.stop();
  }
});

test('a ban ends by the clock of the broker, and is no longer listed or counted then', async () => {
  let nowMs = systemClock.nowMs();
  const clock = {
    ...systemClock,
    nowMs: () => nowMs,
    monotonicMs: () => systemClock.monotonicMs(),
  };
  const run = async (broker: Broker): Promise<void> => {
    const outcome = await ban(broker, 'client', 'c', { forMs: 1000 });
    assert.ok(outcome.kind === 'put');
    assert.equal(outcome.ban.endsAtMs, Math.trunc(nowMs) + 1000);
    assert.equal((await ban(broker, 'client', 'd', { atMs: nowMs - 1 })).kind, 'over');
    assert.equal((await ban(broker, 'client', 'd')).kind, 'full');
    assert.equal(await codeOf(broker, 'c'), 0x8a);
    nowMs += 2000;
    assert.equal(await codeOf(broker, 'c'), 0);
    assert.deepEqual(await broker.ds.bans.page('', 10, undefined), []);
    assert.equal(await broker.ds.bans.remove('client', 'c'), false);
    assert.equal((await ban(broker, 'client', 'd')).kind, 'put');
  };
  await withBroker(run, { 'banned-max': 1 }, { clock });
});

test('bans are there after a restart, and after a crash', () =>
  withBroker(async (first) => {
    await ban(first, 'client', 'bad');
    const second = await first.crash();
    assert.equal(await codeOf(second, 'bad'), 0x8a);
    await ban(second, 'address', '10.0.0.0/8');
    await second.ds.bans.remove('client', 'bad');
    const third = await second.restart();
    assert.equal(await codeOf(third, 'bad'), 0);
    assert.equal(await codeOf(third, 'good', from('10.1.1.1')), 0x8a);
    return third;
  }));

test('pages have bans in the order of kinds and names, and of one kind where one is named', () =>
  withBroker(async (broker) => {
    for (const who of ['b', 'a', 'c']) await ban(broker, 'client', who);
    await ban(broker, 'user', 'a');
    await ban(broker, 'address', '10.0.0.1');
    const { bans } = broker.ds;
    const keys: string[] = [];
    for (let after = '', left = 10; left > 0; left -= 1) {
      const page = await bans.page(after, 2, undefined);
      keys.push(...page.map(({ kind, who }) => `${kind} ${who}`));
      if (page.length < 2) break;
      after = keys.at(-1)!;
    }
    assert.deepEqual(keys, ['address 10.0.0.1', 'client a', 'client b', 'client c', 'user a']);
    const names = Array.from({ length: 40 }, (_, index) => `n${((index * 7) % 40) + 10}`);
    for (const who of names) await ban(broker, 'user', who);
    const users = await bans.page('user a', 3, 'user');
    assert.deepEqual(
      users.map(({ who }) => who),
      ['n10', 'n11', 'n12'],
    );
    const clients = await bans.page('client a', 10, 'client');
    assert.deepEqual(
      clients.map(({ who }) => who),
      ['b', 'c'],
    );
  }));

test('a client that flaps is banned for a while', async () => {
  const metrics = new Metrics();
  const run = async (broker: Broker): Promise<void> => {
    broker.cs.onKick = (session) => {
      const end = { publishWill: false, sessionExpiryS: undefined, reason: 'kicked' };
      void broker.link.disconnect(session, end);
    };
    for (let count = 0; count < 4; count += 1) await connect(broker, 'flaps');
    await connect(broker, 'calm');
    const isGone = (): boolean => broker.cs.kicked.some(({ reasonCode }) => reasonCode === 0x98);
    await until(isGone, 'the end of its connection');
    const [found] = await broker.ds.bans.page('', 10, undefined);
    assert.deepEqual([found?.kind, found?.who, found?.by], ['client', 'flaps', 'flapping']);
    assert.ok(found?.endsAtMs === found!.createdAtMs + 90_000);
    assert.equal(await codeOf(broker, 'flaps'), 0x8a);
    assert.equal(await codeOf(broker, 'calm'), 0);
    assert.equal(metrics.limits.FLAP_CONNECTS_MAX, 1);
  };
  await withBroker(run, { 'flap-connects-max': 3, 'flap-ban-s': 90 }, { metrics });
});

test('connections are counted in windows, of so many clients at most', () => {
  const flapping = new Flapping({ connectsMax: 2, windowMs: 1000, clientsMax: 2 });
  const note = (id: string, nowMs: number): boolean => flapping.note(clientId(id), nowMs);
  assert.deepEqual([note('a', 0), note('a', 10), note('a', 999)], [false, false, true]);
  assert.equal(note('a', 1000), false);
  assert.deepEqual([note('b', 1000), note('b', 2500), note('b', 2600)], [false, false, false]);
  assert.equal(note('b', 2700), true);
  note('c', 3000);
  note('d', 3000);
  note('e', 3000);
  assert.equal(flapping.clients, 2);
  const long = 'x'.repeat(1000);
  assert.deepEqual(
    [
      note(`${long}1`, 9000),
      note(`${long}1`, 9000),
      note(`${long}1`, 9000),
      note(`${long}2`, 9000),
    ],
    [false, false, true, false],
  );
  // A ban of such a client would take too much memory.
  const longest = 'x'.repeat(2000);
  for (let count = 0; count < 10; count += 1) assert.equal(note(longest, 9000), false);
  const off = new Flapping({ connectsMax: 0, windowMs: 1000, clientsMax: 2 });
  for (let count = 0; count < 10; count += 1) assert.equal(off.note(clientId('a'), 0), false);
  assert.equal(off.clients, 0);
});
