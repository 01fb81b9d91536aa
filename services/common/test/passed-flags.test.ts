// Flags of settings that a script passes on to programs in other folders.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SettingsError } from '../src/settings/parse.ts';
import { flagsToPassOn } from '../src/settings/read.ts';

test('flags that are passed on name their files by absolute paths', () => {
  const flags = (...args: string[]): string[] =>
    flagsToPassOn({ args, environment: {} }, '/where/typed');
  assert.deepEqual(
    flags('--password-file', 'users', '--acl-file=/etc/acl', '--config', 'a', '--config=../b'),
    [
      '--config=/where/typed/a',
      '--config=/where/b',
      '--password-file=/where/typed/users',
      '--acl-file=/etc/acl',
    ],
  );
  const others = ['--log-level=warn', '--p2p=true', '--ws-path=ws'];
  assert.deepEqual(flags('--log-level', 'warn', '--p2p', '--ws-path=ws'), others);
  assert.deepEqual(flags('--redis-url-file', 'r'), ['--redis-url-file=/where/typed/r']);
  assert.throws(() => flags('--nonsense'), SettingsError);
});
