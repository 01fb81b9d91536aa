// Answers to a publisher whose message a broker does not store. PUBACK and PUBREC have few codes
// (3.4.2.1): there is no "packet too large" and no "server busy" among them.
import { ReasonCode } from '@lmqtt/common/reason-code';
import { answerCodes } from '../../rocketmq/remoting/codes.ts';

export interface Refusal {
  /**
   * The broker would say the same again: the publisher is told at once. Otherwise after
   * APPEND_WAIT_MS.
   */
  readonly isFinal: boolean;
  readonly reasonCode: ReasonCode;
  /** Meaning of the answer. */
  readonly why: string;
}

/** A broker that is away, and answers that are not in the table. */
export const noAnswer: Refusal = {
  isFinal: false,
  reasonCode: ReasonCode.implementationSpecificError,
  why: 'the broker is away, or says something else',
};

/** Stored, though not as safely as the broker's settings ask for. */
const late: Refusal = {
  isFinal: true,
  reasonCode: ReasonCode.success,
  why: 'stored, but not yet on the disk, or not at a replica: acknowledged, and counted as stored late',
};

/** By RocketMQ's response code. */
export const refusals: ReadonlyMap<number, Refusal> = new Map([
  [
    answerCodes.systemError,
    { ...noAnswer, why: 'the broker failed, or has too few replicas in sync' },
  ],
  [answerCodes.systemBusy, { ...noAnswer, why: 'the broker is busy' }],
  [
    answerCodes.requestCodeNotSupported,
    { ...noAnswer, isFinal: true, why: 'the broker does not know the request' },
  ],
  [answerCodes.flushDiskTimeout, late],
  [answerCodes.slaveNotAvailable, late],
  [answerCodes.flushSlaveTimeout, late],
  [
    answerCodes.messageIllegal,
    {
      isFinal: true,
      reasonCode: ReasonCode.payloadFormatInvalid,
      why: 'the message is larger than the broker takes (maxMessageSize), or its topic is no legal name',
    },
  ],
  [
    answerCodes.serviceNotAvailable,
    { ...noAnswer, why: 'the broker does not write: its disk is full, it stops, or it is a slave' },
  ],
  [
    answerCodes.versionNotSupported,
    { ...noAnswer, isFinal: true, why: 'the broker does not know the version' },
  ],
  [
    answerCodes.noPermission,
    {
      isFinal: true,
      reasonCode: ReasonCode.notAuthorized,
      why: 'the user of ROCKETMQ_ACCESS_KEY may not write to the topic, or the topic is not writable',
    },
  ],
  [
    answerCodes.topicNotExist,
    {
      isFinal: false,
      reasonCode: ReasonCode.topicNameInvalid,
      why: 'the RocketMQ topic is not there, and the broker does not make it',
    },
  ],
  [
    answerCodes.invalidParameter,
    { ...noAnswer, why: 'the topic has fewer queues than before, until that is known here' },
  ],
  [
    answerCodes.flowControl,
    {
      isFinal: false,
      reasonCode: ReasonCode.quotaExceeded,
      why: 'the broker limits the rate of messages',
    },
  ],
  [
    answerCodes.lmqQuotaExceeded,
    {
      isFinal: true,
      reasonCode: ReasonCode.quotaExceeded,
      why: 'more light queues than the broker may have (maxLmqConsumeQueueNum)',
    },
  ],
]);

/** Brokers before 5.3 say so with the code for everything. */
const deniedRemark = /AclException|accessKey|signature|permission/i;
const finalRemark = /timer message/i;

export function refusalOf(code: number, remark: string): Refusal {
  const known = refusals.get(code) ?? noAnswer;
  if (code !== answerCodes.systemError) return known;
  if (deniedRemark.test(remark)) return refusals.get(answerCodes.noPermission)!;
  return finalRemark.test(remark) ? { ...known, isFinal: true } : known;
}

const hex = (code: number): string => `0x${code.toString(16).padStart(2, '0').toUpperCase()}`;

/** A Markdown table of all answers. */
export function refusalsMarkdown(nameOf: (code: number) => string): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const lines = [
    row(['RocketMQ says', 'A v5 publisher gets', 'When', 'It means']),
    row(['---', '---', '---', '---']),
  ];
  const add = (said: string, { reasonCode, isFinal, why }: Refusal): void => {
    const when = reasonCode === 0 ? 'at once' : isFinal ? 'at once' : 'after APPEND_WAIT_MS';
    lines.push(row([said, hex(reasonCode), when, why]));
  };
  for (const [code, refusal] of refusals) add(`${code}, ${nameOf(code)}`, refusal);
  add('nothing, or any other code', noAnswer);
  return lines.join('\n');
}

/** The topic has fewer queues at this broker than it had: code 29, of 4.x and 5.1 code 1. */
export function hasNotThatQueue(code: number, remark: string): boolean {
  const is = code === answerCodes.invalidParameter || code === answerCodes.systemError;
  return is && remark.startsWith('request queueId[');
}
