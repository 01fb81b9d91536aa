// The header of the PROXY protocol, versions 1 and 2, by which a load balancer says where a
// connection comes from, before the first byte of the client.
//
//   1  PROXY TCP4 192.0.2.1 198.51.100.1 56324 1883\r\n     or PROXY UNKNOWN …\r\n
//   2  12 bytes of signature, version and command, family, length (2), addresses, more fields

import { isIP } from 'node:net';

export interface ProxySource {
  readonly address: string;
  readonly port: number;
}

type ProxyHeader =
  | { readonly kind: 'more' }
  | { readonly kind: 'malformed' }
  /** Source undefined: the proxy itself, as for a look at its health. */
  | { readonly kind: 'header'; readonly bytes: number; readonly source: ProxySource | undefined };

const more: ProxyHeader = { kind: 'more' };
const malformed: ProxyHeader = { kind: 'malformed' };
const lineBytesMax = 107;
const line = Buffer.from('PROXY ');
const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const headBytes = 16;
/** Addresses take 36 bytes; the rest is for fields that proxies add. */
const restBytesMax = 4096;

export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (bytes.length === 0) return more;
  if (begins(bytes, signature)) return bytes.length < headBytes ? more : second(bytes);
  return begins(bytes, line) ? first(bytes) : malformed;
}

/** Whether the bytes are a beginning, as far as they go. */
function begins(bytes: Buffer, expected: Buffer): boolean {
  const length = Math.min(bytes.length, expected.length);
  return bytes.compare(expected, 0, length, 0, length) === 0;
}

function first(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, lineBytesMax).indexOf('\r\n');
  if (end < 0) return bytes.length < lineBytesMax ? more : malformed;
  const words = bytes.toString('latin1', 0, end).split(' ');
  const [, family, address = '', to = '', portText = '', toPort = ''] = words;
  if (family === 'UNKNOWN') return { kind: 'header', bytes: end + 2, source: undefined };
  const version = family === 'TCP4' ? 4 : family === 'TCP6' ? 6 : undefined;
  const isWhole = words.length === 6 && isIP(address) === version && isIP(to) === version;
  const port = portOf(portText);
  if (!isWhole || version === undefined || port === undefined || portOf(toPort) === undefined)
    return malformed;
  return { kind: 'header', bytes: end + 2, source: { address, port } };
}

function portOf(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : undefined;
  return port !== undefined && port < 65_536 ? port : undefined;
}

function second(bytes: Buffer): ProxyHeader {
  const [version, command] = [bytes[12]! >> 4, bytes[12]! & 0x0f];
  const family = bytes[13]!;
  const rest = bytes.readUInt16BE(14);
  if (version !== 2 || command > 1 || rest > restBytesMax) return malformed;
  const end = headBytes + rest;
  if (bytes.length < end) return more;
  const local: ProxyHeader = { kind: 'header', bytes: end, source: undefined };
  // LOCAL, and families other than IP: the connection is that of the proxy.
  if (command === 0 || (family !== 0x11 && family !== 0x21)) return local;
  const addressBytes = family === 0x11 ? 4 : 16;
  if (rest < 2 * addressBytes + 4) return malformed;
  const address = bytes.subarray(headBytes, headBytes + addressBytes);
  const port = bytes.readUInt16BE(headBytes + 2 * addressBytes);
  return { kind: 'header', bytes: end, source: { address: textOf(address), port } };
}

function textOf(address: Buffer): string {
  if (address.length === 4) return address.join('.');
  const groups = Array.from({ length: 8 }, (_, index) =>
    address.readUInt16BE(2 * index).toString(16),
  );
  // As a URL writes it: the longest run of zeros is `::`.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
