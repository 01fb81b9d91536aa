// SEND_MESSAGE_V2, 310. Its fields have one letter each:
//
//   a producer group | b topic | c topic whose settings a new topic takes | d its queues |
//   e queueId | f sysFlag | g born, ms since 1970 | h flag | i properties | j reconsume times |
//   k unit mode | m batch
//
// Answer: queueId, queueOffset, msgId, from 5.x transactionId.
import { answerCodes } from '../codes.ts';
import type { AnswerHeader } from '../answer-header.ts';
import { headerStart } from '../request.ts';
import type { Signer } from '../signer.ts';

export interface SendRequest {
  readonly topic: string;
  readonly queueId: number;
  /** Names and values as `propertyText` joins them. */
  readonly properties: string;
  readonly body: Buffer;
  /** Milliseconds since 1970. */
  readonly bornMs: number;
  /** Default: that of the client. */
  readonly timeoutMs?: number;
}

/**
 * Outcome of a send:
 * - stored: for certain. Code 10 flushed late, 11 no slave, 12 slave late; never to be sent again.
 * - refused: for certain not stored.
 * - unknown: it was written and nothing certain came back; it may be stored, now or later.
 * - not sent: it never left this process and never will.
 */
export type SendAnswer =
  | {
      readonly kind: 'stored';
      readonly code: 0 | 10 | 11 | 12;
      readonly queueId: number;
      /** In the topic's ordinary queue; those in light queues are in the stored message only. */
      readonly queueOffset: number;
      readonly msgId: string;
      /** Given by 5.x. */
      readonly transactionId: string | undefined;
    }
  | { readonly kind: 'refused'; readonly code: number; readonly remark: string }
  | { readonly kind: 'unknown'; readonly reason: string }
  | { readonly kind: 'not sent'; readonly reason: string };

const group = 'lmqtt';
const nameEnd = '\u0001';
const valueEnd = '\u0002';

/** As a stored message carries them. Whoever lets others choose values refuses both separators. */
export function propertyText(properties: Iterable<readonly [string, string]>): string {
  let text = '';
  for (const [name, value] of properties) text += name + nameEnd + value + valueEnd;
  return text;
}

const beforeOpaque = headerStart('sendMessage');
const beforeTopic = `,"extFields":{"a":"${group}","b":`;
const beforeQueue = ',"c":"TBW102","d":"8","e":"';
const beforeBorn = '","f":"0","g":"';
const beforeProperties = '","h":"0","i":';
const unsignedEnd = ',"j":"0","k":"false","m":"false"}}';
const signedEnd = ',"j":"0","k":"false","m":"false","AccessKey":';

/** By hand: this one is built for every message. */
export function sendHeader(
  request: SendRequest,
  opaque: number,
  signer: Signer | undefined,
): string {
  const { topic, queueId, bornMs, properties } = request;
  return (
    beforeOpaque +
    opaque +
    beforeTopic +
    JSON.stringify(topic) +
    beforeQueue +
    queueId +
    beforeBorn +
    bornMs +
    beforeProperties +
    JSON.stringify(properties) +
    (signer === undefined ? unsignedEnd : signedBy(signer, request))
  );
}

function signedBy(signer: Signer, request: SendRequest): string {
  const { topic, queueId, bornMs, properties, body } = request;
  const values = `${signer.accessKey}${group}${topic}TBW1028${queueId}0${bornMs}0${properties}0falsefalse`;
  const signature = signer.signature(values, body);
  return `${signedEnd}${JSON.stringify(signer.accessKey)},"Signature":"${signature}"}}`;
}

export function sendAnswer(header: AnswerHeader): SendAnswer {
  const { code } = header;
  switch (code) {
    case answerCodes.success:
    case answerCodes.flushDiskTimeout:
    case answerCodes.slaveNotAvailable:
    case answerCodes.flushSlaveTimeout:
      return {
        kind: 'stored',
        code,
        queueId: header.numberField('queueId'),
        queueOffset: header.numberField('queueOffset'),
        msgId: header.field('msgId') ?? '',
        transactionId: header.field('transactionId'),
      };
    default: {
      const remark = header.remark ?? '';
      return isSurelyNotStored(code, remark)
        ? { kind: 'refused', code, remark }
        : { kind: 'unknown', reason: `code ${code}: ${remark}` };
    }
  }
}

/** Codes that brokers from 4.9 to 5.5 give only before they write anything. */
const refusals: ReadonlySet<number> = new Set([
  // Taken out of the send queue before a thread had it, or never let into it.
  answerCodes.systemBusy,
  answerCodes.requestCodeNotSupported,
  answerCodes.messageIllegal,
  answerCodes.serviceNotAvailable,
  answerCodes.noPermission,
  answerCodes.topicNotExist,
  answerCodes.invalidParameter,
  answerCodes.flowControl,
  answerCodes.versionNotSupported,
  answerCodes.lmqQuotaExceeded,
]);

/**
 * Code 1 is also given for what fails after the write; `UNKNOWN_ERROR` is among that. These are
 * said before it.
 */
const refusingRemarks = [
  'in-sync replicas not enough',
  'create mapped file failed',
  '[LMQ_CONSUME_QUEUE_NUM_EXCEEDED]',
  'request queueId[',
  'broker unable to service',
  'timer message',
  'accurate timer message',
  'No accessKey is configured',
  'Check signature failed',
  'org.apache.rocketmq.acl.common.AclException',
] as const;

function isSurelyNotStored(code: number, remark: string): boolean {
  if (refusals.has(code)) return true;
  if (code !== answerCodes.systemError) return false;
  return refusingRemarks.some((start) => remark.startsWith(start));
}
