import type { Message } from '@lmqtt/common/message';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { judgeProperties } from '@lmqtt/common/publish-properties';
import { topicBytesMax } from './stored-properties.ts';
import { hasSeparator } from './separators.ts';

type StorableVerdict =
  | typeof ReasonCode.success
  | typeof ReasonCode.topicNameInvalid
  | typeof ReasonCode.payloadFormatInvalid
  | typeof ReasonCode.unspecifiedError;

/**
 * Whether the message can be written as RocketMQ's properties at all, asked before anything is
 * built of it: a value with a separator would add properties of its own.
 */
export function judge(message: Message): StorableVerdict {
  if (hasSeparator(message.topic)) return ReasonCode.topicNameInvalid;
  if (message.properties === undefined) return ReasonCode.success;
  const verdict = judgeProperties(message.properties);
  if (verdict === 'fine') return ReasonCode.success;
  return verdict === 'separator' ? ReasonCode.payloadFormatInvalid : ReasonCode.unspecifiedError;
}

/** Whether a message of any topic that this filter matches can be stored. */
export function isStorableFilter(filter: string): boolean {
  if (hasSeparator(filter)) return false;
  // The shortest such topic: `+` may stand for nothing, `/#` for the level above.
  const shortest = filter.replace(/(^|\/)#$/, '').replaceAll('+', '');
  return Buffer.byteLength(shortest) <= topicBytesMax;
}
