import { sessionHandle } from '@lmqtt/common/ids';
import type { OrderKey } from '@lmqtt/common/message';
import type { RetainedAnswer, RetainedRequest } from '../link.ts';
import type { PartitionOffset } from '../session-state.ts';
import { required } from './codec.ts';
import type { Shape } from './codec.ts';
import { messageOfPlain, orderKeyOf, plainMessage } from './message.ts';
import type { PlainMessage } from './message.ts';

interface PlainRetainedRequest {
  readonly session: number;
  readonly filter: string;
  readonly after: string;
  readonly messagesMax: number;
  readonly bytesMax: number;
  readonly version?: PlainVersion | undefined;
}

interface PlainVersion {
  readonly topic: string;
  readonly orderKey: OrderKey | null;
}

interface PlainRetainedAnswer {
  readonly messages: readonly PlainMessage[];
  readonly next?: string | undefined;
  readonly ends: readonly PartitionOffset[];
}

export const retainedRequest: Shape<RetainedRequest, PlainRetainedRequest> = {
  plainOf: (request) => request,
  valueOf: (plain) => ({
    session: sessionHandle(plain.session),
    filter: plain.filter,
    after: plain.after,
    messagesMax: plain.messagesMax,
    bytesMax: plain.bytesMax,
    version: plain.version && versionOf(plain.version),
  }),
};

export const retainedAnswer: Shape<RetainedAnswer, PlainRetainedAnswer> = {
  plainOf: ({ messages, next, ends }) => ({ messages: messages.map(plainMessage), next, ends }),
  valueOf: ({ messages, next, ends }) => ({
    messages: messages.map(messageOfPlain),
    next,
    ends: ends.map(({ partition, offset }) => ({ partition, offset })),
  }),
};

function versionOf({ topic, orderKey }: PlainVersion): RetainedRequest['version'] {
  return { topic, orderKey: orderKeyOf(required(orderKey, 'order key of a version')) };
}
