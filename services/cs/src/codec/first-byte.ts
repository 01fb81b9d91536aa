import { PacketType } from '../packet/packet-type.ts';
import type { ProtocolVersion } from '../packet/packet-type.ts';
import { malformed, protocolError } from './malformed-packet.ts';

// The first byte of a packet tells its type and flags, and with the version whether a client may
// send it now. The flags of PUBLISH are judged with its body.

const names = Object.keys(PacketType);
const withFlags: ReadonlySet<number> = new Set([
  PacketType.pubrel,
  PacketType.subscribe,
  PacketType.unsubscribe,
]);
const fromServer: ReadonlySet<number> = new Set([
  PacketType.connack,
  PacketType.suback,
  PacketType.unsuback,
  PacketType.pingresp,
]);

/** Throws where it is not legal. */
function judge(first: number, version: ProtocolVersion | 0): void {
  const type = first >> 4;
  if (type === 0) malformed('packet type 0');
  const name = names[type - 1]!.toUpperCase();
  if (fromServer.has(type)) protocolError(`${name} from a client`);
  // [MQTT-3.1.0-1]
  if (version === 0 && type !== PacketType.connect) protocolError(`${name} before CONNECT`);
  // [MQTT-3.1.0-2]
  if (version !== 0 && type === PacketType.connect) protocolError('a second CONNECT');
  if (type === PacketType.auth && version < 5) malformed('AUTH: not before 5.0');
  if (type === PacketType.publish) return;
  const flags = first & 0x0f;
  // 3.1 knows DUP in these three.
  const given = version === 3 && withFlags.has(type) ? flags & 0x07 : flags;
  // [MQTT-2.1.3-1]
  if (given !== (withFlags.has(type) ? 2 : 0)) malformed(`${name}: flags ${flags}`);
}

function isLegal(first: number, version: ProtocolVersion | 0): boolean {
  try {
    judge(first, version);
    return true;
  } catch {
    return false;
  }
}

/** By version and first byte: 1 where it is legal. */
const legal = new Uint8Array(6 * 256);
for (const version of [0, 3, 4, 5] as const) {
  for (let first = 0; first < 256; first += 1) {
    legal[version * 256 + first] = isLegal(first, version) ? 1 : 0;
  }
}

export function checkFirstByte(first: number, version: ProtocolVersion | 0): void {
  if (legal[version * 256 + first] === 0) judge(first, version);
}
