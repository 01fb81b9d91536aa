import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Entering } from '../src/connection/client.ts';
import { Entrance } from '../src/entrance.ts';
import { FakeClient, turns } from './node-fixture.ts';

class Visitor implements Entering {
  readonly stream: FakeClient;
  reading = true;

  constructor(address: string) {
    this.stream = Object.assign(new FakeClient(5), { peer: { address, port: 1, tls: false } });
  }
  holdReading(held: boolean): void {
    this.reading = !held;
  }
}

interface Hall {
  readonly entrance: Entrance;
  readonly served: Visitor[];
  readonly come: (address: string, name?: string) => Visitor;
}

function hall(
  atOnceMax: number,
  connectionsMax = 1000,
  sessions = (): number => 0,
  asks = (): boolean => true,
  accepted = (): number => 0,
): Hall {
  const entrance = new Entrance(
    { atOnceMax, connectionsMax, pendingMax: 1000 },
    { sessions, asks, accepted, pending: () => 0, onWait: () => {}, onNoDs: () => {} },
  );
  const served: Visitor[] = [];
  const come = (address: string, name = 'stranger'): Visitor => {
    const visitor = new Visitor(address);
    entrance.enter(visitor, name, () => served.push(visitor));
    return visitor;
  };
  return { entrance, served, come };
}

test('so many are served at one time, the others wait unread, addresses take turns', async () => {
  const { entrance, served, come } = hall(4);
  const many = Array.from({ length: 6 }, () => come('192.0.2.1'));
  assert.equal(served.length, 3, 'one address leaves room to others');
  const other = come('192.0.2.2');
  const others = [come('192.0.2.3'), come('192.0.2.3')];
  await turns();
  assert.equal(served.at(-1), other);
  assert.deepEqual(
    [...many, other, ...others].map(({ reading }) => reading),
    [true, true, true, false, false, false, true, false, false],
  );
  assert.deepEqual([entrance.atWorkCount, entrance.waitingCount], [4, 5]);
  entrance.left(many[0]!);
  entrance.left(many[1]!);
  await turns();
  assert.deepEqual(served.slice(4), [many[3], others[0]]);
  entrance.left(others[1]!);
  for (const visitor of [...many, other, others[0]!]) {
    entrance.left(visitor);
    await turns();
  }
  assert.deepEqual([entrance.atWorkCount, entrance.waitingCount], [0, 0]);
  assert.equal(served.includes(others[1]!), false, 'gone before its turn');
});

test('a storm is begun in portions, one a turn', async () => {
  const { entrance, served, come } = hall(1000);
  for (let index = 0; index < 300; index += 1) come(`10.0.0.${index % 250}`);
  const before = served.length;
  assert.ok(before > 0 && before < 100, `${before} at once`);
  await turns(100);
  assert.equal(served.length, 300);
  assert.equal(entrance.waitingCount, 0);
});

test('those that are served count as connections, so that MAX_CONNECTIONS is never passed', async () => {
  let sessions = 2;
  const { entrance, served, come } = hall(10, 3, () => sessions);
  const first = come('192.0.2.1');
  come('192.0.2.2');
  assert.equal(served.length, 1);
  // The first is refused: there is room for the second.
  entrance.left(first);
  await turns();
  assert.equal(served.length, 2);
  // Sessions on all connections: the next client is told so at once.
  sessions = 3;
  come('192.0.2.3');
  assert.equal(served.length, 3);
});

test('who has come in before does not wait behind strangers at its address', async () => {
  const { entrance, served, come } = hall(8);
  entrance.left(come('192.0.2.1', 'known'), true);
  entrance.left(come('192.0.2.1', 'refused'));
  for (let index = 0; index < 50; index += 1) come('192.0.2.1');
  await turns();
  assert.equal(served.length, 2 + 6);
  const known = come('192.0.2.1', 'known');
  await turns();
  assert.equal(served.at(-1), known);
  come('192.0.2.1', 'refused');
  come('192.0.2.2', 'known');
  await turns();
  assert.deepEqual(
    served.slice(9).map(({ stream }) => stream.peer.address),
    ['192.0.2.2'],
  );
});

test('without a ds all wait, and are read so that their end is seen; then they are served', async () => {
  let asks = true;
  const { entrance, served, come } = hall(2, 1000, undefined, () => asks);
  const early = Array.from({ length: 3 }, (_, index) => come(`192.0.2.${index}`));
  assert.deepEqual(
    early.map(({ reading }) => reading),
    [true, true, false],
  );
  asks = false;
  entrance.linkChanged();
  const late = come('192.0.2.9');
  const gone = come('192.0.2.9');
  assert.deepEqual(
    [...early, late].map(({ reading }) => reading),
    [true, true, true, true],
  );
  for (const visitor of early.slice(0, 2)) entrance.left(visitor);
  entrance.left(gone);
  await turns();
  assert.equal(served.length, 2);
  assert.equal(entrance.waitingCount, 2);
  asks = true;
  entrance.linkChanged();
  await turns();
  assert.deepEqual(served.slice(2), [early[2], late]);
});

test('while connections are accepted few are begun in a turn, so that the next are accepted soon', async () => {
  let accepted = 0;
  const { entrance, served, come } = hall(1000, 1000, undefined, undefined, () => (accepted += 1));
  for (let index = 0; index < 200; index += 1) come(`10.0.0.${index}`);
  await turns(1);
  const before = served.length;
  await turns(10);
  const begun = served.length - before;
  assert.ok(begun > 0 && begun <= 44, `${begun} in 10 turns`);
  await turns(100);
  assert.equal(served.length, 200);
  assert.equal(entrance.waitingCount, 0);
});
