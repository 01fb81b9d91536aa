// Bytes of a fuzzing WebSocket client: the upgrade, and its bytes in masked frames of any sizes, at
// times with frames that are broken. Nothing is waited for: the frames follow the request at once.
import { mutate } from './packet-script.ts';
import type { Random } from './random.ts';

const upgrade = Buffer.from(
  [
    'GET /mqtt HTTP/1.1',
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    'Sec-WebSocket-Protocol: mqtt',
    '\r\n',
  ].join('\r\n'),
);

/** FIN and opcode | mask bit, length (7 bits, 16 after 126) | mask | payload; RFC 6455, 5.2. */
function frame(random: Random, first: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head =
    length < 126 ? [first, 0x80 | length] : [first, 0x80 | 126, length >> 8, length & 0xff];
  const mask = random.bytes(4);
  const masked = Buffer.from(payload);
  for (const [index, byte] of payload.entries()) {
    masked[index] = byte ^ mask.readUInt8(index & 3);
  }
  return Buffer.concat([Buffer.from(head), mask, masked]);
}

const binary = 0x02;
const last = 0x80;

export function webSocketBytes(random: Random, bytes: Buffer): Buffer {
  const frames: Buffer[] = [];
  let opcode = binary;
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + 1 + random.below(random.chance(0.2) ? 3 : 300));
    const fin = end === bytes.length || random.chance(0.7);
    frames.push(frame(random, (fin ? last : 0) | opcode, bytes.subarray(at, end)));
    opcode = fin ? binary : 0;
    at = end;
  }
  const sent = Buffer.concat(frames);
  if (random.chance(0.6)) return Buffer.concat([upgrade, sent]);
  if (random.chance(0.2)) return mutate(random, upgrade);
  return Buffer.concat([upgrade, mutate(random, sent)]);
}
