// A shared group at the ds that owns it: whom it gives what, and what it has to know before.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { clientId } from '@lmqtt/common/ids';
import { GroupFixture } from './group-fixture.ts';
import { Client, group, homes } from './group-members.ts';
import { MovedClock } from './moved-clock.ts';

const [one, other] = [homes[0]!, homes[1]!];
const offsetsOf = (client: Client): number[] => client.waiting.map(({ offset }) => offset);

function fixtureOf(t: TestContext): GroupFixture {
  const clients = ['a', 'b', 'c'].map((name) => new Client(clientId(name)));
  const at = new GroupFixture(MovedClock.holding(t), clients);
  t.after(() => at.owned.close(false));
  return at;
}

/** Owned and giving, with the first two clients seated. */
async function givingFixtureOf(t: TestContext): Promise<GroupFixture> {
  const at = fixtureOf(t);
  await at.pass(50);
  for (const home of homes) await at.hear(home);
  await at.pass(50);
  const [a, b] = at.clients;
  at.connect(a!, one, 'cs-1');
  at.connect(b!, other, 'cs-2');
  for (const home of homes) await at.hear(home);
  return at;
}

/** Words and messages come and go until nothing more does. */
async function quiet(at: GroupFixture): Promise<void> {
  for (let n = 0; n < 4; n += 1) {
    for (const home of homes) await at.hear(home);
    for (const cs of ['cs-1', 'cs-2']) at.deliver(cs);
    await at.pass(50);
  }
}

void test('nothing is given before all other ds have named their members', async (t) => {
  const at = fixtureOf(t);
  at.answersOwner = false;
  await at.pass(50);
  assert.deepEqual(at.announced, [[...homes]]);
  at.connect(at.clients[0]!, one);
  at.store();
  at.here(one, 1);
  await at.hear(one);
  await at.pass(1000);
  assert.deepEqual(at.announced[1], [other]);
  at.deliver('cs-1');
  assert.deepEqual(offsetsOf(at.clients[0]!), []);
  assert.equal(at.owned.isGiving, false);
  at.here(other, 1);
  await at.hear(other);
  await quiet(at);
  assert.deepEqual(offsetsOf(at.clients[0]!), [0]);
});

void test('a ds that is not alive is not waited for', async (t) => {
  const at = fixtureOf(t);
  at.answersOwner = false;
  at.alive.clear();
  await at.pass(2200);
  assert.equal(at.owned.isGiving, true);
});

void test('members take turns, each up to its credit; the rest waits for it', async (t) => {
  const at = await givingFixtureOf(t);
  for (let n = 0; n < 10; n += 1) at.store();
  await quiet(at);
  const [a, b] = at.clients;
  assert.deepEqual(
    [...offsetsOf(a!), ...offsetsOf(b!)].sort((x, y) => x - y),
    [0, 1, 2, 3, 4, 5, 6, 7],
  );
  assert.deepEqual([a!.waiting.length, b!.waiting.length], [4, 4]);
  a!.send();
  at.ack(a!);
  await quiet(at);
  assert.deepEqual(offsetsOf(a!).at(-1), 8);
});

void test('a member that was given something before is asked by a fence first', async (t) => {
  const at = await givingFixtureOf(t);
  const [a] = at.clients;
  for (let n = 0; n < 6; n += 1) at.store();
  at.deliver('cs-1');
  a!.send();
  at.newOwner();
  await at.pass(50);
  for (const home of homes) await at.hear(home);
  const stream = at.streamOf('cs-1');
  assert.deepEqual(
    stream.map((item) => ('number' in item ? item.number : 'assigned')),
    [2],
  );
  await at.pass(900);
  assert.equal(at.owned.isGiving, false);
  await quiet(at);
  assert.equal(at.owned.isGiving, true);
  const all = at.clients.flatMap((client) => [...client.outs.keys(), ...offsetsOf(client)]);
  assert.deepEqual(
    all.sort((x, y) => x - y),
    [0, 1, 2, 3, 4, 5],
  );
});

void test('a fence that is not answered is sent again, and only the last one counts', async (t) => {
  const at = await givingFixtureOf(t);
  const [a] = at.clients;
  at.cut('cs-1');
  at.attach('cs-1');
  await at.pass(550);
  await at.pass(1550);
  const fences = at.streamOf('cs-1').map((item) => ('number' in item ? item.number : -1));
  assert.deepEqual(fences, [2, 3]);
  for (let n = 0; n < 6; n += 1) at.store();
  at.deliver('cs-1', 1);
  await at.hear(one);
  assert.deepEqual(at.streamOf('cs-1').length, 1);
  await quiet(at);
  assert.ok(offsetsOf(a!).length > 0);
});

void test('what was lost with a stream goes to others, what its client has does not', async (t) => {
  const at = await givingFixtureOf(t);
  const [a, b] = at.clients;
  for (let n = 0; n < 4; n += 1) at.store();
  at.deliver('cs-1', 1);
  const sent = a!.send();
  at.cut('cs-1');
  await at.pass(600);
  at.attach('cs-1');
  await at.pass(600);
  await quiet(at);
  const everything = [sent!, ...offsetsOf(a!), ...offsetsOf(b!)];
  assert.deepEqual(
    everything.sort((x, y) => x - y),
    [0, 1, 2, 3],
  );
});

void test('of one that leaves its connection, QoS 1 goes to another and QoS 2 stays', async (t) => {
  const at = await givingFixtureOf(t);
  const [a, b] = at.clients;
  at.disconnect(b!);
  await at.hear(other);
  for (let n = 0; n < 4; n += 1) at.store();
  at.deliver('cs-1');
  for (let n = 0; n < 4; n += 1) a!.send();
  at.disconnect(a!);
  await at.hear(one);
  at.connect(b!, other, 'cs-2');
  await at.hear(other);
  await at.pass(1000);
  await quiet(at);
  assert.deepEqual(offsetsOf(b!), [0, 2]);
  assert.deepEqual([...a!.outs.keys()], [1, 3]);
  at.end(a!);
  at.deliver('cs-2');
  for (let n = 0; n < 2; n += 1) {
    b!.send();
    at.ack(b!);
  }
  await quiet(at);
  await at.pass(500);
  assert.equal(at.stores.text, '0 0 4');
});

void test('what one that leaves had completed goes to nobody, though its word of that is lost', async (t) => {
  const at = await givingFixtureOf(t);
  const [a, b] = at.clients;
  for (let n = 0; n < 4; n += 1) at.store();
  at.deliver('cs-2');
  const done = b!.waiting.map(({ offset }) => offset);
  assert.equal(done.length, 2);
  for (let n = 0; n < 2; n += 1) {
    b!.send();
    at.ack(b!);
  }
  // The words are lost with their stream.
  at.words.set(other, []);
  at.end(b!);
  await at.hear(other);
  await quiet(at);
  assert.deepEqual(
    offsetsOf(a!).filter((offset) => done.includes(offset) && offset % 2 === 1),
    [],
  );
});

void test('a member whose home ends is in doubt until the store or another home speaks', async (t) => {
  const at = await givingFixtureOf(t);
  const [a, b] = at.clients;
  for (let n = 0; n < 4; n += 1) at.store();
  at.deliver('cs-1');
  a!.send();
  at.homeEnds(one);
  await at.pass(1000);
  const before = offsetsOf(b!).length + at.streamOf('cs-2').length;
  a!.state = 'absent';
  await at.pass(1000);
  await quiet(at);
  assert.ok(offsetsOf(b!).length > before);
  assert.deepEqual(
    offsetsOf(b!).sort((x, y) => x - y),
    [0, 1, 2, 3].filter((offset) => a!.outs.get(offset)?.qos !== 2),
  );
});

void test('a member that its home names no more is in doubt', async (t) => {
  const at = await givingFixtureOf(t);
  const [a, b] = at.clients;
  at.store();
  at.store();
  at.deliver('cs-1');
  // Its word is lost with the stream of items.
  a!.state = 'ended';
  at.stores.members.delete(a!.id);
  at.restate(one);
  await at.hear(one);
  await at.pass(500);
  await quiet(at);
  assert.deepEqual(
    offsetsOf(b!).sort((x, y) => x - y),
    [0, 1],
  );
});

void test('an older claim of a client says nothing about a newer one', async (t) => {
  const at = await givingFixtureOf(t);
  const [a] = at.clients;
  const before = a!.epoch;
  at.connect(a!, other, 'cs-2');
  await at.hear(other);
  for (const of of [before]) {
    at.owned.take(one, { kind: 'left', group, client: a!.id, epoch: of, outs: [] });
    at.owned.take(one, { kind: 'leave', group, client: a!.id, epoch: of, places: [] });
    at.owned.take(one, { kind: 'credit', group, client: a!.id, epoch: of, total: 0 });
    at.owned.take(one, {
      ...{ kind: 'fenced', group, client: a!.id, epoch: of, fence: 1, credit: 0, outs: [] },
    });
  }
  for (let n = 0; n < 8; n += 1) at.store();
  await quiet(at);
  assert.equal(a!.waiting.length, 4);
});

void test('its progress is saved by its epoch; where another owns the group, it is over', async (t) => {
  const at = await givingFixtureOf(t);
  const [a] = at.clients;
  at.store();
  at.deliver('cs-1');
  a!.send();
  at.ack(a!);
  await at.hear(one);
  await at.pass(300);
  assert.equal(at.stores.text, '0 0 1');
  at.stores.ownerEpoch = 7;
  await at.owned.save();
  assert.equal(at.owned.isGiving, false);
});

void test('what waited for the stores counts for nothing when more was heard of the member', async (t) => {
  const at = await givingFixtureOf(t);
  const [a, b] = at.clients;
  for (let n = 0; n < 4; n += 1) at.store();
  at.stores.isAway = true;
  at.connect(a!, one, 'cs-1');
  await at.hear(one);
  await at.pass(1250);
  await quiet(at);
  at.stores.isAway = false;
  for (let n = 0; n < 30; n += 1) {
    await at.pass(50);
    for (const cs of ['cs-1', 'cs-2']) at.deliver(cs);
  }
  const all = [...offsetsOf(a!), ...offsetsOf(b!)];
  assert.deepEqual(
    all.sort((x, y) => x - y),
    [0, 1, 2, 3],
  );
});

void test('while the stores are away nothing is taken back, and it goes on when they are back', async (t) => {
  const at = await givingFixtureOf(t);
  const [a, b] = at.clients;
  for (let n = 0; n < 4; n += 1) at.store();
  at.deliver('cs-1');
  at.stores.isAway = true;
  at.disconnect(a!);
  await at.hear(one);
  await at.pass(1000);
  at.deliver('cs-2');
  assert.equal(b!.waiting.length, 2);
  at.stores.isAway = false;
  await at.pass(1000);
  await quiet(at);
  assert.deepEqual(
    offsetsOf(b!).sort((x, y) => x - y),
    [0, 1, 2, 3],
  );
});
