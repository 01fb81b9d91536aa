// Cases whose outcome is that of java.util.Properties.load, JDK 17.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { propertiesText, PropertyError, readProperties } from '../src/settings/properties.ts';

function pairs(text: string): Record<string, string> {
  return Object.fromEntries(readProperties(text).map(({ key, value }) => [key, value]));
}

test('separators of a key and its value', () => {
  for (const line of ['a=b', 'a:b', 'a b', 'a\tb', ' a = b', 'a  :  b', 'a\f=\tb', 'a =b'])
    assert.deepEqual(pairs(line), { a: 'b' }, JSON.stringify(line));
  assert.deepEqual(pairs('a==b'), { a: '=b' });
  assert.deepEqual(pairs('a : = b'), { a: '= b' });
  assert.deepEqual(pairs('a\nb=\nc:  '), { a: '', b: '', c: '' });
  assert.deepEqual(pairs('a=b # c'), { a: 'b # c' });
  assert.deepEqual(pairs('a=b \t'), { a: 'b \t' }, 'white space behind a value');
});

test('comments with # and !, and lines of each ending', () => {
  const text = '# a=1\n  ! b=1\r\n\r\n \t\na=2\rb=3\r\nc=4';
  assert.deepEqual(pairs(text), { a: '2', b: '3', c: '4' });
  assert.deepEqual(pairs('# a \\\na=1'), { a: '1' }, 'a comment is not continued');
});

test('lines that go on', () => {
  assert.deepEqual(pairs('a=1,\\\n    2,\\\r\n\t3\nb=4'), { a: '1,2,3', b: '4' });
  assert.deepEqual(pairs('a=1\\\n#2'), { a: '1#2' }, 'no comment within a line');
  assert.deepEqual(pairs('a=1\\\\\nb=2'), { a: '1\\', b: '2' }, 'an escaped \\ ends no line');
  assert.deepEqual(pairs('a=1\\'), { a: '1' });
  assert.deepEqual(pairs('\\\n# comment\na=1'), { a: '1' });
  const lines = readProperties('# x\na=1\\\n2\nb=3').map(({ key, line }) => [key, line]);
  assert.deepEqual(lines, [
    ['a', 2],
    ['b', 4],
  ]);
});

test('escapes of keys and values', () => {
  assert.deepEqual(pairs('a\\:b\\=c\\ d=e'), { 'a:b=c d': 'e' });
  assert.deepEqual(pairs('a=\\t\\n\\r\\f\\\\\\q\\"'), { a: '\t\n\r\f\\q"' });
  assert.deepEqual(pairs('k\\u00e4se=\\u00FC\\uD83D\\uDE00'), { käse: 'ü😀' });
  assert.deepEqual(pairs('a=\\ b'), { a: ' b' });
  for (const wrong of ['a=\\u12', 'a=1\nb=\\u00g0', '\\u=1'])
    assert.throws(() => readProperties(wrong), PropertyError);
});

test('bytes are UTF-8, or else ISO 8859-1', () => {
  assert.equal(propertiesText(Buffer.from('a=ü', 'utf8')), 'a=ü');
  assert.equal(propertiesText(Buffer.from('a=ü', 'latin1')), 'a=ü');
  assert.equal(propertiesText(Buffer.from('\uFEFFa=1', 'utf8')), 'a=1');
});
