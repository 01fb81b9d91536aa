import { replayProperty } from '@lmqtt/common/replay-filter';
import { PacketType } from '../packet/packet-type.ts';
import { PropertyId, propertyRules } from '../packet/property.ts';
import type { PropertyPlace, PropertyRule, willProperties } from '../packet/property.ts';
import { ByteCursor } from './cursor.ts';
import { malformed, protocolError } from './malformed-packet.ts';
import { isStringUtf8 } from './utf8.ts';

/** The properties that a client may send with anything but a message. */
export interface Properties {
  sessionExpiryInterval?: number;
  receiveMaximum?: number;
  maximumPacketSize?: number;
  topicAliasMaximum?: number;
  requestResponseInformation?: boolean;
  requestProblemInformation?: boolean;
  authenticationMethod?: string;
  authenticationData?: Buffer;
  reasonString?: string;
  subscriptionIdentifier?: number;
  /** Value of the user property that asks for a replay, of a SUBSCRIBE. */
  replayFrom?: string;
}

/** Which properties a packet has had. Identifiers are below 64. */
export class SeenProperties {
  #low = 0;
  #high = 0;

  /** The rule of a property at this place; throws where it must not be there (again). */
  rule(id: number, place: PropertyPlace): PropertyRule {
    const rule = propertyRules[id];
    if (rule === undefined) return malformed(`property 0x${id.toString(16)}: not known`);
    const bit = 1 << place;
    if ((rule.serverPlaces & bit) !== 0) protocolError(`${rule.name}: only a server sends it`);
    // 2.2.2.2: an identifier that is not valid for the packet makes it malformed.
    if ((rule.places & bit) === 0) malformed(`${rule.name}: not allowed in this packet`);
    if (!rule.repeatable) this.#once(id, rule);
    return rule;
  }

  #once(id: number, rule: PropertyRule): void {
    const bit = 1 << (id & 31);
    if (((id < 32 ? this.#low : this.#high) & bit) !== 0) {
      protocolError(`${rule.name}: more than once`);
    }
    if (id < 32) this.#low |= bit;
    else this.#high |= bit;
  }
}

/** A cursor over the properties; the packet's goes on after them. Section 2.2.2. */
export function propertiesOf(cursor: ByteCursor): ByteCursor {
  const length = cursor.varint('property length');
  const start = cursor.take(length, 'properties');
  return new ByteCursor(cursor.buffer, start, start + length);
}

/** A byte that is 0 or 1. */
export function flagValue(cursor: ByteCursor, rule: PropertyRule): 0 | 1 {
  const value = cursor.byte(rule.name);
  if (value === 0 || value === 1) return value;
  return protocolError(`${rule.name}: ${value}`);
}

function notZero(value: number, rule: PropertyRule): number {
  return value === 0 ? protocolError(`${rule.name}: 0`) : value;
}

/** Passes over a string; returns where it begins. */
export function checkString(cursor: ByteCursor, name: string): number {
  const length = cursor.u16(name);
  const start = cursor.take(length, name);
  if (!isStringUtf8(cursor.buffer, start, start + length)) {
    malformed(`${name}: not well-formed UTF-8`);
  }
  return start;
}

function readReplay(cursor: ByteCursor, name: string, properties: Properties): void {
  const start = checkString(cursor, name);
  const isReplay =
    cursor.at - start === replayProperty.length &&
    cursor.buffer.toString('latin1', start, cursor.at) === replayProperty;
  if (isReplay) properties.replayFrom = cursor.string(name);
  else checkString(cursor, name);
}

/**
 * Reads all properties of a packet other than PUBLISH. User properties are for nobody, but for that
 * of a replay: they are checked and hold no memory.
 */
export function readProperties(
  packet: ByteCursor,
  place: Exclude<PropertyPlace, typeof willProperties>,
): Properties {
  const cursor = propertiesOf(packet);
  const properties: Properties = {};
  const seen = new SeenProperties();
  while (cursor.left > 0) {
    const id = cursor.varint('property identifier');
    const rule = seen.rule(id, place);
    const { name } = rule;
    switch (id) {
      case PropertyId.userProperty:
        if (place === PacketType.subscribe) readReplay(cursor, name, properties);
        else {
          checkString(cursor, name);
          checkString(cursor, name);
        }
        break;
      case PropertyId.reasonString:
        properties.reasonString = cursor.string(name);
        break;
      case PropertyId.subscriptionIdentifier:
        properties.subscriptionIdentifier = notZero(cursor.varint(name), rule);
        break;
      case PropertyId.sessionExpiryInterval:
        properties.sessionExpiryInterval = cursor.u32(name);
        break;
      case PropertyId.receiveMaximum:
        properties.receiveMaximum = notZero(cursor.u16(name), rule);
        break;
      case PropertyId.maximumPacketSize:
        properties.maximumPacketSize = notZero(cursor.u32(name), rule);
        break;
      case PropertyId.topicAliasMaximum:
        properties.topicAliasMaximum = cursor.u16(name);
        break;
      case PropertyId.requestResponseInformation:
        properties.requestResponseInformation = flagValue(cursor, rule) === 1;
        break;
      case PropertyId.requestProblemInformation:
        properties.requestProblemInformation = flagValue(cursor, rule) === 1;
        break;
      case PropertyId.authenticationMethod:
        properties.authenticationMethod = cursor.string(name);
        break;
      case PropertyId.authenticationData:
        properties.authenticationData = cursor.binary(name);
        break;
      default:
        // The table lets nothing else through.
        malformed(`${name}: not allowed in this packet`);
    }
  }
  return properties;
}
