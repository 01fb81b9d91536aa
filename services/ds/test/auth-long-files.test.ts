// Long files of rules and users: parsed over turns of the event loop, in force as a whole.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { turnMax } from '@lmqtt/common/in-portions';
import { nextTurn } from '@lmqtt/common/pause';
import { LineError, type LineParser, type Parsed, parseLines } from '../src/auth/reloaded-file.ts';

/** Takes any line but `bad`, and counts those of one turn. */
class CountedLines implements LineParser<number> {
  most = 0;
  lines = 0;
  #ofTurn = 0;

  line(text: string, number: number): void {
    if (text === 'bad') throw new LineError(number, 'not good');
    if (this.#ofTurn === 0)
      void nextTurn().then(() => {
        this.#ofTurn = 0;
      });
    this.#ofTurn += 1;
    this.lines += 1;
    this.most = Math.max(this.most, this.#ofTurn);
  }

  parsed(): Parsed<number> {
    return { value: this.lines, entries: this.lines };
  }
}

const lineCount = 10_000;

test('one turn parses few lines of a long file, and the value has all of them', async () => {
  const lines = new CountedLines();
  const text = Array.from({ length: lineCount }, () => 'good').join('\n');
  const { value } = await parseLines(text, lines);
  assert.equal(value, lineCount);
  assert.ok(lines.most <= turnMax, `${lines.most} in one turn`);
});

test('a line far down that is wrong is named, and none behind it is looked at', async () => {
  const lines = new CountedLines();
  const text = Array.from({ length: lineCount }, (_, at) => (at === 5000 ? 'bad' : 'good'));
  await assert.rejects(parseLines(text.join('\n'), lines), /^LineError: line 5001: not good$/);
  assert.equal(lines.lines, 5000);
});
