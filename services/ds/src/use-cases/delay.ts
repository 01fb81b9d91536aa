// A publisher that wants its message later asks by the topic `$delayed/{seconds}/{topic}`, or
// by a user property of 5.0, which is not delivered:
//
//   lmqtt-delay   seconds from now, also with a fraction
//   lmqtt-at      a time as ISO 8601 has it, with its zone: 2030-01-31T08:00:00Z
import { Message } from '@lmqtt/common/message';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { isValidTopicFilter, isWildcardFilter } from '@lmqtt/common/topic';
import { eachUserProperty, mayHaveOwn } from '@lmqtt/common/user-properties';
import type { DelayedTopic } from '../sessions/delayed-topic.ts';

export interface Delay {
  /** Wall clock. */
  readonly dueAtMs: number;
  /** From now on; undefined: a time of day was named. */
  readonly afterMs: number | undefined;
}

const prefix = '$delayed/';
const delayName = Buffer.from('lmqtt-delay');
const atName = Buffer.from('lmqtt-at');
const datePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)$/;

function isDelayedTopic(topic: string): boolean {
  return topic.startsWith(prefix);
}

/** undefined: the topic does not ask for a delay. */
export function delayedTopicOf(topic: string): DelayedTopic | 'malformed' | undefined {
  if (!isDelayedTopic(topic)) return undefined;
  const end = topic.indexOf('/', prefix.length);
  const seconds = topic.slice(prefix.length, end);
  const real = topic.slice(end + 1);
  if (end === -1 || !/^\d{1,10}$/.test(seconds) || isDelayedTopic(real)) return 'malformed';
  if (!isValidTopicFilter(real) || isWildcardFilter(real)) return 'malformed';
  return { delayMs: Number(seconds) * 1000, topic: real };
}

/** Whether the message asks for a delay, rightly or wrongly. */
export function isDelayed({ topic, properties }: Message): boolean {
  if (isDelayedTopic(topic)) return true;
  return properties !== undefined && delayOfProperties(properties, 0) !== undefined;
}

/** The request of the properties: a delay, a mistake, or nothing. */
export function delayOfProperties(
  properties: Buffer,
  nowMs: number,
): Delay | 'malformed' | undefined {
  if (!mayHaveOwn(properties)) return undefined;
  let found: Delay | 'malformed' | undefined;
  eachUserProperty(properties, (name, value) => {
    if (name.equals(delayName)) found = delayOf(value, nowMs);
    else if (name.equals(atName)) found = timeOf(value);
  });
  return found;
}

function delayOf(value: string, nowMs: number): Delay | 'malformed' {
  if (!/^\d{1,10}(?:\.\d+)?$/.test(value)) return 'malformed';
  const afterMs = Math.round(Number(value) * 1000);
  return { dueAtMs: nowMs + afterMs, afterMs };
}

function timeOf(value: string): Delay | 'malformed' {
  const dueAtMs = datePattern.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(dueAtMs) ? 'malformed' : { dueAtMs, afterMs: undefined };
}

/** The message as it is to be published: with its own topic, without what asked for the delay. */
export function withoutDelay(message: Message, topic: string): Message {
  const real = new Message(
    topic,
    message.qos,
    message.retain,
    message.buffer,
    -1,
    message.payloadStart,
    message.payloadEnd,
    message.properties && withoutDelayProperties(message.properties),
    message.expiresAtMs,
    message.publisher,
  );
  real.expiryS = message.expiryS;
  return real;
}

function withoutDelayProperties(properties: Buffer): Buffer | undefined {
  if (!mayHaveOwn(properties)) return properties;
  const kept: Buffer[] = [];
  let from = 0;
  eachUserProperty(properties, (name, _value, start, end) => {
    if (!name.equals(delayName) && !name.equals(atName)) return;
    kept.push(properties.subarray(from, start));
    from = end;
  });
  kept.push(properties.subarray(from));
  const rest = Buffer.concat(kept);
  return rest.length === 0 ? undefined : rest;
}

/** Reason code of a delay that the publisher got wrong. */
export const malformedDelay: ReasonCode = ReasonCode.payloadFormatInvalid;
