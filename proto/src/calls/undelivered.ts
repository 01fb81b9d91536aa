import { queueId, sessionHandle } from '@lmqtt/common/ids';
import type { SessionHandle } from '@lmqtt/common/ids';
import { type UndeliveredMessage, undeliveredReasons } from '../undelivered.ts';
import type { Shape } from './codec.ts';

export interface UndeliveredRequest {
  readonly session: SessionHandle;
  readonly messages: readonly UndeliveredMessage[];
}

interface PlainMessage extends Omit<UndeliveredMessage, 'reason' | 'queue'> {
  readonly reason: number;
  readonly queue: number;
}

interface PlainUndelivered {
  readonly session: number;
  readonly messages: readonly PlainMessage[];
}

export const undeliveredRequest: Shape<UndeliveredRequest, PlainUndelivered> = {
  plainOf: ({ session, messages }) => ({
    session,
    messages: messages.map((one) => ({ ...one, reason: undeliveredReasons.indexOf(one.reason) })),
  }),
  valueOf: ({ session, messages }) => ({
    session: sessionHandle(session),
    messages: messages.map((one) => ({
      reason: reasonOf(one.reason),
      reasonCode: one.reasonCode,
      filter: one.filter,
      queue: queueId(one.queue),
      partition: one.partition,
      offset: one.offset,
      attempts: one.attempts,
      firstMs: one.firstMs,
      lastMs: one.lastMs,
    })),
  }),
};

function reasonOf(place: number): UndeliveredMessage['reason'] {
  const reason = undeliveredReasons[place];
  if (reason === undefined) throw new RangeError(`no reason has the number ${place}`);
  return reason;
}
