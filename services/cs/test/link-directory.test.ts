import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SettingsError } from '@lmqtt/common/settings/parse';
import { addressText } from '../src/link/directory.ts';
import { FixedDirectory } from '../src/link/fixed-directory.ts';

const good: [string, string, number][] = [
  ['127.0.0.1:7010', '127.0.0.1', 7010],
  ['ds.example.com:1', 'ds.example.com', 1],
  ['localhost:65535', 'localhost', 65535],
  ['[::1]:7010', '::1', 7010],
  [' lmqtt-ds_0.lmqtt:7010 ', 'lmqtt-ds_0.lmqtt', 7010],
];

for (const [text, host, port] of good) {
  test(`DS ${text}`, () => {
    const [address] = new FixedDirectory(text).nodes();
    assert.deepEqual(address, { id: text.trim(), host, port, draining: false });
    assert.equal(addressText({ host, port }), text.trim());
  });
}

test('DS with several', () => {
  const nodes = new FixedDirectory('a:1, [::1]:2,').nodes();
  assert.deepEqual(
    nodes.map(({ id }) => id),
    ['a:1', '[::1]:2'],
  );
});

const bad = [
  ['', /is empty/],
  ['a:1,b:2,a:1', /a:1 twice/],
  ['a:1,b', /host:port/],
  ['127.0.0.1', /host:port/],
  ['127.0.0.1:0', /host:port/],
  ['127.0.0.1:65536', /host:port/],
  ['127.0.0:7010', /host:port/],
  ['::1:7010', /host:port/],
  ['[::1]', /host:port/],
  ['[127.0.0.1]:7010', /host:port/],
  ['http://a:1', /host:port/],
  ['a b:1', /host:port/],
] as const;

for (const [text, message] of bad) {
  test(`DS '${text}' is refused`, () => {
    assert.throws(
      () => new FixedDirectory(text),
      (error) => error instanceof SettingsError && message.test(error.message),
    );
  });
}
