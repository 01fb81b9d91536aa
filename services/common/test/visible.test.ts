import assert from 'node:assert/strict';
import { test } from 'node:test';

import { forPeople, openLogs } from '../src/log.ts';
import { visible, visibleInColour } from '../src/visible.ts';

const range = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, at) => String.fromCharCode(from + at));

/** Each alone is obeyed by some terminal, turns the direction of writing, or is no character. */
const unsafe = [
  ...range(0x00, 0x08),
  ...range(0x0b, 0x1f),
  ...range(0x7f, 0x9f),
  '\u061c',
  '\u200e',
  '\u200f',
  ...range(0x2028, 0x202e),
  ...range(0x2066, 0x2069),
  '\ud800',
  '\udfff',
];
const harmless = 'ä é 中 \u{1f600} \u00a0 \u200d \t \n ~ \\ "';

const colours = new RegExp(`${String.fromCharCode(0x1b)}\\[\\d+m`, 'g');

/** Characters in the text that should have been escaped; colours are the log's own. */
function leftIn(text: string): string[] {
  const plain = text.replaceAll(colours, '');
  return unsafe.filter((character) =>
    character >= '\ud800' ? /\p{Cs}/u.test(plain) : plain.includes(character),
  );
}

test('what a terminal would obey is shown as its number, and nothing else is changed', () => {
  assert.equal(visible(harmless), harmless);
  for (const character of unsafe) {
    const code = character.charCodeAt(0).toString(16).padStart(4, '0');
    assert.equal(visible(`a${character}b${character}`), `a\\u${code}b\\u${code}`);
    assert.equal(visibleInColour(`a${character}[2Jb`), `a\\u${code}[2Jb`);
  }
  assert.equal(visibleInColour('\u001b[32mINFO\u001b[39m'), '\u001b[32mINFO\u001b[39m');
  assert.equal(visibleInColour('\u001b[8mhidden'), '\\u001b[8mhidden');
});

test('JSON stays JSON of the same value', () => {
  const value = { [`k${unsafe.join('')}`]: unsafe.join('x') + harmless };
  const text = visible(JSON.stringify(value));
  assert.deepEqual(leftIn(text), []);
  assert.deepEqual(JSON.parse(text), value);
});

test('a log shows the text of strangers and obeys none of it, as JSON and for people', async () => {
  const clientId = `c${unsafe.join('.')}`;
  const lines: string[] = [];
  const json = { write: (line: string) => void lines.push(line) };
  const shown: string[] = [];
  const people = await forPeople((text) => shown.push(text));
  for (const stream of [json, people]) {
    const logs = await openLogs({ level: 'info', stream });
    logs.connection.info({ clientId, at: { topic: clientId }, all: [clientId] }, 'connected');
    logs.broker.error({ err: new Error(clientId) }, `why: ${clientId}`);
  }
  assert.equal((JSON.parse(lines[0] ?? '') as { clientId: string }).clientId, clientId);
  const endMs = performance.now() + 10_000;
  while (!shown.join('').includes('why: ')) {
    assert.ok(performance.now() < endMs, 'nothing was shown');
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (const text of [lines.join(''), shown.join('')]) {
    assert.deepEqual(leftIn(text), []);
    assert.match(text, /\\u009b/);
    assert.match(text, /\\u202e/);
  }
});
