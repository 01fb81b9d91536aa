// A node that drains sends its clients away one after another, and takes no others.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { IConnackPacket, IDisconnectPacket } from 'mqtt-packet';
import { type Cell, type FakeClient, startNode, turns, until } from './node-fixture.ts';

const two = (): Promise<readonly string[]> => Promise.resolve(['a:1883', 'b:1883']);

/** Clients of a node, those of 3.1.1 first. */
async function clientsOf(cell: Cell, old: number, count: number): Promise<FakeClient[]> {
  const clients: FakeClient[] = [];
  for (let number = 0; number < count; number += 1)
    clients.push(
      await cell.connect(`c${number}`, { protocolVersion: number < old ? 4 : 5, clean: false }),
    );
  for (const client of clients) client.packets.splice(0);
  cell.ds.answers = false;
  return clients;
}

/** ds has stored all ends that it was told. */
function storeEnds({ ds }: Cell): number {
  const ends = ds.disconnects.splice(0);
  for (const end of ends) end.resolve();
  return ends.length;
}

const goneOf = (clients: readonly FakeClient[]): number =>
  clients.filter(({ closed }) => closed).length;

test('the end is stored before the client hears of it, and its will waits', async (t) => {
  const cell = startNode(t, {}, two);
  const [client] = await clientsOf(cell, 0, 1);
  void cell.node.drain.begin('drains', 100);
  await until(() => cell.ds.disconnects.length === 1);
  const { request } = cell.ds.disconnects[0]!;
  assert.equal(request.end.planned, true);
  assert.equal(request.end.publishWill, true);
  await turns();
  assert.deepEqual(client!.took(), []);
  assert.equal(client!.closed, false);
  storeEnds(cell);
  await until(() => client!.closed);
  const [packet] = client!.packets as IDisconnectPacket[];
  assert.equal(packet?.cmd, 'disconnect');
  assert.equal(packet?.reasonCode, 0x9c);
  assert.match(packet?.properties?.serverReference ?? '', /^[ab]:1883$/);
});

test('a ds that answers late is awaited: who came back before that would have a will sent', async (t) => {
  const cell = startNode(t, {}, two);
  const [client] = await clientsOf(cell, 0, 1);
  void cell.node.drain.begin('drains', 100);
  await until(() => cell.ds.disconnects.length === 1);
  await delay(1500);
  assert.equal(client!.closed, false);
  storeEnds(cell);
  await until(() => client!.closed);
});

test('a ds that does not answer holds nobody for long', async (t) => {
  const cell = startNode(t);
  const [client] = await clientsOf(cell, 0, 1);
  void cell.node.drain.begin('stops', 100, 500);
  await until(() => client!.closed);
  assert.equal((client!.packets[0] as IDisconnectPacket).reasonCode, 0x8b);
});

test('clients go at the rate, the other nodes by turns, 3.1.1 without a packet', async (t) => {
  const cell = startNode(t, {}, two);
  const clients = await clientsOf(cell, 4, 12);
  const drained = cell.node.drain.begin('stops', 10, 60_000);
  await until(() => storeEnds(cell) === 1);
  await until(() => goneOf(clients) === 1);
  // The clock stands: nobody else has his turn.
  await turns(20);
  assert.equal(storeEnds(cell), 0);
  cell.clock.ms += 500;
  await until(() => storeEnds(cell) + goneOf(clients) >= 6);
  await until(() => goneOf(clients) === 6);
  cell.clock.ms += 5000;
  await until(() => storeEnds(cell) + goneOf(clients) >= 12);
  await drained;
  assert.equal(goneOf(clients), 12);
  const packets = clients.map((client) => client.packets.splice(0) as IDisconnectPacket[]);
  assert.ok(packets.slice(0, 4).every((all) => all.length === 0));
  const told = packets.slice(4).map(([packet]) => packet?.properties?.serverReference);
  assert.equal(told.filter((address) => address === 'a:1883').length, 4);
  assert.equal(told.filter((address) => address === 'b:1883').length, 4);
});

test('a stop takes no longer than it may', async (t) => {
  const cell = startNode(t);
  const clients = await clientsOf(cell, 0, 30);
  let isOver = false;
  const drained = cell.node.drain.begin('stops', 1, 1000).then(() => {
    isOver = true;
  });
  await until(() => {
    cell.clock.ms += 10;
    storeEnds(cell);
    return isOver;
  });
  await drained;
  assert.equal(goneOf(clients), 30);
});

test('nobody is connected: a stop waits for nothing', async (t) => {
  const cell = startNode(t, {}, () => new Promise(() => {}));
  await cell.node.drain.begin('stops', 1, 60_000);
});

test('clients that come meanwhile are told where to go, until it is taken back', async (t) => {
  const cell = startNode(t, {}, two);
  void cell.node.drain.begin('drains', 100);
  await turns();
  const refused = await cell.connect('late');
  const connack = refused.packets[0] as IConnackPacket;
  assert.equal(connack.reasonCode, 0x9c);
  assert.match(connack.properties?.serverReference ?? '', /^[ab]:1883$/);
  const old = await cell.connect('old', { protocolVersion: 4 });
  assert.equal((old.packets[0] as IConnackPacket).returnCode, 3);
  assert.ok(refused.closed && old.closed);
  cell.node.drain.takeBack();
  const taken = await cell.connect('later');
  assert.equal((taken.packets[0] as IConnackPacket).reasonCode, 0);
});

test('without another node: server moved where it drains, shutting down where it stops', async (t) => {
  const cell = startNode(t);
  void cell.node.drain.begin('drains', 100);
  assert.equal(cell.node.farewell()?.reasonCode, 0x9d);
  await cell.node.drain.begin('stops', 100, 1000);
  assert.equal(cell.node.farewell()?.reasonCode, 0x8b);
  assert.equal(cell.node.farewell()?.serverReference, undefined);
  // CONNACK has no code for it.
  const late = await cell.connect('late');
  assert.equal((late.packets[0] as IConnackPacket).reasonCode, 0x88);
});

test('a reference that does not fit into the packets of a client is left out', async (t) => {
  const long = 'x'.repeat(300);
  const cell = startNode(t, {}, () => Promise.resolve([long]));
  const client = await cell.connect('small', { properties: { maximumPacketSize: 40 } });
  client.packets.splice(0);
  cell.ds.answers = false;
  void cell.node.drain.begin('drains', 100);
  await until(() => storeEnds(cell) === 1);
  await until(() => client.closed);
  const packet = client.packets[0] as IDisconnectPacket;
  assert.equal(packet.reasonCode, 0x9c);
  assert.equal(packet.properties?.serverReference, undefined);
});

test('a client whose CONNECT waits for ds when the node has stopped is told so', async (t) => {
  const cell = startNode(t, {}, two);
  cell.ds.answers = false;
  const waits = await cell.connect('waits');
  await cell.node.drain.begin('stops', 100, 1000);
  await cell.node.stop(10);
  assert.equal((waits.packets[0] as IConnackPacket).reasonCode, 0x9c);
  assert.ok(waits.closed);
});
