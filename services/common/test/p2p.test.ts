import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId } from '@lmqtt/common/ids';
import {
  addresseeOf,
  clientOfP2p,
  isOwed,
  isP2pOfMount,
  operatorTopicTo,
  p2pQueue,
} from '@lmqtt/common/p2p';

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

test('a client with a namespace gets of its queue what is of it, and what names the queue alone', () => {
  const mount = 'tenants/ann/';
  const operators = operatorTopicTo('c');
  assert.equal(addresseeOf(operators), 'c');
  for (const topic of ['tenants/ann/x', '/p2p/c', operators])
    assert.ok(isP2pOfMount(mount, topic), topic);
  for (const topic of ['a/p2p/c', 'tenants/bob/x', 'tenants/ann/$x', 'lmqtt/p2px/c'])
    assert.ok(!isP2pOfMount(mount, topic), topic);
});
