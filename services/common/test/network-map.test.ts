import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetworkMap, networkText } from '../src/network-map.ts';

test('a network has one form, however it is written', () => {
  const forms: readonly (readonly [string, string | undefined])[] = [
    ['10.1.2.3', '10.1.2.3'],
    ['10.1.2.3/32', '10.1.2.3'],
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['::FFFF:0a01:0203', '10.1.2.3'],
    ['::ffff:10.1.2.3/104', '10.0.0.0/8'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8::1/128', '2001:db8::1'],
    ['2001:db8:1:2::/48', '2001:db8:1::/48'],
    ['::/0', '::/0'],
    ['fe80::1%eth0', 'fe80::1'],
    ['10.1.2', undefined],
    ['10.1.2.3/33', undefined],
    ['10.1.2.3/', undefined],
    ['::ffff:10.1.2.3/8', undefined],
    ['::1/129', undefined],
    ['example.org', undefined],
    ['', undefined],
  ];
  for (const [text, form] of forms) assert.equal(networkText(text), form, text);
});

test('an address finds the narrowest network that is wanted', () => {
  const map = new NetworkMap<string>();
  for (const text of ['0.0.0.0/0', '10.0.0.0/8', '10.1.0.0/16', '10.1.2.3', '2001:db8::/32', '::1'])
    map.set(text, text);
  const find = (address: string, wanted: (text: string) => boolean = () => true) =>
    map.find(address, wanted);
  assert.equal(find('10.1.2.3'), '10.1.2.3');
  assert.equal(find('::ffff:10.1.2.3'), '10.1.2.3');
  assert.equal(find('10.1.2.4'), '10.1.0.0/16');
  assert.equal(find('10.2.0.1'), '10.0.0.0/8');
  assert.equal(find('9.9.9.9'), '0.0.0.0/0');
  assert.equal(find('2001:db8:ffff::1'), '2001:db8::/32');
  assert.equal(find('2001:db9::1'), undefined);
  assert.equal(find('::1'), '::1');
  assert.equal(find('nowhere'), undefined);
  assert.equal(
    find('10.1.2.3', (text) => text !== '10.1.2.3' && text !== '10.1.0.0/16'),
    '10.0.0.0/8',
  );
  map.delete('10.1.2.3/32');
  map.delete('0.0.0.0/0');
  map.delete('192.168.0.0/16');
  assert.equal(find('10.1.2.3'), '10.1.0.0/16');
  assert.equal(find('9.9.9.9'), undefined);
});
