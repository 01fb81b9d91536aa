import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decodeString, isStringUtf8, isWellFormed } from '../src/codec/utf8.ts';

// The limits of each form after RFC 3629, and what lies just beyond them.

const wrong: Record<string, readonly number[]> = {
  'a continuation alone': [0x80],
  'the last continuation alone': [0xbf],
  'two bytes cut': [0xc3],
  'three bytes cut after one': [0xe2],
  'three bytes cut after two': [0xe2, 0x82],
  'four bytes cut after three': [0xf0, 0x9f, 0x98],
  'no continuation': [0xc3, 0x41],
  'a third byte that is none': [0xe2, 0x82, 0x41],
  'overlong slash, two bytes': [0xc0, 0xaf],
  'overlong slash, three bytes': [0xe0, 0x80, 0xaf],
  'overlong slash, four bytes': [0xf0, 0x80, 0x80, 0xaf],
  'overlong U+0000': [0xc0, 0x80],
  'overlong U+007F': [0xc1, 0xbf],
  'overlong U+07FF': [0xe0, 0x9f, 0xbf],
  'overlong U+FFFF': [0xf0, 0x8f, 0xbf, 0xbf],
  'first high surrogate': [0xed, 0xa0, 0x80],
  'last low surrogate': [0xed, 0xbf, 0xbf],
  'a pair of surrogates': [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80],
  'above U+10FFFF': [0xf4, 0x90, 0x80, 0x80],
  'five bytes': [0xf8, 0x88, 0x80, 0x80, 0x80],
  'six bytes': [0xfc, 0x84, 0x80, 0x80, 0x80, 0x80],
  '0xFE': [0xfe],
  '0xFF': [0xff],
  'U+0000': [0x00],
};

const right: Record<string, string> = {
  empty: '',
  ASCII: 'a/b c~\u007f',
  'U+0001': '\u0001',
  'U+0080': '\u0080',
  'U+07FF': '\u07ff',
  'U+0800': '\u0800',
  'U+D7FF': '\ud7ff',
  'U+E000': '\ue000',
  'U+FFFD': '\ufffd',
  'U+FFFF, no character': '\uffff',
  'U+10000': '\u{10000}',
  'U+10FFFF': '\u{10ffff}',
  'a byte order mark in front': '\ufeffa',
  'a byte order mark inside': 'a\ufeffb',
};

/** Short and long strings take different ways. */
const around: readonly (readonly [string, string])[] = [
  ['', ''],
  ['topic/', '/rest'],
  ['x'.repeat(200), 'y'.repeat(200)],
];

describe('UTF-8', () => {
  for (const [name, bytes] of Object.entries(wrong)) {
    test(`refused: ${name}`, () => {
      for (const [before, after] of around) {
        const all = Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)]);
        assert.equal(isStringUtf8(all, 0, all.length), false);
        assert.throws(() => decodeString(all, 0, all.length, 'x'), /UTF-8/);
      }
    });
  }

  for (const [name, text] of Object.entries(right)) {
    test(`read as it is: ${name}`, () => {
      for (const [before, after] of around) {
        const whole = `${before}${text}${after}`;
        const bytes = Buffer.from(whole);
        assert.equal(decodeString(bytes, 0, bytes.length, 'x'), whole);
      }
    });
  }

  test('a payload may have U+0000', () => {
    assert.equal(isWellFormed(Buffer.from([0x41, 0]), 0, 2), true);
    assert.equal(isWellFormed(Buffer.from([0x41, 0xff]), 0, 2), false);
  });

  test('any bytes: the same verdict as a fatal TextDecoder', () => {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const byte = fc.oneof(
      fc.integer({ min: 1, max: 255 }),
      fc.constantFrom(0x41, 0x80, 0xbf, 0xc2, 0xe0, 0xed, 0xa0, 0xf0, 0x90, 0xf4, 0x8f),
    );
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 160 }), (array) => {
        const bytes = Buffer.from(array);
        let legal = true;
        try {
          decoder.decode(bytes);
        } catch {
          legal = false;
        }
        assert.equal(isStringUtf8(bytes, 0, bytes.length), legal);
      }),
      { numRuns: 3000 },
    );
  });
});
