import { isUtf8 } from 'node:buffer';
import { malformed } from './malformed-packet.ts';

/** From here on a native call is quicker than a loop. */
const nativeBytesMin = 128;

/** True where the bytes are UTF-8 by themselves: no overlong forms, no surrogates. */
export function isWellFormed(bytes: Buffer, start: number, end: number): boolean {
  return isUtf8(bytes.subarray(start, end));
}

/** True where the bytes may stand in a UTF-8 encoded string of MQTT, section 1.5.4. */
export function isStringUtf8(bytes: Buffer, start: number, end: number): boolean {
  if (end - start < nativeBytesMin) {
    let all = 0;
    for (let at = start; at < end; at += 1) {
      const byte = bytes[at]!;
      if (byte === 0) return false;
      all |= byte;
    }
    return all < 0x80 || isWellFormed(bytes, start, end);
  }
  const view = bytes.subarray(start, end);
  // [MQTT-1.5.4-2] no U+0000.
  return !view.includes(0) && isUtf8(view);
}

/** The string in these bytes. U+FEFF stays where it stands [MQTT-1.5.4-3]. */
export function decodeString(bytes: Buffer, start: number, end: number, what: string): string {
  // [MQTT-1.5.4-1]
  if (!isStringUtf8(bytes, start, end)) malformed(`${what}: not well-formed UTF-8`);
  return bytes.toString('utf8', start, end);
}
