// Byte sequences that no packet may carry in a UTF-8 string (Unicode, table 3-7).
export const illFormed: readonly (readonly [what: string, bytes: Buffer])[] = [
  ['a lone continuation byte', Buffer.from([0x61, 0x80, 0x62])],
  ['an overlong slash', Buffer.from([0xc0, 0xaf])],
  ['an overlong null', Buffer.from([0xc0, 0x80])],
  ['a high surrogate', Buffer.from([0xed, 0xa0, 0x80])],
  ['a low surrogate', Buffer.from([0xed, 0xbf, 0xbf])],
  ['a surrogate pair', Buffer.from([0xed, 0xa0, 0x81, 0xed, 0xb0, 0x80])],
  ['a code point above U+10FFFF', Buffer.from([0xf4, 0x90, 0x80, 0x80])],
  ['a sequence cut short', Buffer.from([0x61, 0xe2, 0x82])],
  ['byte FF', Buffer.from([0xff])],
];

export const withNull: Buffer = Buffer.from('a\0b');
