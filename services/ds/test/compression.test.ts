// Bodies as lz4-java's LZ4FrameOutputStream and zstd-jni's ZstdOutputStream write them, which
// clients of RocketMQ use.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { decompressed, decompressedBytesMax } from '../src/rocketmq/message/compression.ts';
import { sysFlag } from '../src/rocketmq/message/stored-layout.ts';

let small = '';
for (let number = 0; number < 40; number += 1) small += `temperature ${number % 5}\n`;
const noise =
  'c9Uau9icuBlvDvtokvlNaPzMLDXwuEYJ5fEsVd2Fq6jV2b73aAjztXLlkAESuBknulu19n4b2ii0BJvw5K7XjQ==';
const written = {
  lz4: {
    small: 'BCJNGGBwcywAAADodGVtcGVyYXR1cmUgMAoOABkxDgAZMg4AGTMOABk0DgAPRgD/x1ByZSA0CgAAAAA=',
    noise:
      'BCJNGGBwc0AAAIBz1Rq72Jy4GW8O+2iS+U1o/MwsNfC4Rgnl8SxV3YWrqNXZvvdoCPO1cuWQARK4GSe6W7X2fhvaKLQEm/DkrteNAAAAAA==',
    empty: 'BCJNGGBwcwAAAAA=',
  },
  zstd: {
    small:
      'KLUv/QBYRQMAMkQLDeDpUjbNDSpOKXFWdC7gYaiUoCFjCrjcXe4ud5e7y93l7nJ3CRaGSgkaMqYCJiDg54ccd7BDjjvYIccd7JDjDnbIcQc75LiDHeK4gx1y3MEOOe5ghxx3sEOOO9ghxx0MH0JwSQk=',
    noise:
      'KLUv/QBYAQIAc9Uau9icuBlvDvtokvlNaPzMLDXwuEYJ5fEsVd2Fq6jV2b73aAjztXLlkAESuBknulu19n4b2ii0BJvw5K7XjQ==',
    empty: 'KLUv/SAAAQAA',
  },
} as const;

for (const [name, texts] of Object.entries(written)) {
  const flags = sysFlag.compressed | sysFlag[name as 'lz4' | 'zstd'];
  const read = (base64: string): string | undefined =>
    decompressed(Buffer.from(base64, 'base64'), flags)?.toString('base64');

  void test(`${name}: what a client of RocketMQ has compressed`, () => {
    assert.equal(read(texts.small), Buffer.from(small).toString('base64'));
    assert.equal(read(texts.noise), noise);
    assert.equal(read(texts.empty), '');
  });

  void test(`${name}: bytes that are damaged, or end too soon, end nothing`, () => {
    const whole = Buffer.from(texts.small, 'base64');
    for (let bytes = 0; bytes < whole.length; bytes += 1)
      assert.notEqual(decompressed(whole.subarray(0, bytes), flags)?.toString(), small);
    const change = fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const bytes = Buffer.from(whole);
        for (const { at, byte } of changes) bytes[at] = byte;
        const { length = 0 } = decompressed(bytes, flags) ?? {};
        assert.ok(length <= decompressedBytesMax);
      }),
    );
  });
}

void test('what grows too much is not read, and not held', () => {
  const zeros = Buffer.alloc(decompressedBytesMax + 1);
  assert.equal(decompressed(deflateSync(zeros), sysFlag.compressed | sysFlag.zlib), undefined);
  // One literal, a match of 255 times 70,000 bytes, and a last literal.
  const block = Buffer.concat([Buffer.of(0x1f, 0, 1, 0), Buffer.alloc(70_000, 255), Buffer.of(0)]);
  const last = Buffer.of(0x10, 0);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(block.length + last.length);
  const head = Buffer.from('BCJNGGBwcw==', 'base64');
  const lz4 = Buffer.concat([head, length, block, last, Buffer.alloc(4)]);
  assert.equal(decompressed(lz4, sysFlag.compressed | sysFlag.lz4), undefined);
  // Blocks of one byte that stands for 128 KiB each; then a frame that asks for a large window.
  const repeats = Array.from({ length: 200 }, () => Buffer.of(0x02, 0, 0x10, 7));
  const bomb = Buffer.concat([Buffer.from('KLUv/QBY', 'base64'), ...repeats, Buffer.of(1, 0, 0)]);
  assert.equal(decompressed(bomb, sysFlag.compressed | sysFlag.zstd), undefined);
  const wide = Buffer.concat([Buffer.from('KLUv/QCg', 'base64'), Buffer.of(1, 0, 0)]);
  assert.equal(decompressed(wide, sysFlag.compressed | sysFlag.zstd), undefined);
});
