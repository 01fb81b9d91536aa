import { ReasonCode } from '@lmqtt/common/reason-code';
import { PropertyId } from '../packet/property.ts';
import type { PropertyPlace } from '../packet/property.ts';
import type { ByteCursor } from './cursor.ts';
import { malformed, protocolError, refused } from './malformed-packet.ts';
import { checkString, flagValue, SeenProperties } from './property-reader.ts';

// The properties of a PUBLISH or a will. Most are forwarded unaltered, so they are only checked and
// stay as the bytes that came; those that end here (expiry, alias, delay) are read. In the usual
// case what is forwarded is one run of bytes and needs no copy.

/** Set by {@link readMessageProperties}; what is not in the packet stays as it was. */
export interface MessageProperties {
  properties: Buffer | undefined;
  messageExpiryS: number | undefined;
  topicAlias: number;
  payloadFormatIndicator: 0 | 1;
  hasResponseTopic: boolean;
}

const plus = 0x2b;
const hash = 0x23;

function checkResponseTopic(cursor: ByteCursor, name: string): void {
  const start = checkString(cursor, name);
  if (start === cursor.at) protocolError(`${name}: empty`);
  for (let at = start; at < cursor.at; at += 1) {
    const byte = cursor.buffer[at];
    // [MQTT-3.3.2-14]
    if (byte === plus || byte === hash) protocolError(`${name}: has a wildcard`);
  }
}

/** `cursor` is over the properties alone. Returns the will delay interval, in seconds. */
export function readMessageProperties(
  cursor: ByteCursor,
  place: PropertyPlace,
  into: MessageProperties,
): number {
  const { buffer } = cursor;
  const seen = new SeenProperties();
  let willDelayS = 0;
  let runStart = -1;
  let runEnd = -1;
  let runs: Buffer[] | undefined;
  while (cursor.left > 0) {
    const start = cursor.at;
    const id = cursor.varint('property identifier');
    const rule = seen.rule(id, place);
    const { name } = rule;
    let forwarded = true;
    switch (id) {
      case PropertyId.userProperty:
        checkString(cursor, name);
        checkString(cursor, name);
        break;
      case PropertyId.contentType:
        checkString(cursor, name);
        break;
      case PropertyId.correlationData:
        cursor.take(cursor.u16(name), name);
        break;
      case PropertyId.responseTopic:
        checkResponseTopic(cursor, name);
        into.hasResponseTopic = true;
        break;
      case PropertyId.payloadFormatIndicator:
        into.payloadFormatIndicator = flagValue(cursor, rule);
        break;
      case PropertyId.messageExpiryInterval:
        into.messageExpiryS = cursor.u32(name);
        forwarded = false;
        break;
      case PropertyId.willDelayInterval:
        willDelayS = cursor.u32(name);
        forwarded = false;
        break;
      case PropertyId.topicAlias:
        into.topicAlias = cursor.u16(name);
        // [MQTT-3.3.2-8]
        if (into.topicAlias === 0) refused(ReasonCode.topicAliasInvalid, 'topic alias: 0');
        forwarded = false;
        break;
      default:
        // The table lets nothing else through.
        malformed(`${name}: not allowed in this packet`);
    }
    if (!forwarded) continue;
    if (runEnd === start) {
      runEnd = cursor.at;
      continue;
    }
    if (runEnd >= 0) (runs ??= []).push(buffer.subarray(runStart, runEnd));
    runStart = start;
    runEnd = cursor.at;
  }
  if (runEnd < 0) return willDelayS;
  const last = buffer.subarray(runStart, runEnd);
  into.properties = runs === undefined ? last : Buffer.concat([...runs, last]);
  return willDelayS;
}
