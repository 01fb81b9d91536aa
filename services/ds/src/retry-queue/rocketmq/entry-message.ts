// Entries as RocketMQ has them: a message as any publish is stored, with further properties.
import type { Message } from '@lmqtt/common/message';
import { propertiesOf } from '../../rocketmq/message/stored-properties.ts';
import type { StoredMessage } from '../../rocketmq/message/stored-message.ts';
import { escaped, unescaped } from '../../rocketmq/message/separators.ts';
import { type DeadReason, deadReasons, type RetryEntry } from '../retry-queue.ts';

export const entryProperty = {
  reason: 'lmqttDeadReason',
  reasonCode: 'lmqttDeadReasonCode',
  clientId: 'lmqttDeadClient',
  filter: 'lmqttDeadFilter',
  attempts: 'lmqttAttempts',
  /** Wall clock in ms. */
  firstMs: 'lmqttFirstAttempt',
  lastMs: 'lmqttLastAttempt',
  /** Wall clock in ms; of entries that wait longer than RocketMQ can delay them. */
  dueMs: 'lmqttDue',
  /** Carried by a message that is no letter: the letters that are gone. */
  removed: 'lmqttRemoved',
} as const;

export type More = readonly (readonly [name: string, value: string])[];

/** Text of the properties; undefined: more than RocketMQ takes. */
export function entryProperties(
  entry: RetryEntry,
  key: string,
  nowMs: number,
  more: More,
): string | undefined {
  const own: (readonly [string, string])[] = [
    [entryProperty.reason, entry.reason],
    [entryProperty.reasonCode, `${entry.reasonCode}`],
    [entryProperty.attempts, `${entry.attempts}`],
    [entryProperty.firstMs, `${Math.round(entry.firstMs)}`],
    [entryProperty.lastMs, `${Math.round(entry.lastMs)}`],
    ...more,
  ];
  // A property without a value is none.
  if (entry.clientId !== '') own.push([entryProperty.clientId, escaped(entry.clientId)]);
  if (entry.filter !== '') own.push([entryProperty.filter, escaped(entry.filter)]);
  return propertiesOf(entry.message, [], { key, nowMs, more: own });
}

/** undefined: it is not one of ours. */
export function entryOf(stored: StoredMessage): RetryEntry | undefined {
  const reason = stored.property(entryProperty.reason);
  if (!isReason(reason)) return undefined;
  return {
    message: ownMessage(stored.message),
    clientId: unescaped(stored.property(entryProperty.clientId) ?? ''),
    filter: unescaped(stored.property(entryProperty.filter) ?? ''),
    reason,
    reasonCode: numberOf(stored, entryProperty.reasonCode),
    attempts: numberOf(stored, entryProperty.attempts),
    firstMs: numberOf(stored, entryProperty.firstMs),
    lastMs: numberOf(stored, entryProperty.lastMs),
  };
}

function isReason(text: string | undefined): text is DeadReason {
  const all: readonly (string | undefined)[] = deadReasons;
  return all.includes(text);
}

export function numberOf(stored: StoredMessage, name: string): number {
  const value = Number(stored.property(name) ?? 0);
  return Number.isSafeInteger(value) ? value : 0;
}

/** As a publisher's: RocketMQ's offsets and times are those of the entry. */
function ownMessage(message: Message): Message {
  message.storedMs = 0;
  message.orderKey = undefined;
  return message;
}
