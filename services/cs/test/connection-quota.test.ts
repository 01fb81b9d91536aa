// Connections of one user, and from one address: one too many is refused, and leaves nothing behind.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IConnectPacket } from 'mqtt-packet';
import type { ConnectionEnd } from '@lmqtt/proto/link';
import { FakeClient, startNode, turns } from './node-fixture.ts';
import { noState } from './scripted-ds.ts';

const ann: Partial<IConnectPacket> = { username: 'ann', password: Buffer.from('x') };

const connectPacket = {
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion: 5,
  keepalive: 60,
} as const;

function codeOf(client: FakeClient): number | undefined {
  const [packet] = client.packets;
  return packet?.cmd === 'connack' ? (packet.reasonCode ?? packet.returnCode) : undefined;
}

test('a user with as many connections as it may have: the session is given back', async (t) => {
  const { ds, node, connect } = startNode(t, { maxConnectionsPerUser: 2 });
  ds.leaseEndsMs = 1_000_000;
  const ends: ConnectionEnd[] = [];
  ds.disconnect = (_session, end) => {
    ends.push(end);
    return Promise.resolve();
  };
  const first = await connect('a', ann);
  const second = await connect('b', ann);
  const third = await connect('c', { ...ann, clean: false });
  assert.equal(codeOf(third), 0x97);
  assert.ok(third.closed);
  assert.deepEqual(
    ends.map(({ publishWill, sessionExpiryS }) => ({ publishWill, sessionExpiryS })),
    [{ publishWill: false, sessionExpiryS: 0 }],
  );
  assert.equal(node.connections.sessionCount, 2);
  assert.equal(codeOf(await connect('d', { ...ann, protocolVersion: 4 })), 3);
  // Others are not concerned, nor is the session that one of them takes over.
  assert.equal(codeOf(await connect('e')), 0);
  assert.equal(codeOf(await connect('b', ann)), 0);
  second.lose();
  assert.equal(codeOf(await connect('f', ann)), 0x97);
  first.lose();
  assert.equal(codeOf(await connect('f', ann)), 0);
});

test('an address with as many connections as it may have: ds is not asked', async (t) => {
  const { ds, connect } = startNode(t, { maxConnectionsPerAddress: 2 });
  ds.leaseEndsMs = 1_000_000;
  const first = await connect('a');
  await connect('b', ann);
  ds.answers = false;
  assert.equal(codeOf(await connect('c')), 0x97);
  assert.equal(ds.connects.length, 0);
  await connect('b');
  assert.equal(ds.connects.length, 1, 'a client that takes over is asked for');
  ds.answers = true;
  first.lose();
  // The one that is being served counts.
  assert.equal(codeOf(await connect('d')), 0x97);
});

test('a listener that is full once ds has accepted: a new session is given back, a kept one stays', async (t) => {
  const { ds, node } = startNode(t);
  ds.leaseEndsMs = 1_000_000;
  ds.states.set('kept', noState);
  const ends: ConnectionEnd[] = [];
  ds.disconnect = (_session, end) => {
    ends.push(end);
    return Promise.resolve();
  };
  const place = { name: 'few', connectionsMax: 1, open: 0 };
  const clients = ['first', 'new', 'kept'].map((clientId) => {
    const client = new FakeClient(5);
    node.connections.accept(client, place);
    const properties = { sessionExpiryInterval: 100 };
    client.send({ ...connectPacket, clientId, clean: false, properties });
    return client;
  });
  await turns();
  assert.deepEqual(clients.map(codeOf), [0, 0x97, 0x97]);
  assert.deepEqual(
    ends.map(({ sessionExpiryS }) => sessionExpiryS),
    [0, undefined],
  );
  assert.equal(place.open, 1);
});
