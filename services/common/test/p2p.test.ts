import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId } from '@lmqtt/common/ids';
import { addresseeOf, clientOfP2p, isOwed, p2pQueue } from '@lmqtt/common/p2p';

test('topics that address a client, and those that do not', () => {
  const addressed: Readonly<Record<string, string | undefined>> = {
    'a/p2p/c': 'c',
    'a/p2p/c/': 'c',
    'a/p2p/c/x/y': 'c',
    '/p2p/c': 'c',
    'ns%a/p2p/c': 'ns%c',
    'ns%a%b/p2p/c': 'ns%c',
    'a/p2p/n%c': 'n%c',
    '%a/p2p/c': 'c',
    'a/p2p/': undefined,
    'a/p2p': undefined,
    'p2p/c': undefined,
    'a/p2pc/c': undefined,
    'a/b/p2p/c': undefined,
    '$SYS/p2p/c': undefined,
  };
  for (const [topic, client] of Object.entries(addressed))
    assert.equal(addresseeOf(topic), client, topic);
});

test('names of the queues of clients', () => {
  assert.equal(clientOfP2p(p2pQueue(clientId('a/b'))), 'a/b');
  for (const filter of ['a', '$p2p', '$SYS/#', 'p2p/c'])
    assert.equal(clientOfP2p(filter), undefined);
});

test('a client is owed what is in its queue, but for messages that address another', () => {
  const own = p2pQueue(clientId('ns%c'));
  for (const topic of ['orders/1', 'ns%a/p2p/c', '/p2p/ns/c']) assert.ok(isOwed(own, topic), topic);
  for (const topic of ['a/p2p/c', '/p2p/ns']) assert.ok(!isOwed(own, topic), topic);
  assert.ok(isOwed('a/+', 'a/b'));
  assert.ok(!isOwed('a/+', 'b'));
});
