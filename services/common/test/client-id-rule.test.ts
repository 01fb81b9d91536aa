import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientIdRule } from '@lmqtt/common/client-id-rule';
import { SettingsError } from '@lmqtt/common/settings/parse';
import { readSettings } from '@lmqtt/common/settings/read';

function rule(text: string): ClientIdRule {
  const parsed = ClientIdRule.parse(text);
  assert.ok(parsed, text);
  return parsed;
}

test('%u alone: the client identifier is the user name', () => {
  const equal = rule('%u');
  assert.equal(equal.allows('ann', 'ann'), true);
  for (const other of ['', 'Ann', 'ann ', 'ann-1', 'an', '%u']) {
    assert.equal(equal.allows('ann', other), false, other);
  }
  assert.equal(equal.assigned('ann'), undefined);
});

test('a wildcard stands for any text, what is around it is as the user is named', () => {
  const before = rule('%u-*');
  for (const own of ['ann-', 'ann-1', 'ann-ben-1', 'ann-*'])
    assert.equal(before.allows('ann', own), true, own);
  for (const other of ['', 'ann', 'ben-1', 'anna-1', 'x-ann-1', ' ann-1'])
    assert.equal(before.allows('ann', other), false, other);
  const around = rule('dev:%u:*:%u');
  assert.equal(around.allows('a', 'dev:a:x:a'), true);
  assert.equal(around.allows('a', 'dev:a:a'), false);
  assert.equal(around.allows('a', 'dev:a:x:b'), false);
});

test('a user name is taken as it is', () => {
  for (const user of ['*', '%u', '$&', '', 'a*b', '.'])
    for (const [text, id] of [
      ['%u', user],
      ['%u-*', `${user}-1`],
    ] as const) {
      assert.equal(rule(text).allows(user, id), true, `${text} of ${user}`);
      assert.equal(rule(text).allows(user, 'ben-1'), false, `${text} of ${user}`);
    }
});

test('an assigned identifier is one that the user may name, and a new one each time', () => {
  for (const text of ['%u-*', '*@%u', 'd/%u/*/%u']) {
    const [one, two] = [rule(text).assigned('ann'), rule(text).assigned('ann')];
    assert.ok(one !== undefined && two !== undefined && one !== two);
    assert.equal(rule(text).allows('ann', one), true);
    assert.equal(rule(text).allows('ben', one), false);
  }
  assert.equal(rule('%u-*').assigned('u'.repeat(65_535)), undefined);
});

test('CLIENT_ID_RULE: what is no rule, and one without users, is refused', () => {
  const users = ['--hmac-username', 'nodes', '--hmac-secret-key', 'key'];
  const read = (...args: string[]): unknown => readSettings({ args, environment: {} });
  for (const text of ['*', 'ann', '*%u*', '%u-%c', '%', '%%u'])
    assert.throws(
      () => read(...users, '--client-id-rule', text),
      (error) => error instanceof SettingsError && /CLIENT_ID_RULE/.test(error.message),
      text,
    );
  assert.throws(() => read('--client-id-rule', '%u'), /CLIENT_ID_RULE needs users/);
  read(...users, '--client-id-rule', '%u-*');
});
