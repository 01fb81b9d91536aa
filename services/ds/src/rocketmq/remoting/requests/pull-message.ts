// PULL_MESSAGE, 11. Fields:
//
//   consumerGroup | topic | queueId | queueOffset | maxMsgNums | sysFlag | commitOffset |
//   suspendTimeoutMillis | subscription | subVersion | expressionType
//
// Answer: nextBeginOffset, minOffset, maxOffset; the body is stored messages.
import type { AnswerHeader } from '../answer-header.ts';
import { answerCodes } from '../codes.ts';
import { headerStart } from '../request.ts';
import type { Signer } from '../signer.ts';

export interface PullRequest {
  /** A group named `%LMQ%…` exists without being made. */
  readonly group: string;
  readonly topic: string;
  /** 0 for a light queue. */
  readonly queueId: number;
  readonly offset: number;
  /** The broker gives 32 at most as it is shipped. */
  readonly messagesMax: number;
  /** How long the broker waits where there is nothing yet; 0: it answers at once. */
  readonly suspendMs: number;
  /** `*`, or tags joined by ` || `. */
  readonly subscription: string;
  /** Past `suspendMs`. Default: that of the client. */
  readonly timeoutMs?: number;
}

export type PullAnswer =
  | {
      readonly kind: 'found';
      /** Stored messages one behind the other. Shares memory with what was received with it. */
      readonly body: Buffer;
      /** Offset at which the next pull begins. */
      readonly next: number;
      readonly min: number;
      readonly max: number;
    }
  /** 19: nothing there, 20: nothing with these tags, 21: outside the queue; go on at `next`. */
  | {
      readonly kind: 'nothing';
      readonly code: 19 | 20 | 21;
      readonly next: number;
      readonly min: number;
      readonly max: number;
    }
  | { readonly kind: 'failed'; readonly code: number | undefined; readonly reason: string };

/** sysFlag: 2 waits where there is nothing; 4 brings its subscription, so that no heartbeat is. */
const suspendFlag = 2;
const subscriptionFlag = 4;

const beforeOpaque = headerStart('pullMessage');

/** By hand: there is one for every few messages. */
export function pullHeader(
  request: PullRequest,
  opaque: number,
  signer: Signer | undefined,
): string {
  const { queueId, offset, messagesMax, suspendMs } = request;
  const sysFlag = suspendMs > 0 ? suspendFlag | subscriptionFlag : subscriptionFlag;
  return (
    `${beforeOpaque}${opaque},"extFields":{"commitOffset":"0",` +
    `"consumerGroup":${JSON.stringify(request.group)},"expressionType":"TAG",` +
    `"maxMsgNums":"${messagesMax}","queueId":"${queueId}","queueOffset":"${offset}",` +
    `"subVersion":"0","subscription":${JSON.stringify(request.subscription)},` +
    `"suspendTimeoutMillis":"${suspendMs}","sysFlag":"${sysFlag}",` +
    `"topic":${JSON.stringify(request.topic)}` +
    (signer === undefined ? '}}' : signedBy(signer, request, sysFlag))
  );
}

function signedBy(signer: Signer, request: PullRequest, sysFlag: number): string {
  const { group, topic, queueId, offset, messagesMax, suspendMs, subscription } = request;
  const values =
    `${signer.accessKey}0${group}TAG${messagesMax}${queueId}${offset}0${subscription}` +
    `${suspendMs}${sysFlag}${topic}`;
  const signature = signer.signature(values, undefined);
  return `,"AccessKey":${JSON.stringify(signer.accessKey)},"Signature":"${signature}"}}`;
}

export function pullAnswer(header: AnswerHeader, body: Buffer): PullAnswer {
  const { code } = header;
  switch (code) {
    case answerCodes.success:
      return { kind: 'found', body, ...placesIn(header) };
    case answerCodes.pullNotFound:
    case answerCodes.pullRetryImmediately:
    case answerCodes.pullOffsetMoved:
      return { kind: 'nothing', code, ...placesIn(header) };
    default:
      return { kind: 'failed', code, reason: header.remark ?? '' };
  }
}

function placesIn(header: AnswerHeader): { next: number; min: number; max: number } {
  return {
    next: header.numberField('nextBeginOffset'),
    min: header.numberField('minOffset'),
    max: header.numberField('maxOffset'),
  };
}
